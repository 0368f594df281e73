"""What a rule is: data and a pure function, so that tests and the pack share it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Kubernetes kinds that hold pods, and the path from the object to the pod's spec.
POD_SPECS: Mapping[str, Sequence[str]] = {
    "kubernetes:core/v1:Pod": ("spec",),
    "kubernetes:apps/v1:Deployment": ("spec", "template", "spec"),
    "kubernetes:apps/v1:StatefulSet": ("spec", "template", "spec"),
    "kubernetes:apps/v1:DaemonSet": ("spec", "template", "spec"),
    "kubernetes:batch/v1:Job": ("spec", "template", "spec"),
    "kubernetes:batch/v1:CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A resource rule: `judge` yields what is wrong with a resource of a type, each with its remedy."""

    id: str
    description: str  # what goes wrong without it
    judge: Callable[[str, Mapping[str, Any]], Iterator[str]]


def field(value: Any, *path: str) -> Any:
    """The value at a path, or None. Properties of the policy SDK are proxies, which are no dicts."""
    for name in path:
        if value is None or not hasattr(value, "get"):
            return None
        value = value.get(name)
    return value


def containers(resource_type: str, properties: Mapping[str, Any]) -> Iterator[Any]:
    """All containers of a resource that holds pods, init containers and sidecars too."""
    path = POD_SPECS.get(resource_type)
    if path is None:
        return
    spec = field(properties, *path)
    for kind in ("initContainers", "containers"):
        yield from field(spec, kind) or []
