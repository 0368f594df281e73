"""The events that happen to a running job. Each reports when it happened, to which pod and how."""

import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.common.flink import Flink, Job, Pod, wait_for
from bench.rescale.faults import Network, send_signal
from cli.kube import Kube
from console.progress import LocalError

UNDISTURBED_SECONDS = 6  # nothing is sampled: on a small machine that would take CPU from what is measured
PATIENCE_SECONDS = 400  # for the slowest of Flink's defaults to be over, some of them one after the other


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The job, its cluster and the network, as an event may change them."""

    flink: Flink
    administrator: Kube
    """The administrator's access, which may delete pods; a deployer's may not."""
    network: Network
    pause_seconds: float


@dataclass(frozen=True, kw_only=True)
class Done:
    """An event that happened; `millis` is its time, since 1970."""

    millis: int
    target: str = ""
    """The pod; empty where Kubernetes chose it."""
    how: str = ""
    ready_millis: int | None = None
    """Time at which the new pod was ready, if there was to be one."""
    returned_millis: int | None = None
    """Time at which the target could be reached again, if it could not."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """`before` and `after` are numbers of TaskManagers."""

    before: int
    after: int
    act: Callable[[Scene], Done]
    restarts: bool = True
    """True if the job restarts; False if it must not notice."""
    spoils: bool = False
    """The target's container is restarted: the next time the kubelet would wait before it does that."""


def _scale_down(scene: Scene) -> Done:
    now = _now()
    scene.flink.scale(1)
    return Done(millis=now, how="2 to 1 TaskManagers")


def _scale_up(scene: Scene) -> Done:
    flink = scene.flink
    known = {pod.name for pod in flink.task_managers()}
    # One line for each change of a pod, as it happens: the condition's own time stamp has whole seconds only.
    path = "jsonpath={.metadata.name} {.status.conditions[?(@.type=='Ready')].status}{'\\n'}"
    labels = f"app.kubernetes.io/instance={flink.name},app.kubernetes.io/component=taskmanager"
    words = flink.at.words("get", "pods", "-l", labels, "--watch", "-o", path)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        try:
            now = _now()
            flink.scale(2)
            for line in child.stdout:
                name, _, ready = line.strip().partition(" ")
                if name not in known and ready == "True":
                    return Done(millis=now, how="1 to 2 TaskManagers", ready_millis=_now())
                if _now() - now > PATIENCE_SECONDS * 1000:
                    break
        finally:
            child.terminate()
    raise LocalError(f"Flink {flink.name}: the second TaskManager was not ready within {PATIENCE_SECONDS} s")


def _process_killed(scene: Scene) -> Done:
    pod = _victim(scene)
    return Done(millis=send_signal(scene.flink.at, pod, "KILL"), target=pod.name, how="SIGKILL")


def _unreachable(scene: Scene) -> Done:
    pod = _victim(scene)
    with scene.network.without(pod) as since:
        time.sleep(UNDISTURBED_SECONDS)
        _await_restart(scene.flink, since, 1)
    return Done(millis=since, target=pod.name, how=scene.network.how, returned_millis=_now())


def _job_manager_killed(scene: Scene) -> Done:
    pod = scene.flink.leader()
    return Done(millis=send_signal(scene.flink.at, pod, "KILL"), target=pod.name, how="SIGKILL of the leader")


def _gc_pause(scene: Scene) -> Done:
    pod = _victim(scene)
    since = send_signal(scene.flink.at, pod, "STOP", scene.pause_seconds)
    return Done(millis=since, target=pod.name, how=f"SIGSTOP for {scene.pause_seconds:g} s")


EVENTS: Mapping[str, Event] = {
    "scale-down": Event(before=2, after=1, act=_scale_down),
    "scale-up": Event(before=1, after=2, act=_scale_up),
    "process-killed": Event(before=2, after=2, act=_process_killed, spoils=True),
    "unreachable": Event(before=2, after=2, act=_unreachable),
    "jobmanager-killed": Event(before=2, after=2, act=_job_manager_killed, spoils=True),
}
GC_PAUSE = "gc-pause"
PAUSE = Event(before=2, after=2, act=_gc_pause, restarts=False)


def runs_since(flink: Flink, millis: int, parallelism: int) -> Job | None:
    """The job, if all its subtasks began to run after a moment, with this parallelism."""
    job = flink.job()
    if job is None or job.state != "RUNNING" or job.parallelism != parallelism:
        return None
    return job if job.running_millis is not None and job.running_millis > millis else None


def _await_restart(flink: Flink, millis: int, parallelism: int) -> None:
    wait_for(
        f"Flink {flink.name} to go on with parallelism {parallelism}",
        lambda: runs_since(flink, millis, parallelism),
        PATIENCE_SECONDS,
    )


def _victim(scene: Scene) -> Pod:
    return min(scene.flink.task_managers(), key=lambda pod: pod.name)


def _now() -> int:
    return int(time.time() * 1000)
