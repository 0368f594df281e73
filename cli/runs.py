"""The remains of an interrupted run of Pulumi: a lock, plug-ins without a parent, and unfinished operations."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from console.paths import NAME, ROOT, private, write
from console.progress import LocalError, attend, warn

_MARK = "STREAMING_PLATFORM_RUN"  # in the environment of everything that a run starts
_END_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of Pulumi: a process id says nothing on another machine, in another container, or after a reboot."""

    mark: str
    host: str
    boot: str
    namespace: str  # of process ids
    pid: int = 0
    started: int = 0  # clock ticks since the boot


def run(
    words: Sequence[str],
    *,
    state: Path,
    stack: str,
    environment: Mapping[str, str],
    started: "Callable[[subprocess.Popen[bytes]], None] | None" = None,
) -> int:
    """Run Pulumi on a stack with its output on the terminal; return its exit code. `started` is told of the process."""
    child = start(words, state=state, stack=stack, environment=environment)
    if started:
        started(child)
    code = attend(child)
    _note(state, stack).unlink()
    return code


def start(
    words: Sequence[str], *, state: Path, stack: str, environment: Mapping[str, str], quiet: bool = False
) -> "subprocess.Popen[bytes]":
    """Start Pulumi on a stack, and leave a note of it in the platform's state: to be taken away when it has ended."""
    note = _note(state, stack)
    this = Run(mark=uuid.uuid4().hex, host=socket.gethostname(), boot=_boot(), namespace=_namespace())
    private(note.parent)
    write(note, json.dumps(asdict(this)))  # before it starts: what it starts carries the mark
    child = subprocess.Popen(
        words, cwd=ROOT, env={**environment, _MARK: this.mark}, stdout=subprocess.DEVNULL if quiet else None
    )
    write(note, json.dumps(asdict(this) | {"pid": child.pid, "started": _started(child.pid)}))
    return child


def recover(state: Path, stack: str) -> None:
    """End what an interrupted run left running, and release its lock, if it is certain that the run is over.

    Raises LocalError when Pulumi still works although the command that started it is gone.
    """
    note = _note(state, stack)
    if not note.exists():
        return
    last = Run(**json.loads(note.read_text()))
    if last.boot == _boot():
        if last.namespace != _namespace():
            return  # another container's: its processes cannot be seen from here, and Pulumi's own lock speaks for it
        if _alive(last):
            raise LocalError(
                f"{stack}: Pulumi still works (process {last.pid}), though the command that started it was killed: "
                f"wait until it has ended, or interrupt it with kill -INT {last.pid}"
            )
        _end_orphans(last)
    elif last.host != socket.gethostname():
        return
    for file in (state / "pulumi" / ".pulumi" / "locks" / "organization" / NAME / stack).glob("*.json"):
        holder = json.loads(file.read_text())
        if (holder.get("hostname"), holder.get("pid")) == (last.host, last.pid):
            warn(f"{stack}: process {last.pid} was interrupted and left its lock: released")
            file.unlink()
    note.unlink()


def _note(state: Path, stack: str) -> Path:
    return state / "runs" / f"{stack}.json"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())


def _started(pid: int) -> int:
    """Return when a process started; 0 when there is none."""
    with contextlib.suppress(OSError):
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return 0 if state == "Z" else int(numbers[18])
    return 0


def _alive(last: Run) -> bool:
    return last.started != 0 and _started(last.pid) == last.started


def marked(mark: str) -> list[int]:
    """Ids of the processes that a run started, or that those started."""
    found: list[int] = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            if f"{_MARK}={mark}".encode() in (directory / "environ").read_bytes().split(b"\0"):
                found.append(int(directory.name))
    return found


def _end_orphans(last: Run) -> None:
    """End the plug-ins of a run that is over: without Pulumi they wait for ever."""
    left = marked(last.mark)
    if not left:
        return
    warn(f"an interrupted run of Pulumi left {len(left)} processes: ended")
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + _END_SECONDS
        while (left := marked(last.mark)) and time.monotonic() < deadline:
            time.sleep(0.1)
