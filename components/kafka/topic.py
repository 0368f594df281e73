"""KafkaTopic: a topic as a resource of its own, so that a pull request shows which topic changes, and how.

A dynamic resource: create, read, update and delete run in a process of their own, started by the engine, where the
program does not run. The provider is pickled by reference (module and name of its class), so that state from an older
version works with newer code, as long as `components.kafka.topic.TopicProvider` keeps its name.
"""

import logging
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from components.kafka.admin import (
    KafkaRefusalError,
    KafkaUnreachableError,
    PodConnection,
    Topics,
    TopicState,
    topics,
)
from components.kafka.topic_rules import config_problems, name_problem

_DELETED_SECONDS = 60.0  # for brokers to forget a deleted topic


class TopicError(Exception):
    """What a user can do something about: the message says what. Shown without a traceback."""


@dataclass(frozen=True, kw_only=True)
class TopicArgs:
    """A topic: its name in Kafka, partitions, replicas (brokers that hold a copy), own configs by Kafka's names."""

    topic: str
    partitions: int
    replicas: int
    config: Mapping[str, str]
    connection: PodConnection


class KafkaTopic(Resource, module="kafka", name="Topic"):
    """A topic in Kafka.

    Partitions grow and configs change in place. What Kafka cannot do (fewer partitions), or not at once (more or fewer
    replicas), is refused at preview: a topic is never replaced for it. A topic that exists with exactly these
    partitions, replicas and configs is adopted, any other of that name is refused. Configs that others set are left
    alone.
    """

    topic: pulumi.Output[str]
    partitions: pulumi.Output[int]
    replicas: pulumi.Output[int]
    config: pulumi.Output[Mapping[str, str]]

    def __init__(self, name: str, args: TopicArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(TopicProvider(), name, to_properties(args), opts)


class TopicProvider(ResourceProvider):
    """What the engine calls, each time in any of four threads; see KafkaTopic.

    Raises TopicError, KafkaUnreachableError or KafkaRefusalError.
    """

    serialize_as_secret_always = False  # there is no secret in a name

    def configure(self, req: ConfigureRequest) -> None:
        self._setting: str | None = req.config.get("kubeconfig")
        logging.getLogger("grpc._server").addFilter(_is_unexpected)

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        failures = problems(news) or problems_of_change(_olds, news)
        return CheckResult(news, [CheckFailure(name, reason) for name, reason in failures])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        old, new = from_properties(_olds), from_properties(_news)
        return DiffResult(changes=old != new, replaces=[] if _same_topic(old, new) else ["topic"])

    def create(self, props: dict[str, Any]) -> CreateResult:
        args = from_properties(props)
        with self._topics(args) as kafka:
            create(kafka, args)
        return CreateResult(args.topic, to_properties(args))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        with self._topics(from_properties(props)) as kafka:
            args = read(kafka, from_properties(props))
        if args is None:
            return ReadResult(None, {})
        return ReadResult(id_, to_properties(args), to_properties(args))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        args = from_properties(_news)
        with self._topics(args) as kafka:
            update(kafka, from_properties(_olds), args)
        return UpdateResult(to_properties(args))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        args = from_properties(_props)
        try:
            with self._topics(args) as kafka:
                delete(kafka, args)
        except KafkaUnreachableError as error:
            raise KafkaUnreachableError(
                f"{error}; if this Kafka is gone for good, take its topics out of the state with `pulumi state delete`"
            ) from error

    def _topics(self, args: TopicArgs) -> AbstractContextManager[Topics]:
        return topics(args.connection, self._setting)


def _is_unexpected(record: logging.LogRecord) -> bool:
    """Keep tracebacks of errors that say what to do out of the log: the engine shows their message."""
    return not (
        record.exc_info and isinstance(record.exc_info[1], TopicError | KafkaUnreachableError | KafkaRefusalError)
    )


def to_properties(args: TopicArgs) -> dict[str, Any]:
    """What the engine stores of a topic."""
    connection = args.connection
    return {
        "topic": args.topic,
        "partitions": args.partitions,
        "replicas": args.replicas,
        "config": dict(args.config),
        "connection": {
            "namespace": connection.namespace,
            "statefulSet": connection.stateful_set,
            "brokers": connection.brokers,
            "adminPort": connection.admin_port,
            "credentials": connection.credentials,
        },
    }


def from_properties(properties: Mapping[str, Any]) -> TopicArgs:
    """The topic that the engine stored; its numbers come back as floats."""
    connection = properties["connection"]
    return TopicArgs(
        topic=properties["topic"],
        partitions=int(properties["partitions"]),
        replicas=int(properties["replicas"]),
        config=dict(properties["config"]),
        connection=PodConnection(
            namespace=connection["namespace"],
            stateful_set=connection["statefulSet"],
            brokers=int(connection["brokers"]),
            admin_port=int(connection["adminPort"]),
            credentials=connection["credentials"],
        ),
    )


def problems(properties: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with a topic's properties in themselves: the property, and value, bound and remedy."""
    topic, config = properties["topic"], properties["config"]
    brokers = properties["connection"]["brokers"]
    found: list[tuple[str, str]] = []
    if problem := name_problem(topic) if isinstance(topic, str) else f"{topic!r} is not a text: write it in quotes":
        found.append(("topic", problem))
    if not _is_count(properties["partitions"]):
        found.append(("partitions", f"{properties['partitions']!r} is not a whole number from 1"))
    if not _is_count(properties["replicas"]) or properties["replicas"] > brokers:
        found.append(("replicas", f"{properties['replicas']!r} is not a whole number from 1 to {brokers:g} (brokers)"))
    texts = {name: value for name, value in config.items() if isinstance(value, str)}
    for name in config.keys() - texts.keys():
        found.append(("config", f"{name}: {config[name]!r} is not a text: write it in quotes"))
    return [*found, *(("config", f"{name}: {problem}") for name, problem in config_problems(texts))]


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 1 and value == int(value)


def problems_of_change(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What of a change Kafka cannot do to a topic that exists, and that a replacement must not be the answer to."""
    if not olds or problems(olds):
        return []
    old, new = from_properties(olds), from_properties(news)
    if not _same_topic(old, new):
        return []
    found: list[tuple[str, str]] = []
    if new.partitions < old.partitions:
        found.append(("partitions", _cannot_shrink(old.partitions, new.partitions)))
    if new.replicas != old.replicas:
        found.append(
            (
                "replicas",
                f"{old.replicas} cannot become {new.replicas} here, and nothing was changed: move the replicas with "
                "kafka-reassign-partitions.sh, then run pulumi refresh",
            )
        )
    return found


def _cannot_shrink(partitions: int, asked: int) -> str:
    return (
        f"Kafka cannot take partitions away ({partitions} to {asked}), and the topic is not deleted for it: set "
        f"{partitions}, or make a new topic and move the records"
    )


def _same_topic(old: TopicArgs, new: TopicArgs) -> bool:
    return (old.topic, old.connection.namespace, old.connection.stateful_set) == (
        new.topic,
        new.connection.namespace,
        new.connection.stateful_set,
    )


def create(kafka: Topics, args: TopicArgs) -> None:
    """Create the topic, or adopt the one that an interrupted run left (or somebody made) exactly so."""
    asked = TopicState(partitions=args.partitions, replicas=args.replicas, config=args.config)
    if kafka.create(args.topic, asked):
        return
    found = kafka.describe(args.topic)
    if found is None:
        raise TopicError(f"the topic {args.topic} is being deleted: run it again in a minute")
    different = [
        f"{name} {getattr(found, name)} (asked: {getattr(asked, name)})"
        for name in ("partitions", "replicas")
        if getattr(found, name) != getattr(asked, name)
    ]
    different += [
        f"{name} {found.config.get(name, 'default')} (asked: {asked.config.get(name, 'default')})"
        for name in sorted({*found.config, *asked.config})
        if not _same_value(found.config.get(name), asked.config.get(name))
    ]
    if different:
        raise TopicError(
            f"the topic {args.topic} exists, and differs: {', '.join(different)}. Ask for what it has, then it is "
            "adopted, and change it after that; or delete it in Kafka"
        )
    print(f"the topic {args.topic} existed exactly as asked for: adopted", file=sys.stderr)  # shown by the engine


def read(kafka: Topics, args: TopicArgs) -> TopicArgs | None:
    """The topic as Kafka has it, None if it is gone; of its configs, those that are ours."""
    found = kafka.describe(args.topic)
    if found is None:
        return None
    config = {
        name: value if _same_value(value, found.config[name]) else found.config[name]
        for name, value in args.config.items()
        if name in found.config
    }
    return replace(args, partitions=found.partitions, replicas=found.replicas, config=config)


def update(kafka: Topics, old: TopicArgs, new: TopicArgs) -> None:
    """Bring the topic to what is asked for now, from whatever it is: an interrupted update can be repeated."""
    found = kafka.describe(new.topic)
    if found is None:
        raise TopicError(f"the topic {new.topic} was deleted in Kafka: run pulumi refresh, then it is created again")
    if new.partitions < found.partitions:
        raise TopicError(_cannot_shrink(found.partitions, new.partitions))
    if new.partitions > found.partitions:
        kafka.grow(new.topic, new.partitions)
    changes: dict[str, str | None] = {
        name: None for name in old.config if name in found.config and name not in new.config
    }
    changes |= {name: value for name, value in new.config.items() if not _same_value(value, found.config.get(name))}
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


def _same_value(one: str | None, other: str | None) -> bool:
    """Whether two values of a config mean the same: Kafka gives lists and booleans back in its own spelling."""

    def plain(value: str | None) -> str | None:
        return None if value is None else "".join(value.split()).lower()

    return plain(one) == plain(other)
