"""Samples of a cluster that scales itself, taken every few seconds, and their evaluation."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench.common.flink import Flink
from bench.common.topics import Reader
from cli.kube import field
from console.progress import LocalError

SAMPLE_SECONDS = 5.0
_REQUEST_SECONDS = 10.0
_STALE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One look: `seconds` since the beginning, rates in records per second since the look before, CPU in cores."""

    seconds: float
    phase: str
    load: float
    throughput: float
    lag: int
    """Records that the job has not committed; offsets are committed with checkpoints."""
    cpu: float
    """CPU of all TaskManagers together, as the autoscaler sees it."""
    wanted: int
    """TaskManagers that the autoscaler wants."""
    ready: int
    parallelism: int


class Sampler:
    """Looks at a cluster in a thread of its own while the block runs."""

    def __init__(self, flink: Flink, bootstrap: str, topics: tuple[str, str], group: str) -> None:
        self.samples: list[Sample] = []
        self.phase = ""
        self._flink, self._topics = flink, topics
        self._reader = Reader(bootstrap, committed=False)
        self._group = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 3})
        self._partitions = list(self._reader.ends(topics[0]))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_again, daemon=True)
        self._begin = time.monotonic()
        self._failed: Exception | None = None
        self._before: tuple[float, int, int] | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self._reader.close()
        self._group.close()

    def check(self) -> None:
        """Raise what ended the looking, if something did."""
        if self._failed:
            raise self._failed

    def _look_again(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            try:
                self._look()
            except (LocalError, OSError, KafkaException):
                continue  # there is no answer while the job restarts: the next look counts
            except Exception as error:
                self._failed = error
                raise

    def _look(self) -> None:
        flink, (source, sink) = self._flink, self._topics
        asked = [TopicPartition(source, n) for n in self._partitions]
        committed = self._group.committed(asked, timeout=_REQUEST_SECONDS)  # before the ends, which grow meanwhile
        ends, written = self._reader.ends(source), sum(self._reader.ends(sink).values())
        autoscaler = flink.at.get("horizontalpodautoscaler", f"{flink.name}-taskmanager")
        ready = sum(pod.ready for pod in flink.task_managers())
        job = flink.job()
        now, sent = time.monotonic(), sum(ends.values())
        then, sent_then, written_then = self._before or (now - SAMPLE_SECONDS, sent, written)
        self._before = (now, sent, written)
        self.samples.append(
            Sample(
                seconds=round(now - self._begin, 1),
                phase=self.phase,
                load=(sent - sent_then) / (now - then),
                throughput=(written - written_then) / (now - then),
                lag=sent - sum(max(partition.offset, 0) for partition in committed),
                cpu=_cores(autoscaler) * ready,
                wanted=field(autoscaler, "status", "desiredReplicas", default=0),
                ready=ready,
                parallelism=job.parallelism if job and job.running_millis else 0,
            )
        )


def _cores(autoscaler: dict[str, Any]) -> float:
    """Mean use of a TaskManager; 0 where the autoscaler knows none yet."""
    for metric in field(autoscaler, "status", "currentMetrics", default=[]):
        value = str(field(metric, "containerResource", "current", "averageValue", default="0"))
        return float(value.removesuffix("m")) / (1000 if value.endswith("m") else 1)
    return 0.0


def problems(samples: Sequence[Sample], *, minimum: int, shrinks: bool) -> list[str]:
    """Return what must not be: under the phases `low`, `high` and then `low again`, in which the load goes away."""
    found: list[str] = []
    high = [sample for sample in samples if sample.phase == "high"]
    if max((sample.parallelism for sample in high), default=0) <= minimum:
        found.append("the load did not make the job use more TaskManagers")
    elif high[-1].parallelism != high[-1].ready:
        found.append(f"{high[-1].ready} TaskManagers were ready in the end, and the job used {high[-1].parallelism}")
    # The autoscaler may still act on figures from before the load went away.
    settled = min((sample.seconds for sample in samples if sample.phase == "low again"), default=0) + _STALE_SECONDS
    for before, after in pairwise(sample for sample in samples if sample.wanted):  # at first it wants nothing yet
        change = after.wanted - before.wanted
        if change < 0 and after.phase != "low again":
            found.append(f"at {after.seconds:.0f} s, under load, {before.wanted} TaskManagers became {after.wanted}")
        if change > 0 and (after.phase == "low" or (after.phase == "low again" and after.seconds > settled)):
            found.append(f"at {after.seconds:.0f} s, without load, {before.wanted} TaskManagers became {after.wanted}")
        if change < -1:
            found.append(f"at {after.seconds:.0f} s {-change} TaskManagers left at once")
    if shrinks and samples and samples[-1].wanted != minimum:
        found.append(f"{samples[-1].wanted} TaskManagers were left in the end, and not {minimum}")
    return found
