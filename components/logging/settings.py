"""The settings of log shipping: frozen models, and the only home of their defaults.

Secrets are Secrets of the namespace, named here and never read: `username` and `password`, or for S3 `access-key-id`
and `secret-access-key`, for another fluentd `shared-key`.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.exact import Host, Hosts, ObjectName, RelativePath, Url
from components.kafka.settings import TopicName
from components.names import check_name
from components.settings import Cores, Image, Section, SectionError

Agent = Literal["fluentd", "opentelemetryCollector"]
_Port = Annotated[int, Field(ge=1, le=65535)]


class KafkaDestination(Section):
    """A Kafka topic: one record for each event, keyed so that a pod's events stay in order."""

    topic: TopicName = "logs"
    bootstrap_servers: Hosts | None = None
    """`host:port[,host:port...]` of another Kafka, where the topic is there already; by default the stack's own, where
    it is made."""
    partitions: Annotated[int, Field(ge=1, le=10000)] = 4
    """Of the topic in the stack's own Kafka."""
    retention_millis: Annotated[int, Field(ge=60_000)] = 3 * 24 * 3600 * 1000
    """How long the stack's own Kafka keeps events."""
    retention_mib: Annotated[int, Field(ge=16)] = 512
    """How much it keeps of them at most, all partitions of one copy together, in MiB: logs must not fill its disks."""
    tls: bool = False
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    secret: ObjectName | None = None
    """Secret with `username` and `password`, for SASL."""

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if (self.sasl is None) != (self.secret is None):
            raise SectionError("secret", f"{self.secret!r} beside sasl, {self.sasl!r}: give both or none")
        return self


class S3Destination(Section):
    """A bucket of an S3-compatible store: objects of JSON lines below <prefix>/<namespace>/<cluster>/<date>/."""

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    prefix: RelativePath = "logs"
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] = "us-east-1"
    endpoint: Url | None = None
    """Of a store other than Amazon's, which is addressed by path (endpoint/bucket/key)."""
    secret: ObjectName | None = None
    """Secret with `access-key-id` and `secret-access-key`; by default what the pods' own identity is allowed."""


class HdfsDestination(Section):
    """HDFS by WebHDFS: files of JSON lines below <path>/<namespace>/<cluster>/<date>/, one for each pod and hour."""

    host: Host
    """The active NameNode, or an HttpFS gateway."""
    port: _Port = 9870
    path: RelativePath = "logs"
    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]*$")] = "flink"
    tls: bool = False


class SearchDestination(Section):
    """Elasticsearch or OpenSearch: a data stream or index of documents, one for each event."""

    urls: Annotated[tuple[Url, ...], Field(min_length=1)]
    index: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")] = "logs"
    secret: ObjectName | None = None
    """Secret with `username` and `password`."""


class ForwardDestination(Section):
    """Another fluentd."""

    host: Host
    port: _Port = 24224
    tls: bool = False
    secret: ObjectName | None = None
    """Secret with `shared-key`."""


class VolumeDestination(Section):
    """A volume: files of JSON lines below <path>/<namespace>/<cluster>/<date>/, one for each pod."""

    claim: ObjectName
    """A claim of the namespace that all pods may mount at once."""
    path: RelativePath = "logs"


Destination = (
    KafkaDestination | S3Destination | HdfsDestination | SearchDestination | ForwardDestination | VolumeDestination
)


class DestinationSettings(Section):
    """Where logs go: exactly one of these."""

    kafka: KafkaDestination | None = None
    s3: S3Destination | None = None
    hdfs: HdfsDestination | None = None
    elasticsearch: SearchDestination | None = None
    opensearch: SearchDestination | None = None
    forward: ForwardDestination | None = None
    volume: VolumeDestination | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(given := self._given()) != 1:
            known = ", ".join(type(self).model_fields)
            raise ValueError(f"names {' and '.join(given) or 'no destination'}: give exactly one of {known}")
        return self

    @property
    def kind(self) -> str:
        """Which of them it is."""
        return self._given()[0]

    @property
    def secret(self) -> str | None:
        """The Secret that it needs."""
        return getattr(self.chosen, "secret", None)

    @property
    def chosen(self) -> Destination:
        """The one that is given."""
        return getattr(self, self.kind)

    def _given(self) -> list[str]:
        return [name for name in type(self).model_fields if getattr(self, name) is not None]


# What an agent can write to. The collector has neither WebHDFS nor fluentd's protocol; its exporter for OpenSearch
# cannot be had as a Go module at the version of the other parts.
DESTINATIONS: Mapping[Agent, tuple[str, ...]] = {
    "fluentd": tuple(DestinationSettings.model_fields),
    "opentelemetryCollector": ("kafka", "s3", "elasticsearch", "volume"),
}
COLLECTOR_IMAGE = "otel/opentelemetry-collector-contrib:0.145.0"
# Peaks were measured in bench/logging; see docs/logging.md.
_MEMORY_MIB: Mapping[Agent, int] = {"fluentd": 256, "opentelemetryCollector": 192}

# The container that waits for the collector's last events is an idle shell.
LAST_MIB, LAST_CPU = 16, 0.001

DestinationName = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=40)]


class LoggingSettings(Section):
    """How logs leave their pods: a sidecar tails the files, and sends what is in them to each destination."""

    enabled: bool = True
    agent: Agent = "fluentd"
    image: Image | None = None
    """Of the agent; by default that of `images/fluentd`, or the collector's public one."""
    memory_mib: Annotated[int, Field(ge=64, le=4096)] | None = None
    """Memory limit of a sidecar, in MiB; by default 256 for fluentd, 192 for the collector."""
    cpu: Cores = 0.02
    """CPU request of a sidecar, in cores."""
    cpu_limit: Cores = 0.5
    """CPU limit of a sidecar, in cores: what it may take from the job when logs come fast."""
    buffer_mib: Annotated[int, Field(ge=8, le=65536)] = 64
    """How much may wait on disk for each destination, in MiB, when it cannot be reached."""
    flush_seconds: Annotated[int, Field(ge=1, le=300)] = 10
    """How long a pod waits for its last logs to be sent, once its process has stopped."""
    layout: Literal["text", "json"] = "text"
    """What Flink writes: lines to be read, or one JSON document for each event with logger, thread and stack trace in
    fields of their own."""
    destinations: Annotated[Mapping[DestinationName, DestinationSettings], Field(min_length=1)] = {
        "kafka": DestinationSettings(kafka=KafkaDestination())
    }
    """Where to, by names of your choice; each gets everything."""

    @model_validator(mode="after")
    def _agent_can(self) -> Self:
        for name, destination in self.destinations.items():
            check_name(name)
            if destination.kind not in (known := DESTINATIONS[self.agent]):
                raise SectionError(
                    f"destinations.{name}.{destination.kind}",
                    f"agent {self.agent} cannot write there: use one of {', '.join(known)}, or agent "
                    + " or ".join(each for each, kinds in DESTINATIONS.items() if destination.kind in kinds),
                )
        topics: dict[object, str] = {}
        for name, kafka in ((name, each.kafka) for name, each in self.destinations.items() if each.kafka):
            if (first := topics.setdefault((kafka.bootstrap_servers, kafka.topic), name)) != name:
                raise SectionError(
                    f"destinations.{name}.kafka.topic",
                    f"{kafka.topic!r} is that of {first} too, and each event would be there twice: name another topic, "
                    "or take one of the two out",
                )
        with_keys = [name for name, each in self.destinations.items() if each.s3 and each.s3.secret]
        if self.agent == "opentelemetryCollector" and len(with_keys) > 1:
            raise SectionError(
                f"destinations.{with_keys[1]}.s3.secret",
                f"the collector takes one pair of S3 keys, and {with_keys[0]} has one: leave it out, or use fluentd",
            )
        if self.cpu > self.cpu_limit:
            raise SectionError("cpu", f"{self.cpu} is above cpuLimit, {self.cpu_limit}: lower cpu, or raise cpuLimit")
        return self

    @property
    def sidecar_mib(self) -> int:
        """Memory limit of the agent in each pod, in MiB."""
        return _MEMORY_MIB[self.agent] if self.memory_mib is None else self.memory_mib

    @property
    def pod_mib(self) -> int:
        """What shipping adds to the memory of each pod, in MiB."""
        return (self.sidecar_mib + (LAST_MIB if self.agent == "opentelemetryCollector" else 0)) * self.enabled

    @property
    def pod_cpu(self) -> float:
        """What shipping adds to the CPU request of each pod, in cores."""
        return (self.cpu + (LAST_CPU if self.agent == "opentelemetryCollector" else 0)) * self.enabled

    @property
    def own_topics(self) -> Mapping[str, KafkaDestination]:
        """The topics in the stack's own Kafka that logs go to."""
        kafkas = [each.kafka for each in self.destinations.values() if each.kafka]
        return {each.topic: each for each in kafkas if self.enabled and each.bootstrap_servers is None}
