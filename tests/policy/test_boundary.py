"""The rules that keep environments apart: what they say of what, and what they leave alone."""

from typing import Any

import pytest

from policies.pack import Configuration, judge
from tests.policy.examples import DEV, Bad, changed, stack, stack_of
from tests.unit import building


def said(at: str, path: str, value: Any, configured: Configuration = DEV) -> list[str]:
    documents, _ = changed(Bad("", at, path, value))
    return [finding.text for finding in judge(stack(documents), configured)]


@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
def test_a_service_that_is_open_to_the_outside_is_refused(kind: str) -> None:
    (text,) = said("Service/kafka", "spec/type", kind)
    assert text == (
        f"Service dev/kafka: spec.type is {kind}; use type: ClusterIP with a selector of the environment's own pods, "
        "and no externalIPs"
    )


def test_all_that_is_wrong_with_a_service_is_said() -> None:
    spec = {"type": "ExternalName", "externalName": "kafka.ops.svc", "externalIPs": ["192.0.2.10", "192.0.2.11"]}
    texts = [each.partition(": ")[2].partition(";")[0] for each in said("Service/kafka", "spec", spec)]
    assert texts == [
        "spec.type is ExternalName",
        "spec.externalIPs is 192.0.2.10, 192.0.2.11",
        "spec.selector is not set",
    ]


@pytest.mark.parametrize(("path", "value"), [("clusterIP", "None"), ("type", "ClusterIP"), ("externalIPs", [])])
def test_a_service_of_the_environments_own_pods_is_accepted(path: str, value: Any) -> None:
    assert said("Service/kafka", f"spec/{path}", value) == []


def test_pods_may_name_the_priority_classes_of_their_own_environment() -> None:
    allowed = DEV.with_bounds({"priority-allowed": {"priorityClasses": ["dev-high", "dev-low"]}})
    at = ("StatefulSet/kafka", "spec/template/spec/priorityClassName")
    assert said(*at, "dev-high", allowed) == []
    (text,) = said(*at, "ops-high", allowed)
    assert "priorityClassName is ops-high, and dev-high, dev-low is allowed (priorityClasses); leave" in text


def test_the_priority_class_of_a_flink_cluster_is_judged() -> None:
    of = stack_of(building.flink(pod={"priorityClass": "high"}).resources)
    allowed = DEV.with_bounds({"priority-allowed": {"priorityClasses": ["high"]}})
    found = [[each.rule for each in judge(of, configured) if not each.open] for configured in (DEV, allowed)]
    assert found[0].count("priority-allowed") == 2
    assert "priority-allowed" not in found[1]


def test_accounts_and_secrets_of_the_environments_own_are_accepted() -> None:
    volumes = [{"name": "s", "secret": {"secretName": "deployer-tokens"}}, {"name": "c", "configMap": {"name": "c"}}]
    assert said("Job/load", "spec/template/spec/volumes", volumes) == []
    assert said("Pod/shell", "spec/serviceAccountName", "flink-leader") == []


def test_a_disk_limit_is_compared_with_the_namespaces() -> None:
    path = "spec/template/spec/containers/0/resources/limits/ephemeral-storage"
    assert said("DaemonSet/agent", path, "16Gi") == []
    (text,) = said("DaemonSet/agent", path, "16385Mi")
    assert "the limit of ephemeral-storage is 16385 MiB, above 16384 MiB (maxMib); lower the limit" in text
    (text,) = said("DaemonSet/agent", path, "much")
    assert "resources.limits.ephemeral-storage = 'much' is no quantity" in text
