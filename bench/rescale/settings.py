"""The settings that are compared: those of one Flink cluster, and overlays on them."""

from collections.abc import Mapping
from typing import Any

from bench.common.claims import claims
from bench.common.topics import BROKER_TIME
from stacks.settings import merge

CLUSTER = "rescale"
INPUT = f"{CLUSTER}-events"
OUTPUT = f"{CLUSTER}-results"
DEAD_LETTERS = f"{CLUSTER}-dead-letters"
GUARANTEES = ("AT_LEAST_ONCE", "EXACTLY_ONCE")
_RETENTION_MILLIS = 1_800_000  # a run takes hours: what was read is not needed any more

TOPICS: Mapping[str, Any] = {
    INPUT: {"partitions": 4, "replicas": 1, "retentionMillis": _RETENTION_MILLIS},
    OUTPUT: {"partitions": 4, "replicas": 1, "retentionMillis": _RETENTION_MILLIS},
    DEAD_LETTERS: {"partitions": 1, "replicas": 1, "retentionMillis": _RETENTION_MILLIS},
}
for _topic in TOPICS.values():
    _topic["config"] = {**BROKER_TIME, "segment.bytes": str(64 * 2**20)}

_SCHEDULER = "jobmanager.adaptive-scheduler.executing"
_ZOOKEEPER = "high-availability.zookeeper.client"
_BACKOFF = "restart-strategy.exponential-delay"

STOCK: Mapping[str, Any] = {
    "configuration": {
        "restart-strategy.type": "exponential-delay",
        f"{_BACKOFF}.initial-backoff": "1 s",
        f"{_BACKOFF}.backoff-multiplier": "1.5",
        f"{_BACKOFF}.max-backoff": "1 min",
        f"{_BACKOFF}.reset-backoff-threshold": "1 h",
        f"{_BACKOFF}.jitter-factor": "0.1",
        f"{_SCHEDULER}.cooldown-after-rescaling": "30 s",
        f"{_SCHEDULER}.resource-stabilization-timeout": "60 s",
        f"{_ZOOKEEPER}.session-timeout": "60 s",
        f"{_ZOOKEEPER}.connection-timeout": "15 s",
        f"{_ZOOKEEPER}.retry-wait": "5 s",
        "cluster.registration.error-delay": "10 s",
        "cluster.registration.refused-registration-delay": "30 s",
        "cluster.registration.max-timeout": "30 s",
        "jobmanager.retrieve-taskmanager-hostname": "true",
        "env.java.opts.jobmanager": "-XX:TieredStopAtLevel=4 -XX:+BytecodeVerificationRemote",
    },
    "failureDetection": {
        "heartbeatIntervalMillis": 10_000,
        "heartbeatTimeoutMillis": 50_000,
        "jobManagerTimeoutMillis": 50_000,
    },
    "taskManagers": {"checkpointOnStop": False},
    "jobManager": {"replicas": 1},
}
"""Flink's own defaults."""

EIGHT_SECONDS: Mapping[str, Any] = merge(
    STOCK,
    {
        "failureDetection": {
            "heartbeatIntervalMillis": 2000,
            "heartbeatTimeoutMillis": 8000,
            "jobManagerTimeoutMillis": 8000,
        }
    },
)
"""The usual remedy: shorter heartbeats, and nothing else."""

# In the others nothing waits for a heartbeat: there it is stock again.
EIGHT_SECONDS_EVENTS = ("process-killed", "unreachable", "gc-pause")

SETTINGS: Mapping[str, Mapping[str, Any]] = {"stock": STOCK, "8s": EIGHT_SECONDS, "ours": {}}


def cluster(overlay: Mapping[str, Any], guarantee: str) -> dict[str, Any]:
    """The Flink cluster's settings in a stack file: the reference job, and the overlay over all."""
    common = claims(
        CLUSTER,
        source=INPUT,
        sink=OUTPUT,
        guarantee=guarantee,
        taskManagers={"max": 3},
        # A JVM that is not the pod's first process can be killed and stopped from inside the pod, on any cluster.
        pod={"shareProcessNamespace": True},
    )
    return merge(common, overlay)
