"""Reactive Flink clusters: whether a job survives TaskManagers that come and go, and notices when one has gone."""

from collections.abc import Iterator
from dataclasses import dataclass

from policies.flink import FlinkCluster, FlinkProcess, flink_clusters
from policies.resources import KubeObject, Stack
from policies.rules import Bounds, Setting, each_of, figure, rule
from policies.scaling import most_of
from policies.unknown import UnreadableError, field, whole

_JOINED = "whether a cluster is reactive is in its configuration, which is another object"

_DEFAULT_HEARTBEAT_MILLIS, _DEFAULT_TIMEOUT_MILLIS, _DEFAULT_FAILURES = 10_000, 50_000, 2
_DEFAULT_MAX_PARALLELISM = 128  # what Flink derives for a job that names none
_ATTEMPTS = "restart-strategy.fixed-delay.attempts"
_ENDLESS = 2**31 - 1


def _reactive(stack: Stack) -> Iterator[FlinkCluster]:
    return (cluster for cluster in flink_clusters(stack) if cluster.may_be_reactive)


def _detection(cluster: FlinkCluster, bounds: Bounds) -> Iterator[str]:
    process = cluster.job_manager

    def timeout() -> float:
        return process.duration("heartbeat.timeout", _DEFAULT_TIMEOUT_MILLIS)

    def silence() -> Iterator[str]:
        silent = bounds.number("maxTimeoutMillis")
        if timeout() > silent:
            yield f"heartbeat.timeout is {figure(timeout())} ms, above {silent} ms (maxTimeoutMillis)"

    def death() -> Iterator[str]:
        interval, dead = (
            process.duration("heartbeat.interval", _DEFAULT_HEARTBEAT_MILLIS),
            bounds.number("maxDeadMillis"),
        )
        name = "heartbeat.rpc-failure-threshold"
        failures = whole(name, cluster.configuration.get(name, _DEFAULT_FAILURES), -1)
        # A threshold of -1 leaves it to the time-out.
        noticed = interval * failures if failures >= 0 else timeout()
        if noticed > dead:
            yield (
                f"a dead TaskManager is noticed after {figure(noticed)} ms (heartbeat.interval x {name}), "
                f"above {dead} ms (maxDeadMillis)"
            )

    yield from each_of(silence, death)


DETECTION = rule(
    id="flink-failure-detection",
    description="On Flink's defaults a TaskManager that goes away stops the job for up to 50 seconds.",
    remedy="lower heartbeat.timeout and heartbeat.interval (failureDetection of a cluster)",
    subjects=_reactive,
    check=_detection,
    scope="stack",
    settings={
        "maxTimeoutMillis": Setting(10_000, "longest heartbeat.timeout of a JobManager, in milliseconds"),
        "maxDeadMillis": Setting(2_000, "longest time until a dead TaskManager is noticed, in milliseconds"),
    },
    admission=_JOINED,
)


def _checkpoints(cluster: FlinkCluster, bounds: Bounds) -> Iterator[str]:
    interval, most = cluster.job_manager.checkpoint_millis, bounds.number("maxIntervalMillis")
    if interval <= 0:
        yield "checkpointing is off: execution.checkpointing.interval is not set"
    elif interval > most:
        yield f"execution.checkpointing.interval is {figure(interval)} ms, above {most} ms (maxIntervalMillis)"


CHECKPOINTS = rule(
    id="flink-checkpointing",
    description=(
        "Each rescaling restarts the job from its last checkpoint. Without a checkpoint it starts from nothing. With "
        "an old one it repeats all the work since then."
    ),
    remedy="set execution.checkpointing.interval (checkpointIntervalSeconds of a cluster)",
    subjects=_reactive,
    check=_checkpoints,
    scope="stack",
    settings={"maxIntervalMillis": Setting(600_000, "longest time between two checkpoints, in milliseconds")},
    admission=_JOINED,
)


def _restarts(cluster: FlinkCluster, _: Bounds) -> Iterator[str]:
    options = cluster.configuration
    strategy = options.get("restart-strategy.type", options.get("restart-strategy", "")).lower()
    if strategy in ("none", "off", "disable"):
        yield f"restart-strategy.type is {strategy!r}: the first TaskManager that stops ends the job"
    elif strategy in ("fixed-delay", "fixeddelay"):
        attempts = whole(_ATTEMPTS, options.get(_ATTEMPTS, "1"))
        if attempts < _ENDLESS:
            yield f"restart-strategy.type is 'fixed-delay', which gives up after {attempts} attempts"
    elif strategy in ("failure-rate", "failurerate"):
        most = options.get("restart-strategy.failure-rate.max-failures-per-interval", "1")
        interval = options.get("restart-strategy.failure-rate.failure-rate-interval", "1 min")
        yield f"restart-strategy.type is 'failure-rate', which gives up after {most} failures in {interval}"
    elif (
        strategy == "exponential-delay"
        and "restart-strategy.exponential-delay.attempts-before-reset-backoff" in options
    ):
        attempts = options["restart-strategy.exponential-delay.attempts-before-reset-backoff"]
        yield f"restart-strategy.exponential-delay gives up after {attempts} attempts (attempts-before-reset-backoff)"
    elif strategy not in ("", "exponential-delay", "exponentialdelay"):
        raise UnreadableError("restart-strategy.type", strategy, "restart strategy of Flink's")


RESTARTS = rule(
    id="flink-restart-strategy",
    description="Scaling down counts as a failure. A restart strategy that gives up ends the job after a few failures.",
    remedy="set restart-strategy.type: exponential-delay, without a number of attempts",
    subjects=_reactive,
    check=_restarts,
    scope="stack",
    admission=_JOINED,
)


@dataclass(frozen=True, kw_only=True)
class _Workers:
    """A set of TaskManagers of a reactive cluster."""

    cluster: FlinkCluster
    process: FlinkProcess

    @property
    def urn(self) -> str:
        return self.process.urn

    @property
    def where(self) -> str:
        return self.process.owner.where

    @property
    def autoscalers(self) -> list[KubeObject]:
        return self.cluster.autoscalers(self.process)


def _workers(stack: Stack) -> Iterator[_Workers]:
    for cluster in _reactive(stack):
        for process in cluster.task_managers:
            yield _Workers(cluster=cluster, process=process)


def _autoscaled(workers: _Workers, _: Bounds) -> Iterator[str]:
    if not workers.autoscalers:
        yield "no HorizontalPodAutoscaler names these TaskManagers"


AUTOSCALED = rule(
    id="flink-autoscaled",
    description=(
        "A reactive cluster runs with the TaskManagers that there are. Without an autoscaler their number never "
        "changes, and load that grows is not answered."
    ),
    remedy="add a HorizontalPodAutoscaler whose scaleTargetRef is this workload",
    subjects=_workers,
    check=_autoscaled,
    scope="stack",
    admission=_JOINED,
)


def _usable(workers: _Workers, _: Bounds) -> Iterator[str]:
    slots_of, most_of_all = "taskmanager.numberOfTaskSlots", "pipeline.max-parallelism"
    slots = whole(slots_of, workers.process.configuration.get(slots_of, "1"), 1)
    parallelism = whole(most_of_all, workers.cluster.configuration.get(most_of_all, _DEFAULT_MAX_PARALLELISM), -1)
    if parallelism == -1:  # Flink's own word for: not set
        parallelism = _DEFAULT_MAX_PARALLELISM
    for autoscaler in workers.autoscalers:
        maximum = most_of(autoscaler)
        if maximum * slots > parallelism:
            yield (
                f"{autoscaler.where} may start {maximum} TaskManagers of {slots} slots, {maximum * slots} in all, and "
                f"the job can use {parallelism} (pipeline.max-parallelism)"
            )


USABLE = rule(
    id="flink-maximum-usable",
    description="TaskManagers beyond the job's maximum parallelism get no work: they only cost.",
    remedy="lower maxReplicas, or raise pipeline.max-parallelism before there is state",
    subjects=_workers,
    check=_usable,
    scope="stack",
    admission=_JOINED,
)


def _stabilised(workers: _Workers, bounds: Bounds) -> Iterator[str]:
    least = bounds.number("minSeconds")
    for autoscaler in workers.autoscalers:
        window = field(autoscaler.body, "spec", "behavior", "scaleDown", "stabilizationWindowSeconds")
        if window is not None and whole("stabilizationWindowSeconds", window) < least:  # Kubernetes' default is 300
            yield f"{autoscaler.where} stabilises scaling down for {window} s, below {least} s (minSeconds)"


STABILISED = rule(
    id="flink-scale-down-stabilisation",
    description="Each scale-down restarts the job. An autoscaler that follows every dip restarts it without end.",
    remedy="raise behavior.scaleDown.stabilizationWindowSeconds, or leave it out (300)",
    subjects=_workers,
    check=_stabilised,
    scope="stack",
    settings={"minSeconds": Setting(60, "shortest stabilisation of scaling down, in seconds")},
    admission=_JOINED,
)


def _not_fixed(workers: _Workers, _: Bounds) -> Iterator[str]:
    replicas = field(workers.process.owner.body, "spec", "replicas")
    if replicas is not None and workers.autoscalers:
        yield f"spec.replicas is {replicas}, and {workers.autoscalers[0].where} sets the number too"


NOT_FIXED = rule(
    id="flink-replicas-not-fixed",
    description=(
        "Each update sets the number of TaskManagers back from the autoscaler's to the fixed one. That restarts the "
        "job, and may leave it too small."
    ),
    remedy="leave spec.replicas out",
    subjects=_workers,
    check=_not_fixed,
    scope="stack",
    admission="the API server fills spec.replicas in before it asks",
)

RULES = (DETECTION, CHECKPOINTS, RESTARTS, AUTOSCALED, USABLE, STABILISED, NOT_FIXED)
