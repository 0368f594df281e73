"""The arrivals of numbered log lines: pure counting."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TRACE_LINES = 60
_LINE = re.compile(r"streaming\.jobs\.LogLinesJob .* - line ([0-9a-f]{8}) (\d+) ")
_FIELDS = ("@timestamp", "level", "namespace", "cluster", "component", "pod", "container", "file")


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Numbered lines, by all starts of the job together."""

    logged: int
    """Number of lines that the logger had taken."""
    missing: int
    repeated: int
    """Arrivals beyond the first of a line."""
    traces: int
    """Stack traces that arrived as one event."""
    broken: int
    """Stack traces that did not, and events that lack a field."""

    @property
    def holds(self) -> bool:
        """Return whether every line arrived, whole."""
        return self.logged > 0 and not self.missing and not self.broken


def tally(documents: Iterable[bytes], counters: Mapping[str, int], traces_every: int) -> Tally:
    """Compare documents of the destination with {start of the job: lines that it logged}.

    Every `traces_every`-th line has a stack trace of 60 lines.
    """
    seen: Counter[tuple[str, int]] = Counter()
    traces: set[tuple[str, int]] = set()
    broken = 0
    for text in documents:
        document = json.loads(text)
        found = _LINE.search(document["message"])
        if not found or found[1] not in counters:
            continue
        line = (found[1], int(found[2]))
        seen[line] += 1
        lines = document["message"].count("\n") + 1
        if line[1] % traces_every == traces_every - 1:
            traces |= {line} if lines == TRACE_LINES + 1 else set()
            broken += lines != TRACE_LINES + 1
        else:
            broken += lines != 1
        broken += any(not document.get(name) for name in _FIELDS)
    wanted = {(start, n) for start, count in counters.items() for n in range(count)}
    return Tally(
        logged=len(wanted),
        missing=len(wanted - seen.keys()),
        repeated=sum(seen.values()) - len(seen),
        traces=len(traces),
        broken=broken,
    )
