"""The number of pods of a workload: its own, or that of the autoscaler that owns it."""

from collections.abc import Iterator
from typing import Any

from policies.resources import KubeObject, Stack
from policies.unknown import field, part, whole


def autoscalers_of(stack: Stack, workload: KubeObject) -> Iterator[KubeObject]:
    """The autoscalers that name a workload."""
    for autoscaler in stack.of_kind("HorizontalPodAutoscaler"):
        target = field(autoscaler.body, "spec", "scaleTargetRef")
        named = (field(target, "kind"), autoscaler.namespace, field(target, "name"))
        if named == (workload.kind, workload.namespace, workload.name):
            yield autoscaler


def replicas_at_most(stack: Stack, workload: KubeObject) -> int:
    """The most pods of a workload that there may be at a time; a DaemonSet's are counted once."""
    maximum = max((most_of(each) for each in autoscalers_of(stack, workload)), default=0)
    if maximum:
        return maximum
    own: Any = field(workload.body, "spec", "parallelism" if workload.kind == "Job" else "replicas")
    return 1 if own is None else whole("spec.replicas", own)


def most_of(autoscaler: KubeObject) -> int:
    """The most pods that an autoscaler makes."""
    return whole(f"maxReplicas of {autoscaler.where}", part(part(autoscaler.body, "spec"), "maxReplicas"), 1)
