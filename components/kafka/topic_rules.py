"""The topics that Kafka 4.1 accepts: names, and the names and values of their configs.

They are known here, so that settings and previews refuse what the broker would otherwise refuse in the middle of an
update. The table is compared with Kafka's own code in tests/integration/test_topic_oracle.py. Each problem is one text:
the value, its bound, the remedy.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
INTERNAL_TOPICS = ("__cluster_metadata", "__consumer_offsets", "__share_group_state", "__transaction_state")

DEFAULT_SEGMENT_BYTES = 1024 * 1024 * 1024  # segment.bytes
_INT, _LONG = 2**31 - 1, 2**63 - 1


class _Kind(Protocol):
    """The form of a config's values."""

    def problem(self, value: str) -> str | None: ...


@dataclass(frozen=True)
class Whole:
    """A whole number within bounds; `also` is one that is outside them and has a meaning of its own."""

    least: int
    most: int = _LONG
    also: int | None = None

    def problem(self, value: str) -> str | None:
        number = int(value) if re.fullmatch(r"[+-]?[0-9]{1,40}", value) else None
        if number is not None and (self.least <= number <= self.most or number == self.also):
            return None
        other = "" if self.also is None else f", or {self.also}"
        return f"{value!r} is not a whole number from {self.least} to {self.most}{other}: write one"


@dataclass(frozen=True)
class Fraction:
    """A decimal number from 0 to 1."""

    def problem(self, value: str) -> str | None:
        number = float(value) if re.fullmatch(r"[0-9]{1,40}(\.[0-9]{0,40})?(e-?[0-9]{1,2})?", value) else None
        return None if number is not None and number <= 1 else f"{value!r} is not a number from 0 to 1: write one"


@dataclass(frozen=True)
class OneOf:
    """Exactly one of some words."""

    words: tuple[str, ...]

    def problem(self, value: str) -> str | None:
        return None if value in self.words else f"{value!r} is not one of {', '.join(self.words)}: use one of those"


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def problem(self, value: str) -> str | None:
        return None if value.lower() in ("true", "false") else f"{value!r} is neither true nor false: use one of those"


@dataclass(frozen=True)
class Words:
    """Some of some words, separated by commas."""

    words: tuple[str, ...]

    def problem(self, value: str) -> str | None:
        given = re.split(r"\s*,\s*", value)
        if set(given) <= set(self.words) and len(set(given)) == len(given):
            return None
        return f"{value!r} is not {' or '.join(self.words)}, or both with a comma between: use one of those"


@dataclass(frozen=True)
class Throttled:
    """Replicas: pairs of partition and broker, or a star for all."""

    def problem(self, value: str) -> str | None:
        if value == "*" or re.fullmatch(r"[0-9]{1,9}:[0-9]{1,9}(\s*,\s*[0-9]{1,9}:[0-9]{1,9})*", value):
            return None
        return f"{value!r} is neither * nor pairs such as 0:1,2:0 (partition:broker): write one of those"


CONFIGS: Mapping[str, _Kind] = {
    "cleanup.policy": Words(("compact", "delete")),
    "compression.gzip.level": Whole(1, 9, also=-1),
    "compression.lz4.level": Whole(1, 17),
    "compression.type": OneOf(("producer", "uncompressed", "gzip", "lz4", "snappy", "zstd")),
    "compression.zstd.level": Whole(-131072, 22),
    "delete.retention.ms": Whole(0),
    "file.delete.delay.ms": Whole(0),
    "flush.messages": Whole(1),
    "flush.ms": Whole(0),
    "follower.replication.throttled.replicas": Throttled(),
    "index.interval.bytes": Whole(0, _INT),
    "leader.replication.throttled.replicas": Throttled(),
    "local.retention.bytes": Whole(-2),
    "local.retention.ms": Whole(-2),
    "max.compaction.lag.ms": Whole(1),
    "max.message.bytes": Whole(0, _INT),
    "message.timestamp.after.max.ms": Whole(0),
    "message.timestamp.before.max.ms": Whole(0),
    "message.timestamp.type": OneOf(("CreateTime", "LogAppendTime")),
    "min.cleanable.dirty.ratio": Fraction(),
    "min.compaction.lag.ms": Whole(0),
    "min.insync.replicas": Whole(1, _INT),
    "preallocate": Flag(),
    "remote.log.copy.disable": Flag(),
    "remote.log.delete.on.disable": Flag(),
    "remote.storage.enable": Flag(),
    "retention.bytes": Whole(-1),  # Kafka takes any negative number for no bound
    "retention.ms": Whole(-1),
    "segment.bytes": Whole(1024 * 1024, _INT),
    "segment.index.bytes": Whole(4, _INT),
    "segment.jitter.ms": Whole(0),
    "segment.ms": Whole(1),
    "unclean.leader.election.enable": Flag(),
}


def name_problem(name: str) -> str | None:
    """Return what is wrong with a topic's name."""
    if not _NAME.fullmatch(name) or name in (".", ".."):
        return (
            f"topic name {name!r} ({len(name)} characters) is not Kafka's: use at most 249 letters, digits, dots, "
            "dashes and underscores, at least one, and not dots alone"
        )
    if name in INTERNAL_TOPICS:
        return (
            f"topic name {name!r} is one of Kafka's own topics, whose offsets or transactions would be lost with it: "
            "take it out, or choose another name"
        )
    return None


def collision(name: str, others: Iterable[str]) -> str | None:
    """Return which of the other topics collides with a topic: in the names of metrics, Kafka replaces a dot by an
    underscore."""

    def plain(each: str) -> str:
        return each.replace(".", "_")

    return next((other for other in others if other != name and plain(other) == plain(name)), None)


def config_problems(config: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a topic's configs: the name of each, and what it is."""
    wrong = {name: text for name, value in config.items() if (text := _problem(name, value))}
    yield from wrong.items()
    least, most = (f"{which}.compaction.lag.ms" for which in ("min", "max"))
    readable = config.keys() - wrong.keys()
    if {least, most} <= readable and int(config[least]) > int(config[most]):
        yield least, f"{config[least]} is above {most}, {config[most]}: lower it, or raise that"


def _problem(name: str, value: str) -> str | None:
    if kind := CONFIGS.get(name):
        if name == "remote.storage.enable" and value.lower() == "true":
            return f"{value!r}: the brokers have no remote storage: take it out"
        return kind.problem(value)
    close = get_close_matches(name, CONFIGS, n=1)
    advice = f"did you mean {close[0]}?" if close else f"use one of {', '.join(CONFIGS)}"
    return f"Kafka knows no topic config {name!r}: {advice}"
