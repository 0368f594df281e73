"""Memory rules, on properties wrapped as the policy SDK wraps them."""

from collections.abc import Mapping
from typing import Any

import pytest
from pulumi_policy.proxy import unknown_checking_proxy

from policies.memory import CONTAINER_MEMORY
from policies.rules import POD_SPECS

BOUNDED = {"name": "good", "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}}}
UNLIMITED = {"name": "bad", "resources": {"requests": {"memory": "1Gi"}}}


def _resource(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    wrapped: Any = spec
    for name in reversed(POD_SPECS[kind]):
        wrapped = {name: wrapped}
    return wrapped


def _judge(kind: str, spec: Mapping[str, Any]) -> list[str]:
    return list(CONTAINER_MEMORY.judge(kind, unknown_checking_proxy(_resource(kind, spec))))


@pytest.mark.parametrize("kind", POD_SPECS)
def test_bounded_containers_pass(kind: str) -> None:
    assert _judge(kind, {"containers": [BOUNDED], "initContainers": [BOUNDED]}) == []


@pytest.mark.parametrize("kind", POD_SPECS)
@pytest.mark.parametrize("place", ["containers", "initContainers"])
def test_an_unlimited_container_is_named_with_its_field(kind: str, place: str) -> None:
    violations = _judge(kind, {"containers": [BOUNDED], place: [BOUNDED, UNLIMITED]})
    assert len(violations) == 1
    assert "container bad: resources.limits.memory is not set" in violations[0]


def test_a_container_without_any_resources_misses_both() -> None:
    assert len(_judge("kubernetes:core/v1:Pod", {"containers": [{"name": "bare"}]})) == 2


def test_what_holds_no_pods_is_not_judged() -> None:
    assert list(CONTAINER_MEMORY.judge("kubernetes:core/v1:Service", unknown_checking_proxy({"spec": {}}))) == []
