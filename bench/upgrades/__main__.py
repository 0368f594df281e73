"""Upgrades a job under load, again and again, and counts what is lost.

Each version writes to another topic, so that its argument shows in the output. One update is killed half-way and run
again.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

from bench.common.cluster import BenchCluster, bench_cluster
from bench.common.flink import Flink, wait_for
from bench.common.load import Load
from bench.common.program import positive, program
from bench.common.topics import BROKER_TIME, Offsets, Reader
from components.kafka.admin import forward
from local import prove
from local.kube import field
from local.platform import Target
from local.progress import say

CLUSTER = "upgrades"
INPUT = f"{CLUSTER}-events"
OUTPUTS = (f"{CLUSTER}-results-a", f"{CLUSTER}-results-b")
_TOPIC = {"partitions": 2, "replicas": 1, "retentionMillis": 1_800_000, "config": BROKER_TIME}
_TOPICS: dict[str, Any] = dict.fromkeys((INPUT, *OUTPUTS, f"{CLUSTER}-dead-letters"), _TOPIC)
_PATIENCE_SECONDS = 240.0


def _cluster(version: int) -> dict[str, Any]:
    """The Flink cluster's settings: an even version writes to the first topic, an odd one to the second."""
    arguments = {
        "--bootstrap-servers": "kafka:9092",
        "--input-topic": INPUT,
        "--output-topic": OUTPUTS[version % 2],
        "--dead-letter-topic": f"{CLUSTER}-dead-letters",
        "--group-id": CLUSTER,
        "--delivery-guarantee": "AT_LEAST_ONCE",
        "--transaction-timeout-millis": "900000",
        "--transactional-id-prefix": CLUSTER,
    }
    return {
        "jar": "jobs/target/reference-job.jar",
        "mainClass": "streaming.jobs.ClaimsJob",
        "arguments": [word for pair in arguments.items() for word in pair],
        "taskManagers": {"min": 1, "max": 1, "memoryMib": 1728, "cpu": 0.2, "cpuLimit": 1},
        "jobManager": {"replicas": 1, "memoryMib": 1024, "cpu": 0.2, "cpuLimit": 1},
        "checkpointIntervalSeconds": 5,
        "storageMib": 1024,
    }


def _await_version(flink: Flink, reader: Reader, version: int, since: Offsets) -> str:
    """Wait until the version writes; return the path of the checkpoint that it went on from ("" for the first)."""
    topic = OUTPUTS[version % 2]
    wait_for(
        f"a record in {topic}, from version {version}", lambda: reader.ends(topic) != since or None, _PATIENCE_SECONDS
    )

    def restored() -> str | None:
        job = flink.job()
        if job is None or job.running_millis is None:
            return None
        return str(field(flink.get(f"/jobs/{job.id}/checkpoints"), "latest", "restored", "external_path", default=""))

    return wait_for("the job's checkpoints", restored, _PATIENCE_SECONDS)


def _upgrade(added: BenchCluster, flink: Flink, version: int, *, killed: bool) -> None:
    if killed:
        before = {pod.name for pod in flink.pods()}
        added.apply_and_be_killed(_cluster(version), _TOPICS, _any_pod_replaced(flink, before))
        say(f"  version {version}: the update was killed half-way")
    added.apply(_cluster(version), _TOPICS)


def _any_pod_replaced(flink: Flink, before: set[str]) -> Callable[[], bool]:
    return lambda: any(pod.ending or pod.name not in before for pod in flink.pods())


def _run(arguments: argparse.Namespace) -> int:
    count: int = arguments.upgrades
    target = Target(arguments.name, arguments.context)
    problems: list[str] = []
    with bench_cluster(target, CLUSTER) as added, ExitStack() as stack:
        added.apply(_cluster(0), _TOPICS)
        directory = f"/flink-data/payloads/{CLUSTER}"
        prove.write_payloads(added.at, CLUSTER, directory, [64 + 7 * n for n in range(prove.PAYLOADS)])
        bootstrap = stack.enter_context(forward(prove.connection_of(added.settings), added.at.kubeconfig.read_text()))
        flink = stack.enter_context(Flink(added.at, CLUSTER))
        reader = stack.enter_context(Reader(bootstrap, committed=False))
        begin = {topic: reader.ends(topic) for topic in (INPUT, *OUTPUTS)}
        with Load(bootstrap, INPUT, directory, arguments.rate):
            for version in range(count + 1):
                since, start = reader.ends(OUTPUTS[version % 2]), time.monotonic()
                if version:
                    _upgrade(added, flink, version, killed=version == (count + 1) // 2)
                restored = _await_version(flink, reader, version, since)
                say(
                    f"  version {version}: wrote after {time.monotonic() - start:.1f} s, went on from {restored or '-'}"
                )
                if version and not restored:
                    problems.append(f"version {version} began without the state of the one before")
        sent = {key for key, _ in reader.read(INPUT, begin[INPUT], reader.ends(INPUT))}

        def came() -> dict[str, int] | None:
            seen: dict[str, int] = {}
            for topic in OUTPUTS:
                for key, millis in reader.read(topic, begin[topic], reader.ends(topic)):
                    seen[key] = min(millis, seen.get(key, millis))
            return seen if sent <= seen.keys() or time.monotonic() > deadline else None

        deadline = time.monotonic() + _PATIENCE_SECONDS
        seen = wait_for("the output", came, 2 * _PATIENCE_SECONDS)
    lost = len(sent - seen.keys())
    gap = max((after - before for before, after in pairwise(sorted(seen.values()))), default=0)
    say(f"\n  {count} upgrades, {len(sent)} records, {lost} lost; longest time without a new record {gap / 1000:.1f} s")
    for problem in [*problems, *([f"{lost} records were lost"] if lost else [])]:
        say(f"  NOT RIGHT: {problem}")
    return 1 if problems or lost else 0


def main() -> int:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.upgrades", description=__doc__)
    parser.add_argument("--name", default="local", help="name of the local cluster (default: local)")
    parser.add_argument("--context", default="", help="kube context of a cluster that exists; empty: the local one")
    parser.add_argument("--upgrades", type=positive, default=10, help="how many (default: 10)")
    parser.add_argument("--rate", type=positive, default=200, help="records per second (default: 200)")
    arguments = parser.parse_args()
    return program("bench.upgrades", lambda: _run(arguments))


if __name__ == "__main__":
    sys.exit(main())
