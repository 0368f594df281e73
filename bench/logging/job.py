"""A Flink cluster that logs numbered lines, and what is done to it."""

import json
import struct
import time
from collections.abc import Mapping
from typing import Any

from bench.common.cluster import BenchCluster
from bench.common.flink import Flink, Pod, wait_for
from components.flink.directories import DATA_DIR
from console.progress import LocalError, say, step

CLUSTER = "loglines"
TRACES_EVERY = 500
AGENT = "logs"  # the sidecar's container
_DIRECTORY = f"{DATA_DIR}/{CLUSTER}"
_START_SECONDS = 240.0
_PER_LINE_BYTES = 120  # of the layout, beside the text


def cluster(
    run: str, *, lines: int, per_second: int, line_bytes: int, work: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """The Flink cluster's settings: one TaskManager, which logs `lines` of `line_bytes` each time it starts.

    `work` is turns of a loop for each record and how many records there are to a line.
    """
    arguments = {
        "--lines": lines,
        "--per-second": per_second,
        "--bytes": max(1, line_bytes - _PER_LINE_BYTES),
        "--traces-every": TRACES_EVERY,
        "--work-loops": (work or {}).get("loops", 0),
        "--records-per-line": (work or {}).get("records", 1),
        "--directory": f"{_DIRECTORY}/{run}",
    }
    return {
        "jar": "jobs/target/reference-job.jar",
        "mainClass": "streaming.jobs.LogLinesJob",
        "arguments": [str(word) for pair in arguments.items() for word in pair],
        "taskManagers": {"min": 1, "max": 1, "memoryMib": 1728, "cpu": 0.2, "cpuLimit": 1},
        "jobManager": {"replicas": 1, "memoryMib": 1024, "cpu": 0.2, "cpuLimit": 1},
        "checkpointIntervalSeconds": 5,
        "storageMib": 1024,
        # So that another container of the pod can kill the agent.
        "pod": {"shareProcessNamespace": True},
    }


def counters(added: BenchCluster, run: str) -> dict[str, tuple[int, int]]:
    """Return, for each start of the job, the number of lines that its logger has taken, and of records."""
    each = "for f in *; do echo $f $(od -An -v -tx1 $f | tr -d ' \\n'); done"
    every = f"cd {_DIRECTORY}/{run} 2>/dev/null && {each}; :"
    told = added.at.run("exec", f"deploy/{CLUSTER}-jobmanager", "-c", "jobmanager", "--", "bash", "-c", every)
    found: dict[str, tuple[int, int]] = {}
    for line in told.splitlines():
        name, _, digits = line.partition(" ")
        if len(digits) == 32:
            found[name] = struct.unpack(">qq", bytes.fromhex(digits))
    return found


def await_lines(
    added: BenchCluster, run: str, starts: int, lines: int, seconds: float = _START_SECONDS
) -> dict[str, int]:
    """Wait until there were `starts`, and the fastest of them logged `lines`."""

    def logged() -> dict[str, int] | None:
        try:
            now = {start: count for start, (count, _) in counters(added, run).items()}
        except LocalError:  # while its pod is replaced
            return None
        return now if len(now) >= starts and max(now.values(), default=0) >= lines else None

    return wait_for(f"{lines} lines from start {starts} of the job", logged, seconds)


def task_manager(flink: Flink) -> Pod:
    """The TaskManager's pod."""
    return wait_for("a TaskManager", lambda: next(iter(flink.task_managers()), None), _START_SECONDS)


def kill_agent(added: BenchCluster, pod: str) -> None:
    """Kill the agent of a pod, as the kernel does when memory runs out."""
    # The brackets keep the shell from finding itself.
    find = "grep -lz -e '/etc/logs/[cf][ol][^ ]*$' /proc/[0-9]*/cmdline 2>/dev/null | cut -d / -f 3"
    before = agent_restarts(added, pod)
    with step("  the agent is killed"):
        added.at.run("exec", pod, "-c", "taskmanager", "--", "bash", "-c", f"kill -9 $({find})")
        wait_for("the agent to be started again", lambda: agent_restarts(added, pod) > before or None, 60)


def agent_restarts(added: BenchCluster, pod: str) -> int:
    """Return how often the agent of a pod was started again."""
    statuses = added.at.get("pod", pod).get("status", {}).get("initContainerStatuses", [])
    return sum(each["restartCount"] for each in statuses if each["name"] == AGENT)


def delete_pod(added: BenchCluster, pod: str) -> None:
    """Delete a pod, and wait until it is gone; a deployer may not."""
    with step("  the pod is deleted"):
        added.administrator.run("delete", "pod", pod, "--timeout=120s")


def stop_kafka(added: BenchCluster, seconds: float) -> None:
    """Let there be no broker for a while."""
    brokers = added.settings.kafka.brokers
    _brokers(added, 0)
    wait_for("the brokers to stop", lambda: not added.at.get("pod", "kafka-0") or None, 120)
    with step(f"  Kafka is away for {seconds:.0f} s"):
        time.sleep(seconds)
    _brokers(added, brokers)
    wait_for(
        "the brokers",
        lambda: added.at.get("statefulset", "kafka")["status"].get("readyReplicas") == brokers or None,
        240,
    )
    say("  Kafka is back")


def _brokers(added: BenchCluster, count: int) -> None:
    added.at.run(
        "patch", "statefulset", "kafka", "--type=merge", f"--patch={json.dumps({'spec': {'replicas': count}})}"
    )
