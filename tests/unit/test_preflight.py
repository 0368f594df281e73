"""The preflight of a cluster that exists: each row's verdict, and the remedy in what failed."""

from collections.abc import Mapping
from typing import Any

import pytest

from cli import preflight, room
from console.progress import LocalError
from stacks.settings import EnvironmentSettings, parse

_CLUSTER = {
    "jar": "jobs/target/reference-job.jar",
    "mainClass": "a.B",
    "taskManagers": {"min": 1, "max": 3, "memoryMib": 1728, "cpu": 0.2},
    "jobManager": {"memoryMib": 1024, "cpu": 0.2},
}


def _settings(**over: object) -> EnvironmentSettings:
    config: dict[str, object] = {
        "streaming-platform:kind": "environment",
        "streaming-platform:environment": "dev",
        "streaming-platform:zookeeper": {"members": 3, "memoryMib": 256, "cpu": 0.1},
        "streaming-platform:kafka": {"brokers": 1, "memoryMib": 1024, "cpu": 0.25},
        "streaming-platform:flink": {"clusters": {"claims": _CLUSTER}},
    }
    settings = parse(config | {f"streaming-platform:{key}": value for key, value in over.items()})
    assert isinstance(settings, EnvironmentSettings)
    return settings


def _node(cpu: str = "4", memory: str = "16Gi", **spec: object) -> dict[str, Any]:
    return {"metadata": {"name": "n"}, "spec": spec, "status": {"allocatable": {"cpu": cpu, "memory": memory}}}


def _class(name: str, *, default: bool) -> dict[str, Any]:
    key = "storageclass.kubernetes.io/is-default-class"
    return {"metadata": {"name": name, "annotations": {key: "true"} if default else {}}}


@pytest.mark.parametrize(("minor", "verdict"), [("29", "failed"), ("30", "ok"), ("34+", "ok")])
def test_api_version(minor: str, verdict: str) -> None:
    version = {"serverVersion": {"major": "1", "minor": minor, "gitVersion": f"v1.{minor}.0"}}
    assert preflight.api_version(version).verdict == verdict


def test_missing_rights_are_named() -> None:
    def ask(*words: str) -> str:
        if "roles.rbac.authorization.k8s.io" in words:
            raise LocalError("no")
        return "yes"

    finding = preflight.rights(ask)
    assert finding.verdict == "failed"
    assert "create roles.rbac.authorization.k8s.io" in finding.text
    assert preflight.rights(lambda *_: "yes").verdict == "ok"


def test_storage_needs_a_class() -> None:
    finding = preflight.storage([_class("slow", default=False)], [_node()], _settings())
    assert finding.verdict == "failed"
    assert "storage.class" in finding.text
    assert preflight.storage([_class("fast", default=True)], [_node()], _settings()).verdict == "ok"


def test_a_class_that_is_not_there_is_refused_with_those_there_are() -> None:
    finding = preflight.storage([_class("fast", default=True)], [_node()], _settings(storage={"class": "gold"}))
    assert finding.verdict == "failed"
    assert "gold" in finding.text
    assert "fast" in finding.text


def test_checkpoints_on_a_claim_of_one_node_are_refused_on_two() -> None:
    classes = [_class("fast", default=True)]
    refused = preflight.storage(classes, [_node(), _node()], _settings())
    assert refused.verdict == "failed"
    assert "ReadWriteMany" in refused.text
    shared = _settings(storage={"accessMode": "ReadWriteMany"})
    assert preflight.storage(classes, [_node(), _node()], shared).verdict == "ok"
    on_s3 = _settings(flink={"clusters": {"claims": {**_CLUSTER, "s3": {"path": "s3://bucket/flink"}}}})
    assert preflight.storage(classes, [_node(), _node()], on_s3).verdict == "ok"
    tainted = _node(taints=[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
    for other in (_node(unschedulable=True), tainted):
        assert preflight.storage(classes, [_node(), other], _settings()).verdict == "ok"


@pytest.mark.parametrize(
    ("services", "verdict"),
    [
        ([], "failed"),
        ([{"metadata": {"name": "v1beta1.metrics.k8s.io"}}], "failed"),
        (
            [
                {
                    "metadata": {"name": "v1beta1.metrics.k8s.io"},
                    "status": {"conditions": [{"type": "Available", "status": "True"}]},
                }
            ],
            "ok",
        ),
    ],
)
def test_metrics(services: list[Mapping[str, Any]], verdict: str) -> None:
    assert preflight.metrics(services).verdict == verdict


def test_capacity_counts_the_autoscaler_at_its_maximum() -> None:
    cpu, mib = room.requests(_settings(), "max")
    assert cpu == pytest.approx(0.3 + 0.25 + 2 * 0.2 + 3 * 0.2 + 5 * 0.02)  # five pods that ship logs
    assert mib == 3 * 256 + 1024 + 2 * 1024 + 3 * 1728 + 5 * 256
    assert room.capacity([_node()], [], _settings()).verdict == "ok"
    small = room.capacity([_node(memory="7Gi")], [], _settings())
    assert small.verdict == "failed"
    assert "taskManagers.max" in small.text


def test_capacity_subtracts_the_requests_of_others_but_not_of_the_environment() -> None:
    def pod(namespace: str) -> dict[str, Any]:
        container = {"resources": {"requests": {"cpu": "3", "memory": "1Gi"}}}
        return {"metadata": {"namespace": namespace}, "spec": {"containers": [container]}}

    assert room.capacity([_node()], [pod("kube-system")], _settings()).verdict == "failed"
    assert room.capacity([_node()], [pod("dev")], _settings()).verdict == "ok"


def test_own_images_need_a_registry() -> None:
    assert "images.registry" in preflight.registry(_settings()).text
    assert preflight.registry(_settings()).verdict == "failed"


@pytest.mark.parametrize(
    ("user", "silence", "verdict"), [(0, "", "ok"), (0, "does not answer", "failed"), (1000, "", "failed")]
)
def test_own_images_need_root_and_a_registry_that_answers(
    user: int, silence: str, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(url: str) -> str:
        asked.append(url)
        return silence

    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr(preflight, "registry_silence", ask)
    finding = preflight.registry(_settings(images={"registry": "registry.example:5000/team"}))
    assert finding.verdict == verdict
    assert asked == ([] if user else ["https://registry.example:5000/v2/"])


def test_network_policy_agents() -> None:
    assert preflight.policies([]).verdict == "warning"
    assert preflight.policies([{"metadata": {"name": "calico-node"}}]).verdict == "ok"


def test_the_least_that_is_asked_for_is_counted_where_a_platform_runs() -> None:
    cpu, mib = room.requests(_settings(), "min")
    assert cpu == pytest.approx(0.3 + 0.25 + 2 * 0.2 + 0.2 + 3 * 0.02)
    assert mib == 3 * 256 + 1024 + 2 * 1024 + 1728 + 3 * 256
    assert room.least_capacity([_node(cpu="1210m")], [], _settings()).verdict == "ok"
    tight = room.least_capacity([_node(cpu="1200m")], [], _settings())
    assert tight.verdict == "warning"
    assert tight.text.startswith(
        "free 1.20 CPU, 16.0 GiB; asked for, autoscalers at minimum: 1.21 CPU, 6.2 GiB: some pods"
    )
