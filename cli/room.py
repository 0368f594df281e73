"""The capacity of nodes against what a stack requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cli.kube import field
from components.quantities import number
from stacks.settings import EnvironmentSettings

_REPELLING = ("NoSchedule", "NoExecute")  # taints of nodes that our pods keep away from


@dataclass(frozen=True)
class Finding:
    """One row of the table."""

    subject: str
    verdict: str  # ok, warning, failed
    text: str


def usable(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The nodes that our pods, which tolerate no taints, may be scheduled to."""

    def refuses(node: Mapping[str, Any]) -> bool:
        taints = field(node, "spec", "taints", default=[])
        return bool(field(node, "spec", "unschedulable")) or any(t["effect"] in _REPELLING for t in taints)

    return [node for node in nodes if not refuses(node)]


def requests(settings: EnvironmentSettings, autoscalers: Literal["min", "max"]) -> tuple[float, int]:
    """Cores and MiB that the environment's containers request when every autoscaler is at its minimum or maximum."""
    cpu = settings.zookeeper.members * settings.zookeeper.cpu + settings.kafka.brokers * settings.kafka.cpu
    mib = (
        settings.zookeeper.members * settings.zookeeper.memory_mib + settings.kafka.brokers * settings.kafka.memory_mib
    )
    for cluster in settings.flink.clusters.values():
        workers, manager = cluster.task_managers, cluster.job_manager
        count = workers.min if autoscalers == "min" else workers.max
        cpu += manager.replicas * manager.cpu + count * workers.cpu
        mib += manager.replicas * manager.container_mib + count * workers.container_mib
        cpu += (manager.replicas + count) * settings.logging.pod_cpu
        mib += (manager.replicas + count) * settings.logging.pod_mib
    if settings.monitoring.enabled:
        cpu += settings.monitoring.shards * settings.monitoring.cpu
        mib += settings.monitoring.shards * settings.monitoring.memory_mib
    return cpu, mib


def free(
    nodes: Sequence[Mapping[str, Any]], pods: Sequence[Mapping[str, Any]], settings: EnvironmentSettings
) -> tuple[float, float]:
    """Cores and bytes that pods of other namespaces leave free on the nodes that take ours."""
    cpu = sum(number(n["status"]["allocatable"]["cpu"]) for n in usable(nodes))
    memory = sum(number(n["status"]["allocatable"]["memory"]) for n in usable(nodes))
    for pod in pods:
        if pod["metadata"]["namespace"] == settings.environment:
            continue  # asked for by the settings
        if field(pod, "status", "phase") in ("Succeeded", "Failed"):
            continue
        sidecars = [c for c in pod["spec"].get("initContainers", []) if c.get("restartPolicy") == "Always"]
        for container in [*pod["spec"]["containers"], *sidecars]:
            cpu -= number(field(container, "resources", "requests", "cpu", default="0"))
            memory -= number(field(container, "resources", "requests", "memory", default="0"))
    return cpu, memory


def capacity(
    nodes: Sequence[Mapping[str, Any]], pods: Sequence[Mapping[str, Any]], settings: EnvironmentSettings
) -> Finding:
    """Return what is free against what the stack asks for with every autoscaler at its maximum."""
    fits, text = _compared(nodes, pods, settings, "max")
    if not fits:
        return Finding("capacity", "failed", f"{text}; lower taskManagers.max, cpu or memoryMib, or add nodes")
    return Finding("capacity", "ok", text)


def least_capacity(
    nodes: Sequence[Mapping[str, Any]], pods: Sequence[Mapping[str, Any]], settings: EnvironmentSettings
) -> Finding:
    """The same with the autoscalers at their minimum: where that does not fit, some pods never run."""
    fits, text = _compared(nodes, pods, settings, "min")
    if not fits:
        return Finding(
            "capacity",
            "warning",
            f"{text}: some pods will stay Pending; lower cpu or memoryMib, or take a Flink cluster out (and apply that "
            "first: what goes is deleted only after what comes is there)",
        )
    return Finding("capacity", "ok", text)


def _compared(
    nodes: Sequence[Mapping[str, Any]],
    pods: Sequence[Mapping[str, Any]],
    settings: EnvironmentSettings,
    autoscalers: Literal["min", "max"],
) -> tuple[bool, str]:
    cpu, memory = free(nodes, pods, settings)
    asked_cpu, asked_mib = requests(settings, autoscalers)
    text = (
        f"free {cpu:.2f} CPU, {memory / 2**30:.1f} GiB; asked for, autoscalers at {autoscalers}imum: "
        f"{asked_cpu:.2f} CPU, {asked_mib / 1024:.1f} GiB"
    )
    # To a thousandth of a core, as Kubernetes counts.
    return round(cpu, 3) >= round(asked_cpu, 3) and memory >= asked_mib * 2**20, text
