"""RunningJob: that the job of a Flink cluster runs, as a resource, so that no update is green while it does not.

A dynamic resource, see components/dynamic.py: the state has its provider by module and name. It changes nothing itself.
A job that does not run is a difference that a preview shows, and for which an update waits.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import (
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    UpdateResult,
)

from components.dynamic import Provider, UserError, say_once, stored, user_errors
from components.flink.status import ENDED_STATES, STAYS_ENDED, why_not
from components.last_words import last_words, previous_log
from components.reach import Kubectl, UnreachableError, kubeconfig_of, kubectl

LIMIT_SECONDS = 300.0  # as long as `make up` waits
_VAIN_SECONDS = 20.0  # for what waiting alone does not end: a JobManager may be about to start the job again
_LOOK_SECONDS = 2.0
_ENDED = (*ENDED_STATES, STAYS_ENDED)


@dataclass(frozen=True, kw_only=True)
class RunningJobArgs:
    """The Flink cluster, and the credentials to ask it with (see components/reach.py)."""

    namespace: str
    cluster: str
    credentials: str


@dataclass(frozen=True)
class Job:
    """The state of a job: whether it runs, why it does not, and whether waiting is in vain."""

    runs: bool
    reason: str = ""
    in_vain: bool = False


class JobError(UserError):
    """A job that should run does not. The message says why, and what shows more."""


class RunningJob(Resource, module="flink", name="RunningJob"):
    """See the head of this module."""

    def __init__(self, name: str, args: RunningJobArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {"namespace": args.namespace, "cluster": args.cluster, "credentials": args.credentials}
        super().__init__(RunningJobProvider(), name, properties, opts)


class RunningJobProvider(Provider):
    """The dynamic provider that the engine calls."""

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        args = _args(_news)
        return DiffResult(changes=_args(_olds) != args or not self._runs(args), replaces=[])

    @user_errors
    def create(self, props: dict[str, Any]) -> CreateResult:
        self._wait(_args(props))
        return CreateResult("job", stored(props))

    @user_errors
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        self._wait(_args(_news))
        return UpdateResult(stored(_news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        self._runs(_args(props))  # a refresh says it, too
        return ReadResult(id_, stored(props), stored(props))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Do nothing: the cluster is deleted by its own resources."""

    def _runs(self, args: RunningJobArgs) -> bool:
        """Return whether the job runs, as far as it can be asked."""
        try:
            with kubectl(self._kubeconfig(args), args.namespace) as at:
                job = look(at, args.cluster)
        except UnreachableError as error:
            say_once(f"jobs could not be asked whether they run in {args.namespace}: {error}")
            return True
        if not job.runs:
            say_once(_said(args, job))
        return job.runs

    def _wait(self, args: RunningJobArgs) -> None:
        with kubectl(self._kubeconfig(args), args.namespace) as at:
            wait(at, args)

    def _kubeconfig(self, args: RunningJobArgs) -> str:
        return kubeconfig_of(args.credentials, args.namespace, self._setting)


def wait(at: Kubectl, args: RunningJobArgs) -> None:
    """Wait until the job runs. Raises JobError once waiting is in vain, or took five minutes."""
    now = time.monotonic()
    deadline, in_vain_since = now + LIMIT_SECONDS, now
    while not (job := look(at, args.cluster)).runs:
        now = time.monotonic()
        in_vain_since = in_vain_since if job.in_vain else now
        if now >= min(deadline, in_vain_since + _VAIN_SECONDS):
            raise JobError(f"{_said(args, job)}; `kubectl -n {args.namespace} logs deploy/{args.cluster}-jobmanager`")
        time.sleep(_LOOK_SECONDS)


def _said(args: RunningJobArgs, job: Job) -> str:
    return f"Flink {args.cluster}: its job does not run: {job.reason}"


def look(at: Kubectl, cluster: str) -> Job:
    """Return what Kubernetes and the JobManagers say of a cluster's job. Raises UnreachableError."""
    selector = f"app.kubernetes.io/instance={cluster}"
    items = json.loads(at("get", "deployments,pods", "--selector", selector, "--output", "json"))["items"]
    deployments = {each["metadata"]["name"]: each for each in items if each["kind"] == "Deployment"}
    leaders = deployments.get(f"{cluster}-jobmanager")
    # A JobManager is ready while the job runs, whichever of them leads.
    if leaders and leaders.get("status", {}).get("readyReplicas", 0) > 0:
        return Job(runs=True)
    wanted = (f"{cluster}-jobmanager", f"{cluster}-taskmanager")
    if missing := [name for name in wanted if name not in deployments]:
        return Job(runs=False, reason=f"there is no Deployment {missing[0]}", in_vain=True)
    if idle := [name for name, each in deployments.items() if each["spec"].get("replicas") == 0]:
        return Job(runs=False, reason=f"Deployment {idle[0]} is scaled to 0", in_vain=True)
    pods = [each for each in items if each["kind"] == "Pod"]
    reasons = sorted(_reasons(at, pods), key=len, reverse=True)  # the last leader knows more than the others
    ended = [reason for reason in reasons if any(part.startswith(_ENDED) for part in reason.split("; "))]
    return Job(runs=False, reason=(ended or reasons or ["no JobManager is ready"])[0], in_vain=bool(ended))


def _reasons(at: Kubectl, pods: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the pods say of why the job does not run."""
    for pod in pods:
        name, role = pod["metadata"]["name"], pod["metadata"]["labels"]["app.kubernetes.io/component"]
        for status in pod.get("status", {}).get("containerStatuses", []):
            waiting = status["state"].get("waiting", {})
            if waiting.get("reason"):
                why = _failure(at, name, status) or waiting.get("message")
                yield ": ".join(filter(None, [f"pod {name}", waiting["reason"], why]))
            elif role == status["name"] == "jobmanager" and "running" in status["state"]:
                with suppress(UnreachableError):  # it is just going
                    yield "; ".join(filter(None, [why_not(at, name), _failure(at, name, status)]))


def _failure(at: Kubectl, pod: str, status: Mapping[str, Any]) -> str:
    """The last words of a container's process before this one, if that failed."""
    container, ended = status["name"], status.get("lastState", {}).get("terminated", {})
    if ended.get("exitCode", 0) == 0:
        return ""
    try:
        log = previous_log(at, pod, container)
    except UnreachableError:  # the log is gone
        log = ended.get("message", "")
    return f"{container} ended before: {last_words(log)}"


def _args(properties: Mapping[str, Any]) -> RunningJobArgs:
    return RunningJobArgs(
        namespace=properties["namespace"], cluster=properties["cluster"], credentials=properties["credentials"]
    )
