"""Running programs so that a person sees what is going on, for how long, and why it failed."""

import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

HEARTBEAT_SECONDS = 30  # a step that takes longer says that it is still at it


class Terminated(KeyboardInterrupt):
    """This process was told to end (SIGTERM, SIGHUP); unlike at Ctrl-C in a terminal, its children were not."""


class LocalError(Exception):
    """Something that the user can act on: printed as one message, without a traceback."""


def say(text: str = "") -> None:
    """Print one line at once, also into a pipe."""
    print(text, flush=True)


@dataclass(kw_only=True, eq=False)
class Step:
    """A step that runs: what it is about at the moment stands beside it in the table, or below its signs of life."""

    title: str
    about: str = ""
    start: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds that it has run."""
        return time.monotonic() - self.start


_current: ContextVar[Step] = ContextVar("_current")  # the innermost step of this thread
_steps: list[Step] = []  # those that run, the earliest first
_table = threading.Event()  # set while the table shows them


@contextmanager
def step(title: str) -> Generator[Step]:
    """Show a step that may take long: a row of the table, else a sign of life every 30 s; then the seconds it took."""
    this = Step(title=title)
    done = threading.Event()
    if not _table.is_set():
        say(f"  {title} ...")

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            if not _table.is_set():
                say(f"  {title} ... still running after {this.seconds:.0f} s")
                if this.about:
                    say(f"    {this.about}")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    _steps.append(this)
    before = _current.set(this)
    how = "failed after "
    try:
        yield this
        how = ""
    finally:
        _current.reset(before)
        _steps.remove(this)
        done.set()
        thread.join()
        say(f"  {title}: {how}{this.seconds:.1f} s")


def duration(seconds: float) -> str:
    """Return a duration as people say it: seconds below two minutes, else minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def note(text: str) -> None:
    """Say what the step that runs is about at the moment."""
    if this := _current.get(None):
        this.about = text


@contextmanager
def table() -> Generator[None]:
    """Show the steps that run as one live table below what else is printed, in a terminal; a log stays a log."""
    if not sys.stdout.isatty() or _table.is_set():
        yield
        return
    from rich.live import Live  # imported here, as most commands show no table

    with Live(get_renderable=_rows, refresh_per_second=2, transient=True):
        _table.set()
        try:
            yield
        finally:
            _table.clear()


def _rows() -> "Table":
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 2), expand=True)
    rows.add_column(no_wrap=True)
    rows.add_column(no_wrap=True, justify="right")
    rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for each in list(_steps):
        rows.add_row(Text(f"  {each.title}"), Text(f"{each.seconds:.0f} s"), Text(each.about, style="dim"))
    return rows


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    log: Path | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program to its end and return its standard output.

    ``log`` also receives everything it prints. Raises LocalError with the command and the end of its output when it
    cannot be started, fails, or runs longer than ``timeout`` seconds.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, cwd=cwd, env=env, input=stdin, capture_output=True, text=True, check=False, timeout=timeout
        )
    except FileNotFoundError:
        raise LocalError(f"{words[0]}: not found on PATH") from None
    except subprocess.TimeoutExpired:
        raise LocalError(f"{shlex.join(words)}: did not end within {timeout:.0f} s") from None
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as out:
            out.write(f"$ {shlex.join(words)}\n{done.stdout}{done.stderr}")
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise LocalError(f"{shlex.join(words)}: exit code {done.returncode}\n{tail}")
    return done.stdout


def attend(child: "subprocess.Popen[bytes]") -> int:
    """Wait for a child that cleans up when it is interrupted, and give it the time to; return its exit code.

    In a terminal Ctrl-C reaches the child by itself, and a second interrupt would end it at once: it gets one from here
    only if no other process sent it. Raises KeyboardInterrupt when the child has ended after an interrupt.
    """
    interrupted: KeyboardInterrupt | None = None
    while True:
        try:
            code = child.wait()
        except KeyboardInterrupt as interrupt:
            if isinstance(interrupt, Terminated) or not sys.stdin.isatty():
                child.send_signal(signal.SIGINT)
            interrupted = interrupt
        else:
            break
    if interrupted:
        raise interrupted
    return code


def warn(text: str) -> None:
    """Print a line that should not be missed."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


def descendants(pid: int) -> list[int]:
    """Ids of all processes below one, whatever process groups they are in: Pulumi's plug-ins have their own."""
    rows = [tuple(map(int, line.split())) for line in run(["ps", "-e", "-o", "pid=,ppid="]).splitlines()]
    children = [child for child, parent in rows if parent == pid]
    return children + [below for child in children for below in descendants(child)]
