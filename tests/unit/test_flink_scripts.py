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
    tmp_path: Path, *, restore_from: str = "", checkpoints: str | None = None, standby_seconds: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run jobmanager.sh as a pod would, up to the image's entry point; it prints its arguments a line each."""
    (tmp_path / "jobmanager.sh").write_text(scripts()["jobmanager.sh"])
    (tmp_path / "start.sh").write_text("printf '%s\\n' \"$@\"\n")
    directory = str(tmp_path / "checkpoints") if checkpoints is None else checkpoints
    env = {**os.environ, "JOB_ID": JOB, "CHECKPOINTS": directory, "RESTORE_FROM": restore_from}
    env |= {"STANDBY_SECONDS": standby_seconds, "FLINK_HOME": str(tmp_path / "flink")}
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


@pytest.mark.parametrize("restore_from", ["", SAVEPOINT])
def test_a_job_never_goes_back_behind_a_restore_without_being_told(tmp_path: Path, restore_from: str) -> None:
    checkpoint(tmp_path, JOB, 1, age_seconds=20)
    newer = checkpoint(tmp_path, OTHER, 7, age_seconds=10)
    done = start(tmp_path, restore_from=restore_from)
    assert done.returncode == 1
    assert "restoreFrom" in done.stderr
    assert str(newer) in done.stderr
    assert not done.stdout


def test_checkpoints_that_lie_elsewhere_are_not_looked_for(tmp_path: Path) -> None:
    assert restored_from(start(tmp_path, checkpoints="")) is None
    assert restored_from(start(tmp_path, checkpoints="", restore_from=SAVEPOINT)) == SAVEPOINT


@pytest.mark.parametrize(("again", "standby"), [(True, True), (True, False), (False, True)])
def test_a_job_manager_that_died_lets_the_standby_go_first(tmp_path: Path, *, again: bool, standby: bool) -> None:
    (tmp_path / "flink/conf").mkdir(parents=True)
    if again:
        (tmp_path / "flink/conf/config.yaml").touch()
    began = time.monotonic()
    done = start(tmp_path, standby_seconds="1" if standby else "")
    assert done.returncode == 0, done.stderr
    waits = again and standby
    assert ("This JobManager was here before" in done.stdout) == waits
    assert time.monotonic() - began >= waits


class _JobManager(ThreadingHTTPServer):
    """A REST API that completes a checkpoint after it was asked for it three times, and notes what it was asked.

    One that `forgets` knows of no checkpoint, as the next leader.
    """

    def __init__(self, *, running: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.running = running
        self.forgets = False
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
        if self.server.forgets:
            self._answer(404, {"errors": ["unknown"]})
            return
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


def leave(address: str, *ways: str, seconds: int = 5, silent_seconds: int = 5) -> int:
    env = {**os.environ, "JOB_ID": JOB, "REST": address, "SILENT_SECONDS": str(silent_seconds)}
    words = ["bash", "-c", scripts()["leave.sh"], "leave.sh", *(f"{way}={seconds}" for way in ways)]
    return subprocess.run(words, env=env, timeout=30, check=False).returncode


@pytest.mark.parametrize("job_manager", [True], indirect=True)
def test_a_process_that_leaves_waits_for_its_checkpoint(job_manager: _JobManager) -> None:
    assert leave(f"127.0.0.1:{job_manager.server_port}", "savepoint", "checkpoint") == 0
    done = [f"GET /jobs/{JOB}/{way}/ab12" for way in ("savepoints", "checkpoints")]
    assert job_manager.asked == [
        *(f"POST /jobs/{JOB}/savepoints", done[0], done[0], done[0]),
        *(f"POST /jobs/{JOB}/checkpoints", done[1]),
    ]


@pytest.mark.parametrize("job_manager", [True], indirect=True)
def test_a_process_that_leaves_does_not_wait_for_a_job_manager_that_is_gone(job_manager: _JobManager) -> None:
    job_manager.forgets = True
    assert leave(f"127.0.0.1:{job_manager.server_port}", "savepoint", seconds=300, silent_seconds=1) == 0
    assert len(job_manager.asked) > 1


@pytest.mark.parametrize("job_manager", [False], indirect=True)
def test_where_no_job_runs_a_process_leaves_at_once(job_manager: _JobManager) -> None:
    assert leave(f"127.0.0.1:{job_manager.server_port}", "checkpoint") == 0
    assert job_manager.asked == [f"POST /jobs/{JOB}/checkpoints"]


def test_where_no_job_manager_is_a_process_leaves_at_once() -> None:
    assert leave("127.0.0.1:1", "checkpoint") == 0


def started(tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run start.sh as a pod would, up to the image's entry point; it prints its arguments a line each."""
    home = tmp_path / "flink"
    for folder in ("conf", "opt", "plugins/s3"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    for folder, name, text in (
        ("scripts", "start.sh", scripts()["start.sh"]),
        ("scripts", "entry-point", "#!/bin/bash\nprintf '%s\\n' \"$@\"\n"),
        ("conf", "config.yaml", "a: b\n"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(text)
        (tmp_path / folder / name).chmod(0o755)
    variables = {"CLUSTER": "/claims", "FLINK_HOME": str(home), "ENTRY_POINT": str(tmp_path / "scripts/entry-point")}
    words = ["bash", str(tmp_path / "scripts/start.sh"), "taskmanager", "-D", "a=b"]
    where = {**os.environ, "HOSTNAME": "pod", **variables, **env}
    return subprocess.run(words, env=where, capture_output=True, text=True, check=False, timeout=30)


def test_a_process_takes_its_place_from_the_identity_of_its_volume(tmp_path: Path) -> None:
    first, again = (started(tmp_path, DATA=str(tmp_path)) for _ in range(2))
    identity = (tmp_path / "identity").read_text().strip()
    assert first.stdout.splitlines() == [
        *("taskmanager", "-D", f"high-availability.cluster-id=/claims/{identity}", "-D", "a=b")
    ]
    assert again.stdout == first.stdout
    assert (tmp_path / "flink/conf/config.yaml").read_text() == "a: b\n"


def test_what_a_killed_process_left_behind_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / "state" / "tm_10.1.2.3" / ".db"
    left.mkdir(parents=True)
    (left / "000001.sst").touch()
    started(tmp_path, DATA=str(tmp_path), STATE=str(tmp_path / "state")).check_returncode()
    assert not list((tmp_path / "state").iterdir())


def test_leaders_in_kubernetes_are_told_under_what_they_are_elected(tmp_path: Path) -> None:
    done = started(tmp_path, DATA=str(tmp_path), LEASES="claims-0123abcd")
    assert "kubernetes.cluster-id=claims-0123abcd" in done.stdout.splitlines()


def test_checkpoints_in_s3_load_the_plug_in_and_need_no_volume(tmp_path: Path) -> None:
    jar = tmp_path / "flink/opt/flink-s3-fs-presto-2.3.0.jar"
    refused = started(tmp_path, DATA="")
    assert refused.returncode == 1
    assert "flink-s3-fs-presto" in refused.stderr
    jar.touch()
    done = started(tmp_path, DATA="")
    assert "high-availability.cluster-id=/claims" in done.stdout.splitlines()
    assert (tmp_path / "flink/plugins/s3" / jar.name).resolve() == jar
