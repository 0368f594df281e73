"""The settings of the Kafka cluster and of its topics."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from components.kafka.topic_capacity import Kept
from components.kafka.topic_rules import config_problems, name_problem
from components.settings import Cores, Section, SectionError, Storage, Text

_HIGHEST_PORT = 65535
_BROKER_PORTS = range(9092, 9094)  # clients and controllers; see components/kafka/cluster.py


def _topic_name(name: str) -> str:
    if problem := name_problem(name):
        raise ValueError(problem)
    return name


Brokers = Annotated[int, Field(ge=1, le=99)]
TopicName = Annotated[str, AfterValidator(_topic_name)]


class TopicSettings(Section):
    """A Kafka topic."""

    partitions: Annotated[int, Field(ge=1, le=10000)]
    """Number of partitions. It can grow, but never shrink."""
    replicas: Annotated[int, Field(ge=1, le=32767)]
    """Brokers that hold a copy."""
    retention_millis: Annotated[int, Field(ge=-1, le=2**63 - 1)] = 7 * 24 * 3600 * 1000
    """Time for which records are kept; -1 keeps them for ever."""
    config: Mapping[str, Text] = {}
    """Further settings of the topic, by Kafka's names; retention.bytes bounds the disk that a partition takes."""

    @model_validator(mode="after")
    def _configs(self) -> Self:
        if "retention.ms" in self.config:
            given = self.config["retention.ms"]
            raise SectionError("config.retention.ms", f"{given!r} has a key of its own: set retentionMillis instead")
        for name, problem in config_problems(self.config):
            raise SectionError(f"config.{name}", problem)
        needed = self.properties["min.insync.replicas"]
        if int(needed) > self.replicas:
            raise SectionError(
                "config.min.insync.replicas",
                f"{needed!r} is not a number from 1 to {self.replicas} (replicas): "
                "no record could be written with acks=all; lower it, or raise replicas",
            )
        return self

    @property
    def properties(self) -> dict[str, str]:
        """All of the topic's own Kafka settings. By default a write survives the loss of one replica."""
        return {
            "retention.ms": str(self.retention_millis),
            "min.insync.replicas": str(max(1, self.replicas - 1)),
            **self.config,
        }

    @property
    def kept(self) -> Kept:
        """Return what the topic may keep."""
        return Kept(partitions=self.partitions, replicas=self.replicas, config=self.properties)


class KafkaSettings(Section):
    """The Kafka cluster and its topics."""

    brokers: Brokers = 3
    """Number of brokers. One or two brokers have one controller, three or more have three. A cluster with data cannot
    change from the one to the other."""
    memory_mib: Annotated[int, Field(ge=512, le=1048576)] = 2048
    """Memory limit of a broker, in MiB; half of it is heap, most of the rest page cache."""
    cpu: Cores = 0.5
    """CPU request of a broker, in cores."""
    storage_mib: Storage = 20480
    """Claim of a broker, in MiB."""
    admin_port: Annotated[int, Field(ge=1024, le=_HIGHEST_PORT)] = 19092
    """First of the ports by which the program administers brokers. Broker n listens at 127.0.0.1:<adminPort + n> in its
    pod, and a port-forward opens the same port on the machine that runs Pulumi, where it must be free."""
    topics: Mapping[TopicName, TopicSettings] = {}
    """Topics by name."""
    new_disks: tuple[Annotated[int, Field(ge=0, le=98)], ...] = ()
    """Controllers that lost their disk and may start with an empty one: see docs/runbook.md."""

    @model_validator(mode="after")
    def _brokers_suffice(self) -> Self:
        last = self.admin_port + self.brokers - 1
        if last > _HIGHEST_PORT or set(range(self.admin_port, last + 1)) & set(_BROKER_PORTS):
            raise SectionError(
                "adminPort",
                f"{self.admin_port}: {self.brokers} brokers need the ports {self.admin_port} to {last}, at most "
                f"{_HIGHEST_PORT} and none of {', '.join(map(str, _BROKER_PORTS))}; use 19092",
            )
        if strangers := [node for node in self.new_disks if node >= self.brokers]:
            raise SectionError("newDisks", f"{strangers[0]} is no broker of {self.brokers} (from 0): take it out")
        for name, topic in self.topics.items():
            if topic.replicas > self.brokers:
                raise SectionError(
                    f"topics.{name}.replicas",
                    f"{topic.replicas} is above the number of brokers, {self.brokers}: lower it, or raise brokers",
                )
        return self
