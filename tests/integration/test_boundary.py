"""The ways in which one environment could harm the others, tried as its deployer: each is refused, or bounded."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import platform
from cli.kube import Kube
from cli.platform import Target
from cli.pulumi import Workspace
from console.progress import LocalError
from tests.waiting import eventually
from versions import ZOOKEEPER_IMAGE

Document = dict[str, Any]

SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
MEMORY = {"requests": {"memory": "64Mi", "cpu": "10m"}, "limits": {"memory": "64Mi"}}
OUTSIDE = {"externalIPs": ["192.0.2.10"]}
SERVICES: list[tuple[Document, str]] = [
    (OUTSIDE, "spec.externalIPs is 192.0.2.10"),
    ({"type": "LoadBalancer"}, "spec.type is LoadBalancer"),
    ({"type": "NodePort"}, "spec.type is NodePort"),
    ({"type": "ExternalName", "externalName": "kafka.ops.svc"}, "spec.type is ExternalName"),
    ({"selector": {}}, "spec.selector is not set"),
]
FIRST = {"priorityClassName": "system-node-critical"}
TOKEN = {"name": "key", "secret": {"secretName": "deployer-token"}}
PODS: list[tuple[Document, str]] = [
    (FIRST, "[priority-allowed] priorityClassName is system-node-critical"),
    ({"serviceAccountName": "deployer"}, "[pod-not-deployer] serviceAccountName is deployer"),
    ({"serviceAccount": "deployer"}, "[pod-not-deployer] serviceAccountName is deployer"),
    ({"volumes": [TOKEN]}, "[pod-not-deployer] volume key"),
    (
        {"volumes": [{"name": "key", "projected": {"sources": [{"secret": {"name": "deployer-token"}}]}}]},
        "[pod-not-deployer] volume key",
    ),
]


def service(**spec: Any) -> Document:
    ports = [{"name": "client", "port": 2181, "targetPort": 2181}]
    spec = {"selector": {"app.kubernetes.io/name": "zookeeper"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other"}, "spec": spec}


def pod_spec(**spec: Any) -> Document:
    container = {
        "name": "main",
        "image": ZOOKEEPER_IMAGE,
        "command": ["bash", "-c", "sleep 3600"],
        "securityContext": SECURITY,
        "resources": MEMORY,
    }
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"securityContext": security, "containers": [container], **spec}


def deployment(**spec: Any) -> Document:
    labels = {"app": "other"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "other"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(**spec)},
        },
    }


def create(kube: Kube, document: Document) -> Document:
    """What the API server would make of an object; nothing is kept."""
    text = kube.run("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(document))
    return json.loads(text)


def refused(kube: Kube, document: Document) -> str:
    with pytest.raises(LocalError) as caught:
        create(kube, document)
    return str(caught.value)


def test_what_keeps_to_its_environment_is_admitted(dev: Kube) -> None:
    assert create(dev, service())["spec"]["type"] == "ClusterIP"
    create(dev, service(clusterIP="None"))
    create(dev, deployment(volumes=[{"name": "key", "secret": {"secretName": "of-the-environment"}}]))


@pytest.mark.parametrize(("spec", "said"), SERVICES)
def test_a_service_that_leads_elsewhere_is_refused(dev: Kube, spec: Document, said: str) -> None:
    answer = refused(dev, service(**spec))
    assert f"[service-inside] {said}" in answer
    assert "use type: ClusterIP with a selector" in answer


def test_a_service_that_is_there_cannot_be_led_elsewhere(dev: Kube, admin: Kube) -> None:
    with pytest.raises(LocalError, match=r"\[service-inside\] spec.externalIPs is 192"):
        dev.run("patch", "service", "zookeeper", "--type", "merge", "-p", json.dumps({"spec": OUTSIDE}))
    # Nor one that is deleted, and kept by a finalizer: it leads on as long as it is there.
    kept = service()
    kept["metadata"]["finalizers"] = ["example.com/kept"]
    dev.run("create", "-f", "-", stdin=json.dumps(kept))
    try:
        dev.run("delete", "service", "other", "--wait=false")
        with pytest.raises(LocalError, match=r"\[service-inside\] spec.externalIPs is 192"):
            dev.run("patch", "service", "other", "--type", "merge", "-p", json.dumps({"spec": OUTSIDE}))
    finally:
        dev.run("patch", "service", "other", "--type", "merge", "-p", '{"metadata": {"finalizers": null}}')
    for words in (["endpoints"], ["endpointslices"], ["services", "--subresource", "status"], ["priorityclasses"]):
        for verb in ("create", "update", "patch"):
            with pytest.raises(LocalError):
                dev.run("auth", "can-i", verb, *words)
            assert admin.run("auth", "can-i", verb, *words).startswith("yes")


@pytest.mark.parametrize(("spec", "said"), PODS)
def test_pods_get_neither_the_place_nor_the_rights_of_others(dev: Kube, spec: Document, said: str) -> None:
    assert said in refused(dev, deployment(**spec))


@pytest.mark.parametrize("document", [service(**OUTSIDE), deployment(**FIRST)])
def test_namespaces_that_are_not_the_platforms_are_left_alone(admin: Kube, document: Document) -> None:
    assert admin.namespace == "scratch"
    create(admin, document)


def test_a_pod_of_the_deployer_is_refused_whoever_makes_it(admin: Kube) -> None:
    """A workload that was there before the rule gets no new pod with the deployer's token."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}}
    own = dataclasses.replace(admin, namespace="dev")
    controller = ("--as", "system:serviceaccount:kube-system:replicaset-controller")
    words = (*controller, "create", "--dry-run=server", "-f", "-")
    own.run(*words, stdin=json.dumps(pod | {"spec": pod_spec()}))
    with pytest.raises(LocalError, match="pod-not-deployer"):
        own.run(*words, stdin=json.dumps(pod | {"spec": pod_spec(serviceAccountName="deployer")}))


def test_a_pod_writes_no_more_to_the_nodes_disk_than_its_environment_admits(dev: Kube, admin: Kube) -> None:
    large = deployment(volumes=[{"name": "fill", "emptyDir": {}}])
    (container,) = large["spec"]["template"]["spec"]["containers"]
    own = dataclasses.replace(admin, namespace="dev")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}, "spec": large["spec"]["template"]["spec"]}
    (made,) = create(own, pod)["spec"]["containers"]
    assert made["resources"]["limits"]["ephemeral-storage"] == "1Gi"
    assert made["resources"]["requests"]["ephemeral-storage"] == "64Mi"
    container["resources"] = MEMORY | {"limits": {"memory": "64Mi", "ephemeral-storage": "17Gi"}}
    assert "[container-disk-limit] container main" in refused(dev, large)
    # Whatever it asks for, all pods together stay within the quota, which counts objects, too.
    status = own.get("resourcequota", "quota")["status"]
    assert status["hard"].keys() == status["used"].keys()
    assert status["hard"]["limits.ephemeral-storage"] == "64Gi"
    assert int(status["used"]["count/configmaps"]) > 5
    assert int(status["used"]["count/deployments.apps"]) >= 2


def test_after_a_rotation_no_token_of_the_deployer_is_worth_anything(
    target: Target, work: Workspace, admin: Kube, tmp_path: Path
) -> None:
    """The steps of docs/runbook.md: what becomes of the kubeconfig's token, and of one that is bound as a pod's is."""
    own = dataclasses.replace(admin, namespace="dev")
    given = platform.deployer_kubeconfig(target, "dev")
    document = yaml.safe_load(given.read_text())
    users: list[Kube] = []
    for name, token in (("kept", ""), ("bound", own.run("create", "token", "deployer").strip())):
        document["users"][0]["user"]["token"] = token or document["users"][0]["user"]["token"]
        file = tmp_path / name
        file.write_text(json.dumps(document))
        users.append(dataclasses.replace(own, kubeconfig=file))

    def works(kube: Kube) -> bool:
        try:
            kube.run("get", "configmaps")
        except LocalError as error:
            if "must be logged in" not in str(error) and "Unauthorized" not in str(error):
                raise
            return False
        return True

    assert all(map(works, users))
    try:
        own.run("delete", "serviceaccount", "deployer")
        eventually("no token is worth anything", lambda: not any(map(works, users)), 20)
        work.pulumi("refresh", "cluster", "--yes")
    finally:
        for stack in platform.STACKS:  # as `make up` does
            work.up(stack)
    assert works(dataclasses.replace(own, kubeconfig=platform.deployer_kubeconfig(target, "dev")))
    assert not any(map(works, users))
