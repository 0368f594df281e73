"""What should run and does not is told with pod, reason and the line that helps; waiting ends when it is of no use."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cli import health, job, waiting, watch
from cli.health import Fault
from cli.kube import Kube
from cli.pulumi import environment_settings, stack_file
from cli.watch import Watch
from components.last_words import last_words
from console.progress import LocalError
from stacks.settings import EnvironmentSettings


class Cluster(Kube):
    """kubectl that answers from plain documents."""

    def __init__(self, objects: list[dict[str, Any]], jobs: Any = None, logs: str = "") -> None:
        super().__init__(bin=Path("/b"), kubeconfig=Path("/k"), namespace="dev")
        object.__setattr__(self, "objects", objects)
        object.__setattr__(self, "jobs", [{"jid": "1", "state": "RUNNING"}] if jobs is None else jobs)
        object.__setattr__(self, "log", logs)

    objects: list[dict[str, Any]]
    jobs: Any
    log: str
    said = ""
    """By a JobManager, of why the job does not run."""

    def run(self, *words: str, stdin: str | None = None) -> str:
        assert stdin is None
        if words[0] == "get":
            return json.dumps({"items": self.objects})
        if words[0] == "exec":
            assert words[-1].startswith("bash /opt/platform/scripts/ready.sh")
            return self.said
        assert words[0] == "logs"
        return self.log

    def rest(self, target: str, port: int, *paths: str) -> list[Any]:
        if isinstance(self.jobs, str):
            raise LocalError(self.jobs)
        answers = {"/jobs/overview": {"jobs": self.jobs}, "/jobs/1": {"vertices": [{"parallelism": 2}]}}
        exceptions = {"exceptionHistory": {"entries": [{"stacktrace": self.log}] if self.log else []}}
        return [answers.get(path, exceptions) for path in paths]


@pytest.fixture
def settings() -> EnvironmentSettings:
    return environment_settings(stack_file("dev"))


def _object(kind: str, name: str, owner: str = "", **more: Any) -> dict[str, Any]:
    owners = [{"uid": owner}] if owner else []
    return {"kind": kind, "metadata": {"name": name, "uid": f"{kind}-{name}", "ownerReferences": owners}, **more}


def _workload(kind: str, name: str, replicas: int, ready: int | None = None) -> dict[str, Any]:
    found = replicas if ready is None else ready
    return _object(kind, name, spec={"replicas": replicas}, status={"readyReplicas": found} if found else {})


def _whole(settings: EnvironmentSettings) -> list[dict[str, Any]]:
    return [_workload(each.kind, each.name, each.wanted) for each in health.workloads(settings)]


def _with(objects: list[dict[str, Any]], *others: dict[str, Any]) -> list[dict[str, Any]]:
    replaced = {(other["kind"], other["metadata"]["name"]) for other in others}
    return [each for each in objects if (each["kind"], each["metadata"]["name"]) not in replaced] + list(others)


def _pod(name: str, set_name: str, *statuses: dict[str, Any], conditions: list[dict[str, str]] | None = None) -> Any:
    owner = f"StatefulSet-{set_name}"
    return _object("Pod", name, owner, status={"containerStatuses": list(statuses), "conditions": conditions or []})


def test_a_platform_that_runs_has_no_fault(settings: EnvironmentSettings) -> None:
    assert health.faults(Cluster(_whole(settings)), settings) == []


def test_every_part_of_the_settings_is_looked_at(settings: EnvironmentSettings) -> None:
    found = health.faults(Cluster([]), settings)
    assert {fault.where for fault in found} == {
        *("zookeeper", "kafka", "prometheus"),
        *(f"{name}-{role}" for name in settings.flink.clusters for role in ("jobmanager", "taskmanager")),
    }
    assert {fault.reason for fault in found} == {health.MISSING}


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        ("Deployment", "claims-taskmanager", "scaled to 0, where its autoscaler leaves it"),
        ("StatefulSet", "kafka", "StatefulSet kafka is scaled to 0"),
    ],
)
def test_workloads_scaled_to_0_by_hand_are_reported_with_the_remedy(
    settings: EnvironmentSettings, kind: str, name: str, says: str
) -> None:
    (fault,) = health.faults(Cluster(_with(_whole(settings), _workload(kind, name, 0))), settings)
    assert says in fault.text
    patch = '{"spec":{"replicas":1}}'
    assert fault.command == f"kubectl -n dev patch {kind.lower()} {name} --type merge -p '{patch}'"
    assert waiting.Patience().given_up([fault], 0.0) == [fault]


def test_a_crash_loop_is_reported_with_the_last_error_of_its_log(settings: EnvironmentSettings) -> None:
    crash = {
        "name": "kafka",
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting"}},
        "lastState": {
            "terminated": {"reason": "Error", "exitCode": 1, "message": "starting\nERROR Invalid cluster.id\n"}
        },
    }
    down = _workload("StatefulSet", "kafka", 1, 0)
    (fault,) = health.faults(Cluster(_with(_whole(settings), down, _pod("kafka-0", "kafka", crash))), settings)
    assert fault.text == (
        "pod kafka-0, container kafka: CrashLoopBackOff after 3 restarts (Error, exit code 1): ERROR Invalid cluster.id"
    )
    assert fault.command == "kubectl -n dev logs kafka-0 -c kafka --previous"
    del crash["lastState"]["terminated"]["message"]  # type: ignore[attr-defined]
    cluster = Cluster(_with(_whole(settings), down, _pod("kafka-0", "kafka", crash)), logs="no such file\n")
    assert health.faults(cluster, settings)[0].text.endswith("exit code 1): no such file")


def test_pods_of_others_do_not_count(settings: EnvironmentSettings) -> None:
    crash = {"name": "x", "restartCount": 9, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    assert health.faults(Cluster([*_whole(settings), _pod("stray", "another", crash)]), settings) == []


def test_a_pod_that_fits_no_node_is_reported_with_the_schedulers_message(settings: EnvironmentSettings) -> None:
    why = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No victims."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
    objects = _with(
        _whole(settings), _workload("StatefulSet", "kafka", 1, 0), _pod("kafka-0", "kafka", conditions=[condition])
    )
    (fault,) = health.faults(Cluster(objects), settings)
    assert fault.text == "pod kafka-0 fits no node: 0/1 nodes are available: 1 Insufficient cpu"
    patience = waiting.Patience()
    assert patience.given_up([fault], 100.0) == []
    assert patience.given_up([fault], 159.0) == []
    assert patience.given_up([fault], 160.0) == [fault]


def test_an_image_that_does_not_come_is_given_up_soon(settings: EnvironmentSettings) -> None:
    patience = waiting.Patience()
    for now, reason in ((0.0, "ErrImagePull"), (15.0, "ImagePullBackOff"), (29.0, "ErrImagePull")):
        assert patience.given_up([_fault("Kafka", reason)], now) == []
    assert patience.given_up([_fault("Kafka", "ImagePullBackOff")], 30.0)


def _fault(part: str, reason: str, restarts: int = 0) -> Fault:
    return Fault(part=part, where=part, reason=reason, text="text", command="command", restarts=restarts)


def test_a_crash_loop_is_given_up_when_it_failed_again_under_our_eyes() -> None:
    patience = waiting.Patience()
    counts = [1, 1, 2, 3]
    assert [bool(patience.given_up([_fault("Kafka", health.CRASHES, n)], 0.0)) for n in counts] == [False] * 3 + [True]
    assert waiting.Patience().given_up([_fault("Kafka", health.CRASHES, 5)], 0.0)


def test_flink_may_crash_while_its_dependencies_are_not_ready() -> None:
    patience = waiting.Patience()
    needs = _fault("ZooKeeper", health.UNREADY)
    for n in range(9):
        assert patience.given_up([needs, _fault("Flink claims", health.CRASHES, n)], 0.0) == []
    assert patience.given_up([_fault("Flink claims", health.CRASHES, 4)], 0.0) == []  # counted from here on
    assert patience.given_up([_fault("Flink claims", health.CRASHES, 6)], 0.0)


@pytest.mark.parametrize(
    ("jobs", "text", "ended"),
    [
        ([{"jid": "1", "state": "CREATED"}], "job CREATED, waits for TaskManagers", False),
        ([{"jid": "1", "state": "FINISHED"}], "job FINISHED: it ended", True),
        ([], "no job", False),
        ("HTTP Error 503\nmore", "its REST API is not reachable (HTTP Error 503)", False),
    ],
)
def test_a_job_that_does_not_run_is_a_fault_of_its_cluster(
    settings: EnvironmentSettings, jobs: Any, text: str, ended: bool
) -> None:
    cluster = Cluster(_whole(settings), jobs=jobs)
    found = health.faults(cluster, settings)
    assert [fault.text for fault in found] == [text] * len(settings.flink.clusters)
    assert {fault.reason == health.ENDED for fault in found} == {ended}
    assert "128" not in job.look(cluster, "claims").text


def test_an_ended_job_is_the_fault_where_its_job_managers_are_unready_because_of_it(
    settings: EnvironmentSettings,
) -> None:
    unready = [_workload("Deployment", f"{name}-jobmanager", 2, 0) for name in settings.flink.clusters]
    cluster = Cluster(_with(_whole(settings), *unready), jobs=[{"jid": "1", "state": "FINISHED"}])
    found = health.faults(cluster, settings)
    assert [(fault.reason, fault.text) for fault in found] == [(health.ENDED, "job FINISHED: it ended")] * len(unready)


def test_a_job_that_fails_is_reported_with_its_failure(settings: EnvironmentSettings) -> None:
    failure = "java.lang.Exception: recovery is suppressed\n\tat a.B\nCaused by: java.io.IOException: no disk\n"
    cluster = Cluster(_whole(settings), jobs=[{"jid": "1", "state": "RESTARTING"}], logs=failure)
    assert job.look(cluster, "claims").text == "job RESTARTING; it failed with java.io.IOException: no disk"
    object.__setattr__(cluster, "jobs", [{"jid": "1", "state": "RUNNING"}])
    assert job.look(cluster, "claims").text == "job RUNNING, parallelism 2"


def test_a_job_that_runs_for_a_moment_does_not_run(
    settings: EnvironmentSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [[], [_fault("Flink claims", health.UNREADY)], [], []]
    left = list(looks)

    def faults(*_: object) -> list[Fault]:
        return left.pop(0)

    monkeypatch.setattr(health, "faults", faults)
    monkeypatch.setattr(waiting, "_LOOK_SECONDS", 0)
    waiting.until_it_runs(Cluster([]), settings)
    assert left == []


def test_parts_that_do_not_start_in_time_are_reported(
    settings: EnvironmentSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LIMIT_SECONDS", -1)
    down = Cluster(_with(_whole(settings), _workload("StatefulSet", "kafka", 1, 0)))
    with pytest.raises(
        LocalError, match=r"(?s)not ready within.*Kafka: StatefulSet kafka has 0 of 1 pods ready.*kubectl -n dev"
    ):
        waiting.until_it_runs(down, settings)


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", ""),
        ("one\ntwo\n\n", "two"),
        (
            "2026-01-02 03:04:05,678 ERROR a.B [] - failed\njava.lang.X: outer\n\tat a.b(C.java:1)\n"
            "Caused by: java.io.FileNotFoundException: Cannot find meta data file '_metadata'\n\tat d.e(F.java:2)\n"
            "\t... 4 more\n",
            "java.io.FileNotFoundException: Cannot find meta data file '_metadata'",
        ),
        ("2026-01-02 03:04:05,678 INFO  a.B [] - up\n2026-01-02T03:04:06Z ERROR no disk\nbye\n", "ERROR no disk"),
        ("error: " + "x" * 400, "error: " + "x" * 293 + " ..."),
    ],
)
def test_the_useful_line_of_a_log(log: str, line: str) -> None:
    assert last_words(log) == line


def test_while_pulumi_waits_only_new_pods_are_given_up(
    settings: EnvironmentSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    def pod(uid: str, restarts: int) -> dict[str, Any]:
        waiting = {"waiting": {"reason": health.CRASHES}}
        found = _pod("kafka-0", "kafka", {"name": "kafka", "restartCount": restarts, "state": waiting})
        found["metadata"]["uid"] = uid
        return found

    down = _workload("StatefulSet", "kafka", 1, 0)
    cluster = Cluster(_with(_whole(settings), down, pod("old", 9)))
    looks = Watch(cluster, settings)
    for _ in range(3):
        looks.look(0.0)
    assert looks.given_up == []
    assert capsys.readouterr().out == ""
    cluster.objects[-1] = pod("new", 1)
    looks.look(0.0)
    assert looks.given_up == []
    cluster.objects[-1] = pod("new", 3)
    looks.look(0.0)
    assert [fault.pod for fault in looks.given_up] == ["new"]
    assert capsys.readouterr().out.count("pod kafka-0, container kafka: CrashLoopBackOff") == 1


def test_pulumi_is_interrupted_when_waiting_is_in_vain(
    settings: EnvironmentSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LOOK_SECONDS", 0.05)
    cluster = Cluster(_whole(settings))
    looks = Watch(cluster, settings)
    with watch.watching(looks) as started:
        # What is interrupted may have been ignored where the tests run in the background.
        sleeps = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); time.sleep(60)"
        child = subprocess.Popen([sys.executable, "-c", sleeps])
        started(child)
        status = {"name": "kafka", "restartCount": 5, "state": {"waiting": {"reason": health.CRASHES}}}
        time.sleep(1)  # it was well before
        assert child.poll() is None
        down = _workload("StatefulSet", "kafka", 1, 0)
        object.__setattr__(cluster, "objects", _with(_whole(settings), down, _pod("kafka-0", "kafka", status)))
        assert child.wait(timeout=20) != 0
    assert looks.given_up


def test_a_job_that_ended_is_reported_with_the_setting_that_resumes_it() -> None:
    ended = "the job ended (FINISHED, 2026-01-01T00:00:00Z) and stays so. To go on, set restoreFrom: file:/s-1"
    cluster = Cluster([{"metadata": {"name": "claims-jobmanager-1"}}], jobs=[])
    object.__setattr__(cluster, "said", f"the job does not run: no JobManager has it; {ended}")
    assert job.look(cluster, "claims") == job.JobState(runs=False, ended=True, text=ended)
    nothing = job.JobState(runs=False, ended=False, text="no job")
    assert job.with_reasons(nothing, ["start 2: from nothing", ended]) == job.JobState(
        runs=False, ended=True, text=ended
    )
    assert job.with_reasons(nothing, []) == nothing
    assert job.with_reasons(nothing, ["no disk"]).text == "no job; no disk"
