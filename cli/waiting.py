"""Waiting until an environment runs, as long as waiting can help."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from cli import health
from cli.health import Fault
from cli.kube import Kube
from console.progress import LocalError, step
from stacks.settings import EnvironmentSettings

LIMIT_SECONDS = 300
_LOOK_SECONDS = 1.5
_LOOKS = 2  # in a row that find nothing: a job that fails at once runs for a moment
# How long a reason may last that waiting alone does not end: a registry, a node's return, an autoscaler of nodes.
_PATIENCE = {
    health.SCALED: 0.0,
    health.MISSING: 0.0,
    health.ENDED: 20.0,  # the JobManager of a job that ended may be about to start it again
    "InvalidImageName": 0.0,
    "ErrImageNeverPull": 0.0,
    "CreateContainerConfigError": 20.0,
    "ErrImagePull": 30.0,
    "ImagePullBackOff": 30.0,
    "Unschedulable": 60.0,
}
# A container that fails again is no accident: so often while we looked on, or before that.
_CRASHES_SEEN = 2
_CRASHES_BEFORE = 5


@dataclass
class Patience:
    """A record of when each state was first seen, to tell a slow start from one that will not succeed."""

    _since: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    _restarts: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    def given_up(self, faults: Sequence[Fault], now: float) -> list[Fault]:
        """The faults that waiting will not end."""
        named = [fault for fault in faults if fault.reason in _PATIENCE]
        self._since = {fault.key: self._since.get(fault.key, now) for fault in named}
        found = [fault for fault in named if now - self._since[fault.key] >= _PATIENCE[fault.reason]]
        return found + [fault for fault in faults if fault.reason == health.CRASHES and self._loops(fault, faults)]

    def _loops(self, fault: Fault, faults: Sequence[Fault]) -> bool:
        """Return whether a container fails by its own fault: not while others that it needs are not there."""
        needs = health.NEEDS if fault.part not in health.NEEDS else ()
        if any(other.part in needs for other in faults):
            return False
        seen = self._restarts.setdefault(fault.key, fault.restarts)
        return fault.restarts - seen >= _CRASHES_SEEN or seen >= _CRASHES_BEFORE


def until_it_runs(at: Kube, settings: EnvironmentSettings, limit_seconds: float | None = None) -> None:
    """Wait until all of an environment runs. Raises LocalError with what does not, as soon as waiting is in vain."""
    patience = Patience()
    limit = LIMIT_SECONDS if limit_seconds is None else limit_seconds
    deadline = time.monotonic() + limit
    with step("waiting until ZooKeeper, Kafka and all Flink clusters run") as waiting:
        good = 0
        while True:
            faults = health.faults(at, settings)
            good = 0 if faults else good + 1
            if good == _LOOKS:
                return
            waiting.about = "; ".join(f"{fault.part}: {fault.text}" for fault in faults)
            now = time.monotonic()
            if given_up := patience.given_up(faults, now):
                raise LocalError(listing(given_up))
            if faults and now > deadline:
                raise LocalError(f"not ready within {limit:.0f} s:\n{listing(faults)}")
            time.sleep(_LOOK_SECONDS)


def listing(faults: Sequence[Fault]) -> str:
    """Return what does not run, a line for each, with the command that helps."""
    return "\n".join(f"  {fault}" for fault in faults)
