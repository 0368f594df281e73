"""KafkaTopic against a Kafka in memory. A real one: tests/integration."""

import base64
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from pulumi.dynamic import Config, ConfigureRequest

from components import dynamic
from components.kafka import topic as module
from components.kafka import topic_changes
from components.kafka.admin import KafkaRefusalError, KafkaUnreachableError, PodConnection, TopicState
from components.kafka.topic import (
    KafkaTopic,
    TopicArgs,
    TopicError,
    TopicProvider,
    from_properties,
    problems,
    to_properties,
)
from tests.unit.recording import record

CONNECTION = PodConnection(
    namespace="dev", stateful_set="kafka", brokers=3, admin_port=19092, credentials="stack:organization/p/cluster"
)
ORDERS = TopicArgs(topic="orders", partitions=3, replicas=2, config={"retention.ms": "86400000"}, connection=CONNECTION)


DEFAULTS = {
    "cleanup.policy": "delete",
    "flush.ms": "9223372036854775807",
    "max.message.bytes": "1048588",
    "min.insync.replicas": "1",
    "retention.ms": "604800000",
    "segment.ms": "604800000",
}


@dataclass
class FakeKafka:
    """Topics in memory. `lingering` is how often a deleted topic is still described."""

    topics: dict[str, TopicState] = field(default_factory=dict[str, TopicState])
    calls: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    lingering: int = 0
    fails: dict[str, Exception] = field(default_factory=dict[str, Exception])

    def _called(self, name: str, *arguments: object) -> None:
        self.calls.append((name, *arguments))
        if name in self.fails:
            raise self.fails[name]

    def placement(self) -> Mapping[int, list[str]]:
        self._called("placement")
        return {broker: sorted(self.topics) for broker in range(3)}

    def describe(self, topic: str) -> TopicState | None:
        found = self._found(topic)
        return found and replace(found, effective={**DEFAULTS, **found.config}, defaults=DEFAULTS)

    def _found(self, topic: str) -> TopicState | None:
        if topic in self.topics and self.topics[topic].partitions == 0:
            self.lingering -= 1
            return self.topics[topic] if self.lingering >= 0 else None
        return self.topics.get(topic)

    def create(self, topic: str, state: TopicState) -> bool:
        self._called("create", topic)
        return self.topics.setdefault(topic, state) is state

    def grow(self, topic: str, partitions: int) -> None:
        self._called("grow", partitions)
        self.topics[topic] = replace(self.topics[topic], partitions=partitions)

    def alter(self, topic: str, changes: Mapping[str, str | None]) -> None:
        self._called("alter", dict(changes))
        config = {**self.topics[topic].config, **changes}
        kept = {name: value for name, value in config.items() if value is not None}
        self.topics[topic] = replace(self.topics[topic], config=kept)

    def delete(self, topic: str) -> bool:
        self._called("delete", topic)
        if topic not in self.topics:
            return False
        self.topics[topic] = TopicState(partitions=0, replicas=0, config={})
        return True


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> FakeKafka:
    fake = FakeKafka()
    waits: list[float] = []

    @contextmanager
    def topics(connection: PodConnection, setting: str | None) -> Generator[FakeKafka]:
        fake.calls.append(("connect", connection.credentials, setting))
        if "connect" in fake.fails:
            raise fake.fails["connect"]
        yield fake

    monkeypatch.setattr(module, "topics", topics)
    monkeypatch.setattr(dynamic, "_shown", set[str]())
    monkeypatch.setattr(topic_changes.time, "sleep", waits.append)
    return fake


@pytest.fixture
def provider() -> TopicProvider:
    provider = TopicProvider()
    provider.configure(ConfigureRequest(Config({"streaming-platform:kubeconfig": "text"}, "streaming-platform")))
    return provider


def stored(args: TopicArgs) -> dict[str, Any]:
    """Properties as the engine hands them to a provider: with its own key, and numbers as floats."""
    properties = to_properties(args)
    numbers = {name: float(properties[name]) for name in ("partitions", "replicas")}
    connection = {**properties["connection"], "brokers": float(args.connection.brokers), "adminPort": 19092.0}
    return {**properties, **numbers, "connection": connection, "__provider": "x"}


def test_registers_plain_properties_and_a_provider_by_reference() -> None:
    topic = record(lambda: KafkaTopic("orders", ORDERS)).one("Topic", "orders")
    assert topic.type == "pulumi-python:dynamic/kafka:Topic"
    pickled = base64.b64decode(topic.inputs.pop("__provider"))
    # Old state must find the class, and a changed line of code must not show as a change of every topic.
    assert b"components.kafka.topic" in pickled
    assert b"TopicProvider" in pickled
    assert len(pickled) < 80
    assert topic.inputs == {
        "topic": "orders",
        "partitions": 3,
        "replicas": 2,
        "config": {"retention.ms": "86400000"},
        "connection": {
            "namespace": "dev",
            "statefulSet": "kafka",
            "brokers": 3,
            "adminPort": 19092,
            "credentials": "stack:organization/p/cluster",
        },
    }


def test_properties_survive_a_round_trip() -> None:
    assert from_properties(stored(ORDERS)) == ORDERS


@pytest.mark.parametrize("name", ["a", "a.b_c-D9", "x" * 249])
def test_legal_names(name: str) -> None:
    assert problems(stored(replace(ORDERS, topic=name))) == []


ILLEGAL = ["", ".", "..", "a b", "a/b", "é", "x" * 250, "a\n", None, 3, "__consumer_offsets", "__transaction_state"]


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_names(name: Any) -> None:
    [(where, reason)] = problems(stored(replace(ORDERS, topic=name)))
    assert where == "topic"
    assert repr(name) in reason


@pytest.mark.parametrize(
    ("change", "where", "reason"),
    [
        ({"partitions": 0.0}, "partitions", "0.0 is not a whole number from 1"),
        ({"partitions": 1.5}, "partitions", "1.5 is not a whole number from 1"),
        ({"partitions": "3"}, "partitions", "'3' is not a whole number from 1"),
        ({"partitions": True}, "partitions", "True is not a whole number from 1"),
        ({"replicas": 4.0}, "replicas", "4.0 is not a whole number from 1 to 3 (brokers)"),
        ({"replicas": -1.0}, "replicas", "-1.0 is not a whole number from 1 to 3 (brokers)"),
        ({"config": {"retention.ms": 7.0}}, "config", "retention.ms: 7.0 is not a text: write it in quotes"),
        (
            {"config": {"cleanup.policy": "compacted"}},
            "config",
            "cleanup.policy: 'compacted' is not compact or delete, or both with a comma between: use one of those",
        ),
        ({"config": {"preallocate": True}}, "config", "preallocate: True is not a text: write it in quotes"),
    ],
)
def test_check_refuses_values(provider: TopicProvider, change: dict[str, Any], where: str, reason: str) -> None:
    [failure] = provider.check({}, {**stored(ORDERS), **change}).failures
    assert (failure.property, failure.reason) == (where, reason)


def test_check_passes_the_inputs_on(provider: TopicProvider, kafka: FakeKafka) -> None:
    for olds in ({}, stored(ORDERS)):
        result = provider.check(olds, stored(ORDERS))
        assert result.inputs == stored(ORDERS)
        assert result.failures == []
    kafka.calls.clear()
    provider.check(stored(ORDERS), stored(replace(ORDERS, connection=replace(CONNECTION, brokers=5))))
    assert kafka.calls == []  # nothing of a topic changes: Kafka is not asked


def refused(provider: TopicProvider, olds: dict[str, Any], news: TopicArgs) -> dict[str, str]:
    return {failure.property: failure.reason for failure in provider.check(olds, stored(news)).failures}


def test_check_refuses_changes_that_kafka_cannot_make_to_a_topic(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.topics["orders"] = ORDERS.state
    found = refused(provider, stored(ORDERS), replace(ORDERS, partitions=2, replicas=3))
    assert "Kafka cannot remove partitions (3 to 2), and the topic is not deleted for it: set 3" in found["partitions"]
    assert "orders has 2, which cannot become 3 here: set 2" in found["replicas"]
    assert "kafka-reassign-partitions.sh" in found["replicas"]
    assert "somebody" not in str(found)


def test_check_asks_kafka_for_changes_made_outside_of_pulumi(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.topics["orders"] = TopicState(partitions=8, replicas=3, config=ORDERS.config)
    found = refused(provider, stored(ORDERS), replace(ORDERS, config={"retention.ms": "5"}))
    assert "orders has 8 partitions: some were added outside of Pulumi, the last update left 3" in found["partitions"]
    assert "set 8" in found["partitions"]
    assert "orders has 3 (changed from 2 outside of Pulumi)" in found["replicas"]
    assert "set 3" in found["replicas"]
    assert refused(provider, stored(ORDERS), replace(ORDERS, partitions=8, replicas=3)) == {}
    del kafka.topics["orders"]
    assert (
        "deleted in Kafka: run pulumi refresh"
        in refused(provider, stored(ORDERS), replace(ORDERS, partitions=9))["topic"]
    )


def test_a_preview_without_kafka_says_so_once_and_compares_with_the_state(
    provider: TopicProvider, kafka: FakeKafka, capsys: pytest.CaptureFixture[str]
) -> None:
    kafka.fails["connect"] = KafkaUnreachableError("the Kafka brokers of the namespace dev cannot be reached: x")
    for partitions in (4, 5, 6):
        assert refused(provider, stored(ORDERS), replace(ORDERS, partitions=partitions)) == {}
        assert refused(provider, {}, replace(ORDERS, topic=f"new-{partitions}")) == {}
    assert "Kafka cannot remove" in refused(provider, stored(ORDERS), replace(ORDERS, partitions=2))["partitions"]
    said = capsys.readouterr().err
    assert said.count("cannot be reached: x: topics that change were compared with Pulumi's state alone") == 1
    assert len(kafka.calls) == 1


def test_a_preview_says_that_a_topic_is_adopted(
    provider: TopicProvider, kafka: FakeKafka, capsys: pytest.CaptureFixture[str]
) -> None:
    kafka.topics["orders"] = TopicState(partitions=3, replicas=2, config={"min.insync.replicas": "1"})
    asked = replace(ORDERS, config={"retention.ms": "604800000"})
    assert refused(provider, {}, asked) == {}
    assert "the topic orders exists as it is asked for: it is adopted, not created" in capsys.readouterr().err
    assert "retention.ms 604800000 (asked: 86400000)" in refused(provider, {}, ORDERS)["topic"]


def test_a_preview_refuses_a_name_that_kafka_has_no_room_for(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.topics["a_b"] = ORDERS.state
    assert "Kafka has the topic a_b" in refused(provider, {}, replace(ORDERS, topic="a.b"))["topic"]


def test_derived_replicas_keep_their_value(provider: TopicProvider, kafka: FakeKafka) -> None:
    derived = replace(ORDERS, replicas=2, config={"min.insync.replicas": "1"}, keeps_replicas=True)
    news = {**stored(derived), "keepsReplicas": True}
    old = replace(ORDERS, replicas=1, config={"min.insync.replicas": "1"})
    kept = provider.check(stored(old), dict(news))
    assert kept.failures == []
    assert kept.inputs == stored(old)  # the mark is gone, too
    kafka.topics["orders"] = old.state
    assert provider.check({}, dict(news)).inputs == stored(old)  # a state that was lost
    del kafka.topics["orders"]
    assert provider.check({}, dict(news)).inputs == stored(replace(derived, keeps_replicas=False))


def test_another_topic_may_have_fewer_partitions(provider: TopicProvider, kafka: FakeKafka) -> None:
    fewer = replace(ORDERS, partitions=1, replicas=1)
    assert refused(provider, stored(ORDERS), replace(fewer, topic="other")) == {}
    elsewhere = replace(CONNECTION, namespace="test")
    assert refused(provider, stored(ORDERS), replace(fewer, connection=elsewhere)) == {}
    assert ("placement",) in kafka.calls


def test_diff(provider: TopicProvider) -> None:
    def diff(new: TopicArgs) -> tuple[bool | None, list[str] | None]:
        result = provider.diff("orders", stored(ORDERS), stored(new))
        return result.changes, result.replaces

    assert diff(ORDERS) == (False, [])
    assert diff(replace(ORDERS, partitions=4)) == (True, [])
    assert diff(replace(ORDERS, partitions=2)) == (True, [])
    assert diff(replace(ORDERS, config={})) == (True, [])
    assert diff(replace(ORDERS, connection=replace(CONNECTION, brokers=5))) == (True, [])
    assert diff(replace(ORDERS, connection=replace(CONNECTION, credentials="config:organization/p/dev"))) == (True, [])
    assert diff(replace(ORDERS, topic="other")) == (True, ["topic"])
    assert diff(replace(ORDERS, connection=replace(CONNECTION, namespace="test"))) == (True, ["topic"])


def test_create(provider: TopicProvider, kafka: FakeKafka) -> None:
    result = provider.create(stored(ORDERS))
    assert result.id == "orders"
    assert result.outs == to_properties(ORDERS)
    assert kafka.topics["orders"] == TopicState(partitions=3, replicas=2, config=ORDERS.config)
    assert kafka.calls[0] == ("connect", "stack:organization/p/cluster", "text")


def test_create_after_an_interrupted_create(
    provider: TopicProvider, kafka: FakeKafka, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"cleanup.policy": "compact, delete"}
    kafka.topics["orders"] = TopicState(partitions=3, replicas=2, config={"cleanup.policy": "compact,delete"})
    assert provider.create(stored(replace(ORDERS, config=config))).id == "orders"
    assert "the topic orders existed as it is asked for: adopted" in capsys.readouterr().err


def test_create_adopts_a_topic_with_the_same_effective_settings(provider: TopicProvider, kafka: FakeKafka) -> None:
    """Defaults count as if they were set, on both sides; what was a default is set then, without a change in effect."""
    kafka.topics["orders"] = TopicState(partitions=3, replicas=2, config={"cleanup.policy": "delete"})
    provider.create(stored(replace(ORDERS, config={"retention.ms": "604800000"})))
    assert kafka.topics["orders"].config == {"cleanup.policy": "delete", "retention.ms": "604800000"}


def test_create_adopts_no_other_topic(provider: TopicProvider, kafka: FakeKafka) -> None:
    theirs = TopicState(partitions=9, replicas=1, config={"cleanup.policy": "compact"})
    kafka.topics["orders"] = theirs
    with pytest.raises(TopicError) as error:
        provider.create(stored(ORDERS))
    assert str(error.value).startswith(
        "the topic orders exists, and differs: partitions 9 (asked: 3), replicas 1 (asked: 2), "
        "cleanup.policy compact (asked: delete), retention.ms 604800000 (asked: 86400000). To take it over as it is, "
        "ask for it so: partitions: 9, replicas: 1, retentionMillis: 604800000, config: {cleanup.policy: 'compact'}; "
    )
    assert "delete it" not in str(error.value)
    assert kafka.topics == {"orders": theirs}
    # The advice can be followed.
    as_it_is = {"cleanup.policy": "compact", "retention.ms": "604800000"}
    provider.create(stored(replace(ORDERS, partitions=9, replicas=1, config=as_it_is)))


def test_create_while_it_is_being_deleted(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.topics["orders"] = TopicState(partitions=0, replicas=0, config={})
    with pytest.raises(TopicError, match="is being deleted"):
        provider.create(stored(ORDERS))


def test_create_shows_kafkas_message(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.fails["create"] = KafkaRefusalError(17, "Topic 'a_b' collides with existing topic: a.b")
    with pytest.raises(KafkaRefusalError, match=r"collides with existing topic: a\.b"):
        provider.create(stored(ORDERS))


def test_read_finds_drift(provider: TopicProvider, kafka: FakeKafka) -> None:
    asked = replace(ORDERS, config={"retention.ms": "1", "cleanup.policy": "compact, delete", "max.message.bytes": "9"})
    theirs = {"retention.ms": "2", "cleanup.policy": "compact,delete", "leader.replication.throttled.replicas": "*"}
    kafka.topics["orders"] = TopicState(partitions=5, replicas=1, config=theirs)
    result = provider.read("orders", stored(asked))
    config = {"retention.ms": "2", "cleanup.policy": "compact, delete", "max.message.bytes": "1048588"}
    found = replace(asked, partitions=5, replicas=1, config=config)
    assert result.id == "orders"
    assert result.outs == to_properties(found)
    assert result.inputs == to_properties(found)
    assert result.outs is not result.inputs  # the SDK adds to both


def test_read_of_a_topic_that_is_gone(provider: TopicProvider, kafka: FakeKafka) -> None:
    result = provider.read("orders", stored(ORDERS))
    assert not result.id
    assert result.outs == {}


def test_update_changes_only_settings_that_differ(provider: TopicProvider, kafka: FakeKafka) -> None:
    old = replace(ORDERS, config={"retention.ms": "1", "max.message.bytes": "9", "segment.ms": "5"})
    new = replace(ORDERS, partitions=6, config={"retention.ms": "2", "segment.ms": "5"})
    kafka.topics["orders"] = TopicState(partitions=3, replicas=2, config={**old.config, "flush.ms": "7"})
    assert provider.update("orders", stored(old), stored(new)).outs == to_properties(new)
    assert kafka.calls[1:] == [("grow", 6), ("alter", {"max.message.bytes": None, "retention.ms": "2"})]
    assert kafka.topics["orders"].config == {**new.config, "flush.ms": "7"}


def test_an_interrupted_update_can_be_repeated(provider: TopicProvider, kafka: FakeKafka) -> None:
    new = replace(ORDERS, partitions=6, config={"retention.ms": "2"})
    kafka.topics["orders"] = TopicState(partitions=3, replicas=2, config=ORDERS.config)
    kafka.fails["alter"] = KafkaUnreachableError("gone")
    with pytest.raises(KafkaUnreachableError):
        provider.update("orders", stored(ORDERS), stored(new))
    kafka.fails.clear()
    kafka.calls.clear()
    provider.update("orders", stored(ORDERS), stored(new))
    assert kafka.calls[1:] == [("alter", {"retention.ms": "2"})]
    assert kafka.topics["orders"] == TopicState(partitions=6, replicas=2, config=new.config)


def test_update_never_shrinks(provider: TopicProvider, kafka: FakeKafka) -> None:
    """Where Kafka has more partitions than the state knows, which check cannot see."""
    kafka.topics["orders"] = TopicState(partitions=8, replicas=2, config=ORDERS.config)
    with pytest.raises(TopicError, match=r"\(8 to 6\), and the topic is not deleted for it: set 8"):
        provider.update("orders", stored(ORDERS), stored(replace(ORDERS, partitions=6)))
    assert kafka.topics["orders"].partitions == 8


def test_update_of_a_topic_that_is_gone(provider: TopicProvider, kafka: FakeKafka) -> None:
    with pytest.raises(TopicError, match="run pulumi refresh"):
        provider.update("orders", stored(ORDERS), stored(replace(ORDERS, partitions=6)))
    assert kafka.topics == {}


def test_delete_waits_until_it_is_gone(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.topics["orders"] = TopicState(partitions=3, replicas=2, config={})
    kafka.lingering = 3
    provider.delete("orders", stored(ORDERS))
    assert kafka.lingering == -1


def test_delete_of_a_topic_that_is_gone(provider: TopicProvider, kafka: FakeKafka) -> None:
    provider.delete("orders", stored(ORDERS))
    assert ("delete", "orders") in kafka.calls


def test_delete_that_never_ends(provider: TopicProvider, kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka.topics["orders"] = TopicState(partitions=3, replicas=2, config={})
    kafka.lingering = 10**9
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(topic_changes.time, "monotonic", lambda: next(clock))
    with pytest.raises(TopicError, match="still has the topic orders 60 seconds after"):
        provider.delete("orders", stored(ORDERS))


def test_delete_reports_the_remedy_when_kafka_is_gone(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.fails["connect"] = KafkaUnreachableError("the Kafka brokers of the namespace dev cannot be reached")
    with pytest.raises(KafkaUnreachableError, match=r"dev cannot be reached; .* `pulumi state delete`"):
        provider.delete("orders", stored(ORDERS))


def call_of_the_engine() -> Mock:
    context = Mock(spec=grpc.ServicerContext)
    context.abort.side_effect = RuntimeError("aborted")
    return context


@pytest.mark.parametrize("error", [TopicError("a"), KafkaUnreachableError("b"), KafkaRefusalError(1, "c")])
def test_the_engine_gets_the_message_of_a_known_error_alone(
    provider: TopicProvider, kafka: FakeKafka, error: Exception
) -> None:
    kafka.fails["connect"] = error

    context = call_of_the_engine()  # found by its name, in the frame of the SDK that calls
    with pytest.raises(RuntimeError, match="aborted"):
        provider.create(stored(ORDERS))
    context.abort.assert_called_once_with(grpc.StatusCode.UNKNOWN, str(error))


def test_a_failure_of_many_topics_is_reported_in_full_once(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.fails["connect"] = KafkaUnreachableError("the brokers cannot be reached: kafka-0: not found")
    context = call_of_the_engine()
    for _ in range(3):
        with pytest.raises(RuntimeError, match="aborted"):
            provider.read("orders", stored(ORDERS))
    said = [call.args[1] for call in context.abort.call_args_list]
    assert said == [
        "the brokers cannot be reached: kafka-0: not found",
        *["as above: the brokers cannot be reached"] * 2,
    ]


def test_a_bug_keeps_its_traceback(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.fails["connect"] = ZeroDivisionError("bug")
    context = call_of_the_engine()
    with pytest.raises(ZeroDivisionError):
        provider.create(stored(ORDERS))
    context.abort.assert_not_called()
