"""The platform on a real node: records come through, nothing drifts, environments stay apart, a user's job joins in."""

import dataclasses
import json
import shlex
import time
from collections.abc import Mapping
from typing import Any

import pytest

from cli import job, platform, prove, status, waiting
from cli.drift import Drift
from cli.kube import Kube, field
from cli.platform import Target
from cli.preview.stacks import kinds
from cli.pulumi import Workspace
from components.kafka.admin import forward
from console.paths import ROOT
from console.progress import LocalError
from local.images import ensure
from local.node import lifecycle
from local.node.config import Layout
from stacks.settings import merge
from tests.waiting import eventually
from versions import ZOOKEEPER_IMAGE

OWN = "mine"  # a user's Flink cluster beside the platform's own


def _changes(work: Workspace, stack: str, command: str = "preview") -> dict[str, int]:
    """What a preview, or a refresh that only looks, would change: {operation: count} without `same`."""
    words = [command, *(["--preview-only"] if command == "refresh" else [])]
    steps = json.loads(work.capture(words[0], stack, "--json", *words[1:]))["changeSummary"]
    return {kind: count for kind, count in steps.items() if kind != "same" and count}


def _with(work: Workspace, settings: Mapping[str, Any]) -> Workspace:
    """The same platform with other settings of `dev`."""
    return dataclasses.replace(work, overlay=merge(work.overlay, {"dev": settings}))


def test_each_record_comes_out_exactly_once(target: Target) -> None:
    at, settings = prove.kube(target)
    proof = prove.run_proof(at, settings, 10_000)
    assert proof == dataclasses.replace(proof, sent=10_000, missing=0, repeated=0, wrong=0, dead=0)


def test_bad_records_go_to_the_dead_letters_and_stop_nothing(target: Target) -> None:
    at, settings = prove.kube(target)
    run = "bad-" + str(time.time_ns())
    records = [
        (run, "not json " + run),
        (run, json.dumps({"id": run, "location": f"file:///flink-data/payloads/{run}", "name": "missing"})),
        (run, json.dumps({"id": run, "name": "no location"})),
    ]
    with forward(prove.connection_of(settings), at.kubeconfig.read_text()) as bootstrap:
        consumer = prove.reader(bootstrap, ["dead-letters"])
        prove.send(bootstrap, "events", records)
        reasons: list[str] = []

        def arrived() -> bool:
            for message in consumer.consume(10, timeout=1):
                letter = json.loads(message.value() or b"{}")
                if run in letter["record"]:
                    reasons.append(letter["reason"])
            return len(reasons) == len(records)

        eventually("three dead letters", arrived, 60)
        consumer.close()
    assert sorted(reasons) == ["missing-field", "not-json", "payload-missing"]
    assert prove.run_proof(at, settings, 100).holds


@pytest.mark.parametrize("stack", platform.STACKS)
def test_a_second_up_changes_nothing_and_nothing_drifts(work: Workspace, stack: str) -> None:
    assert _changes(work, stack) == {}
    assert _changes(work, stack, "refresh") == {}
    assert not work.up(stack)


@pytest.mark.parametrize("stack", sorted(kinds(ROOT).keys() - platform.STACKS))
def test_the_other_environments_preview(work: Workspace, stack: str) -> None:
    changes = _changes(work, stack)
    assert set(changes) == {"create"}
    assert changes["create"] > 20


def test_the_deployer_of_dev_has_no_rights_elsewhere(dev: Kube) -> None:
    def may(verb: str, resource: str, namespace: str) -> bool:
        try:
            dev.run("auth", "can-i", verb, resource, "-n", namespace)
        except LocalError:
            return False
        return True

    assert may("create", "deployments", "dev")
    for namespace in ("ops", "test", "kube-system"):
        for verb, resource in (
            ("get", "pods"),
            ("create", "deployments"),
            ("delete", "statefulsets"),
            ("get", "secrets"),
        ):
            assert not may(verb, resource, namespace), (verb, resource, namespace)
    assert not may("create", "namespaces", "dev")
    assert not may("create", "rolebindings", "dev")


def test_pod_security_refuses_a_privileged_pod(admin: Kube) -> None:
    container = {"name": "main", "image": ZOOKEEPER_IMAGE, "securityContext": {"privileged": True}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad"}, "spec": {"containers": [container]}}
    with pytest.raises(LocalError, match='violates PodSecurity "restricted'):
        dataclasses.replace(admin, namespace="dev").run("apply", "-f", "-", stdin=json.dumps(pod))


def test_changes_by_kubectl_are_found_and_undone(work: Workspace, target: Target, dev: Kube) -> None:
    def patch(kind: str, name: str, text: str) -> None:
        dev.run("patch", kind, name, "--type", "merge", "-p", text)

    def autoscaler() -> int:
        return dev.get("hpa", "claims-taskmanager")["spec"]["maxReplicas"]

    assert platform.drift(target, work, "dev")[1] == Drift()
    before = autoscaler()
    patch("hpa", "claims-taskmanager", '{"spec":{"maxReplicas":7}}')
    patch("configmap", "kafka-config", '{"data":{"stray":"1"}}')
    dev.run("delete", "pdb", "zookeeper")
    found = platform.drift(target, work, "dev")[1]
    told = f"HorizontalPodAutoscaler claims-taskmanager spec.maxReplicas: 7 -> {before} (changed by kubectl-patch)"
    assert [str(change) for change in found.changes] == [told]
    assert found.missing == ("PodDisruptionBudget zookeeper",)
    (foreign,) = found.foreign
    assert (foreign.path, foreign.manager) == ("data.stray", "kubectl-patch")
    assert platform.apply(target)
    assert autoscaler() == before
    assert dev.get("pdb", "zookeeper")
    dev.run(*shlex.split(foreign.command)[1:])
    assert platform.drift(target, work, "dev")[1] == Drift()
    assert not platform.apply(target)


def test_an_update_of_an_object_changed_by_kubectl_needs_no_help(work: Workspace, dev: Kube) -> None:
    dev.run("patch", "hpa", "claims-taskmanager", "--type", "merge", "-p", '{"spec":{"maxReplicas":7}}')
    changed = _with(work, {"flink": {"clusters": {"claims": {"taskManagers": {"max": 2}}}}})
    assert changed.up("dev")
    assert dev.get("hpa", "claims-taskmanager")["spec"]["maxReplicas"] == 2
    assert work.up("dev")


def test_taskmanagers_scaled_to_0_by_hand_are_reported_with_the_remedy(target: Target, dev: Kube) -> None:
    dev.run("patch", "deployment", "claims-taskmanager", "--type", "merge", "-p", '{"spec":{"replicas":0}}')
    with pytest.raises(LocalError, match="claims-taskmanager is scaled to 0, where its autoscaler leaves it") as told:
        status.show(target)
    (command,) = [line for line in str(told.value).splitlines() if "try: kubectl" in line and " patch " in line]
    dev.run(*shlex.split(command)[2:])
    waiting.until_it_runs(*prove.kube(target))
    status.show(target)


def test_topics_are_previewed_changed_and_their_drift_is_found(work: Workspace, dev: Kube) -> None:
    topic = {"partitions": 2, "replicas": 1, "retentionMillis": 3600000}
    created = _with(work, {"kafka": {"topics": {"orders": topic}}})
    assert _changes(created, "dev") == {"create": 1}
    assert created.up("dev")
    changed = _with(work, {"kafka": {"topics": {"orders": {**topic, "partitions": 3, "retentionMillis": 7200000}}}})
    assert _changes(changed, "dev") == {"update": 1}
    assert changed.up("dev")
    describe = ["exec", "kafka-0", "--", "/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", "kafka:9092"]
    told = dev.run(*describe, "--describe", "--topic", "orders")
    assert "PartitionCount: 3" in told
    assert "retention.ms=7200000" in told
    dev.run(*describe, "--delete", "--topic", "orders")
    assert _changes(changed, "dev", "refresh") == {"delete": 1}
    changed.pulumi("refresh", "dev", "--yes")
    assert not work.up("dev")  # neither wanted nor there any more


def test_a_users_own_job_joins_scales_under_load_and_nothing_drifts(
    work: Workspace, target: Target, node: Layout, dev: Kube
) -> None:
    settings = work.settings("dev")
    arguments = list(settings.flink.clusters["claims"].arguments)
    own_names = {"--input-topic": "own-events", "--output-topic": "own-results"}
    for name, value in {**own_names, "--group-id": OWN, "--transactional-id-prefix": OWN}.items():
        arguments[arguments.index(name) + 1] = value
    own = {
        "jar": "jobs/target/reference-job.jar",
        "mainClass": "streaming.jobs.ClaimsJob",
        "arguments": [*arguments, "--work-millis", "20"],
        "taskManagers": {"min": 1, "max": 2, "memoryMib": 1728, "cpu": 0.2, "cpuLimit": 1},
        "jobManager": {"memoryMib": 1024, "cpu": 0.2, "cpuLimit": 1},
        "checkpointIntervalSeconds": 5,
        "storageMib": 1024,
    }
    topics = {name: {"partitions": 4, "replicas": 1} for name in ("own-events", "own-results")}
    extended = _with(work, {"flink": {"clusters": {OWN: own}}, "kafka": {"topics": topics}})
    images = platform.get_images(extended.settings("dev"), public=False)
    lifecycle.load_images(node, images)
    before = dev.get("deployment", "claims-taskmanager")["metadata"]["generation"]
    assert extended.up("dev")
    assert (
        dev.get("deployment", "claims-taskmanager")["metadata"]["generation"] == before
    )  # the first one is left alone

    directory = "/flink-data/payloads/own"
    prove.write_payloads(dev, OWN, directory, [100] * prove.PAYLOADS)
    at, _ = prove.kube(target)
    with forward(prove.connection_of(settings), at.kubeconfig.read_text()) as bootstrap:
        records = (prove.claim("own", directory, n) for n in range(30_000))
        prove.send(bootstrap, "own-events", records)

    def task_managers() -> int:
        return int(field(dev.get("deployment", f"{OWN}-taskmanager"), "status", "readyReplicas", default=0))

    eventually("a second TaskManager", lambda: task_managers() == 2, 300)
    eventually("the job uses both", lambda: "parallelism 2" in job.look(dev, OWN).text, 180)
    assert _changes(extended, "dev") == {}
    assert _changes(extended, "dev", "refresh") == {}
    assert work.up("dev")
    assert dev.get("deployment", f"{OWN}-taskmanager") == {}


def test_an_unknown_image_is_refused_by_name() -> None:
    with pytest.raises(LocalError, match="no-such-image:1"):
        ensure("no-such-image:1")
