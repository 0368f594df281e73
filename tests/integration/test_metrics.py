"""Metrics on a real node: each scope is at a port of its own, once, and a job that restarts makes no new series."""

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cli import prove, waiting
from cli.kube import Kube
from cli.platform import Target
from cli.pulumi import Workspace
from console.progress import LocalError
from stacks.settings import merge
from tests.waiting import eventually

OF_ATTEMPTS = {"task_attempt_id", "task_attempt_num", "tm_id", "host"}
_SAMPLE = re.compile(r"([\w:]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Series = tuple[str, frozenset[tuple[str, str]]]
"""A name, and labels with their values."""


@pytest.fixture(scope="module", autouse=True)
def one_task_manager(work: Workspace, target: Target) -> Iterator[None]:
    """Keep the autoscaler from changing what there are series of, and let records pass through the job."""
    alone = {"flink": {"clusters": {"claims": {"taskManagers": {"max": 1}}}}}
    dataclasses.replace(work, overlay=merge(work.overlay, {"dev": alone})).up("dev")
    at, settings = prove.kube(target)
    waiting.until_it_runs(at, settings)
    eventually("one TaskManager alone", lambda: len(_pods(at, "taskmanager")) == 1, 180)
    waiting.until_it_runs(at, settings)
    assert prove.run_proof(at, settings, 1_000).holds
    yield
    work.up("dev")
    waiting.until_it_runs(at, settings)


def _pods(dev: Kube, role: str) -> list[str]:
    """The pods of a role, also those that are about to go."""
    pods = dev.items("pods", "-l", f"app.kubernetes.io/instance=claims,app.kubernetes.io/component={role}")
    return [pod["metadata"]["name"] for pod in pods]


def _flink(dev: Kube, role: str) -> str:
    """The only pod of a role."""
    (pod,) = _pods(dev, role)
    return pod


def _scraped(admin: Kube, pod: str) -> dict[str, dict[Series, float]]:
    """What a pod serves, by the names of its ports: each series, and its value."""
    spec = dataclasses.replace(admin, namespace="dev").get("pod", pod)["spec"]
    ports = {port["name"]: port["containerPort"] for each in spec["containers"] for port in each.get("ports", [])}
    found: dict[str, dict[Series, float]] = {}
    for name, port in ports.items():
        if not name.startswith("metrics"):
            continue
        text = admin.run("get", "--raw", f"/api/v1/namespaces/dev/pods/{pod}:{port}/proxy/metrics")
        samples = [_SAMPLE.fullmatch(line) for line in text.splitlines() if line and not line.startswith("#")]
        assert all(samples), f"{pod}:{name}"
        read = [
            ((each[1], frozenset(_LABEL.findall(each[2] or ""))), float(each[3]))
            for each in samples
            if each is not None
        ]
        found[name] = dict(read)
        assert len(found[name]) == len(read), f"{pod}:{name} has a series twice"
    return found


def _of(samples: dict[Series, float], name: str, **labels: str) -> list[float]:
    """The values of the series of a name that have these labels."""
    return [value for (each, own), value in samples.items() if each == name and labels.items() <= dict(own).items()]


def test_each_scope_of_flink_is_at_its_own_port_and_nowhere_else(admin: Kube, dev: Kube) -> None:
    job_manager, task_manager = (_scraped(admin, _flink(dev, role)) for role in ("jobmanager", "taskmanager"))
    for process, ports in (("jobmanager", job_manager), ("taskmanager", task_manager)):
        assert ports.keys() == {"metrics-process", "metrics-job", "metrics-task", "metrics-op"}
        places = Counter(name for samples in ports.values() for name in {name for name, _ in samples})
        assert {name for name, count in places.items() if count > 1} == set()
        for scope, names in {
            "metrics-process": rf"flink_{process}_(?!job_)[\w:]+",
            "metrics-job": rf"flink_{process}_job_(?!task_|operator_)[\w:]+",
            "metrics-task": r"flink_taskmanager_job_task_(?!operator_)[\w:]+",
            "metrics-op": r"flink_(taskmanager_job_task|jobmanager_job)_operator_[\w:]+",
        }.items():
            assert [name for name, _ in ports[scope] if not re.fullmatch(names, name)] == [], (process, scope)
    assert _of(job_manager["metrics-process"], "flink_jobmanager_numRegisteredTaskManagers") == [1]
    assert len(_of(job_manager["metrics-job"], "flink_jobmanager_job_numRestarts")) == 1
    assert len(_of(task_manager["metrics-process"], "flink_taskmanager_Status_JVM_CPU_Load")) == 1
    busy = [dict(own) for name, own in task_manager["metrics-task"] if name.endswith("_task_busyTimeMsPerSecond")]
    assert busy
    assert {each["subtask_index"] for each in busy} == {"0"}
    assert len({each["task_name"] for each in busy}) == len(busy)
    # The source of the job: one subtask, which reads one topic.
    assert len(_of(task_manager["metrics-op"], "flink_taskmanager_job_task_operator_pendingRecords")) == 1


def test_no_label_changes_with_an_attempt(admin: Kube, dev: Kube) -> None:
    for role in ("jobmanager", "taskmanager"):
        for port, samples in _scraped(admin, _flink(dev, role)).items():
            labels = {name for _, own in samples for name, _ in own}
            assert not labels & OF_ATTEMPTS, (role, port)
            if samples and port != "metrics-process":
                assert "job_name" in labels, (role, port)


def test_members_of_zookeeper_and_brokers_serve_theirs(admin: Kube) -> None:
    (of_member,) = _scraped(admin, "zookeeper-0").values()
    assert len(_of(of_member, "znode_count")) == 1
    assert [value > 0 for value in _of(of_member, "jvm_threads_current")] == [True]
    (of_broker,) = _scraped(admin, "kafka-0").values()
    assert _of(of_broker, "kafka_controller_kafkacontroller_activecontrollercount") == [1]
    assert _of(of_broker, "kafka_controller_kafkacontroller_offlinepartitionscount") == [0]
    assert _of(of_broker, "kafka_server_replicamanager_underreplicatedpartitions") == [0]
    assert _of(of_broker, "kafka_server_replicamanager_isrshrinks_total") == [0]
    (messages,) = _of(of_broker, "kafka_server_brokertopicmetrics_messagesin_total", topic="events")
    assert messages >= 1_000
    assert sum(_of(of_broker, "kafka_network_requestmetrics_requests_total", request="Produce")) > 0
    assert len(_of(of_broker, "kafka_network_requestmetrics_totaltimems", request="Produce", quantile="0.99")) == 1
    assert len(_of(of_broker, "kafka_log_log_size", topic="events", partition="0")) == 1
    assert len(_of(of_broker, "jvm_threads_current")) == 1


def test_a_job_that_restarts_makes_no_new_series(admin: Kube, dev: Kube, target: Target) -> None:
    pods = {role: _flink(dev, role) for role in ("jobmanager", "taskmanager")}

    def of_job() -> dict[tuple[str, str], set[Series]]:
        """The series of the job, its tasks and operators, by process and port."""
        return {
            (role, port): set(samples)
            for role, pod in pods.items()
            for port, samples in _scraped(admin, pod).items()
            if port != "metrics-process"
        }

    def starts(role: str) -> int:
        statuses = dev.get("pod", pods[role])["status"]["containerStatuses"]
        return next(int(each["restartCount"]) for each in statuses if each["name"] == role)

    def settled() -> dict[tuple[str, str], set[Series]]:
        """The series once they stay as they are: some come with the first record, or the first checkpoint."""
        seen: list[dict[tuple[str, str], set[Series]]] = []

        def stays() -> bool:
            time.sleep(5)
            seen.append(of_job())
            return len(seen) > 1 and seen[-1] == seen[-2]

        eventually("the series stay the same", stays, 120)
        return seen[-1]

    before = settled()
    assert {key for key, series in before.items() if series} >= {
        ("jobmanager", "metrics-job"),
        ("taskmanager", "metrics-op"),
    }
    # The process of the other role goes on, and the one that is killed starts again in the same pod.
    for role in ("jobmanager", "taskmanager", "taskmanager"):
        started = starts(role)
        with suppress(LocalError):  # the connection may end with the container
            dev.run("exec", pods[role], "-c", role, "--", "bash", "-c", "kill 1")
        eventually(f"the {role} starts again", lambda role=role, started=started: starts(role) > started, 120)
        waiting.until_it_runs(*prove.kube(target))
        assert prove.run_proof(*prove.kube(target), 1_000).holds
        after = settled()
        for key, series in before.items():
            assert (key, series - after[key], after[key] - series) == (key, set(), set())
