"""Looking on while Pulumi waits for pods: it waits for ten minutes, whatever becomes of them."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from cli import health
from cli.health import Fault
from cli.kube import Kube
from cli.waiting import Patience
from console.progress import LocalError, say
from stacks.settings import EnvironmentSettings

_LOOK_SECONDS = 5
_NOT_YET = (health.MISSING, health.SCALED, health.UNREADY)  # of what Pulumi is about to make


class Watch:
    """Faults of the pods that came since the watch began; those before are what the update may be meant to mend."""

    def __init__(self, at: Kube, settings: EnvironmentSettings) -> None:
        self.given_up: list[Fault] = []
        self._look = lambda: health.of_workloads(at, settings)
        self._patience = Patience()
        self._told: set[tuple[str, str]] = set()
        self._before: set[str] | None = None

    def look(self, now: float) -> None:
        """Say what is new, and note what waiting will not end."""
        faults = self._look()
        if self._before is None:
            self._before = {fault.pod for fault in faults}
        before = self._before
        ours = [fault for fault in faults if fault.reason not in _NOT_YET and fault.pod not in before]
        for fault in ours:
            if (fault.where, fault.reason) not in self._told:
                self._told.add((fault.where, fault.reason))
                say(f"    {fault.part}: {fault.text}")
        self.given_up = [fault for fault in self._patience.given_up(faults, now) if fault in ours]


@contextmanager
def watching(watch: Watch) -> Generator[Callable[["subprocess.Popen[bytes]"], None]]:
    """Look on in the background; yields what is to be told of the process that is interrupted when all is in vain."""
    done = threading.Event()
    children: list[subprocess.Popen[bytes]] = []

    def run() -> None:
        while not done.wait(_LOOK_SECONDS):
            try:
                watch.look(time.monotonic())
            except LocalError:
                continue  # the API server is busy or not there yet: Pulumi says so
            if watch.given_up and children:
                say("    interrupting Pulumi, which would keep waiting")
                children[0].send_signal(signal.SIGINT)
                return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield children.append
    finally:
        done.set()
        thread.join()
