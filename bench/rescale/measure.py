"""The figures of a disturbance, from arrival times: pure functions. Times are in ms since 1970, by the broker's
clock."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

Arrival = tuple[str, int]
"""A record's id, and when it arrived."""


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """One window of a run: what went in between its ends, and what came of it."""

    gap_millis: int
    """Longest time without a record at the output."""
    input_gap_millis: int
    """The same at the input: what of the gap is not the job's doing."""
    latency_millis: int
    """Worst age of a record when it first arrived at the output."""
    lost: int
    repeated: int
    records: int


def disturbance(inputs: Sequence[Arrival], outputs: Sequence[Arrival]) -> Disturbance:
    """Figures of a window. `outputs` has everything since the window's start, and all that came of `inputs`.

    The window is as long as its input; outputs of records that are not in it count for the gap only.
    """
    sent = dict(inputs)
    times = [time for _, time in inputs]
    start, end = min(times, default=0), max(times, default=0)
    arrivals = [(key, time) for key, time in outputs if key in sent]
    ages = latencies(sent, arrivals)
    return Disturbance(
        gap_millis=longest_gap(time for _, time in outputs if start <= time <= end),
        input_gap_millis=longest_gap(times),
        latency_millis=max(ages.values(), default=0),
        lost=len(sent) - len(ages),
        repeated=sum(count > 1 for count in Counter(key for key, _ in arrivals).values()),
        records=len(sent),
    )


def longest_gap(times: Iterable[int]) -> int:
    """Longest time between one arrival and the next; 0 for fewer than two."""
    ordered = sorted(times)
    return max((after - before for before, after in pairwise(ordered)), default=0)


def latencies(sent: Mapping[str, int], arrivals: Iterable[Arrival]) -> dict[str, int]:
    """Age of each id at its first arrival."""
    first: dict[str, int] = {}
    for key, time in arrivals:
        first[key] = min(time, first.get(key, time))
    return {key: time - sent[key] for key, time in first.items()}


def first_since(times: Iterable[int], moment: int) -> int | None:
    """The first arrival at or after a moment."""
    return min((time for time in times if time >= moment), default=None)


def throughput(times: Iterable[int], start: int, end: int, bin_millis: int) -> list[float]:
    """Records per second in each whole bin from start to end."""
    counts = [0] * max(0, (end - start) // bin_millis)
    for time in times:
        n = (time - start) // bin_millis
        if 0 <= n < len(counts):
            counts[n] += 1
    return [count * 1000 / bin_millis for count in counts]


def worst_ages(
    inputs: Sequence[Arrival], arrivals: Iterable[Arrival], start: int, end: int, bin_millis: int
) -> list[int]:
    """Worst age at the output of the records that went in during each whole bin from start to end."""
    worst = [0] * max(0, (end - start) // bin_millis)
    sent = dict(inputs)
    for key, age in latencies(sent, (arrival for arrival in arrivals if arrival[0] in sent)).items():
        n = (sent[key] - start) // bin_millis
        if 0 <= n < len(worst):
            worst[n] = max(worst[n], age)
    return worst


@dataclass(frozen=True)
class Spread:
    """Least, median and greatest of some repetitions."""

    least: float
    median: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """Raises ValueError when there are none."""
    return Spread(min(values), median(values), max(values))


def phases(draws: Sequence[float], interval_millis: int) -> list[int]:
    """Moments of an interval, one in each of as many equal parts as there are draws, which say where in it (0 to 1).

    So the repetitions of an event cover the interval, however few they are.
    """
    return [int((n + draw) * interval_millis / len(draws)) for n, draw in enumerate(draws)]
