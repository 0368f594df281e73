"""The most that topics may keep, and whether it fits the brokers' disks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from components.kafka.topic_rules import DEFAULT_SEGMENT_BYTES

_MIB = 1024 * 1024
_FOR_TOPICS = 0.9  # of a disk: the rest is for Kafka's own topics, indexes, and what the file system takes


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A topic's size: partitions, replicas, and its own configs by Kafka's names, all of them checked."""

    partitions: int
    replicas: int
    config: Mapping[str, str]

    @property
    def partition_bytes(self) -> int | None:
        """The most that one replica of a partition keeps, None if only time or the keys bound it.

        Segments are deleted whole, and never the one that is written to: one more of them than what is asked for.
        """
        kept = int(self.config.get("retention.bytes", -1))
        if kept < 0 or "delete" not in self.config.get("cleanup.policy", "delete"):
            return None
        return kept + int(self.config.get("segment.bytes", DEFAULT_SEGMENT_BYTES))

    @property
    def grows(self) -> bool:
        """Return whether nothing but time bounds it; compacted, it is as large as its keys."""
        return self.partition_bytes is None and "compact" not in self.config.get("cleanup.policy", "delete")

    def mib_of_broker(self, brokers: int) -> int:
        """The most that a broker keeps of it, in MiB, where replicas are spread evenly; 0 without a bound."""
        return math.ceil(self.partitions * self.replicas / brokers) * (self.partition_bytes or 0) // _MIB


def capacity_problem(topics: Mapping[str, Kept], *, brokers: int, storage_mib: int) -> str | None:
    """Return what is wrong with disks of this size, if the topics that have a bound may keep more than fits."""
    needed = {name: kept.mib_of_broker(brokers) for name, kept in topics.items()}
    room = int(storage_mib * _FOR_TOPICS)
    if (most := sum(needed.values())) <= room:
        return None
    largest = sorted(needed.items(), key=lambda each: -each[1])
    parts = ", ".join(f"{name} {mib}" for name, mib in largest[:5] if mib) + (", ..." if len(needed) > 5 else "")
    return (
        f"{storage_mib} has room for {room} MiB of topics (a tenth is for Kafka's own), and a broker may have to keep "
        f"{most} MiB of them ({parts}; of each replica retention.bytes and one more segment.bytes, by default 1 GiB): "
        f"raise storageMib to {math.ceil(most / _FOR_TOPICS)}, or lower retention.bytes, segment.bytes or partitions"
    )
