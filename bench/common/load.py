"""Load: records at an even rate, from a process of its own, so that nothing a harness does makes it stumble."""

import multiprocessing
import os
import signal
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any, Self

from confluent_kafka import Producer

from cli import prove
from console.progress import LocalError

BATCH_SECONDS = 0.005
_START_SECONDS = 60.0


class Load:
    """Claims `<run>-<n>` for the reference job, n counting up, at `rate` records per second while the block runs."""

    def __init__(self, bootstrap: str, topic: str, directory: str, rate: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.run = uuid.uuid4().hex[:8]
        self._stop = spawn.Event()
        self._sending = spawn.Event()
        self._stall: Any = spawn.Value("d", 0.0)
        self._process = spawn.Process(
            target=_produce,
            args=(_Work(bootstrap, topic, directory, rate, self.run), self._stop, self._sending, self._stall),
            daemon=True,
        )

    def __enter__(self) -> Self:
        self._process.start()
        if not self._sending.wait(_START_SECONDS):
            self._process.kill()
            raise LocalError("the load generator did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._process.join(10)
        self._process.kill()
        self._process.join()

    def worst_stall_millis(self) -> int:
        """Return how late the generator was at worst since this was last asked. Raises LocalError if it died."""
        if not self._process.is_alive():
            raise LocalError("the load generator died: is Kafka still there?")
        with self._stall.get_lock():
            worst, self._stall.value = self._stall.value, 0.0
        return round(worst * 1000)


@dataclass(frozen=True)
class _Work:
    bootstrap: str
    topic: str
    directory: str
    rate: int
    run: str


def _produce(work: _Work, stop: Event, sending: Event, stall: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is for the harness, which ends this
    with suppress(PermissionError):
        os.nice(-10)  # few CPUs: the load must not depend on what else they do
    parent = multiprocessing.parent_process()
    producer = Producer(
        {
            "bootstrap.servers": work.bootstrap,
            "enable.idempotence": True,
            "linger.ms": BATCH_SECONDS * 1000,
            "message.timeout.ms": 600_000,
            "log_level": 3,
        }
    )
    n = 0
    start = time.monotonic()
    while not stop.is_set() and parent is not None and parent.is_alive():
        due = int((time.monotonic() - start) * work.rate)
        late = (due - n) / work.rate - BATCH_SECONDS
        with stall.get_lock():
            stall.value = max(stall.value, late)
        for _ in range(n, due):
            key, value = prove.claim(work.run, work.directory, n)
            producer.produce(work.topic, value, key)
            n += 1
        producer.poll(0)
        if not sending.is_set():
            producer.flush(_START_SECONDS)  # the first connection takes some time, and is no stall
            sending.set()
            start = time.monotonic() - n / work.rate
        time.sleep(BATCH_SECONDS)
    producer.flush(5)
