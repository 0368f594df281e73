"""The health of an environment: what should run and does not, and why, as Kubernetes and Flink report it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cli import job
from cli.kube import Kube, field
from components.last_words import last_words, previous_log
from console.progress import LocalError
from stacks.settings import EnvironmentSettings

SCALED = "scaled to 0"
MISSING = "missing"
ENDED = "ended"
CRASHES = "CrashLoopBackOff"
UNREADY = "not ready"
ZOOKEEPER, KAFKA = "ZooKeeper", "Kafka"
NEEDS = (ZOOKEEPER, KAFKA)  # what all other parts need
# Containers wait for these by themselves; other reasons are told.
_STARTING = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that should run and does not."""

    part: str  # such as `Flink claims`
    where: str  # which object of it
    reason: str  # one of the words above, or Kubernetes' or Flink's own
    text: str
    command: str  # shows more of it, or mends it
    restarts: int = 0
    pod: str = ""  # its uid

    @property
    def key(self) -> tuple[str, str]:
        """Return what it is about: a StatefulSet's next pod has the same name."""
        return self.where, self.pod

    def __str__(self) -> str:
        return f"{self.part}: {self.text}\n    try: {self.command}"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A StatefulSet or a Deployment, and how many ready pods it must have at least."""

    part: str
    kind: str
    name: str
    wanted: int


def workloads(settings: EnvironmentSettings) -> list[Workload]:
    """All that an environment must have; what others depend on comes first."""
    found = [
        Workload(part=ZOOKEEPER, kind="StatefulSet", name="zookeeper", wanted=settings.zookeeper.members),
        Workload(part=KAFKA, kind="StatefulSet", name="kafka", wanted=settings.kafka.brokers),
    ]
    for name, cluster in settings.flink.clusters.items():
        roles = {"jobmanager": cluster.job_manager.replicas, "taskmanager": cluster.task_managers.min}
        for role, wanted in roles.items():
            found.append(Workload(part=f"Flink {name}", kind="Deployment", name=f"{name}-{role}", wanted=wanted))
    if settings.monitoring.enabled:
        shards = settings.monitoring.shards
        found.append(Workload(part="Prometheus", kind="StatefulSet", name="prometheus", wanted=shards))
    return found


def faults(at: Kube, settings: EnvironmentSettings) -> list[Fault]:
    """Return what should run and does not. A job is asked for where nothing else says why it does not run."""
    found = of_workloads(at, settings)
    for name in settings.flink.clusters:
        own = [fault for fault in found if fault.part == f"Flink {name}"]
        # JobManagers are ready while their job runs: it says more than their number.
        unready = [fault for fault in own if fault.where == f"{name}-jobmanager" and fault.reason == UNREADY]
        if (unready or not own) and (fault := of_job(at, name)):
            found = [each for each in found if each not in unready] + [fault]
    return found


def of_workloads(at: Kube, settings: EnvironmentSettings) -> list[Fault]:
    """The same without the jobs."""
    objects = at.items("statefulsets,deployments,replicasets,pods")
    return [fault for each in workloads(settings) for fault in of_workload(at, each, objects)]


def of_workload(at: Kube, wanted: Workload, objects: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """Return why a workload has fewer ready pods than it must have; nothing if it has them."""
    kubectl = f"kubectl -n {at.namespace}"
    kind, name = wanted.kind.lower(), wanted.name
    there = [each for each in objects if each["kind"] == wanted.kind and each["metadata"]["name"] == name]
    if not there:
        text = f"there is no {wanted.kind} {name}"
        return [Fault(part=wanted.part, where=name, reason=MISSING, text=text, command=f"{kubectl} get {kind}s")]
    workload = there[0]
    if field(workload, "spec", "replicas", default=1) == 0:
        patch = f'{{"spec":{{"replicas":{wanted.wanted}}}}}'
        text = f"{wanted.kind} {name} is scaled to 0"
        text += ", where its autoscaler leaves it" if kind == "deployment" and name.endswith("-taskmanager") else ""
        command = f"{kubectl} patch {kind} {name} --type merge -p '{patch}'"
        return [Fault(part=wanted.part, where=name, reason=SCALED, text=text, command=command)]
    ready = int(field(workload, "status", "readyReplicas", default=0))
    if ready >= wanted.wanted:
        return []
    told = [
        replace(fault, pod=pod["metadata"]["uid"])
        for pod in _pods_of(workload, objects)
        if (fault := of_pod(at, wanted.part, pod))
    ]
    if told:
        return told
    text = f"{wanted.kind} {name} has {ready} of {wanted.wanted} pods ready"
    return [Fault(part=wanted.part, where=name, reason=UNREADY, text=text, command=f"{kubectl} describe {kind} {name}")]


def _pods_of(workload: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The pods that a workload owns, by itself or by its ReplicaSets."""
    owners = {workload["metadata"]["uid"]}
    for _ in range(2):  # ReplicaSets, then their pods
        owners |= {
            each["metadata"]["uid"]
            for each in objects
            if any(owner["uid"] in owners for owner in field(each, "metadata", "ownerReferences", default=[]))
        }
    return [each for each in objects if each["kind"] == "Pod" and each["metadata"]["uid"] in owners]


def of_pod(at: Kube, part: str, pod: Mapping[str, Any]) -> Fault | None:
    """Return why a pod is not ready, as far as it can be told by now."""
    name = pod["metadata"]["name"]
    describe = f"kubectl -n {at.namespace} describe pod {name}"
    conditions = {each["type"]: each for each in field(pod, "status", "conditions", default=[])}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("reason") == "Unschedulable":
        why = str(scheduled.get("message", "")).split(" preemption:")[0].strip().rstrip(".")
        return Fault(
            part=part, where=name, reason="Unschedulable", text=f"pod {name} fits no node: {why}", command=describe
        )
    if field(conditions.get("Ready", {}), "status") == "True":
        return None
    for status in _statuses(pod):
        if fault := _of_container(at, part, name, status):
            return fault
    return None


def _statuses(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from field(pod, "status", "initContainerStatuses", default=[])
    yield from field(pod, "status", "containerStatuses", default=[])


def _of_container(at: Kube, part: str, pod: str, status: Mapping[str, Any]) -> Fault | None:
    container, restarts = str(status["name"]), int(field(status, "restartCount", default=0))
    where = f"pod {pod}, container {container}"
    waiting = field(status, "state", "waiting", default={})
    reason = str(waiting.get("reason", ""))
    ended = field(status, "lastState", "terminated") or field(status, "state", "terminated")
    failed = bool(ended) and field(ended, "reason") != "Completed"
    if reason in _STARTING or (not reason and not failed):
        return None
    if reason and reason != CRASHES:
        text = f"{where}: {reason}: {waiting.get('message', 'no reason is given')}"
        command = f"kubectl -n {at.namespace} describe pod {pod}"
        return Fault(part=part, where=where, reason=reason, text=text, command=command)
    how = f"{field(ended, 'reason', default='ended')}, exit code {field(ended, 'exitCode', default='unknown')}"
    # The message is the log's last 2 KiB, which a JVM may fill with how it stopped.
    told = last_words(last_log(at, pod, container) or field(ended, "message", default=""))
    text = f"{where}: {reason or 'it ended'} after {restarts} restarts ({how}){f': {told}' if told else ''}"
    command = f"kubectl -n {at.namespace} logs {pod} -c {container} --previous"
    return Fault(part=part, where=where, reason=reason or UNREADY, text=text, command=command, restarts=restarts)


def last_log(at: Kube, pod: str, container: str) -> str:
    """The end of the log of a container's process before this one; nothing if it is gone."""
    try:
        return previous_log(at.run, pod, container)
    except LocalError:
        return ""


def of_job(at: Kube, name: str) -> Fault | None:
    """Return why a cluster's job does not run, as its JobManager tells it."""
    told = job.look(at, name)
    if told.runs:
        return None
    command = f"kubectl -n {at.namespace} logs deploy/{name}-jobmanager -c jobmanager"
    return Fault(
        part=f"Flink {name}", where=name, reason=ENDED if told.ended else UNREADY, text=told.text, command=command
    )
