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

JOB = "a" * 32


def start(tmp_path: Path, *, standby_seconds: str = "") -> subprocess.CompletedProcess[str]:
    """Run jobmanager.sh as a pod would, up to the image's entry point; it prints its arguments a line each."""
    (tmp_path / "jobmanager.sh").write_text(scripts()["jobmanager.sh"])
    (tmp_path / "start.sh").write_text("printf '%s\\n' \"$@\"\n")
    env = {**os.environ, "STANDBY_SECONDS": standby_seconds, "FLINK_HOME": str(tmp_path / "flink")}
    words = ["bash", str(tmp_path / "jobmanager.sh"), "standalone-job", "--job-id", JOB, "--", "a b", "--c"]
    return subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=30)


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
    assert done.stdout.splitlines()[-6:] == ["standalone-job", "--job-id", JOB, "--", "a b", "--c"]
    assert time.monotonic() - began >= waits


TOKEN = "abc123"


class _JobManager(ThreadingHTTPServer):
    """A REST API that completes what it was asked for after it was asked three times, and notes what it was asked.

    `status` is the job's, None where nobody leads. `outcome` is what comes out, None for nothing ever. `others` is how
    many times it answers that somebody else's savepoint is being taken, after one answer that none is.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status: str | None = "RUNNING"
        self.outcome: dict[str, object] | None = {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/s-1"}}
        self.forgets = False
        self.others: list[int] = []
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def of(self, *parts: str) -> list[str]:
        """What it was asked that has one of these parts in it."""
        return [line for line in self.asked if any(part in line for part in parts)]


class _Handler(BaseHTTPRequestHandler):
    server: _JobManager  # pyright: ignore[reportIncompatibleVariableOverride]

    def _answer(self, status: int, document: object) -> None:
        text = json.dumps(document, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _change(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(f"{self.command} {self.path}")
        if self.headers["X-Platform-Token"] != TOKEN:
            self._answer(403, {"errors": ["token"]})
        elif self.server.status is None:
            self._answer(404, {"errors": ["no job"]})
        else:
            self._answer(202, {"request-id": "ab12"})

    do_POST = do_PATCH = _change  # noqa: N815  as the base class wants them

    def do_GET(self) -> None:
        server = self.server
        if self.path == "/jobs":
            jobs = {"jobs": [{"id": JOB, "status": server.status}]}
            self._answer(*((200, jobs) if server.status else (503, {"errors": ["no leader"]})))
            return
        server.asked.append(f"GET {self.path}")
        polls = len(server.of("GET"))
        if server.forgets:
            self._answer(404, {"errors": ["unknown"]})
        elif self.path.endswith("/checkpoints"):
            self._answer(200, {"counts": {"in_progress": server.others.pop(0) if server.others else 0}})
        elif polls % 3 or server.outcome is None:
            self._answer(200, {"status": {"id": "IN_PROGRESS"}})
        else:
            self._answer(200, server.outcome)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as inherited
        pass


@pytest.fixture
def job_manager() -> Iterator[_JobManager]:
    server = _JobManager()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(tmp_path: Path, script: str, address: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts as in a container."""
    for name, text in scripts().items():
        (tmp_path / name).write_text(text)
    (tmp_path / "conf").mkdir(exist_ok=True)
    (tmp_path / "conf" / "rest-token").write_text(TOKEN)
    variables = {"JOB_ID": JOB, "REST": address, "FLINK_HOME": str(tmp_path), "LOG": str(tmp_path / "log"), **env}
    command = ["bash", str(tmp_path / script), *words]
    where = {**os.environ, **variables}
    return subprocess.run(command, env=where, timeout=40, check=False, capture_output=True, text=True)


def leave(tmp_path: Path, address: str, *words: str, **env: str) -> str:
    """Run leave.sh, which always succeeds; return what it said in the container's log."""
    assert run(tmp_path, "leave.sh", address, *words, **env).returncode == 0
    log = tmp_path / "log"
    return log.read_text() if log.exists() else ""


def test_a_process_that_leaves_waits_for_its_checkpoint(job_manager: _JobManager, tmp_path: Path) -> None:
    assert leave(tmp_path, job_manager.address, "savepoint=5", "checkpoint=5") == ""
    done = [f"GET /jobs/{JOB}/{way}/ab12" for way in ("savepoints", "checkpoints")]
    assert job_manager.asked == [
        *(f"POST /jobs/{JOB}/savepoints", done[0], done[0], done[0]),
        *(f"POST /jobs/{JOB}/checkpoints", done[1], done[1], done[1]),
    ]


def test_a_savepoint_that_fails_is_reported(job_manager: _JobManager, tmp_path: Path) -> None:
    job_manager.outcome = {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"class": "Timeout"}}}
    assert "no savepoint was taken" in leave(tmp_path, job_manager.address, "savepoint=5")


def test_a_job_that_restarts_takes_no_savepoint_and_is_not_waited_for(job_manager: _JobManager, tmp_path: Path) -> None:
    job_manager.outcome, job_manager.status = None, "RESTARTING"
    assert "no savepoint was taken" in leave(tmp_path, job_manager.address, "savepoint=300")


def test_a_process_that_leaves_does_not_wait_for_a_job_manager_that_is_gone(
    job_manager: _JobManager, tmp_path: Path
) -> None:
    job_manager.forgets = True
    assert "no savepoint" in leave(tmp_path, job_manager.address, "savepoint=300", SILENT_SECONDS="1")
    assert len(job_manager.asked) > 1


def test_where_no_job_runs_a_process_leaves_at_once(job_manager: _JobManager, tmp_path: Path) -> None:
    job_manager.status = None
    leave(tmp_path, job_manager.address, "checkpoint=5")
    assert job_manager.asked == [f"POST /jobs/{JOB}/checkpoints"]


def test_where_no_job_manager_is_a_process_leaves_at_once(tmp_path: Path) -> None:
    leave(tmp_path, "127.0.0.1:1", "checkpoint=5", "others=300")


def test_a_task_manager_stays_while_the_job_managers_savepoint_is_taken(
    job_manager: _JobManager, tmp_path: Path
) -> None:
    job_manager.others = [0, 1, 1, 1]
    leave(tmp_path, job_manager.address, "others=30", NOTICE_SECONDS="2")
    assert not job_manager.others
    assert len(job_manager.asked) > 4


def test_a_task_manager_that_leaves_alone_waits_a_moment_only(job_manager: _JobManager, tmp_path: Path) -> None:
    leave(tmp_path, job_manager.address, "others=300", NOTICE_SECONDS="1")


def test_stopping_a_job_prints_where_its_state_is(job_manager: _JobManager, tmp_path: Path) -> None:
    done = run(tmp_path, "job.sh", job_manager.address, "stop")
    assert (done.returncode, done.stdout) == (0, "file:/s-1\n")
    assert job_manager.asked[0] == f"POST /jobs/{JOB}/stop"


def test_a_refused_request_fails_with_flinks_own_words(job_manager: _JobManager, tmp_path: Path) -> None:
    run(tmp_path, "job.sh", job_manager.address, "help")
    (tmp_path / "conf" / "rest-token").unlink()
    for words in (["stop"], ["savepoint"], ["cancel"]):
        job_manager.status = None
        done = run(tmp_path, "job.sh", job_manager.address, *words)
        assert done.returncode == 1
        assert "no job" in done.stderr


def test_an_unknown_command_is_refused_with_those_there_are(tmp_path: Path) -> None:
    done = run(tmp_path, "job.sh", "127.0.0.1:1", "halt")
    assert done.returncode == 2
    assert "job.sh stop|cancel|savepoint|status" in done.stdout


def test_why_a_job_does_not_run_is_one_line(job_manager: _JobManager, tmp_path: Path) -> None:
    # Probes ask the container's own port: here nobody is there.
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "start").write_text("the job ended (FINISHED) and stays so\n")
    done = run(tmp_path, "job.sh", job_manager.address, "status")
    assert done.returncode == 1
    assert done.stdout == "the job does not run: no JobManager has it; the job ended (FINISHED) and stays so\n"


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
    variables = {"S3": "", "FLINK_HOME": str(home), "ENTRY_POINT": str(tmp_path / "scripts/entry-point")}
    words = ["bash", str(tmp_path / "scripts/start.sh"), "taskmanager", "-D", "a=b"]
    where = {**os.environ, "HOSTNAME": "pod", **variables, **env}
    return subprocess.run(words, env=where, capture_output=True, text=True, check=False, timeout=30)


def test_a_process_starts_with_a_copy_of_its_configuration(tmp_path: Path) -> None:
    assert started(tmp_path).stdout.splitlines() == ["taskmanager", "-D", "a=b"]
    assert (tmp_path / "flink/conf/config.yaml").read_text() == "a: b\n"


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "state" / "tm_10.1.2.3" / ".db"
    left.mkdir(parents=True)
    (left / "000001.sst").touch()
    started(tmp_path, STATE=str(tmp_path / "state")).check_returncode()
    assert not list((tmp_path / "state").iterdir())


def test_leaders_in_kubernetes_get_the_id_of_their_election(tmp_path: Path) -> None:
    done = started(tmp_path, LEASES="claims-0123abcd")
    assert "kubernetes.cluster-id=claims-0123abcd" in done.stdout.splitlines()


def test_checkpoints_in_s3_load_the_plug_in_and_need_no_volume(tmp_path: Path) -> None:
    jar = tmp_path / "flink/opt/flink-s3-fs-presto-2.3.0.jar"
    refused = started(tmp_path, S3="true")
    assert refused.returncode == 1
    assert "flink-s3-fs-presto" in refused.stderr
    jar.touch()
    done = started(tmp_path, S3="true")
    assert done.returncode == 0
    assert (tmp_path / "flink/plugins/s3" / jar.name).resolve() == jar
