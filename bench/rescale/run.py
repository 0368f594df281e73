"""One repetition of an event: wait for a steady job, let it happen, wait until all is healed, and measure."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.common.claims import CHECKPOINT_SECONDS
from bench.common.flink import Flink, Job, Pod, wait_for
from bench.common.load import Load
from bench.common.topics import Offsets, Reader
from bench.rescale import measure
from bench.rescale.events import PATIENCE_SECONDS, UNDISTURBED_SECONDS, Done, Event, Scene, runs_since
from bench.rescale.settings import INPUT, OUTPUT
from console.progress import LocalError

BIN_MILLIS = 250
_STEADY_MILLIS = 500  # no backlog: no record is older when it comes out
_PROBE_SECONDS = 1.0
_BEFORE_SECONDS = 3.0  # of the window, before the event
_AFTER_SECONDS = 2.0  # of the window, after all is healed
_DRAIN_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """Figures of one repetition; times in ms."""

    setting: str
    event: str
    number: int
    phase_millis: int
    """Time from the start of a checkpoint interval to the event."""
    how: str
    figures: measure.Disturbance
    """The disturbance until a lost process is back: its return is a scale-up, which is an event of its own."""
    whole: measure.Disturbance
    """The disturbance until all is as before, the return included."""
    used_millis: int | None = None
    """scale-up: from the new pod's readiness to the first record after its subtask runs."""
    leader_millis: int | None = None
    """jobmanager-killed: from the kill until a new leader took the job over."""
    job_restarted: bool
    survivor_restarts: int
    stall_millis: int
    """The longest delay of the load generator."""
    window_seconds: float
    throughput: list[float]
    """Records per second at the output, in bins of BIN_MILLIS, from the start of the window."""
    ages_millis: list[int]
    """Worst age at the output of what went in during each of these bins."""
    event_millis: int
    """Time of the event, in ms since the start of the window."""

    def problems(self, event: Event, *, exactly_once: bool) -> list[str]:
        """Return what must not be."""
        found = {
            f"{self.whole.lost} records were lost": self.whole.lost,
            f"survivors restarted {self.survivor_restarts} times": self.survivor_restarts,
            "the job restarted": self.job_restarted and not event.restarts,
            f"{self.whole.repeated} records were repeated": exactly_once and self.whole.repeated,
        }
        return [text for text, holds in found.items() if holds]


@dataclass(frozen=True, kw_only=True)
class _Window:
    """The ends of the topics when it began: the output's first, so that no record of the input can be missing in it."""

    output: Offsets
    input: Offsets

    @staticmethod
    def begin(reader: Reader) -> "_Window":
        output = reader.ends(OUTPUT)
        return _Window(output=output, input=reader.ends(INPUT))

    def read(self, reader: Reader) -> tuple[list[measure.Arrival], list[measure.Arrival]]:
        """Return what went in until now, and the output until all that came of it is there, or will not come."""
        inputs = reader.read(INPUT, self.input, reader.ends(INPUT))
        missing = {key for key, _ in inputs}
        outputs: list[measure.Arrival] = []
        start, deadline = self.output, time.monotonic() + _DRAIN_SECONDS
        while missing and time.monotonic() < deadline:
            end = reader.ends(OUTPUT)
            more = reader.read(OUTPUT, start, end)
            outputs += more
            missing.difference_update(key for key, _ in more)
            start = end
        return inputs, outputs


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The parts that a repetition needs, for one setting."""

    setting: str
    scene: Scene
    reader: Reader
    load: Load

    @property
    def flink(self) -> Flink:
        return self.scene.flink

    def repeat(self, name: str, event: Event, number: int, phase_millis: int) -> Repetition:
        """Run an event once. Raises LocalError when the job is not steady before it, or not after it."""
        before = self._await_steady(event.before)
        pods = self.flink.pods()
        self.load.worst_stall_millis()
        window = _Window.begin(self.reader)
        began = _now()
        time.sleep(_BEFORE_SECONDS)
        self._await_phase(before, phase_millis)
        done = event.act(self.scene)
        if done.returned_millis is None:
            time.sleep(UNDISTURBED_SECONDS)
        returned = self._await_return(event, pods, done)
        healed = self._await_healed(event, before, done)
        time.sleep(_AFTER_SECONDS)
        inputs, outputs = window.read(self.reader)
        times = [millis for _, millis in outputs]
        end = max(millis for _, millis in inputs)
        first = measure.first_since(times, healed.running_millis or 0)
        led = healed.initialized_millis != before.initialized_millis
        repetition = Repetition(
            setting=self.setting,
            event=name,
            number=number,
            phase_millis=phase_millis,
            how=done.how,
            figures=measure.disturbance([each for each in inputs if each[1] < returned], outputs),
            whole=measure.disturbance(inputs, outputs),
            used_millis=first - done.ready_millis if first and done.ready_millis else None,
            leader_millis=healed.initialized_millis - done.millis if led else None,
            job_restarted=healed.running_millis != before.running_millis,
            survivor_restarts=_restarts(pods, self.flink.pods(), done.target, fewer=event.after < event.before),
            stall_millis=self.load.worst_stall_millis(),
            window_seconds=(end - began) / 1000,
            throughput=measure.throughput(times, began, end, BIN_MILLIS),
            ages_millis=measure.worst_ages(inputs, outputs, began, end, BIN_MILLIS),
            event_millis=done.millis - began,
        )
        if event.spoils:
            self.scene.administrator.run("delete", "pod", done.target, "--wait=false")
        return repetition

    def _await_return(self, event: Event, before: list[Pod], done: Done) -> int:
        """Return when a process that was lost is ready or within reach again; for other events, never.

        Where the job has not gone on without it by then, its return is part of the event.
        """
        if done.returned_millis is not None:
            return done.returned_millis
        never = _now() + 2**40
        if not event.spoils:
            return never
        restarts = {pod.name: pod.restarts for pod in before}

        def returned() -> int | None:
            for pod in self.flink.pods():
                if pod.name == done.target and pod.ready and pod.restarts > restarts[pod.name]:
                    return pod.ready_millis
            return None

        ready = wait_for(f"{done.target} to be ready again", returned, PATIENCE_SECONDS)
        job = self.flink.job()
        return ready if job and (job.running_millis or 0) > done.millis else never

    def _await_steady(self, task_managers: int) -> Job:
        """Scale, and wait for the job to use it all, two checkpoints, and no backlog."""
        flink = self.flink
        if len(flink.task_managers()) != task_managers:
            flink.scale(task_managers)

        def steady() -> Job | None:
            if not self._pods_ready(task_managers):
                return None
            job = runs_since(flink, 0, task_managers)
            if job is None or sum(t > (job.running_millis or 0) for t in flink.checkpoints(job)) < 2:
                return None
            return job if self._worst_latency() < _STEADY_MILLIS else None

        return self._wait(f"a steady job with {task_managers} TaskManagers", steady)

    def _await_healed(self, event: Event, before: Job, done: Done) -> Job:
        flink = self.flink
        # A rescaling is one restart; where the job must not notice, give it the time to.
        since = done.millis if event.restarts else (before.running_millis or 0) - 1

        def healed() -> Job | None:
            job = runs_since(flink, since, event.after)
            if job is None or not self._pods_ready(event.after):
                return None
            if not any(t > max(done.millis, job.running_millis or 0) for t in flink.checkpoints(job)):
                return None
            return job if self._worst_latency() < _STEADY_MILLIS else None

        return self._wait(f"{event.after} TaskManagers and a steady job after the event", healed)

    def _wait(self, what: str, look: Callable[[], Job | None]) -> Job:
        try:
            return wait_for(what, look, PATIENCE_SECONDS)
        except LocalError as error:
            pods = ", ".join(f"{pod.name} {'ready' if pod.ready else 'not ready'}" for pod in self.flink.pods())
            raise LocalError(f"{self.setting}: {error}; pods: {pods}; job: {self.flink.job()}") from None

    def _pods_ready(self, task_managers: int) -> bool:
        pods = self.flink.pods()
        workers = [pod for pod in pods if pod.role == "taskmanager"]
        return len(workers) == task_managers and all(pod.ready and not pod.ending for pod in pods)

    def _worst_latency(self) -> int:
        """Return the worst latency of the records of one second, in ms."""
        window = _Window.begin(self.reader)
        time.sleep(_PROBE_SECONDS)
        inputs, outputs = window.read(self.reader)
        figures = measure.disturbance(inputs, outputs)
        if not figures.records:
            raise LocalError("no record arrives at the input: is Kafka still there?")
        return figures.latency_millis

    def _await_phase(self, job: Job, phase_millis: int) -> None:
        """Wait until `phase_millis` after a checkpoint began. Checkpoints begin at an even pace."""
        last = max(self.flink.checkpoints(job), default=_now())
        time.sleep((last + phase_millis - _now()) % (CHECKPOINT_SECONDS * 1000) / 1000)


def _restarts(before: list[Pod], after: list[Pod], target: str, *, fewer: bool) -> int:
    """Restarts of containers that nothing was done to; a pod that is gone counts, unless there should be fewer."""
    now = {pod.name: pod.restarts for pod in after}
    survivors = [pod for pod in before if pod.name != target]
    gone = sum(pod.name not in now for pod in survivors) - fewer
    return gone + sum(now[pod.name] - pod.restarts for pod in survivors if pod.name in now)


def _now() -> int:
    return int(time.time() * 1000)
