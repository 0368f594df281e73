"""Changes of topics in Kafka: which are possible, and how they are made. Pure, except for the Topics that are passed
in."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from components.dynamic import UserError
from components.kafka.admin import PodConnection, Topics, TopicState
from components.kafka.topic_rules import collision

_DELETED_SECONDS = 60.0  # for brokers to forget a deleted topic
_IN_SYNC = "min.insync.replicas"

Problems = list[tuple[str, str]]
"""Properties, and what is wrong with each."""


class TopicError(UserError):
    """A topic is not what it would have to be. The message says what to do."""


@dataclass(frozen=True, kw_only=True)
class TopicArgs:
    """A topic: its name in Kafka, partitions, replicas (brokers that hold a copy), own configs by Kafka's names.

    One that `keeps_replicas` asks for as many as a new topic would get, and for those that it has where it is there.
    """

    topic: str
    partitions: int
    replicas: int
    config: Mapping[str, str]
    connection: PodConnection
    keeps_replicas: bool = False

    @property
    def state(self) -> TopicState:
        """Return what Kafka would have of it."""
        return TopicState(partitions=self.partitions, replicas=self.replicas, config=self.config)

    def same_topic(self, other: "TopicArgs") -> bool:
        """Return whether both are about the same topic of the same Kafka."""
        one, two = self.connection, other.connection
        same_kafka = (one.namespace, one.stateful_set) == (two.namespace, two.stateful_set)
        return self.topic == other.topic and same_kafka


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Kafka's view: the topic, or None if it does not exist, and the names of all topics."""

    topic: TopicState | None
    names: Sequence[str]


def look(kafka: Topics, topic: str) -> Seen:
    """Ask Kafka."""
    names = {name for held in kafka.placement().values() for name in held}
    return Seen(topic=kafka.describe(topic) if topic in names else None, names=sorted(names))


def keep_replicas(args: TopicArgs, has: TopicState) -> TopicArgs:
    """The same topic with the replicas that it has: their number follows the brokers only where a topic is new."""
    config = dict(args.config)
    if _IN_SYNC in config and _IN_SYNC in has.config:
        config[_IN_SYNC] = has.config[_IN_SYNC]
    return replace(args, replicas=has.replicas, config=config)


def problems_of_creation(new: TopicArgs, seen: Seen) -> Problems:
    """Return why a topic cannot be created, and the one that is there not be adopted."""
    if seen.topic is None:
        other = collision(new.topic, seen.names)
        text = f"{new.topic}: Kafka has the topic {other}, whose name is the same to it: choose another name"
        return [("topic", text)] if other else []
    return [("topic", _refused(new, different))] if (different := differences(seen.topic, new)) else []


def problems_of_change(old: TopicArgs, new: TopicArgs, seen: Seen | None) -> Problems:
    """Return the changes to an existing topic that Kafka cannot make: a replacement would delete its records.

    `seen` is None where Kafka could not be asked: then `old`, what the last update left, has to do.
    """
    if seen and seen.topic is None:
        return [("topic", _gone(new.topic))]
    has = seen.topic if seen and seen.topic else old.state
    found: Problems = []
    if new.partitions < has.partitions:
        found.append(("partitions", _cannot_shrink(new, has.partitions, old.partitions)))
    if new.replicas != has.replicas:
        others = "" if has.replicas == old.replicas else f" (changed from {old.replicas} outside of Pulumi)"
        text = (
            f"{new.topic} has {has.replicas}{others}, which cannot become {new.replicas} here: set {has.replicas}, or "
            "move the replicas with kafka-reassign-partitions.sh first, then the same change is accepted"
        )
        found.append(("replicas", text))
    return found


def differences(has: TopicState, asked: TopicArgs) -> list[tuple[str, str, str]]:
    """Return how a topic differs from what is asked for, by effective values: the name, the present value, the
    requested value."""
    found = [
        (name, str(one), str(other))
        for name, one, other in (
            ("partitions", has.partitions, asked.partitions),
            ("replicas", has.replicas, asked.replicas),
        )
        if one != other
    ]
    wanted = {**{name: has.defaults.get(name, "default") for name in has.config}, **asked.config}
    for name, value in sorted(wanted.items()):
        effective = has.effective.get(name, "default")
        if not same_value(effective, value):
            found.append((name, effective, value))
    return found


def _refused(args: TopicArgs, different: Sequence[tuple[str, str, str]]) -> str:
    numbers = [f"{name}: {has}" for name, has, _ in different if name in ("partitions", "replicas")]
    retention = [f"retentionMillis: {has}" for name, has, _ in different if name == "retention.ms"]
    named = (*("partitions", "replicas"), "retention.ms")
    config = ", ".join(f"{name}: {has!r}" for name, has, _ in different if name not in named)
    as_it_is = ", ".join([*numbers, *retention, *([f"config: {{{config}}}"] if config else [])])
    return (
        f"the topic {args.topic} exists, and differs: "
        + ", ".join(f"{name} {has} (asked: {asked})" for name, has, asked in different)
        + f". To take it over as it is, ask for it so: {as_it_is}; once it is taken over, change it. Or bring it in "
        "Kafka to what is asked for (kafka-configs.sh, kafka-topics.sh --alter)"
    )


def _cannot_shrink(new: TopicArgs, has: int, known: int) -> str:
    others = f": some were added outside of Pulumi, the last update left {known}" if has != known else ""
    return (
        f"{new.topic} has {has} partitions{others}. Kafka cannot remove partitions ({has} to {new.partitions}), and "
        f"the topic is not deleted for it: set {has}, or create a new topic and move the records"
    )


def _gone(topic: str) -> str:
    return f"the topic {topic} was deleted in Kafka: run pulumi refresh, then it is created again"


def create(kafka: Topics, args: TopicArgs) -> None:
    """Create the topic, or adopt one that exists with the same effective settings, as an interrupted run leaves it."""
    if kafka.create(args.topic, args.state):
        return
    found = kafka.describe(args.topic)
    if found is None:
        raise TopicError(f"the topic {args.topic} is being deleted: run it again in a minute")
    if different := differences(found, args):
        raise TopicError(_refused(args, different))
    # What is the default in effect becomes its own, so that it stays when the default changes.
    if missing := {name: value for name, value in args.config.items() if name not in found.config}:
        kafka.alter(args.topic, missing)
    print(f"the topic {args.topic} existed as it is asked for: adopted", file=sys.stderr)  # shown by the engine


def read(kafka: Topics, args: TopicArgs) -> TopicArgs | None:
    """The topic as Kafka has it, None if it is gone; of its configs, what is in effect of those that are ours."""
    found = kafka.describe(args.topic)
    if found is None:
        return None
    config = {
        name: value if same_value(value, found.effective[name]) else found.effective[name]
        for name, value in args.config.items()
        if name in found.effective
    }
    return replace(args, partitions=found.partitions, replicas=found.replicas, config=config)


def update(kafka: Topics, old: TopicArgs, new: TopicArgs) -> None:
    """Bring the topic to what is asked for now, from whatever it is: an interrupted update can be repeated."""
    found = kafka.describe(new.topic)
    if found is None:
        raise TopicError(_gone(new.topic))
    if new.partitions < found.partitions:
        raise TopicError(_cannot_shrink(new, found.partitions, old.partitions))
    if new.partitions > found.partitions:
        kafka.grow(new.topic, new.partitions)
    changes: dict[str, str | None] = {
        name: None for name in old.config if name in found.config and name not in new.config
    }
    changes |= {name: value for name, value in new.config.items() if not same_value(value, found.config.get(name))}
    if changes:
        kafka.alter(new.topic, changes)


def delete(kafka: Topics, args: TopicArgs) -> None:
    """Delete the topic, and return when it is gone; one that is gone already is fine."""
    if not kafka.delete(args.topic):
        return
    deadline = time.monotonic() + _DELETED_SECONDS
    while kafka.describe(args.topic) is not None:
        if time.monotonic() > deadline:
            raise TopicError(
                f"Kafka still has the topic {args.topic} {_DELETED_SECONDS:.0f} seconds after its deletion"
            )
        time.sleep(0.1)


def same_value(one: str | None, other: str | None) -> bool:
    """Return whether two values of a config mean the same: Kafka gives lists and booleans back in its own spelling."""

    def plain(value: str | None) -> str | None:
        return None if value is None else "".join(value.split()).lower()

    return plain(one) == plain(other)
