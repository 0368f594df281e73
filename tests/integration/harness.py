"""Running what `bench/` measures with, once: what it prints is what pytest shows where it fails."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.platform import Target
from console.paths import ROOT

_SECONDS = 900
_CLEANING_SECONDS = 180  # to take its cluster away: what is left behind takes CPU from all tests that follow


def bench(module: str, target: Target, *options: str | Path) -> None:
    """Run a harness to its end; fail if it finds something that is not right, or takes longer than 15 minutes."""
    words = [sys.executable, "-m", f"bench.{module}", "--name", target.name, *map(str, options)]
    child = subprocess.Popen(words, cwd=ROOT)
    try:
        code = child.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail(f"bench.{module} did not end within {_SECONDS} s")
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            child.wait(_CLEANING_SECONDS)
    assert code == 0, f"bench.{module}: exit code {code}"
