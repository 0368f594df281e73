"""Progress: a log where there is no terminal, one live table in one."""

import os
import pty
import subprocess
import sys

import pytest

from console.paths import ROOT
from console.progress import note, step, table

_SHOWN = """
import time
from console.progress import note, say, step, table
with table(), step("building one"), step("building two"):
    note("7 packages")
    say("something else")
    time.sleep(1.2)
"""


def test_without_a_terminal_each_step_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with table(), step("building one"):
        note("7 packages")
    assert capsys.readouterr().out.splitlines() == ["  building one ...", "  building one: 0.0 s"]


def test_a_step_that_fails_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), step("building one"):
        raise ValueError("no")
    assert capsys.readouterr().out.splitlines()[-1] == "  building one: failed after 0.0 s"


def test_in_a_terminal_the_steps_that_run_are_one_table() -> None:
    ours, its = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    child = subprocess.Popen([sys.executable, "-c", _SHOWN], cwd=ROOT, env=env, stdin=its, stdout=its, stderr=its)
    os.close(its)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert child.wait() == 0
    text = shown.decode()
    assert "building one  1 s" in text
    assert "7 packages" in text
    assert "..." not in text
    assert text.count("something else") == 1
    assert text.index("something else") < text.index("building two: 1.2 s")
