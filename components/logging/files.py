"""The log files that are shipped, and the form of an event: the same for every agent and destination.

Each event is one flat JSON document: `@timestamp` (ISO 8601 with zone), `level`, `message` (the text as it is in the
file, stack trace included), and its origin: `namespace`, `cluster`, `component`, `pod`, `container`, `file`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"  # what runs beside an agent, or in it

# Variables of the sidecar, from the pod's own labels and names: one configuration serves all pods.
ORIGIN = ("namespace", "cluster", "component", "pod", "container")

# An event begins with a time stamp, or a brace where the layout is JSON; a stack trace has neither. In the words that
# Go's and Ruby's regular expressions share.
_DAY = r"\d{4}-\d\d-\d\d"
_CLOCK = rf"{_DAY}[T ]\d\d:\d\d:\d\d[.,]\d{{3}}"
_ZONE = r"Z|[+-]\d\d:?\d\d"
TEXT_START = rf"^(?:{_DAY}[T ]\d\d:\d\d:\d\d|\{{)"
TEXT_EVENT = rf"^(?P<time>{_CLOCK})(?P<zone>{_ZONE})?\s+(?:\[[^\]]*\]\s+)?(?P<level>[A-Z]+)\b"
# A collection writes several lines, `GC(7)`, of which the first is tagged `gc,start`: they are one event.
GC_START = rf"^\[{_DAY}T[^\]]*\](?:\[[^\]]*\])*(?:\[gc,start *\]|\[[a-z,]+ *\] (?:[^G]|G[^C]|GC[^(]))"
GC_EVENT = rf"^\[(?P<time>{_CLOCK})(?P<zone>{_ZONE})?\](?:\[[^\]]*s\])?\[(?P<level>[a-z]+) *\]"
# Of an event of Flink's JSON layout; see components/flink/config.py.
JSON_FIELDS = ("@timestamp", "level", "logger", "thread", "message", "thrown")


@dataclass(frozen=True, kw_only=True)
class LogFiles:
    """The files of one container: the volume of the pod that they lie on, and where it is mounted.

    `texts` are patterns of names of files with one event a line, or more where a stack trace follows; `gcs` of logs of
    Java's collector (-Xlog with time, level and tags). Rolled files have further suffixes.
    """

    volume: str
    directory: str
    texts: Sequence[str] = ("*.log", "*.out")
    gcs: Sequence[str] = ()

    def paths(self, patterns: Sequence[str]) -> list[str]:
        """Patterns of paths, rolled files included."""
        return [f"{self.directory}/{pattern}{rolled}" for pattern in patterns for rolled in ("", ".*")]


def variable(destination: str, key: str) -> str:
    """The sidecar's variable that holds a key of a destination's Secret."""
    return f"{destination}_{key}".replace("-", "_").upper()
