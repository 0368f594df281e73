"""Measures how long a running job is disturbed by rescaling and by failures: python -m bench.rescale."""

import argparse
import random
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from bench.common import figures
from bench.common.claims import CHECKPOINT_SECONDS
from bench.common.program import add_target, positive, program, verdict
from bench.rescale.settings import EIGHT_SECONDS, EIGHT_SECONDS_EVENTS, GUARANTEES, SETTINGS
from components.flink.directories import DATA_DIR
from console.progress import LocalError, say

if TYPE_CHECKING:
    from bench.rescale.run import Repetition

RATE = 2000
_EVENTS = ("scale-down", "scale-up", "process-killed", "unreachable", "jobmanager-killed")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.rescale",
        description="Measures how long a running Flink job is disturbed by five events, for several settings of its "
        "cluster. Adds a cluster of its own to the stack dev of a platform that is up, and takes it away at the end.",
    )
    add_target(parser)
    parser.add_argument("--settings", nargs="+", metavar="SETTING", help=f"of {', '.join(SETTINGS)} (default: all)")
    parser.add_argument("--events", nargs="+", choices=_EVENTS, metavar="EVENT", help=f"of {', '.join(_EVENTS)}")
    parser.add_argument(
        "--repeat",
        nargs="+",
        type=positive,
        default=[5],
        metavar="N",
        help="repetitions of each event: one number, or one for each setting (default: 5)",
    )
    parser.add_argument("--rate", type=positive, default=RATE, help=f"records per second (default: {RATE})")
    parser.add_argument("--guarantee", choices=GUARANTEES, default=GUARANTEES[0], help="default: %(default)s")
    parser.add_argument("--pause", type=float, metavar="SECONDS", help="add an event: a paused JVM")
    parser.add_argument(
        "--configuration",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option for `ours`; repeatable",
    )
    parser.add_argument("--sweep", type=Path, metavar="FILE", help="YAML {name: settings of a cluster} to compare")
    parser.add_argument("--seed", type=int, default=1, help="of the moments in the checkpoint interval (default: 1)")
    figures.add_out(parser, "rescale")
    return parser


def _compared(arguments: argparse.Namespace) -> dict[str, Mapping[str, Any]]:
    """The overlays to compare, by name."""
    known: dict[str, Mapping[str, Any]] = dict(SETTINGS)
    if arguments.sweep:
        read = yaml.safe_load(arguments.sweep.read_text())
        if not isinstance(read, dict):
            raise LocalError(f"{arguments.sweep}: must be a mapping of names to settings of a Flink cluster")
        known = {str(name): overlay or {} for name, overlay in cast("dict[Any, Any]", read).items()}
    names: list[str] = arguments.settings or list(known)
    if unknown := [name for name in names if name not in known]:
        raise LocalError(f"--settings {unknown[0]}: there are {', '.join(known)}")
    pairs = [pair.partition("=") for pair in arguments.configuration]
    if bad := [key for key, equals, _ in pairs if not equals]:
        raise LocalError(f"--configuration {bad[0]}: must be KEY=VALUE")
    chosen = {name: known[name] for name in names}
    if pairs:
        if "ours" not in chosen:
            raise LocalError("--configuration goes with the setting `ours`")
        chosen["ours"] = {"configuration": {key: value for key, _, value in pairs}}
    return chosen


def _run(arguments: argparse.Namespace) -> int:
    # Imported here so that --help and bad arguments answer at once.
    from bench.common.cluster import bench_cluster
    from bench.common.flink import Flink
    from bench.common.load import Load
    from bench.common.topics import Reader
    from bench.rescale import measure, report
    from bench.rescale.events import EVENTS, GC_PAUSE, PAUSE, Scene
    from bench.rescale.faults import Network
    from bench.rescale.run import Bench
    from bench.rescale.settings import CLUSTER, INPUT, TOPICS, cluster
    from cli import prove
    from cli.platform import Target
    from components.kafka.admin import forward

    compared = _compared(arguments)
    events = {name: EVENTS[name] for name in _EVENTS if name in (arguments.events or _EVENTS)}
    if arguments.pause is not None:
        events = {**(events if arguments.events else {}), GC_PAUSE: PAUSE}
    counts = _counts(arguments.repeat, list(compared))
    exactly_once = arguments.guarantee == "EXACTLY_ONCE"
    plan = {
        setting: {name: event for name, event in events.items() if _differs(overlay, name)}
        for setting, overlay in compared.items()
    }
    if idle := [setting for setting, chosen in plan.items() if not chosen]:
        raise LocalError(
            f"--settings {idle[0]}: as stock in {', '.join(events)}: leave it out, or choose other --events"
        )
    total = sum(len(plan[setting]) * count for setting, count in counts.items())
    say(f"  {total} times an event: about {_estimate(compared, plan, counts)} min")
    # The same moments for every setting.
    dice, most = random.Random(arguments.seed), max(counts.values())
    moments = {name: measure.phases([dice.random() for _ in range(most)], CHECKPOINT_SECONDS * 1000) for name in events}
    target = Target(arguments.name, arguments.context)
    done: list[Repetition] = []
    problems: list[str] = []
    reported = _reported(done, problems, arguments.out, times=not exactly_once)
    with bench_cluster(target, CLUSTER) as added, reported:
        network = Network(target, added.at)
        network.mend()
        connection = prove.connection_of(added.settings)
        directory = f"{DATA_DIR}/payloads/{CLUSTER}"
        for setting, overlay in compared.items():
            say(f"\n  setting {setting}")
            added.apply(cluster(overlay, arguments.guarantee), TOPICS)
            prove.write_payloads(added.at, CLUSTER, directory, [64 + 7 * n for n in range(prove.PAYLOADS)])
            with ExitStack() as stack:
                bootstrap = stack.enter_context(forward(connection, added.at.kubeconfig.read_text()))
                flink = stack.enter_context(Flink(added.at, CLUSTER))
                load = stack.enter_context(Load(bootstrap, INPUT, directory, arguments.rate))
                reader = stack.enter_context(Reader(bootstrap, committed=exactly_once))
                scene = Scene(
                    flink=flink,
                    administrator=added.administrator,
                    network=network,
                    pause_seconds=arguments.pause or 0,
                )
                bench = Bench(setting=setting, scene=scene, reader=reader, load=load)
                for n in range(counts[setting]):
                    for name, event in plan[setting].items():
                        repetition = bench.repeat(name, event, n + 1, moments[name][n])
                        say(report.line(repetition, times=not exactly_once))
                        done.append(repetition)
                        found = repetition.problems(event, exactly_once=exactly_once)
                        problems += [f"{setting}, {name}, {n + 1}: {text}" for text in found]
                        figures.write(arguments.out, "rescale", arguments, [asdict(each) for each in done])
    return 1 if problems else 0


def _counts(given: list[int], settings: list[str]) -> dict[str, int]:
    """Return how often each setting goes through its events."""
    if len(given) not in (1, len(settings)):
        raise LocalError(
            f"--repeat {' '.join(map(str, given))}: give one number, or {len(settings)}, one for a setting"
        )
    return dict(zip(settings, given * len(settings), strict=False))


def _differs(overlay: Mapping[str, Any], event: str) -> bool:
    """Return whether an event is worth the time with this setting."""
    return overlay is not EIGHT_SECONDS or event in EIGHT_SECONDS_EVENTS


@contextmanager
def _reported(done: "list[Repetition]", problems: list[str], directory: Path, *, times: bool) -> Generator[None]:
    """Tell what there is at the end, however it comes: a run takes hours."""
    from bench.rescale import plot, report

    try:
        yield
    finally:
        if done:
            if times:
                say(f"\n{report.table(done)}\n")
            say(f"  raw figures and plot: {directory}")
        verdict(problems)
        if done:  # last, so that an error in it hides none of the above
            plot.draw(done, directory / "rescale.png")


def _estimate(compared: Mapping[str, Any], plan: Mapping[str, Mapping[str, Any]], counts: Mapping[str, int]) -> int:
    """Minutes: a repetition takes over a minute, and three where nothing was done about Flink's defaults."""
    seconds = sum(120 + len(plan[name]) * counts[name] * (180 if overlay else 75) for name, overlay in compared.items())
    return round(seconds / 60)


def main() -> int:
    """Parse the command line, and run."""
    arguments = _parser().parse_args()
    return program("bench.rescale", lambda: _run(arguments))


if __name__ == "__main__":
    sys.exit(main())
