"""What the job of a Flink cluster does, in words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from local.kube import Kube, field
from local.logs import last_words
from local.progress import LocalError

_ENDED = ("FINISHED", "CANCELED", "FAILED")


@dataclass(frozen=True)
class JobState:
    """A job's state: whether it runs, whether it ended for good, and both in words."""

    runs: bool
    ended: bool
    text: str


def describe(job: Mapping[str, Any] | None, parallelism: int) -> JobState:
    """What Flink tells about a job. Parallelism is a fact of running jobs only: of others Flink tells the maximum."""
    if job is None:
        return JobState(runs=False, ended=False, text="no job")
    state = str(job["state"])
    if state == "RUNNING":
        return JobState(runs=True, ended=False, text=f"job RUNNING, parallelism {parallelism}")
    if state in _ENDED:
        return JobState(runs=False, ended=True, text=f"job {state}: it ended")
    waits = ", waits for TaskManagers" if state == "CREATED" else ""
    return JobState(runs=False, ended=False, text=f"job {state}{waits}")


def look(at: Kube, name: str) -> JobState:
    """What a cluster's job does, as Flink's REST API tells it."""
    service = f"svc/{name}-jobmanager"
    try:
        jobs = at.rest(service, 8081, "/jobs/overview")[0]["jobs"]
        if not jobs:
            return describe(None, 0)
        path = f"/jobs/{jobs[0]['jid']}"
        detail, exceptions = at.rest(service, 8081, path, f"{path}/exceptions?maxExceptions=1")
    except (LocalError, OSError, json.JSONDecodeError) as error:
        return JobState(runs=False, ended=False, text=f"its REST API is not reachable ({str(error).splitlines()[0]})")
    told = describe(jobs[0], max((vertex["parallelism"] for vertex in detail["vertices"]), default=0))
    failures = field(exceptions, "exceptionHistory", "entries", default=[])
    if told.runs or not failures:
        return told
    return replace(told, text=f"{told.text}; it failed with {last_words(failures[0]['stacktrace'])}")
