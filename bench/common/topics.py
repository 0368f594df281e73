"""Reading topics back with the broker's time stamps: when each record arrived."""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Self

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, Message, TopicPartition

from console.progress import LocalError

# The broker's clock stamps each record when it arrives, at input and output alike.
BROKER_TIME = {"message.timestamp.type": "LogAppendTime"}
Offsets = Mapping[int, int]
"""A position in a topic: partition -> offset."""
_REQUEST_SECONDS = 30.0
_STALL_SECONDS = 60.0
_MOST = 10_000


class Reader:
    """A consumer that reads any stretch of any topic; `committed` hides what no transaction has committed."""

    def __init__(self, bootstrap: str, *, committed: bool) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"bench-{uuid.uuid4()}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed" if committed else "read_uncommitted",
                "log_level": 3,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the brokers."""
        self._consumer.close()

    def ends(self, topic: str) -> Offsets:
        """Return where each partition ends now."""
        partitions = self._consumer.list_topics(topic, timeout=_REQUEST_SECONDS).topics[topic].partitions
        return {
            n: self._consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=_REQUEST_SECONDS)[1]
            for n in partitions
        }

    def read(self, topic: str, start: Offsets, end: Offsets) -> list[tuple[str, int]]:
        """Key and broker time (ms since 1970) of each record from start to end. Raises LocalError if it gets stuck."""
        found: list[tuple[str, int]] = []
        for message in self.messages(topic, start, end):
            kind, millis = message.timestamp()
            if kind != TIMESTAMP_LOG_APPEND_TIME:
                raise LocalError(f"the topic {topic} has no {BROKER_TIME}: its records cannot be measured")
            found.append(((message.key() or b"").decode(), millis))
        return found

    def messages(self, topic: str, start: Offsets, end: Offsets) -> Iterator[Message]:
        """Each record from start to end. Raises LocalError if it gets stuck."""
        left = {n for n in end if end[n] > start.get(n, 0)}
        self._consumer.assign([TopicPartition(topic, n, start.get(n, 0)) for n in left])
        deadline = time.monotonic() + _STALL_SECONDS
        while left:
            for message in self._consumer.consume(_MOST, timeout=0.2):
                n, offset = message.partition(), message.offset()
                error = message.error()
                if n is None or offset is None or (error and error.code() != KafkaError._PARTITION_EOF):
                    continue  # the client goes on by itself
                deadline = time.monotonic() + _STALL_SECONDS
                if offset + (0 if error else 1) >= end[n]:
                    left.discard(n)
                if not error and offset < end[n]:
                    yield message
            if time.monotonic() > deadline:
                raise LocalError(f"reading {topic}: no record for {_STALL_SECONDS:.0f} s, partitions left: {left}")
        self._consumer.unassign()
