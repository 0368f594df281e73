"""What Flink's pods run before and beside Flink itself, in a real bash."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.flink.pods import scripts

JOB, OTHER = "a" * 32, "b" * 32
SAVEPOINT = "s3://bucket/savepoint-1"


def start(
    tmp_path: Path, *, restore_from: str = "", checkpoints: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run jobmanager.sh as a pod would, up to the image's entry point; it prints its arguments a line each."""
    (tmp_path / "jobmanager.sh").write_text(scripts()["jobmanager.sh"])
    (tmp_path / "start.sh").write_text("printf '%s\\n' \"$@\"\n")
    directory = str(tmp_path / "checkpoints") if checkpoints is None else checkpoints
    env = {**os.environ, "JOB_ID": JOB, "CHECKPOINTS": directory, "RESTORE_FROM": restore_from}
    words = ["bash", str(tmp_path / "jobmanager.sh"), "standalone-job", "--job-id", JOB, "--", "a b", "--c"]
    return subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=30)


def checkpoint(tmp_path: Path, job: str, number: int, *, age_seconds: int, complete: bool = True) -> Path:
    directory = tmp_path / "checkpoints" / job / f"chk-{number}"
    directory.mkdir(parents=True)
    if complete:
        metadata = directory / "_metadata"
        metadata.touch()
        then = time.time() - age_seconds
        os.utime(metadata, (then, then))
    return directory


def restored_from(done: subprocess.CompletedProcess[str]) -> str | None:
    """What the job would start from; whatever it is, the arguments reach the entry point."""
    assert done.returncode == 0, done.stderr
    words = [line for line in done.stdout.splitlines() if not line.startswith("If no checkpoint")]
    assert words[0] == "standalone-job"
    assert words[-5:] == ["--job-id", JOB, "--", "a b", "--c"]
    return words[2] if words[1] == "--fromSavepoint" else None


def test_a_job_that_never_ran_starts_from_nothing(tmp_path: Path) -> None:
    assert restored_from(start(tmp_path)) is None


def test_the_newest_complete_checkpoint_is_what_a_job_falls_back_to(tmp_path: Path) -> None:
    checkpoint(tmp_path, JOB, 9, age_seconds=30)
    newest = checkpoint(tmp_path, JOB, 10, age_seconds=20)
    checkpoint(tmp_path, JOB, 11, age_seconds=10, complete=False)
    assert restored_from(start(tmp_path)) == str(newest)


def test_a_cluster_whose_job_had_another_id_falls_back_to_that_ones(tmp_path: Path) -> None:
    assert restored_from(start(tmp_path)) is None
    newest = checkpoint(tmp_path, OTHER, 3, age_seconds=20)
    assert restored_from(start(tmp_path)) == str(newest)


def test_a_named_savepoint_counts_until_the_job_has_a_checkpoint_of_its_own(tmp_path: Path) -> None:
    checkpoint(tmp_path, OTHER, 3, age_seconds=20)
    assert restored_from(start(tmp_path, restore_from=SAVEPOINT)) == SAVEPOINT
    own = checkpoint(tmp_path, JOB, 1, age_seconds=10)
    assert restored_from(start(tmp_path, restore_from=SAVEPOINT)) == str(own)


def test_a_job_never_goes_back_behind_a_restore_without_being_told(tmp_path: Path) -> None:
    checkpoint(tmp_path, JOB, 1, age_seconds=20)
    newer = checkpoint(tmp_path, OTHER, 7, age_seconds=10)
    done = start(tmp_path)
    assert done.returncode == 1
    assert "restoreFrom" in done.stderr
    assert str(newer) in done.stderr
    assert not done.stdout


def test_checkpoints_that_lie_elsewhere_are_not_looked_for(tmp_path: Path) -> None:
    assert restored_from(start(tmp_path, checkpoints="")) is None
    assert restored_from(start(tmp_path, checkpoints="", restore_from=SAVEPOINT)) == SAVEPOINT


class _JobManager(ThreadingHTTPServer):
    """A REST API that completes a checkpoint after it was asked for it three times, and notes what it was asked."""

    def __init__(self, *, running: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.running = running
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: _JobManager  # pyright: ignore[reportIncompatibleVariableOverride]

    def _answer(self, status: int, document: object) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert json.loads(body) == {}
        self._answer(*((202, {"request-id": "ab12"}) if self.server.running else (404, {"errors": ["no job"]})))

    def do_GET(self) -> None:
        polls = sum(line.startswith("GET") for line in self.server.asked)
        self._answer(200, {"status": {"id": "COMPLETED" if polls >= 2 else "IN_PROGRESS"}})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as inherited
        pass


@pytest.fixture
def job_manager(request: pytest.FixtureRequest) -> Iterator[_JobManager]:
    server = _JobManager(running=request.param)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def leave(address: str, *ways: str) -> int:
    env = {**os.environ, "JOB_ID": JOB, "REST": address, "SECONDS_EACH": "5"}
    words = ["bash", "-c", scripts()["leave.sh"], "leave.sh", *ways]
    return subprocess.run(words, env=env, timeout=30, check=False).returncode


@pytest.mark.parametrize("job_manager", [True], indirect=True)
def test_a_process_that_leaves_waits_for_its_checkpoint(job_manager: _JobManager) -> None:
    assert leave(f"127.0.0.1:{job_manager.server_port}", "savepoint", "checkpoint") == 0
    done = [f"GET /jobs/{JOB}/{way}/ab12" for way in ("savepoints", "checkpoints")]
    assert job_manager.asked == [
        *(f"POST /jobs/{JOB}/savepoints", done[0], done[0], done[0]),
        *(f"POST /jobs/{JOB}/checkpoints", done[1]),
    ]


@pytest.mark.parametrize("job_manager", [False], indirect=True)
def test_where_no_job_runs_a_process_leaves_at_once(job_manager: _JobManager) -> None:
    assert leave(f"127.0.0.1:{job_manager.server_port}", "checkpoint") == 0
    assert job_manager.asked == [f"POST /jobs/{JOB}/checkpoints"]


def test_where_no_job_manager_is_a_process_leaves_at_once() -> None:
    assert leave("127.0.0.1:1", "checkpoint") == 0
