"""The directories of the project. Nothing that a run makes is written to the checkout."""

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # the checkout
NAME = "streaming-platform"


def cache() -> Path:
    """Return what can be made again: tools, images, downloads. Shared by all checkouts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / NAME


def state(name: str) -> Path:
    """Return what a platform must keep: keys, data, Pulumi state and its passphrase. One directory for each cluster."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / NAME / name


def private(directory: Path) -> Path:
    """Make a directory that only its owner may look into: keys, volumes and logs lie below it."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    return directory


def write(path: Path, text: str) -> None:
    """Write a file for its owner only, as a whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)


@contextmanager
def lock(path: Path, what: str = "", waiting: Callable[[str], None] | None = None) -> Generator[None]:
    """Hold an exclusive lock on a file while the block runs; it is free again however the process ends.

    `what` is told to others that wait for it, each by its `waiting`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            if waiting:
                waiting(handle.read() or "another command")
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.truncate(0)
        handle.write(what)
        handle.flush()
        yield
