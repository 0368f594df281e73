"""Access to a Kafka cluster in Kubernetes from outside it: through the API server, with a deployer's kubeconfig.

Broker n listens on 127.0.0.1:<admin port + n> in its own pod, and advertises that address. A port-forward to each
broker makes the same addresses work here. Nothing is exposed outside the cluster.
"""
# pyright: reportPrivateImportUsage=false
# (confluent_kafka.admin re-exports its classes without declaring it)

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from components.dynamic import UserError
from components.kafka.portforward import PortForwardError, PortForwards
from components.reach import UnreachableError, kubeconfig_of

_REQUEST_SECONDS = 30.0  # for one request to Kafka, connecting included
_LINGER_SECONDS = 3.0  # how long port-forwards outlive their last user: the next operation comes at once, or not at all


class KafkaUnreachableError(UserError):
    """There is no way to the brokers. The message says why and what to do."""


class KafkaRefusalError(UserError):
    """Kafka answered, and will not do it. The message is the broker's, `code` is Kafka's error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class PodConnection:
    """The brokers, which are the pods of a StatefulSet, and the credentials to reach them with.

    `admin_port` is that of broker 0, in its pod and on this machine; broker n has `admin_port + n`. `credentials` says
    where the kubeconfig comes from, see components/reach.py.
    """

    namespace: str
    stateful_set: str
    brokers: int
    admin_port: int
    credentials: str

    @property
    def ports(self) -> dict[str, int]:
        """Each broker's port, by its pod."""
        return {f"{self.stateful_set}-{n}": self.admin_port + n for n in range(self.brokers)}

    @property
    def bootstrap(self) -> str:
        """The brokers' addresses, as long as they are forwarded."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports.values())

    def to_properties(self) -> dict[str, Any]:
        """Return what the engine stores of it."""
        return {
            "namespace": self.namespace,
            "statefulSet": self.stateful_set,
            "brokers": self.brokers,
            "adminPort": self.admin_port,
            "credentials": self.credentials,
        }

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> "PodConnection":
        """Return what the engine stored; its numbers come back as floats."""
        return cls(
            namespace=properties["namespace"],
            stateful_set=properties["statefulSet"],
            brokers=int(properties["brokers"]),
            admin_port=int(properties["adminPort"]),
            credentials=properties["credentials"],
        )


@dataclass(frozen=True, kw_only=True)
class TopicState:
    """A topic as Kafka has it; `config` is what was set for this topic, without the defaults.

    `effective` is what is in effect, with the defaults, and `defaults` what would be without what was set.
    """

    partitions: int
    replicas: int
    config: Mapping[str, str]
    effective: Mapping[str, str] = field(default_factory=dict[str, str])
    defaults: Mapping[str, str] = field(default_factory=dict[str, str])


class Topics(Protocol):
    """The operations on topics. Each raises KafkaUnreachableError or KafkaRefusalError."""

    def describe(self, topic: str) -> TopicState | None:
        """The topic, None if there is none."""
        ...

    def placement(self) -> Mapping[int, Sequence[str]]:
        """The names of the topics that have a replica on each broker, Kafka's own included."""
        ...

    def create(self, topic: str, state: TopicState) -> bool:
        """Create it; False if there is one of that name."""
        ...

    def grow(self, topic: str, partitions: int) -> None:
        """Add partitions, up to `partitions` of them."""
        ...

    def alter(self, topic: str, changes: Mapping[str, str | None]) -> None:
        """Set configs, or give them up for the default (None); all others stay as they are."""
        ...

    def delete(self, topic: str) -> bool:
        """Delete it; False if there is none."""
        ...


@contextmanager
def forward(connection: PodConnection, kubeconfig: str) -> Generator[str]:
    """The bootstrap servers of a cluster, reachable while the context is open. `kubeconfig` is its text.

    Everyone in this process shares the port-forwards. Raises KafkaUnreachableError.
    """
    with _link(connection, lambda: kubeconfig):
        yield connection.bootstrap


@contextmanager
def topics(connection: PodConnection, setting: str | None) -> Generator[Topics]:
    """A cluster's topics; `setting` is the engine's value of the setting `kubeconfig`. Raises KafkaUnreachableError."""
    with _link(connection, lambda: kubeconfig_of(connection.credentials, connection.namespace, setting)) as link:
        yield link.topics()


class _Link:
    """Port-forwards and an AdminClient that everyone shares, opened by the first user."""

    def __init__(self, connection: PodConnection) -> None:
        self.users = 0
        self.timer: threading.Timer | None = None
        self._connection = connection
        self._lock = threading.Lock()
        self._forwards: PortForwards | None = None
        self._topics: Topics | None = None
        self._error: KafkaUnreachableError | None = None

    def open(self, kubeconfig: Callable[[], str]) -> None:
        """Once, for all that wait for it; what failed once is not tried again for each of a hundred topics."""
        with self._lock:
            if self._error:
                raise self._error
            if self._forwards:
                return
            at = f"the Kafka brokers of the namespace {self._connection.namespace} cannot be reached"
            try:
                forwards = PortForwards(self._connection.namespace, self._connection.ports, kubeconfig())
                forwards.open()
            except (PortForwardError, UnreachableError) as error:
                self._error = KafkaUnreachableError(f"{at}: {error}")
                raise self._error from error
            self._forwards = forwards

    def topics(self) -> Topics:
        with self._lock:
            self._topics = self._topics or _AdminTopics(self._connection.bootstrap)
            return self._topics

    def close(self) -> None:
        with self._lock:
            self._topics = None
            if self._forwards:
                self._forwards.close()


_links: dict[PodConnection, _Link] = {}
_links_lock = threading.Lock()


@contextmanager
def _link(connection: PodConnection, kubeconfig: Callable[[], str]) -> Generator[_Link]:
    """The link to a cluster, counted, so that it ends some seconds after its last user."""
    brokers = replace(connection, credentials="")  # port-forwards lead to the same brokers with any credentials
    with _links_lock:
        link = _links.setdefault(brokers, _Link(brokers))
        link.users += 1
        if link.timer:
            link.timer.cancel()
    try:
        link.open(kubeconfig)
        yield link
    finally:
        with _links_lock:
            link.users -= 1
            if not link.users:
                link.timer = threading.Timer(_LINGER_SECONDS, _close_unused, (brokers,))
                link.timer.daemon = True
                link.timer.start()


def _close_unused(brokers: PodConnection) -> None:
    with _links_lock:
        link = _links.get(brokers)
        if link is None or link.users:
            return
        del _links[brokers]
    link.close()


class _AdminTopics:
    """Topics through an AdminClient, which many threads may use at once."""

    def __init__(self, bootstrap: str) -> None:
        # Its types are partial. Without log lines of its own: what matters comes as an error.
        self._client: Any = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def describe(self, topic: str) -> TopicState | None:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        try:
            description, configs = _answers(
                lambda: {
                    **self._client.describe_topics(TopicCollection([topic]), **_TIMEOUT),
                    **self._client.describe_configs([resource], **_TIMEOUT),
                }
            )
        except KafkaRefusalError as error:
            if error.code == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise
        own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        # By the order in which they count: without what was set for the topic, the next one would be in effect.
        others = {
            entry.name: next((each.value for each in entry.synonyms.values() if each.source != own), entry.value)
            for entry in configs.values()
        }
        return TopicState(
            partitions=len(description.partitions),
            replicas=min(len(partition.replicas) for partition in description.partitions),
            config={entry.name: entry.value for entry in configs.values() if entry.source == own},
            effective={entry.name: entry.value for entry in configs.values()},
            defaults=others,
        )

    def placement(self) -> Mapping[int, Sequence[str]]:
        try:
            known = self._client.list_topics(timeout=_REQUEST_SECONDS).topics
        except KafkaException as exception:
            raise _unanswered(exception.args[0]) from exception
        held: dict[int, set[str]] = {}
        for topic in known.values():
            for partition in topic.partitions.values():
                for broker in partition.replicas:
                    held.setdefault(broker, set()).add(topic.topic)
        return {broker: sorted(names) for broker, names in held.items()}

    def create(self, topic: str, state: TopicState) -> bool:
        new = NewTopic(topic, state.partitions, state.replicas, config=dict(state.config))
        try:
            _answers(lambda: self._client.create_topics([new], operation_timeout=_REQUEST_SECONDS, **_TIMEOUT))
        except KafkaRefusalError as error:
            if error.code == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise
        return True

    def grow(self, topic: str, partitions: int) -> None:
        new = NewPartitions(topic, partitions)
        _answers(lambda: self._client.create_partitions([new], operation_timeout=_REQUEST_SECONDS, **_TIMEOUT))

    def alter(self, topic: str, changes: Mapping[str, str | None]) -> None:
        entries = [
            ConfigEntry(
                name,
                value,
                incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
            )
            for name, value in changes.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        _answers(lambda: self._client.incremental_alter_configs([resource], **_TIMEOUT))

    def delete(self, topic: str) -> bool:
        try:
            _answers(lambda: self._client.delete_topics([topic], operation_timeout=_REQUEST_SECONDS, **_TIMEOUT))
        except KafkaRefusalError as error:
            if error.code == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return False
            raise
        return True


_TIMEOUT = {"request_timeout": _REQUEST_SECONDS}


def _answers(request: Callable[[], Mapping[Any, Future[Any]]]) -> list[Any]:
    """Return what Kafka answers to a request, which is repeated while a broker or the controller is changing.

    Raises KafkaUnreachableError or KafkaRefusalError.
    """
    deadline = time.monotonic() + _REQUEST_SECONDS
    while True:
        try:
            return [future.result() for future in request().values()]
        except KafkaException as exception:
            error: KafkaError = exception.args[0]
            if error.code() < 0:  # librdkafka's own: no broker answered
                raise _unanswered(error) from exception
            if not error.retriable() or time.monotonic() > deadline:
                raise KafkaRefusalError(error.code(), error.str()) from exception
            time.sleep(0.5)


def _unanswered(error: KafkaError) -> KafkaUnreachableError:
    return KafkaUnreachableError(f"no answer from Kafka within {_REQUEST_SECONDS:.0f} seconds: {error.str()}")
