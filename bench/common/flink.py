"""The state of one cluster's job and pods, from Flink's REST API and Kubernetes."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, TypeVar

from cli.kube import Kube, field
from console.progress import LocalError

POLL_SECONDS = 1.0  # a look is a kubectl and some requests: a tenth of a second of CPU and more
Role = Literal["jobmanager", "taskmanager"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as the leading JobManager has it; times are that JobManager's clock, in ms since 1970."""

    id: str
    state: str
    parallelism: int
    initialized_millis: int
    """Time at which the leader took the job over."""
    running_millis: int | None
    """Time since which all its subtasks run; None while one does not."""


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod of the cluster; `restarts` are those of its containers."""

    name: str
    role: Role
    ip: str
    ready: bool
    ready_millis: int
    """Time since which it is ready or not, in ms since 1970; Kubernetes reports whole seconds."""
    restarts: int
    ending: bool


class Flink:
    """One cluster, looked at through a port-forward that is renewed when its pod goes away."""

    def __init__(self, at: Kube, name: str) -> None:
        self.at = at
        self.name = name
        self._forward = ExitStack()
        self._address = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._forward.close()

    def get(self, path: str) -> Any:
        """GET a JSON document. Raises OSError or LocalError while no JobManager leads."""
        if not self._address:
            self._address = self._forward.enter_context(self.at.forward(f"svc/{self.name}-jobmanager", 8081))
        try:
            with urllib.request.urlopen(f"http://{self._address}{path}", timeout=5) as answer:
                return json.load(answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if not isinstance(error, urllib.error.HTTPError):
                self._forward.close()
                self._address = ""
            raise OSError(f"{path}: {error}") from error

    def job(self) -> Job | None:
        """The cluster's job; None while it is not known."""
        try:
            jobs = self.get("/jobs/overview")["jobs"]
            if not jobs:
                return None
            detail = self.get(f"/jobs/{jobs[0]['jid']}")
            since: list[int | None] = []
            for vertex in detail["vertices"]:
                tasks = self.get(f"/jobs/{detail['jid']}/vertices/{vertex['id']}/subtasktimes")["subtasks"]
                running = vertex["tasks"]["RUNNING"] == vertex["parallelism"] == len(tasks)
                since += [task["timestamps"]["RUNNING"] if running else None for task in tasks]
        except (OSError, LocalError):
            return None
        times = [time for time in since if time is not None and time > 0]
        return Job(
            id=detail["jid"],
            state=detail["state"],
            parallelism=max((vertex["parallelism"] for vertex in detail["vertices"]), default=0),
            initialized_millis=detail["timestamps"]["INITIALIZING"],
            running_millis=max(times) if times and len(times) == len(since) else None,
        )

    def checkpoints(self, job: Job) -> list[int]:
        """Return when the completed checkpoints were triggered that Flink remembers, in ms since 1970, oldest first."""
        try:
            history = self.get(f"/jobs/{job.id}/checkpoints")["history"]
        except (OSError, LocalError):
            return []
        return sorted(c["trigger_timestamp"] for c in history if c["status"] == "COMPLETED")

    def pods(self) -> list[Pod]:
        """The cluster's pods, those that are ending included."""
        return [_pod(item) for item in self.at.items("pods", "-l", f"app.kubernetes.io/instance={self.name}")]

    def task_managers(self) -> list[Pod]:
        """The TaskManagers' pods that are not ending."""
        return [pod for pod in self.pods() if pod.role == "taskmanager" and not pod.ending]

    def leader(self) -> Pod:
        """The pod of the JobManager that leads: the one whose log has it last that it was granted leadership."""
        for pod in self.pods():
            if pod.role == "jobmanager" and pod.ready and not pod.ending:
                log = self.at.run("logs", pod.name, "-c", "jobmanager")
                said = [line for line in log.splitlines() if "DefaultDispatcherRunner" in line and "leadership" in line]
                if said and "was granted leadership" in said[-1]:
                    return pod
        raise LocalError(f"Flink {self.name}: no JobManager says in its log that it leads")

    def scale(self, task_managers: int) -> None:
        """Set the number of TaskManagers."""
        # Not `kubectl scale`: a deployer has no right to the subresource.
        replicas = json.dumps({"spec": {"replicas": task_managers}})
        self.at.run("patch", "deployment", f"{self.name}-taskmanager", "--type=merge", f"--patch={replicas}")


def wait_for(what: str, look: Callable[[], T | None], seconds: float) -> T:
    """Call `look` until it returns something, and return that. Raises LocalError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen is not None:
            return seen
        if time.monotonic() > deadline:
            raise LocalError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(POLL_SECONDS)


def _pod(item: dict[str, Any]) -> Pod:
    conditions = {c["type"]: c for c in field(item, "status", "conditions", default=[])}
    ready = conditions.get("Ready", {"status": "False", "lastTransitionTime": item["metadata"]["creationTimestamp"]})
    return Pod(
        name=item["metadata"]["name"],
        role=item["metadata"]["labels"]["app.kubernetes.io/component"],
        ip=field(item, "status", "podIP", default=""),
        ready=ready["status"] == "True",
        ready_millis=int(datetime.fromisoformat(ready["lastTransitionTime"]).timestamp() * 1000),
        restarts=sum(c["restartCount"] for c in field(item, "status", "containerStatuses", default=[])),
        ending="deletionTimestamp" in item["metadata"],
    )
