"""Lines and table of a run."""

from collections.abc import Callable, Mapping, Sequence

from pydantic import TypeAdapter

from bench.common.figures import Record
from bench.rescale.measure import Spread, spread
from bench.rescale.run import Repetition

FIGURES: Mapping[str, Callable[[Repetition], int | None]] = {
    "gap": lambda r: r.figures.gap_millis,
    "latency": lambda r: r.figures.latency_millis,
    # When a process that was lost comes back, the job rescales once more.
    "latency at return": lambda r: r.whole.latency_millis if r.whole != r.figures else None,
    "ready to used": lambda r: r.used_millis,
    "new leader": lambda r: r.leader_millis,
}


def line(r: Repetition, *, times: bool) -> str:
    """One repetition; without times where records count only once their transaction is committed."""
    figures = r.figures
    told = {name: value for name, read in FIGURES.items() if (value := read(r)) is not None}
    return (
        f"  {r.setting:<8} {r.event:<18} {r.number:>2}  "
        + ("".join(f"{name} {value / 1000:.2f} s, " for name, value in told.items()) if times else "")
        + f"input's gap {figures.input_gap_millis / 1000:.2f} s; lost {figures.lost}, repeated {figures.repeated}, "
        f"survivors restarted {r.survivor_restarts}; phase {r.phase_millis / 1000:.1f} s, "
        f"window {r.window_seconds:.0f} s, {r.how}"
    )


def table(repetitions: Sequence[Repetition]) -> str:
    """Least, median and greatest of each figure, and the median's ratio to that of Flink's defaults, or the first."""
    settings = list(dict.fromkeys(r.setting for r in repetitions))
    settings.sort(key=lambda setting: setting != "stock")
    columns = f"{'n':>2} {'min':>8} {'median':>8} {'max':>8}"
    head = f"  {'event':<18} {'figure':<18} {'setting':<10} {columns}  of {settings[0]}"
    lines = [head]
    for event in dict.fromkeys(r.event for r in repetitions):
        for name, read in FIGURES.items():
            first: Spread | None = None
            for setting in settings:
                chosen = [r for r in repetitions if r.event == event and r.setting == setting]
                values = [value / 1000 for r in chosen if (value := read(r)) is not None]
                if not values or (name == "new leader" and event != "jobmanager-killed"):
                    continue
                seen = spread(values)
                first = first or (seen if setting == settings[0] else None)
                ratio = f"{seen.median / first.median:.0%}" if first and first.median else "-"
                lines.append(
                    f"  {event:<18} {name:<18} {setting:<10} {len(values):>2} "
                    f"{seen.least:>7.2f}s {seen.median:>7.2f}s {seen.greatest:>7.2f}s  {ratio}"
                )
    return "\n".join(lines)


def repetitions(record: Record) -> list[Repetition]:
    """Return the repetitions of a run that was written."""
    return TypeAdapter(list[Repetition]).validate_python(record.figures)
