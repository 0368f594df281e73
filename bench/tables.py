"""The tables of measurements in the documentation, from the raw figures of published runs in docs/figures.

`python -m bench.tables` writes each table between its two comments, `<!-- begin: name -->` and `<!-- end: name -->`.
To publish a run, copy the JSON files that its harness wrote to docs/figures, and run `make generate`.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from bench.autoscaling.samples import SAMPLE_SECONDS
from bench.common.figures import Record, read
from bench.rescale.measure import spread
from bench.rescale.report import FIGURES, repetitions
from console.paths import ROOT

PUBLISHED = ROOT / "docs" / "figures"
PAGES = (ROOT / "README.md", ROOT / "docs" / "measurements.md")
_BLOCK = re.compile(r"(<!-- begin: (?P<name>[a-z-]+) -->\n)(?P<text>.*?)(<!-- end: (?P=name) -->)", re.DOTALL)

_HEADINGS = {"stock": "Flink's defaults", "8s": "8 s", "ours": "ours"}
_EVENTS = {
    "scale-down": "The autoscaler takes one TaskManager away.",
    "process-killed": "The process of a TaskManager dies.",
    "unreachable": "The network cuts a TaskManager off.",
    "jobmanager-killed": "The leading JobManager dies.",
}
_AIMS_SECONDS = {
    ("scale-down", "gap"): 0.4,
    ("scale-down", "latency"): 0.8,
    ("process-killed", "gap"): 0.6,
    ("process-killed", "latency"): 1.5,
    ("unreachable", "gap"): 0.4,
    ("unreachable", "latency"): 3.0,
    ("jobmanager-killed", "gap"): 1.5,
    ("jobmanager-killed", "latency"): 3.0,
    ("jobmanager-killed", "new leader"): 6.0,
    ("scale-up", "ready to used"): 10.0,
}
"""The aims, which were set before the first measurement."""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _when(record: Record) -> str:
    return f"{record.date}, {record.cpus} cores, {record.memory_mib / 1024:.0f} GiB, commit {record.commit}"


class _Rescale:
    """The published run of bench/rescale."""

    def __init__(self) -> None:
        self.record = read(PUBLISHED / "rescale.json")
        self.repetitions = repetitions(self.record)

    def seconds(self, setting: str, event: str, figure: str) -> list[float]:
        """One figure of all repetitions that have it."""
        chosen = [each for each in self.repetitions if (each.setting, each.event) == (setting, event)]
        return [value / 1000 for each in chosen if (value := FIGURES[figure](each)) is not None]

    def median(self, setting: str, event: str, figure: str) -> float:
        """The median of one figure."""
        return spread(self.seconds(setting, event, figure)).median


def _worst_delays() -> str:
    run = _Rescale()
    rows = [
        [text, *(f"{run.median(setting, event, 'latency'):.1f} s" for setting in ("stock", "ours"))]
        for event, text in _EVENTS.items()
    ]
    rows.append(
        [
            "A TaskManager is added: from its readiness to its first record.",
            *(f"{run.median(setting, 'scale-up', 'ready to used'):.1f} s" for setting in ("stock", "ours")),
        ]
    )
    return _table(["what happens to the job", "on Flink's defaults", "here"], rows)


def _rescale() -> str:
    run = _Rescale()
    events = dict.fromkeys(each.event for each in run.repetitions)
    rows = [row for event in events for figure in FIGURES if (row := _row(run, event, figure))]
    counts = [
        f"{heading} {max(each.number for each in run.repetitions if each.setting == setting)}"
        for setting, heading in _HEADINGS.items()
    ]
    lost = sum(each.whole.lost for each in run.repetitions)
    restarts = sum(each.survivor_restarts for each in run.repetitions)
    records = sum(each.whole.records for each in run.repetitions)
    head = ["event", "figure", *_HEADINGS.values(), "ours, of Flink's", "aim"]
    return (
        f"In seconds: the median in bold, the least and the greatest in brackets. Repetitions: {', '.join(counts)}.\n"
        f"{_when(run.record)}.\n\n{_table(head, rows)}\n\n"
        f"Of {records:,} records {lost or 'none'} were lost, and surviving processes restarted {restarts} times."
    )


def _row(run: _Rescale, event: str, figure: str) -> list[str] | None:
    if figure == "new leader" and event != "jobmanager-killed":
        return None
    measured = {setting: run.seconds(setting, event, figure) for setting in _HEADINGS}
    if not any(measured.values()):
        return None
    if figure == "latency at return" and all(
        seconds in ([], run.seconds(setting, event, "latency")) for setting, seconds in measured.items()
    ):
        return None  # the return was no worse than the loss
    ratio = ""
    if measured["stock"] and measured["ours"]:
        ratio = f"{spread(measured['ours']).median / spread(measured['stock']).median:.0%}".replace("%", " %")
    aim = _AIMS_SECONDS.get((event, figure))
    return [event, figure, *(_spread(each) for each in measured.values()), ratio, f"{aim:g} s" if aim else ""]


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return ""
    seen = spread(seconds)
    return f"**{seen.median:.2f}** ({seen.least:.2f} to {seen.greatest:.2f})"


def _upgrades() -> str:
    record = read(PUBLISHED / "upgrades.json")
    upgrades = [each for each in record.figures if each["version"]]
    times = [each["seconds"] for each in upgrades if not each["killed"]]
    continued = sum(bool(each["restored"]) for each in upgrades)
    rows = [
        ["upgrades, of these killed half-way and run again", f"{len(upgrades)}, {len(upgrades) - len(times)}"],
        ["records", f"{record.totals['records']:,}"],
        ["lost", f"{record.totals['lost']:,}"],
        ["versions that continued from the newest state of the one before", f"{continued} of {len(upgrades)}"],
        ["`pulumi up` to the new version's first record", f"{min(times):.0f} to {max(times):.0f} s"],
        ["longest time without a record", f"{record.totals['gap_millis'] / 1000:.1f} s"],
    ]
    return f"{_when(record)}.\n\n{_table(['what', 'figure'], rows)}"


_ACTS = {
    "strangers": "requests of strangers to end the job",
    "upgrade": "an upgrade",
    "stop": "a stop with a savepoint, then all JobManagers replaced",
    "cancel": "a cancellation with a standby",
    "job-managers-lost": "the loss of all JobManagers, with an old checkpoint touched",
    "missing": "a `restoreFrom` that does not exist, and a main method that fails",
    "unreadable": "a record that cannot be listed",
    "other-election": "leaders elected elsewhere, and back",
    "ensemble-lost": "ZooKeeper loses its data",
    "savepoint-on-stop": "`savepointOnStop` before an upgrade",
}


def _state() -> str:
    files = {name: PUBLISHED / f"state-{name.lower()}.json" for name in ("ZooKeeper", "Kubernetes", "S3")}
    records = {name: read(file) for name, file in files.items() if file.exists()}
    outcomes = [{each["act"]: each["wrong"] or "right" for each in record.figures} for record in records.values()]
    rows = [[text, *(outcome.get(act, "not run") for outcome in outcomes)] for act, text in _ACTS.items()]
    when = ";\n".join(f"{name}: {_when(record)}" for name, record in records.items())
    return f"{when}.\n\n{_table(['act', *records], rows)}"


def _autoscaling() -> str:
    record = read(PUBLISHED / "autoscaling.json")
    rows = [[f"{seconds / 60:.1f} min", text] for seconds, text in _steps(record.figures)]
    return f"{_when(record)}. Sampled every {SAMPLE_SECONDS:g} s.\n\n{_table(['time', 'TaskManagers'], rows)}"


def _steps(samples: Sequence[Mapping[str, Any]]) -> Iterator[tuple[float, str]]:
    """Each change of the load, and of the number of TaskManagers that are wanted or used."""
    texts: Mapping[str, Callable[[Any], str]] = {
        "phase": lambda phase: "the load comes" if phase == "high" else "the load goes",
        "wanted": lambda number: f"{number} wanted",
        "parallelism": lambda number: f"{number} used" if number else "none used: the job rescales",
    }
    for before, after in pairwise(samples):
        for key, text in texts.items():
            if before[key] != after[key]:
                yield after["seconds"], text(after[key])


_CHECKED = "preview, with the pack"  # one of the ways in bench/preview


def _preview() -> str:
    record = read(PUBLISHED / "preview.json")
    costs = {(each["clusters"], each["topics"], each["how"]): each for each in record.figures}
    head = ["added to the stack", "resources", "preview", "with the policy pack", "CPU with it", "`kubectl diff`"]
    rows = list[list[str]]()
    for clusters, topics in dict.fromkeys((clusters, topics) for clusters, topics, _ in costs):
        plain, checked, diff = (costs.get((clusters, topics, how)) for how in ("preview", _CHECKED, "kubectl diff"))
        assert plain
        assert checked
        added = f"{topics} topics" if topics else "nothing"
        if clusters:
            added = f"{clusters} Flink cluster{'s' if clusters > 1 else ''}"
        cpu = f"{checked['user_seconds']:.1f} + {checked['system_seconds']:.1f} s"
        rows.append([added, str(plain["resources"]), _wall(plain), _wall(checked), cpu, _wall(diff)])
    return f"{_when(record)}. CPU is user and system time.\n\n{_table(head, rows)}"


def _wall(cost: Mapping[str, Any] | None) -> str:
    return f"{cost['wall_seconds']:.1f} s" if cost else ""


TABLES: Mapping[str, Callable[[], str]] = {
    "worst-delays": _worst_delays,
    "rescale": _rescale,
    "upgrades": _upgrades,
    "state": _state,
    "autoscaling": _autoscaling,
    "preview": _preview,
}


def page(text: str) -> str:
    """Return a page with its tables as they are to be. Raises KeyError for a name that is no table."""
    return _BLOCK.sub(lambda found: f"{found[1]}{TABLES[found['name']]()}\n{found[4]}", text)


def main() -> int:
    """Write the tables into the pages."""
    for file in PAGES:
        file.write_text(page(file.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
