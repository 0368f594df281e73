"""The state of a Flink cluster's job, in words."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from cli.kube import Kube, field
from components.flink.status import ENDED_STATES, STAYS_ENDED, why_not
from components.last_words import last_words
from console.progress import LocalError


@dataclass(frozen=True)
class JobState:
    """A job's state: whether it runs, whether it ended for good, and both in words."""

    runs: bool
    ended: bool
    text: str


def describe(job: Mapping[str, Any] | None, parallelism: int) -> JobState:
    """Return Flink's state of a job in words. Only a running job has a parallelism: for others Flink reports the
    maximum."""
    if job is None:
        return JobState(runs=False, ended=False, text="no job")
    state = str(job["state"])
    if state == "RUNNING":
        return JobState(runs=True, ended=False, text=f"job RUNNING, parallelism {parallelism}")
    if state in ENDED_STATES:
        return JobState(runs=False, ended=True, text=f"job {state}: it ended")
    waits = ", waits for TaskManagers" if state == "CREATED" else ""
    return JobState(runs=False, ended=False, text=f"job {state}{waits}")


def look(at: Kube, name: str) -> JobState:
    """Return what a cluster's job does, as Flink's REST API tells it."""
    service = f"svc/{name}-jobmanager"
    try:
        jobs = at.rest(service, 8081, "/jobs/overview")[0]["jobs"]
        if not jobs:
            return with_reasons(describe(None, 0), reasons(at, name))
        path = f"/jobs/{jobs[0]['jid']}"
        detail, exceptions = at.rest(service, 8081, path, f"{path}/exceptions?maxExceptions=1")
    except (LocalError, OSError, json.JSONDecodeError) as error:
        silent = JobState(runs=False, ended=False, text=f"its REST API is not reachable ({str(error).splitlines()[0]})")
        return with_reasons(silent, reasons(at, name))
    told = describe(jobs[0], max((vertex["parallelism"] for vertex in detail["vertices"]), default=0))
    if told.runs:
        return told
    failures = field(exceptions, "exceptionHistory", "entries", default=[])
    if failures and not told.ended:
        told = replace(told, text=f"{told.text}; it failed with {last_words(failures[0]['stacktrace'])}")
    return with_reasons(told, reasons(at, name))


def with_reasons(state: JobState, said: Sequence[str]) -> JobState:
    """A state with the JobManagers' reasons for a job that does not run; the last leader's comes first."""
    if not said:
        return state
    ended = next((text for text in said if text.startswith(STAYS_ENDED)), None)
    text = ended or f"{state.text}; {max(said, key=len)}"
    return JobState(runs=False, ended=state.ended or ended is not None, text=text)


def reasons(at: Kube, name: str) -> list[str]:
    """Return the reasons that the JobManagers give for a job that does not run, apart from its state; none for
    JobManagers that do not run."""
    selector = f"app.kubernetes.io/instance={name},app.kubernetes.io/component=jobmanager"
    said: list[str] = []
    for pod in at.items("pods", "-l", selector):
        with suppress(LocalError):  # it is starting, or ended: its own last words are told elsewhere
            _, _, reason = why_not(at.run, pod["metadata"]["name"]).partition("; ")
            said += [reason] if reason else []
    return said
