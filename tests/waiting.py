"""Waiting for what takes a while."""

import time
from collections.abc import Callable


def eventually(what: str, condition: Callable[[], bool], seconds: float = 60, *, every: float = 0.5) -> None:
    """Return when the condition holds; fail when it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(every)
