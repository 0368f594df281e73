"""KafkaTopic: a topic as a resource of its own, so that a pull request shows which topic changes, and how.

A dynamic resource, see components/dynamic.py: the state has its provider by module and name.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
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
    UpdateResult,
)

from components.dynamic import Provider, say_once, user_errors
from components.kafka import topic_changes as changes
from components.kafka.admin import KafkaUnreachableError, PodConnection, Topics, topics
from components.kafka.topic_changes import Problems, Seen, TopicArgs, TopicError
from components.kafka.topic_rules import config_problems, name_problem
from components.secrets.mask import shown

__all__ = ["KafkaTopic", "TopicArgs", "TopicError", "TopicProvider"]

_KEEPS = "keepsReplicas"  # what the program says and check takes out: the engine never stores it


class KafkaTopic(Resource, module="kafka", name="Topic"):
    """A topic in Kafka.

    Partitions grow and configs change in place. What Kafka cannot do (fewer partitions), or not at once (more or fewer
    replicas), is refused at preview, which asks Kafka about each topic that it would change: a topic is never replaced
    for it. A topic that exists with these partitions and replicas, and configs that come to the same, is adopted, any
    other of that name is refused. Configs that others set are left alone.
    """

    topic: pulumi.Output[str]
    partitions: pulumi.Output[int]
    replicas: pulumi.Output[int]
    config: pulumi.Output[Mapping[str, str]]

    def __init__(self, name: str, args: TopicArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        keeps = {_KEEPS: True} if args.keeps_replicas else {}
        super().__init__(TopicProvider(), name, {**to_properties(args), **keeps}, opts)


class TopicProvider(Provider):
    """The dynamic provider that the engine calls, from any of four threads; see KafkaTopic."""

    def configure(self, req: ConfigureRequest) -> None:
        super().configure(req)
        self._away: set[PodConnection] = set()

    @user_errors
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        keeps = bool(news.pop(_KEEPS, False))
        if failures := problems(news):
            return _checked(news, failures)
        new, old = from_properties(news), from_properties(_olds) if _olds and not problems(_olds) else None
        old = old if old and old.same_topic(new) else None
        if keeps and old:
            new = changes.keep_replicas(new, old.state)
        if old and old.state == new.state:  # nothing of it changes in Kafka
            return _checked({**news, **to_properties(new)}, [])
        seen = self._look(new)
        if keeps and seen and seen.topic:
            new = changes.keep_replicas(new, seen.topic)
        if old:
            failures = changes.problems_of_change(old, new, seen)
        elif seen:
            failures = changes.problems_of_creation(new, seen)
            if seen.topic and not failures:
                say_once(f"the topic {new.topic} exists as it is asked for: it is adopted, not created")
        return _checked({**news, **to_properties(new)}, failures)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        old, new = from_properties(_olds), from_properties(_news)
        return DiffResult(changes=old != new, replaces=[] if old.same_topic(new) else ["topic"])

    @user_errors
    def create(self, props: dict[str, Any]) -> CreateResult:
        args = from_properties(props)
        with self._topics(args) as kafka:
            changes.create(kafka, args)
        return CreateResult(args.topic, to_properties(args))

    @user_errors
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        with self._topics(from_properties(props)) as kafka:
            args = changes.read(kafka, from_properties(props))
        if args is None:
            return ReadResult(None, {})
        return ReadResult(id_, to_properties(args), to_properties(args))

    @user_errors
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        args = from_properties(_news)
        with self._topics(args) as kafka:
            changes.update(kafka, from_properties(_olds), args)
        return UpdateResult(to_properties(args))

    @user_errors
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        args = from_properties(_props)
        try:
            with self._topics(args) as kafka:
                changes.delete(kafka, args)
        except KafkaUnreachableError as error:
            raise KafkaUnreachableError(
                f"{error}; if this Kafka is gone for good, take its topics out of the state with `pulumi state delete`"
            ) from error

    def _topics(self, args: TopicArgs) -> AbstractContextManager[Topics]:
        return topics(args.connection, self._setting)

    def _look(self, args: TopicArgs) -> Seen | None:
        """Return what Kafka has of a topic that is to change, or None if Kafka cannot be asked, which is reported
        once."""
        brokers = replace(args.connection, credentials="")
        if brokers in self._away:
            return None
        try:
            with self._topics(args) as kafka:
                return changes.look(kafka, args.topic)
        except KafkaUnreachableError as error:
            self._away.add(brokers)
            say_once(f"{error}: topics that change were compared with Pulumi's state alone")
            return None


def _checked(inputs: dict[str, Any], failures: Problems) -> CheckResult:
    return CheckResult(inputs, [CheckFailure(name, reason) for name, reason in failures])


def to_properties(args: TopicArgs) -> dict[str, Any]:
    """Return what the engine stores of a topic."""
    return {
        "topic": args.topic,
        "partitions": args.partitions,
        "replicas": args.replicas,
        "config": dict(args.config),
        "connection": args.connection.to_properties(),
    }


def from_properties(properties: Mapping[str, Any]) -> TopicArgs:
    """The topic that the engine stored; its numbers come back as floats."""
    if "connection" not in properties:
        raise TopicError(
            "a topic cannot be imported: write it into the stack file, then the one that exists is adopted"
        )
    return TopicArgs(
        topic=properties["topic"],
        partitions=int(properties["partitions"]),
        replicas=int(properties["replicas"]),
        config=dict(properties["config"]),
        connection=PodConnection.from_properties(properties["connection"]),
    )


def problems(properties: Mapping[str, Any]) -> Problems:
    """Return what is wrong with a topic's properties in themselves: the property, and value, bound and remedy."""
    topic, config = properties["topic"], properties["config"]
    brokers = properties["connection"]["brokers"]
    found: Problems = []
    if problem := name_problem(topic) if isinstance(topic, str) else f"{topic!r} is not a text: write it in quotes":
        found.append(("topic", problem))
    if not _is_count(properties["partitions"]):
        found.append(("partitions", f"{properties['partitions']!r} is not a whole number from 1"))
    if not _is_count(properties["replicas"]) or properties["replicas"] > brokers:
        found.append(("replicas", f"{properties['replicas']!r} is not a whole number from 1 to {brokers:g} (brokers)"))
    texts = {name: value for name, value in config.items() if isinstance(value, str)}
    for name in config.keys() - texts.keys():
        found.append(("config", f"{name}: {shown(name, config[name])} is not a text: write it in quotes"))
    return [*found, *(("config", f"{name}: {problem}") for name, problem in config_problems(texts))]


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 1 and value == int(value)
