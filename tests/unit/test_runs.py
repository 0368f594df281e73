"""After an interrupted run its lock and its plug-ins go, and nobody else's."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cli import runs
from console.progress import LocalError

# Stands for Pulumi: starts a plug-in in a session of its own, says so, and works on.
_PULUMI = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
    "open('ready', 'w').close(); time.sleep(60)\n"
)


def _lock(state: Path, pid: int, host: str = socket.gethostname()) -> Path:
    file = state / "pulumi/.pulumi/locks/organization/streaming-platform/dev/1.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"pid": pid, "hostname": host, "username": "root"}))
    return file


def _note(state: Path, **changes: Any) -> None:
    file = state / "runs" / "dev.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _start(state: Path, program: str = "pass") -> "subprocess.Popen[bytes]":
    return runs.start([sys.executable, "-c", program], state=state, stack="dev", environment=os.environ)


def _interrupted(state: Path) -> int:
    child = _start(state)
    child.wait()
    return child.pid


def test_a_run_that_ended_leaves_no_note(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "raise SystemExit(3)"]
    assert runs.run(words, state=tmp_path, stack="dev", environment=os.environ) == 3
    assert list((tmp_path / "runs").iterdir()) == []


def test_plugins_of_a_killed_run_are_ended_and_its_lock_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    child = _start(tmp_path, _PULUMI)
    lock = _lock(tmp_path, child.pid)
    while not (tmp_path / "ready").exists():
        time.sleep(0.02)
    with pytest.raises(LocalError, match=rf"Pulumi still works \(process {child.pid}\).*kill -INT {child.pid}"):
        runs.recover(tmp_path, "dev")
    child.send_signal(signal.SIGKILL)
    child.wait()
    mark = json.loads((tmp_path / "runs" / "dev.json").read_text())["mark"]
    assert len(runs.marked(mark)) == 1
    runs.recover(tmp_path, "dev")
    assert runs.marked(mark) == []
    assert not lock.exists()
    assert not list((tmp_path / "runs").iterdir())


def test_a_process_that_has_the_id_of_the_one_that_is_gone_holds_nothing_up(tmp_path: Path) -> None:
    _interrupted(tmp_path)
    _note(tmp_path, pid=os.getpid(), started=1)
    lock = _lock(tmp_path, os.getpid())
    runs.recover(tmp_path, "dev")
    assert not lock.exists()


def test_after_a_reboot_the_lock_is_released(tmp_path: Path) -> None:
    pid = _interrupted(tmp_path)
    _note(tmp_path, boot="another")
    lock = _lock(tmp_path, pid)
    runs.recover(tmp_path, "dev")
    assert not lock.exists()


@pytest.mark.parametrize(
    "changes", [{"namespace": "pid:[1]"}, {"boot": "another", "host": "elsewhere"}], ids=["container", "machine"]
)
def test_the_lock_of_another_container_or_machine_stays(tmp_path: Path, changes: dict[str, str]) -> None:
    pid = _interrupted(tmp_path)
    _note(tmp_path, **changes)
    lock = _lock(tmp_path, pid)
    runs.recover(tmp_path, "dev")
    assert lock.exists()


def test_a_lock_that_no_run_of_ours_took_stays(tmp_path: Path) -> None:
    pid = _interrupted(tmp_path)
    lock = _lock(tmp_path, pid + 1)
    runs.recover(tmp_path, "dev")
    assert lock.exists()
    elsewhere = _lock(tmp_path, pid, host="elsewhere")
    runs.recover(tmp_path, "dev")
    assert elsewhere.exists()
