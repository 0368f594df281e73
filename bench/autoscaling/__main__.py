"""A load step: TaskManagers are added, the job uses them, the load goes away, they leave one at a time."""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from bench.autoscaling.samples import Sampler, problems
from bench.common import figures
from bench.common.claims import claims
from bench.common.cluster import bench_cluster
from bench.common.flink import Flink
from bench.common.load import Load
from bench.common.program import add_target, positive, program, verdict
from bench.common.topics import BROKER_TIME
from cli import prove
from cli.platform import Target
from components.flink.directories import DATA_DIR
from components.kafka.admin import forward
from console.progress import LocalError, say

CLUSTER = "autoscaling"
_TOPICS_OF = (f"{CLUSTER}-events", f"{CLUSTER}-results")
_TOPIC = {"partitions": 4, "replicas": 1, "retentionMillis": 600_000, "config": BROKER_TIME}
_TOPICS: dict[str, Any] = dict.fromkeys((*_TOPICS_OF, f"{CLUSTER}-dead-letters"), _TOPIC)
_LOW_RATE = 100
_PAYLOAD_BYTES = 256 * 1024  # so that a record costs CPU
_CALM_SECONDS = 60.0
_PATIENCE_SECONDS = 900.0


def _cluster(most: int) -> dict[str, Any]:
    """The Flink cluster's settings. One TaskManager could do all the work: what counts is when others come and go."""
    return claims(
        CLUSTER,
        source=_TOPICS_OF[0],
        sink=_TOPICS_OF[1],
        # An idle TaskManager uses a tenth of a core: two of them must fit into what one is for.
        taskManagers={"max": most, "cpu": 0.25},
        jobManager={"replicas": 1},
        autoscaling={"cpuPercent": 100},
    )


def _watch(sampler: Sampler, phase: str, done: Callable[[], bool], seconds: float) -> None:
    """Wait until `done`, and then watch for `seconds` more."""
    say(f"  {phase}")
    sampler.phase = phase
    told, deadline = len(sampler.samples), time.monotonic() + _PATIENCE_SECONDS
    while not (sampler.samples and sampler.samples[-1].phase == phase and done()):
        if time.monotonic() > deadline:
            say(f"    {phase}: waited {_PATIENCE_SECONDS:.0f} s in vain; the figures say for what")
            break
        time.sleep(1)
        sampler.check()
        told = _tell(sampler, told)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(1)
        told = _tell(sampler, told)


def _tell(sampler: Sampler, told: int) -> int:
    """Say when the number of TaskManagers changes, and at least each minute."""
    samples = sampler.samples
    for n in range(max(told, 1), len(samples)):
        now, before = samples[n], samples[n - 1]
        if n % 12 == 0 or (now.wanted, now.ready, now.parallelism) != (before.wanted, before.ready, before.parallelism):
            say(
                f"    {now.seconds:6.0f} s  load {now.load:5.0f}/s, out {now.throughput:5.0f}/s, lag {now.lag:6d}, "
                f"CPU {now.cpu:.2f}, TaskManagers wanted {now.wanted}, ready {now.ready}, used {now.parallelism}"
            )
    return len(samples)


def _run(arguments: argparse.Namespace) -> int:
    most: int = arguments.max
    target = Target(arguments.name, arguments.context)
    with bench_cluster(target, CLUSTER, autoscaled=True) as added, ExitStack() as stack:
        added.apply(_cluster(most), _TOPICS)
        directory = f"{DATA_DIR}/payloads/{CLUSTER}"
        prove.write_payloads(added.at, CLUSTER, directory, [_PAYLOAD_BYTES] * prove.PAYLOADS)
        bootstrap = stack.enter_context(forward(prove.connection_of(added.settings), added.at.kubeconfig.read_text()))
        flink = stack.enter_context(Flink(added.at, CLUSTER))
        sampler = stack.enter_context(Sampler(flink, bootstrap, _TOPICS_OF, CLUSTER))

        def used() -> bool:
            last = sampler.samples[-1]
            return last.wanted == last.ready == last.parallelism > 1

        def left() -> bool:
            last = sampler.samples[-1]
            return last.wanted == last.ready == last.parallelism == 1

        with Load(bootstrap, _TOPICS_OF[0], directory, _LOW_RATE):
            # A job that has just started compiles its code: that is not the load.
            _watch(sampler, "low", left, _CALM_SECONDS)
            with Load(bootstrap, _TOPICS_OF[0], directory, arguments.rate - _LOW_RATE):
                _watch(sampler, "high", used, arguments.hold)
            if not arguments.up_only:
                _watch(sampler, "low again", left, arguments.hold)
        samples = list(sampler.samples)
    if not samples:
        raise LocalError("there was nothing to see: is the platform up?")
    figures.write(arguments.out, "autoscaling", arguments, [asdict(sample) for sample in samples])
    from bench.autoscaling import plot

    plot.draw(samples, arguments.out / "autoscaling.png")
    say(f"\n  {len(samples)} samples in {samples[-1].seconds / 60:.0f} min; figures and plot: {arguments.out}")
    return verdict(problems(samples, minimum=1, shrinks=not arguments.up_only))


def main() -> int:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.autoscaling", description=__doc__)
    add_target(parser)
    parser.add_argument("--rate", type=positive, default=2000, help="records per second under load (default: 2000)")
    parser.add_argument("--max", type=positive, default=3, help="TaskManagers at most (default: 3)")
    parser.add_argument("--hold", type=float, default=300, help="seconds of calm watched, twice (default: 300)")
    parser.add_argument("--up-only", action="store_true", help="stop when the job uses what was added")
    figures.add_out(parser, "autoscaling")
    arguments = parser.parse_args()
    if arguments.rate <= _LOW_RATE:
        parser.error(f"--rate {arguments.rate}: must be above {_LOW_RATE}, the rate without load")
    if arguments.max < 2:
        parser.error(f"--max {arguments.max}: must be 2 or more, or nothing could be added")
    return program("bench.autoscaling", lambda: _run(arguments))


if __name__ == "__main__":
    sys.exit(main())
