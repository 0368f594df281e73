"""Taking the platform apart leaves nothing, and the emptied node serves as a cluster that somebody else made."""

import contextlib
import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import yaml

from cli import platform, prove, pulumi
from cli.kube import Kube
from cli.platform import Target
from cli.pulumi import Workspace
from components.isolation.roles import ROLES
from console.progress import LocalError, descendants
from local.node import lifecycle
from local.node.config import Layout
from stacks.settings import flink_image, merge
from tests.waiting import eventually

CONTEXT = "streaming-platform-test"
# What Kubernetes itself puts into every namespace.
ITS_OWN = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
KINDS = "pods,services,deployments,statefulsets,configmaps,secrets,serviceaccounts,persistentvolumeclaims,hpa,pdb"


def _namespaces(admin: Kube) -> set[str]:
    return {item["metadata"]["name"] for item in admin.items("namespaces")}


def _unprotected(work: Workspace) -> Workspace:
    """The same platform, with leave to delete `ops` too."""
    settings = {"cluster": {"environments": {"ops": {"dataProtection": False}}}}
    return dataclasses.replace(work, overlay=merge(work.overlay, settings))


def _use_image(image: str, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a copy of the stack files in which the Flink cluster `claims` runs an image that is there."""
    for name in ("cluster", "dev"):
        document = yaml.safe_load(pulumi.stack_file(name).read_text())
        if name == "dev":
            claims = document["config"]["streaming-platform:flink"]["clusters"]["claims"]
            claims["image"] = image
            del claims["jar"]
            # The image of fluentd would have to be built.
            document["config"]["streaming-platform:logging"] = {"agent": "opentelemetryCollector"}
        (into / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setattr(pulumi, "STACK_FILES", into)


def _deletions(events: Path) -> dict[str, set[str]]:
    """What the engine's event log tells of deletions: the URNs that were begun, and those that were done with."""
    found: dict[str, set[str]] = {"resourcePreEvent": set(), "resOutputsEvent": set()}
    for line in events.read_text().splitlines() if events.exists() else []:
        with contextlib.suppress(ValueError):  # the last line may be half written
            event = json.loads(line)
            for kind in found.keys() & event.keys():
                if event[kind]["metadata"]["op"] == "delete":
                    found[kind].add(event[kind]["metadata"]["urn"])
    return found


def test_an_interrupted_update_can_be_run_again(
    work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill Pulumi, but not what it started, while something is gone and something is being deleted; then go on."""
    events = tmp_path / "events"
    monkeypatch.setenv("PULUMI_DEBUG_COMMANDS", "true")  # which the flag for the log needs
    child = work.start("destroy", "dev", "--yes", "--skip-preview", "--event-log", str(events))

    def halfway() -> bool:
        assert child.poll() is None, "destroyed, or failed, before anything was seen to be deleted"
        begun, done = _deletions(events).values()
        return bool(done) and any(":StatefulSet::" in urn or ":Deployment::" in urn for urn in begun - done)

    eventually("something to be gone, and a workload, which takes some seconds, to be on its way", halfway, 300)
    started = descendants(child.pid)
    child.kill()
    child.wait()
    work.pulumi("destroy", "dev", "--yes")
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert "pending_operations" not in work.exported("dev")["deployment"]


def test_destroying_leaves_nothing_and_is_refused_for_protected_data(work: Workspace, admin: Kube) -> None:
    left = dataclasses.replace(admin, namespace="dev").items(KINDS)
    names = {f"{item['kind'].lower()}/{item['metadata']['name']}" for item in left}
    accounts = {f"serviceaccount/{name}" for name in (*ROLES, "flink-leader")}
    of_cluster = {"secret/deployer-token", *accounts}
    assert names - of_cluster == ITS_OWN
    with pytest.raises(LocalError, match="protected"):
        work.capture("destroy", "cluster", "--yes")
    assert _namespaces(admin) >= {"dev", "test", "ops"}
    unprotected = _unprotected(work)
    unprotected.up("cluster")
    unprotected.pulumi("destroy", "cluster", "--yes")
    assert not _namespaces(admin) & {"dev", "test", "ops"}
    claims = [item["spec"]["claimRef"]["namespace"] for item in admin.items("persistentvolumes")]
    assert "dev" not in claims


def test_a_cluster_that_exists_is_refused_without_a_registry(
    node: Layout, admin: Kube, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(lifecycle.kubeconfig(node)))
    before = _namespaces(admin)
    with pytest.raises(LocalError, match=r"images: Flink cluster claims runs a jar.*set images.registry"):
        platform.up(Target("", CONTEXT))
    assert _namespaces(admin) == before
    table = capsys.readouterr().out
    for row in ("API server", "rights", "storage class", "metrics API", "capacity", "images", "network policies"):
        assert row in table


def test_the_platform_comes_up_on_a_cluster_that_exists(
    node: Layout, work: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = flink_image(work.settings("dev"), "claims")
    _use_image(image, tmp_path, monkeypatch)
    monkeypatch.setenv("KUBECONFIG", str(lifecycle.kubeconfig(node)))
    elsewhere = Target("", CONTEXT)
    shutil.rmtree(elsewhere.state, ignore_errors=True)  # of a node of the same name, in a run that was killed
    try:
        assert platform.up(elsewhere)
        at, settings = prove.kube(elsewhere)
        assert prove.run_proof(at, settings, 1000).holds
        there = _unprotected(platform.workspace(elsewhere))
        there.pulumi("destroy", "dev", "--yes")
        there.up("cluster")
        there.pulumi("destroy", "cluster", "--yes")
    finally:
        shutil.rmtree(elsewhere.state, ignore_errors=True)


def test_an_unknown_context_is_refused_with_those_there_are(node: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(lifecycle.kubeconfig(node)))
    with pytest.raises(LocalError, match=rf"CONTEXT=nowhere: no such context; there are: {CONTEXT}"):
        platform.up(Target("", "nowhere"))
