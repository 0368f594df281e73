"""Upgrades a job under load, again and again, and counts what is lost.

Each version writes to another topic, so that its argument shows in the output. One update is killed half-way and run
again.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from bench.common import figures
from bench.common.claims import claims
from bench.common.cluster import BenchCluster, bench_cluster
from bench.common.flink import Flink, wait_for
from bench.common.load import Load
from bench.common.program import add_target, positive, program, verdict
from bench.common.topics import BROKER_TIME, Offsets, Reader
from cli import prove
from cli.kube import field
from cli.platform import Target
from components.flink.directories import DATA_DIR
from components.kafka.admin import forward
from console.progress import LocalError, say

CLUSTER = "upgrades"
INPUT = f"{CLUSTER}-events"
OUTPUTS = (f"{CLUSTER}-results-a", f"{CLUSTER}-results-b")
_TOPIC = {"partitions": 2, "replicas": 1, "retentionMillis": 1_800_000, "config": BROKER_TIME}
_TOPICS: dict[str, Any] = dict.fromkeys((INPUT, *OUTPUTS, f"{CLUSTER}-dead-letters"), _TOPIC)
_PATIENCE_SECONDS = 240.0
_UNKNOWN = "--no-such-argument"


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of the job that was brought up; `seconds` from the start of its update to its first record."""

    version: int
    seconds: float
    restored: str
    """Path of the checkpoint or savepoint that it continued from; empty for the first version."""
    killed: bool
    """True if its update was killed half-way and run again."""


def _cluster(version: int, high_availability: str, **more: Any) -> dict[str, Any]:
    """The Flink cluster's settings: an even version writes to the first topic, an odd one to the second."""
    return claims(
        CLUSTER,
        source=INPUT,
        sink=OUTPUTS[version % 2],
        taskManagers={"max": 1},
        # A savepoint each time, so that there is one to go back to.
        jobManager={"replicas": 1, "savepointOnStop": True},
        highAvailability=high_availability,
        **more,
    )


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


def _upgrade(added: BenchCluster, flink: Flink, version: int, cluster: Mapping[str, Any], *, killed: bool) -> None:
    if killed:
        before = {pod.name for pod in flink.pods()}
        if not added.apply_and_be_killed(cluster, _TOPICS, _any_pod_replaced(flink, before)):
            raise LocalError("the update was over before it was half-way")
        say(f"  version {version}: the update was killed half-way")
    added.apply(cluster, _TOPICS)


def _refused(added: BenchCluster, flink: Flink, version: int, high_availability: str) -> None:
    """Apply a version whose main method fails; return when its pod says so. The next update is the way back."""
    cluster = _cluster(version, high_availability)
    cluster["arguments"] = [*cluster["arguments"], _UNKNOWN, "1"]

    def said() -> bool:
        pods = [pod for pod in flink.pods() if pod.role == "jobmanager" and pod.restarts and not pod.ending]
        with suppress(LocalError):  # a container that is just being replaced has no log
            return any(_UNKNOWN in flink.at.run("logs", pod.name, "-c", "jobmanager", "--previous") for pod in pods)
        return False

    added.apply_and_be_killed(cluster, _TOPICS, said)
    say(f"  a version that cannot start says {_UNKNOWN} in its log")


def _savepoint(flink: Flink) -> str:
    """The newest savepoint on the cluster's volume."""
    pod = flink.task_managers()[0].name
    return flink.at.run(
        "exec", pod, "-c", "taskmanager", "--", "sh", "-c", "ls -td /flink-data/savepoints/*/ | head -n 1"
    )


def _any_pod_replaced(flink: Flink, before: set[str]) -> Callable[[], bool]:
    return lambda: any(pod.ending or pod.name not in before for pod in flink.pods())


def _run(arguments: argparse.Namespace) -> int:
    count: int = arguments.upgrades
    high_availability: str = arguments.high_availability
    target = Target(arguments.name, arguments.context)
    problems: list[str] = []
    done: list[Version] = []
    with bench_cluster(target, CLUSTER) as added, ExitStack() as stack:
        added.apply(_cluster(0, high_availability), _TOPICS)
        directory = f"{DATA_DIR}/payloads/{CLUSTER}"
        prove.write_payloads(added.at, CLUSTER, directory, [64 + 7 * n for n in range(prove.PAYLOADS)])
        bootstrap = stack.enter_context(forward(prove.connection_of(added.settings), added.at.kubeconfig.read_text()))
        flink = stack.enter_context(Flink(added.at, CLUSTER))
        reader = stack.enter_context(Reader(bootstrap, committed=False))
        begin = {topic: reader.ends(topic) for topic in (INPUT, *OUTPUTS)}
        with Load(bootstrap, INPUT, directory, arguments.rate):
            for version in range(count + 1):
                killed = version > 0 and version == (count + 1) // 2
                since, start = reader.ends(OUTPUTS[version % 2]), time.monotonic()
                if version:
                    cluster = _cluster(version, high_availability)
                    _upgrade(added, flink, version, cluster, killed=killed)
                restored = _await_version(flink, reader, version, since)
                took = time.monotonic() - start
                say(f"  version {version}: wrote after {took:.1f} s, went on from {restored or '-'}")
                done.append(Version(version=version, seconds=round(took, 1), restored=restored, killed=killed))
                if version and not restored:
                    problems.append(f"version {version} began without the state of the one before")
            if arguments.ways_back:
                version = count + 1
                _refused(added, flink, version, high_availability)
                savepoint = _savepoint(flink).strip().rstrip("/")
                since = reader.ends(OUTPUTS[version % 2])
                added.apply(_cluster(version, high_availability, restoreFrom=f"file://{savepoint}"), _TOPICS)
                restored = _await_version(flink, reader, version, since)
                say(f"  back to a savepoint: version {version} went on from {restored or '-'}")
                if not restored.endswith(savepoint):
                    problems.append(f"version {version} should have gone on from the savepoint {savepoint}")
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
    totals = {"records": len(sent), "lost": lost, "gap_millis": gap}
    say(
        f"  raw figures: {figures.write(arguments.out, 'upgrades', arguments, [asdict(each) for each in done], totals)}"
    )
    return verdict([*problems, *([f"{lost} records were lost"] if lost else [])])


def main() -> int:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.upgrades", description=__doc__)
    add_target(parser)
    parser.add_argument("--upgrades", type=positive, default=10, help="how many (default: 10)")
    parser.add_argument("--rate", type=positive, default=200, help="records per second (default: 200)")
    parser.add_argument(
        "--high-availability", choices=("zookeeper", "kubernetes"), default="zookeeper", help="default: %(default)s"
    )
    parser.add_argument(
        "--ways-back", action="store_true", help="then a version that cannot start, and a return to a savepoint"
    )
    figures.add_out(parser, "upgrades")
    arguments = parser.parse_args()
    return program("bench.upgrades", lambda: _run(arguments))


if __name__ == "__main__":
    sys.exit(main())
