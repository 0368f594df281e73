"""Counts what becomes of lines that a job logs, and what shipping them costs the job.

`loss`: the agent is killed, the pod deleted, and Kafka is away for a while, and every line must arrive. `flood`: more
is logged than can be shipped, and the pod must stay. `cost`: how many records the job gets through with and without.
"""

import argparse
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.common import figures
from bench.common.cluster import BenchCluster, bench_cluster
from bench.common.flink import Flink, wait_for
from bench.common.program import add_target, positive, program, verdict
from bench.common.topics import Offsets, Reader
from bench.logging import job
from bench.logging.tally import Tally, tally
from cli import prove
from cli.platform import Target
from components.kafka.admin import forward
from console.progress import LocalError, say

CHECKS = ("loss", "flood", "cost")
_ARRIVAL_SECONDS = 240.0
_WORK = {"loops": 20_000, "records": 100}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The figures of a check, and its problems."""

    figures: Sequence[Mapping[str, Any]]
    problems: Sequence[str] = ()


class Watch:
    """A cluster that logs, and the topic that its lines come to."""

    def __init__(self, added: BenchCluster, stack: ExitStack) -> None:
        self.added = added
        own = [each.topic for each in added.settings.logging.own_topics.values()]
        if not own:
            raise LocalError("logging.destinations: none is the stack's own Kafka, which is what is looked at: add one")
        self.topic = own[0]
        self.flink = stack.enter_context(Flink(added.at, job.CLUSTER))

    def ends(self) -> Offsets:
        """Return where the topic ends now."""
        with self._reader() as reader:
            return reader.ends(self.topic)

    def documents(self, since: Offsets) -> list[bytes]:
        """Return what came to the topic since then."""
        with self._reader() as reader:
            return [each.value() or b"" for each in reader.messages(self.topic, since, reader.ends(self.topic))]

    def _reader(self) -> "_Reading":
        return _Reading(self.added)


class _Reading:
    """A reader behind a port-forward of its own: brokers come and go."""

    def __init__(self, added: BenchCluster) -> None:
        self._added = added
        self._stack = ExitStack()

    def __enter__(self) -> Reader:
        connection = prove.connection_of(self._added.settings)
        bootstrap = self._stack.enter_context(forward(connection, self._added.at.kubeconfig.read_text()))
        return self._stack.enter_context(Reader(bootstrap, committed=False))

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _loss(watch: Watch, arguments: argparse.Namespace) -> Outcome:
    added, run = watch.added, uuid.uuid4().hex[:8]
    lines: int = arguments.lines
    since = watch.ends()
    added.apply(job.cluster(run, lines=lines, per_second=arguments.per_second, line_bytes=1000), {})
    pod = job.task_manager(watch.flink).name
    job.await_lines(added, run, 1, lines // 10)
    job.kill_agent(added, pod)
    job.await_lines(added, run, 1, lines // 4)
    job.delete_pod(added, pod)
    job.await_lines(added, run, 2, lines // 10)
    if arguments.outage:
        job.stop_kafka(added, arguments.outage)
    counters = job.await_lines(added, run, 2, lines, lines / arguments.per_second + 240)
    began = time.monotonic()

    def arrived() -> Tally | None:
        now = tally(watch.documents(since), counters, job.TRACES_EVERY)
        return now if now.holds or time.monotonic() - began > _ARRIVAL_SECONDS else None

    now = wait_for("the lines", arrived, 2 * _ARRIVAL_SECONDS)
    behind = time.monotonic() - began
    say(
        f"  {now.logged:,} lines from {len(counters)} starts of the job; agent killed, pod deleted, Kafka away for "
        f"{arguments.outage} s: missing {now.missing}, repeated {now.repeated}, stack traces in one event "
        f"{now.traces}, broken events {now.broken}; all there {behind:.0f} s after the last"
    )
    return Outcome(
        figures=[{"starts": len(counters), "behind_seconds": round(behind), **asdict(now)}],
        problems=[] if now.holds else [f"{now.missing} lines did not arrive, {now.broken} not whole"],
    )


def _flood(watch: Watch, arguments: argparse.Namespace) -> Outcome:
    added, run, rate = watch.added, uuid.uuid4().hex[:8], 10_000_000
    since = watch.ends()
    lines = arguments.flood * rate // 1000
    added.apply(job.cluster(run, lines=lines, per_second=rate // 1000, line_bytes=1000), {})
    pod = job.task_manager(watch.flink).name
    began = time.monotonic()
    counters = job.await_lines(added, run, 1, lines, 20.0 * arguments.flood)
    took = time.monotonic() - began
    used = added.at.run("exec", pod, "-c", "taskmanager", "--", "du", "-sm", "/opt/flink/log").split()[0]
    time.sleep(30)
    task, agent_restarts = job.task_manager(watch.flink), job.agent_restarts(added, pod)
    stayed = task.name == pod and not task.restarts and not agent_restarts
    arrived = tally(watch.documents(since), counters, job.TRACES_EVERY)
    say(
        f"  {arrived.logged:,} lines of 1 kB in {took:.0f} s ({arrived.logged / took / 1000:.1f} MB/s): "
        f"{100 - 100 * arrived.missing / arrived.logged:.0f} % shipped; log volume {used} MiB; the pod "
        f"{'stayed' if task.name == pod else 'WAS REPLACED'}, restarts {task.restarts}, of the agent {agent_restarts}"
    )
    figure = {"seconds": round(took), "volume_mib": int(used), "stayed": stayed, **asdict(arrived)}
    problems = [] if stayed else [f"the pod {pod} or a container of it did not survive"]
    return Outcome(figures=[figure], problems=problems)


def _cost(watch: Watch, arguments: argparse.Namespace) -> Outcome:
    rates: dict[bool, list[float]] = {True: [], False: []}
    for shipping in [True, False] * arguments.pairs:
        run = uuid.uuid4().hex[:8]
        cluster = job.cluster(run, lines=10**12, per_second=0, line_bytes=200, work=_WORK)
        watch.added.apply(cluster, {}, {"logging": {"enabled": shipping}})
        job.await_lines(watch.added, run, 1, 100)
        time.sleep(arguments.warm_up)  # a JVM that compiles gets faster by the second
        first, began = _records(watch.added, run), time.monotonic()
        time.sleep(arguments.seconds)
        rates[shipping].append((_records(watch.added, run) - first) / (time.monotonic() - began))
        say(f"  {'shipped' if shipping else 'not shipped'}: {rates[shipping][-1]:,.0f} records/s")
    cost = 1 - median(rates[True]) / median(rates[False])
    say(
        f"  one CPU at most, a line of 200 bytes every {_WORK['records']} records: shipping costs {100 * cost:.1f} % "
        f"(medians of {arguments.pairs} runs of {arguments.seconds} s each)"
    )
    return Outcome(
        figures=[{"shipping": shipping, "rates": [round(rate) for rate in seen]} for shipping, seen in rates.items()],
        problems=[] if cost < 0.05 else [f"shipping costs {100 * cost:.1f} % of the job's throughput, more than 5"],
    )


def _records(added: BenchCluster, run: str) -> int:
    return max(records for _, records in job.counters(added, run).values())


_RUN: dict[str, Callable[[Watch, argparse.Namespace], Outcome]] = {"loss": _loss, "flood": _flood, "cost": _cost}


def _run(arguments: argparse.Namespace) -> int:
    done: list[dict[str, Any]] = []
    problems: list[str] = []
    with bench_cluster(Target(arguments.name, arguments.context), job.CLUSTER) as added, ExitStack() as stack:
        watch = Watch(added, stack)
        for check in arguments.checks:
            outcome = _RUN[check](watch, arguments)
            problems += outcome.problems
            done += [{"check": check, **each} for each in outcome.figures]
    say(f"  raw figures: {figures.write(arguments.out, 'logging', arguments, done)}")
    return verdict(problems)


def main() -> int:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.logging", description=__doc__)
    add_target(parser)
    parser.add_argument("--checks", nargs="+", choices=CHECKS, default=list(CHECKS), help="which (default: all)")
    numbers: dict[str, tuple[int, str]] = {
        "--lines": (100_000, "loss: lines of the last start of the job"),
        "--per-second": (1000, "loss: lines per second, of 1 kB each"),
        "--flood": (60, "flood: seconds, at 10 MB/s"),
        "--pairs": (3, "cost: runs with and without"),
        "--seconds": (60, "cost: of each run"),
        "--warm-up": (30, "cost: seconds before each"),
    }
    for name, (default, text) in numbers.items():
        parser.add_argument(name, type=positive, default=default, help=f"{text} (default: {default})")
    parser.add_argument("--outage", type=int, default=60, help="loss: seconds without Kafka; 0: none (default: 60)")
    figures.add_out(parser, "logging")
    arguments = parser.parse_args()
    return program("bench.logging", lambda: _run(arguments))


if __name__ == "__main__":
    sys.exit(main())
