"""The one line of a log that says why a process ended."""

import re
from collections.abc import Callable

from components.secrets.mask import masked

_LENGTH = 300
_LOG_LINES = 300  # a JVM fills some with how it stopped
_FRAME = re.compile(r"^\s+at |^\s*\.\.\. \d+ (more|common frames omitted)|^\s*$")
_CAUSE = re.compile(r"Caused by: ")
_ERROR = re.compile(r"\b(ERROR|FATAL|error|Error|[A-Za-z]*Exception)\b")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[,.]?\d*\S*\s+")


def previous_log(kubectl: Callable[..., str], pod: str, container: str) -> str:
    """The end of the log of a container's process before this one. `kubectl` runs a command and returns its output."""
    return kubectl("logs", pod, "--container", container, "--previous", "--tail", str(_LOG_LINES))


def last_words(text: str) -> str:
    """The innermost cause of the last exception, else the last line that tells an error, else the last line."""
    lines = [line for line in text.splitlines() if not _FRAME.match(line)]
    for pattern in (_CAUSE, _ERROR):
        if matching := [line for line in lines if pattern.search(line)]:
            return _short(matching[-1])
    return _short(lines[-1]) if lines else ""


def _short(line: str) -> str:
    line = _STAMP.sub("", line.strip()).removeprefix("Caused by: ")
    line = masked(line)
    return line if len(line) <= _LENGTH else f"{line[:_LENGTH]} ..."
