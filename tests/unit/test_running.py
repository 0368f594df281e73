"""That a Flink cluster's job runs: what is asked, how long it is waited for, and what is said where it does not."""

import base64
import json
from typing import Any
from unittest.mock import Mock

import pytest
from pulumi.dynamic import Config, ConfigureRequest

from components import dynamic
from components.flink import running
from components.flink.running import Job, JobError, RunningJob, RunningJobArgs, RunningJobProvider, look
from components.reach import Kubectl, UnreachableError
from tests.unit.recording import record

ARGS = RunningJobArgs(namespace="dev", cluster="claims", credentials="stack:organization/p/cluster")
PROPERTIES = record(lambda: RunningJob("claims", ARGS)).one("RunningJob", "claims").inputs
PICKLED = base64.b64decode(PROPERTIES.pop("__provider"))
STORED = {**PROPERTIES, "__provider": "x"}
ENDED = "the job ended (CANCELED, 2026-11-26T10:00:00Z) and stays so. To go on, set restoreFrom: file:///x#1"


class Cluster(Kubectl):
    """kubectl that answers from plain documents."""

    def __init__(self, *items: dict[str, Any], said: str | UnreachableError = "") -> None:
        super().__init__("dev", "file")
        object.__setattr__(self, "items", list(items))
        object.__setattr__(self, "said", said)

    items: list[dict[str, Any]]
    said: str | UnreachableError

    def __call__(self, *words: str) -> str:
        if words[0] == "get":
            assert words[:4] == ("get", "deployments,pods", "--selector", "app.kubernetes.io/instance=claims")
            return json.dumps({"items": self.items})
        if words[0] == "logs":
            assert words[1:5] == ("claims-jobmanager-1", "--container", "jobmanager", "--previous")
            return LOG
        assert words[:5] == ("exec", "claims-jobmanager-1", "--container", "jobmanager", "--")
        if isinstance(self.said, UnreachableError):
            raise self.said
        return self.said


def deployment(role: str, *, ready: int = 0, replicas: int = 1) -> dict[str, Any]:
    status = {"readyReplicas": ready} if ready else {}
    spec = {"replicas": replicas}
    return {"kind": "Deployment", "metadata": {"name": f"claims-{role}"}, "spec": spec, "status": status}


def pod(role: str, state: dict[str, Any], *, exit_code: int = 0) -> dict[str, Any]:
    metadata = {"name": f"claims-{role}-1", "labels": {"app.kubernetes.io/component": role}}
    status = {"name": role, "state": state, "lastState": {"terminated": {"exitCode": exit_code}} if exit_code else {}}
    return {"kind": "Pod", "metadata": metadata, "status": {"containerStatuses": [status]}}


UP = (deployment("jobmanager"), deployment("taskmanager", ready=1), pod("jobmanager", {"running": {}}))
LOG = "ERROR it failed\nCaused by: java.lang.IllegalArgumentException: unknown argument '--x'\nINFO stopped\n"
FAILED = "jobmanager ended before: java.lang.IllegalArgumentException: unknown argument '--x'"
CRASHES = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
WAITS = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}


def test_old_state_finds_the_provider_by_its_name() -> None:
    assert b"components.flink.running" in PICKLED
    assert b"RunningJobProvider" in PICKLED
    assert len(PICKLED) < 100


@pytest.mark.parametrize(
    ("cluster", "job"),
    [
        (Cluster(deployment("jobmanager", ready=1, replicas=2)), Job(runs=True)),
        (
            Cluster(deployment("taskmanager")),
            Job(runs=False, reason="there is no Deployment claims-jobmanager", in_vain=True),
        ),
        (
            Cluster(deployment("jobmanager"), deployment("taskmanager", replicas=0)),
            Job(runs=False, reason="Deployment claims-taskmanager is scaled to 0", in_vain=True),
        ),
        (
            Cluster(*UP, said=f"the job does not run: no JobManager has it; {ENDED}"),
            Job(runs=False, reason=f"no JobManager has it; {ENDED}", in_vain=True),
        ),
        (
            Cluster(*UP, said="the job does not run: FINISHED; it goes on from nothing"),
            Job(runs=False, reason="FINISHED; it goes on from nothing", in_vain=True),
        ),
        (
            Cluster(*UP, pod("taskmanager", WAITS), said="the job does not run: CREATED"),
            Job(runs=False, reason="pod claims-taskmanager-1: ImagePullBackOff: no such image"),
        ),
        (
            Cluster(*UP[:2], pod("jobmanager", CRASHES, exit_code=1)),
            Job(runs=False, reason=f"pod claims-jobmanager-1: CrashLoopBackOff: {FAILED}"),
        ),
        (
            Cluster(*UP[:2], pod("jobmanager", {"running": {}}, exit_code=1), said="no JobManager has it"),
            Job(runs=False, reason=f"no JobManager has it; {FAILED}"),
        ),
        (Cluster(*UP, said="the job does not run: CREATED\n"), Job(runs=False, reason="CREATED")),
        (Cluster(*UP, said=UnreachableError("gone")), Job(runs=False, reason="no JobManager is ready")),
    ],
)
def test_descriptions_of_jobs(cluster: Cluster, job: Job) -> None:
    assert look(cluster, "claims") == job


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> RunningJobProvider:
    monkeypatch.setattr(running, "kubeconfig_of", Mock(return_value="text"))
    monkeypatch.setattr(dynamic, "_shown", set[str]())
    provider = RunningJobProvider()
    provider.configure(ConfigureRequest(Config({}, "streaming-platform")))
    return provider


class Clock:
    """Time that passes while one sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(running, "time", clock)
    return clock


def test_a_job_that_does_not_run_is_a_difference_and_is_reported(
    provider: RunningJobProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "look", Mock(return_value=Job(runs=True)))
    assert provider.diff("job", STORED, STORED).changes is False
    assert provider.diff("job", STORED, {**STORED, "namespace": "ops"}).changes is True
    monkeypatch.setattr(running, "look", Mock(return_value=Job(runs=False, reason=ENDED, in_vain=True)))
    assert provider.diff("job", STORED, STORED).changes is True
    assert provider.read("job", STORED).outs == PROPERTIES
    assert capsys.readouterr().err.count(f"Flink claims: its job does not run: {ENDED}") == 1


def test_a_cluster_that_cannot_be_asked_is_no_difference(
    provider: RunningJobProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "look", Mock(side_effect=UnreachableError("connection refused")))
    assert provider.diff("job", STORED, STORED).changes is False
    assert "jobs could not be asked whether they run in dev: connection refused" in capsys.readouterr().err


def test_an_update_waits_until_the_job_runs(
    provider: RunningJobProvider, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    states = [Job(runs=False, reason="CREATED")] * 100 + [Job(runs=False, in_vain=True)] * 9 + [Job(runs=True)]
    monkeypatch.setattr(running, "look", Mock(side_effect=states))
    assert provider.create(STORED).outs == PROPERTIES
    assert clock.now == 2 * 109


@pytest.mark.parametrize(
    ("job", "seconds"), [(Job(runs=False, reason=ENDED, in_vain=True), 20), (Job(runs=False), 300)]
)
def test_an_update_fails_where_the_job_does_not_come(
    job: Job, seconds: float, provider: RunningJobProvider, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(running, "look", Mock(return_value=job))
    with pytest.raises(JobError, match=r"claims: its job does not run: .*logs deploy/claims-jobmanager`"):
        provider.update("job", STORED, STORED)
    assert clock.now == seconds
