"""Logs to a Kafka topic."""

from collections.abc import Hashable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from components.exact import Hosts, ObjectName
from components.kafka.settings import TopicName
from components.logging.destinations import collector, fluentd
from components.logging.destinations.base import Agent, Destination, Place
from components.settings import SectionError


class KafkaDestination(Destination):
    """A Kafka topic: one record for each event, keyed so that a pod's events stay in order."""

    secret_keys = ("username", "password")
    exporters: ClassVar[Mapping[str, str]] = {"kafka": "kafka"}

    topic: TopicName = "logs"
    """Topic that events are written to."""
    bootstrap_servers: Hosts | None = None
    """`host:port[,host:port...]` of another Kafka, in which the topic must exist. By default it is the stack's own
    Kafka, in which the stack makes the topic."""
    partitions: Annotated[int, Field(ge=1, le=10000)] = 4
    """Number of partitions of the topic in the stack's own Kafka."""
    retention_millis: Annotated[int, Field(ge=60_000)] = 3 * 24 * 3600 * 1000
    """Time for which the stack's own Kafka keeps events."""
    retention_mib: Annotated[int, Field(ge=16)] = 512
    """The most that the stack's own Kafka keeps of the events, in MiB, so that logs cannot fill its disks. The bound is
    for one copy of the topic, all partitions together."""
    tls: bool = False
    """Encrypt the connection to the brokers."""
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """SASL mechanism to log in with; it needs `secret`."""
    secret: ObjectName | None = None
    """Secret with `username` and `password`, for SASL."""

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if (self.sasl is None) != (self.secret is None):
            raise SectionError("secret", f"{self.secret!r} beside sasl, {self.sasl!r}: give both or none")
        return self

    def exclusive(self, agent: Agent) -> Hashable:
        return self.bootstrap_servers, self.topic

    def clash(self, first: str) -> tuple[str, str]:
        return "topic", (
            f"{self.topic!r} is that of {first} too, and each event would be there twice: name another topic, "
            "or take one of the two out"
        )

    def store(self, at: Place) -> fluentd.FluentdStore:
        parameters: dict[str, object] = {
            "@type": "kafka2",
            "brokers": self.bootstrap_servers or at.kafka,
            "default_topic": self.topic,
            "message_key_key": "pod",
            "partition_key_key": "pod",
            "required_acks": -1,
            "compression_codec": "gzip",
        }
        if self.tls:
            parameters["ssl_ca_certs_from_system"] = True
        if self.sasl is not None:
            parameters |= {key: fluentd.secret(at.name, key) for key in self.secret_keys}
            parameters["sasl_over_ssl"] = self.tls
            if self.sasl != "PLAIN":
                parameters["scram_mechanism"] = self.sasl.removeprefix("SCRAM-").replace("-", "").lower()
        return fluentd.FluentdStore(parameters=parameters, buffer={"chunk_limit_size": "1m", "flush_interval": "1s"})

    def exporter(self, at: Place) -> dict[str, Any]:
        exporter: dict[str, Any] = {
            "brokers": (self.bootstrap_servers or at.kafka).split(","),
            "logs": {"topic": self.topic, "encoding": "raw"},
            "partition_logs_by_resource_attributes": True,
            "producer": {"required_acks": -1, "compression": "lz4", "max_message_bytes": 2 * collector.MIB},
            "retry_on_failure": collector.RETRY,
            "sending_queue": collector.queue(at.buffer_mib, 0.2),
        }
        if self.tls:
            exporter["tls"] = {"insecure": False}
        if self.sasl is not None:
            keys = {key: collector.secret(at.name, key) for key in self.secret_keys}
            exporter["auth"] = {"sasl": {"mechanism": self.sasl, **keys}}
        return exporter
