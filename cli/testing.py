"""Running the tests, on a cluster of their own that is taken down however they end."""

import subprocess
import sys

from cli.platform import Target, alone
from console.paths import ROOT, lock, state
from console.progress import LocalError, attend, say
from local.node import lifecycle

LEVELS = ("unit", "property", "policy", "integration")


def run_tests(target: Target, level: str) -> int:
    """Run pytest on all tests or on one level; return its exit code.

    The cluster is made by the fixtures of tests/integration; here it is only made sure that none is left, neither from
    a run that was killed before nor from this one.
    """
    if level and level not in LEVELS:
        raise LocalError(f"LEVEL={level}: no such level; use one of {', '.join(LEVELS)}")
    needs_cluster = level in ("", "integration")
    paths = [f"tests/{level}"] if level else [f"tests/{name}" for name in LEVELS]
    with lock(
        state(f".{target.name}.tests.lock"), "make test", lambda other: say(f"  waiting for another {other} to end")
    ):
        if needs_cluster:
            lifecycle.check_machine()
            _take_down(target)
        try:
            command = [sys.executable, "-m", "pytest", *paths]
            return attend(subprocess.Popen(command, cwd=ROOT))
        finally:
            if needs_cluster:
                _take_down(target)
                if left := lifecycle.leftovers(target.name):
                    say(f"left behind: {', '.join(left)}")


def _take_down(target: Target) -> None:
    with alone(target, "make test"):  # a platform of that name may be in use
        lifecycle.down(target.name, delete_data=True)
