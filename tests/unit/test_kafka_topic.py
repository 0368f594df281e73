"""KafkaTopic against a Kafka in memory. A real one: tests/integration."""

import base64
import logging
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import Config, ConfigureRequest

from components.kafka import topic as module
from components.kafka.admin import KafkaRefusalError, KafkaUnreachableError, PodConnection, TopicState, kubeconfig_of
from components.kafka.topic import (
    KafkaTopic,
    TopicArgs,
    TopicError,
    TopicProvider,
    from_properties,
    problems,
    problems_of_change,
    to_properties,
)
from tests.unit.recording import record

CONNECTION = PodConnection(
    namespace="dev", stateful_set="kafka", brokers=3, admin_port=19092, credentials="stack:organization/p/cluster"
)
ORDERS = TopicArgs(topic="orders", partitions=3, replicas=2, config={"retention.ms": "86400000"}, connection=CONNECTION)


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

    def describe(self, topic: str) -> TopicState | None:
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
    monkeypatch.setattr(module.time, "sleep", waits.append)
    return fake


@pytest.fixture
def provider() -> Iterator[TopicProvider]:
    provider = TopicProvider()
    provider.configure(ConfigureRequest(Config({"streaming-platform:kubeconfig": "text"}, "streaming-platform")))
    yield provider
    grpc_log = logging.getLogger("grpc._server")
    for known in grpc_log.filters[:]:
        grpc_log.removeFilter(known)


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


def test_properties_come_back_as_they_went() -> None:
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


def test_check_passes_the_inputs_on(provider: TopicProvider) -> None:
    result = provider.check({}, stored(ORDERS))
    assert result.inputs == stored(ORDERS)
    assert result.failures == []


def test_check_refuses_what_kafka_cannot_do_to_a_topic(provider: TopicProvider) -> None:
    news = stored(replace(ORDERS, partitions=2, replicas=3))
    failures = provider.check(stored(ORDERS), news).failures
    assert [failure.property for failure in failures] == ["partitions", "replicas"]
    assert (
        "Kafka cannot take partitions away (3 to 2), and the topic is not deleted for it: set 3" in failures[0].reason
    )
    assert "2 cannot become 3 here, and nothing was changed" in failures[1].reason
    assert "kafka-reassign-partitions.sh" in failures[1].reason


def test_another_topic_may_have_fewer_partitions() -> None:
    fewer = replace(ORDERS, partitions=1, replicas=1)
    assert problems_of_change(stored(ORDERS), stored(replace(fewer, topic="other"))) == []
    elsewhere = replace(CONNECTION, namespace="test")
    assert problems_of_change(stored(ORDERS), stored(replace(fewer, connection=elsewhere))) == []


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
    assert "the topic orders existed exactly as asked for: adopted" in capsys.readouterr().err


def test_create_adopts_no_other_topic(provider: TopicProvider, kafka: FakeKafka) -> None:
    theirs = TopicState(partitions=9, replicas=1, config={"cleanup.policy": "compact"})
    kafka.topics["orders"] = theirs
    with pytest.raises(TopicError) as error:
        provider.create(stored(ORDERS))
    assert str(error.value).startswith(
        "the topic orders exists, and differs: partitions 9 (asked: 3), replicas 1 (asked: 2), "
        "cleanup.policy compact (asked: default), retention.ms default (asked: 86400000). Ask for what it has"
    )
    assert kafka.topics == {"orders": theirs}


def test_create_while_it_is_being_deleted(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.topics["orders"] = TopicState(partitions=0, replicas=0, config={})
    with pytest.raises(TopicError, match="is being deleted"):
        provider.create(stored(ORDERS))


def test_create_shows_what_kafka_says(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.fails["create"] = KafkaRefusalError(17, "Topic 'a_b' collides with existing topic: a.b")
    with pytest.raises(KafkaRefusalError, match=r"collides with existing topic: a\.b"):
        provider.create(stored(ORDERS))


def test_read_finds_drift(provider: TopicProvider, kafka: FakeKafka) -> None:
    asked = replace(ORDERS, config={"retention.ms": "1", "cleanup.policy": "compact, delete", "max.message.bytes": "9"})
    theirs = {"retention.ms": "2", "cleanup.policy": "compact,delete", "leader.replication.throttled.replicas": "*"}
    kafka.topics["orders"] = TopicState(partitions=5, replicas=1, config=theirs)
    result = provider.read("orders", stored(asked))
    found = replace(asked, partitions=5, replicas=1, config={"retention.ms": "2", "cleanup.policy": "compact, delete"})
    assert result.id == "orders"
    assert result.outs == to_properties(found)
    assert result.inputs == to_properties(found)
    assert result.outs is not result.inputs  # the SDK adds to both


def test_read_of_a_topic_that_is_gone(provider: TopicProvider, kafka: FakeKafka) -> None:
    result = provider.read("orders", stored(ORDERS))
    assert not result.id
    assert result.outs == {}


def test_update_changes_what_differs_and_leaves_what_others_set(provider: TopicProvider, kafka: FakeKafka) -> None:
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
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with pytest.raises(TopicError, match="still has the topic orders 60 seconds after"):
        provider.delete("orders", stored(ORDERS))


def test_delete_says_what_to_do_when_kafka_is_gone(provider: TopicProvider, kafka: FakeKafka) -> None:
    kafka.fails["connect"] = KafkaUnreachableError("the Kafka brokers of the namespace dev cannot be reached")
    with pytest.raises(KafkaUnreachableError, match=r"dev cannot be reached; .* `pulumi state delete`"):
        provider.delete("orders", stored(ORDERS))


@pytest.mark.parametrize("error", [TopicError("a"), KafkaUnreachableError("b"), KafkaRefusalError(1, "c")])
def test_a_known_error_leaves_no_traceback(
    provider: TopicProvider, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    assert provider
    log = logging.getLogger("grpc._server")
    for each in (error, RuntimeError("bug")):
        try:
            raise each
        except Exception:
            log.exception("Exception calling application: %s", each)
    assert [record.getMessage() for record in caplog.records] == ["Exception calling application: bug"]


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `pulumi` that knows two stacks, and the file in which it notes how it was called."""
    program = tmp_path / "pulumi"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"open({str(tmp_path / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        "if sys.argv[-1] == 'organization/p/cluster':\n"
        '    print(\'{"dev": "of the stack"}\')\n'
        "elif sys.argv[-1] == 'organization/p/dev':\n"
        "    print('of the file')\n"
        "else:\n"
        "    sys.exit('warning: something\\nerror: no stack named ' + sys.argv[-1] + ' found')\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "calls"


def test_credentials_are_read_when_needed(pulumi: Path) -> None:
    def found(credentials: str, setting: str | None, namespace: str = "dev") -> str:
        return kubeconfig_of(replace(CONNECTION, credentials=credentials, namespace=namespace), setting)

    assert found("stack:organization/p/cluster", None) == "of the stack"
    assert found("config:organization/p/dev", "of the engine") == "of the file"
    assert found("config:organization/p/other", "of the engine") == "of the engine"
    assert pulumi.read_text().splitlines()[:2] == [
        "--non-interactive stack output kubeconfigs --show-secrets --json --stack organization/p/cluster",
        "--non-interactive config get kubeconfig --stack organization/p/dev",
    ]
    with pytest.raises(KafkaUnreachableError, match="no stack named organization/p/gone found"):
        found("stack:organization/p/gone", None)
    with pytest.raises(KafkaUnreachableError, match="no stack named organization/p/gone found"):
        found("config:organization/p/gone", None)
    with pytest.raises(KafkaUnreachableError, match="has none for the namespace test"):
        found("stack:organization/p/cluster", None, namespace="test")
    for credentials in ("", "stack", "stack:", "config", "file:/x"):
        with pytest.raises(KafkaUnreachableError, match="must be stack:<stack> or config:<stack>"):
            found(credentials, None)


def test_credentials_without_pulumi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KafkaUnreachableError, match=r"no kubeconfig: `pulumi .*No such file"):
        kubeconfig_of(CONNECTION, None)
