"""The settings of log shipping.

Secrets are Secrets of the namespace, named here and never read: `username` and `password`, or for S3 `access-key-id`
and `secret-access-key`, for another fluentd `shared-key`.
"""

from collections.abc import Hashable, Mapping
from types import NoneType
from typing import Annotated, Literal, Self, cast, get_args

from pydantic import Field, model_validator

from components.logging.destinations.base import Agent, Destination
from components.logging.destinations.forward import ForwardDestination
from components.logging.destinations.hdfs import HdfsDestination
from components.logging.destinations.kafka import KafkaDestination
from components.logging.destinations.s3 import S3Destination
from components.logging.destinations.search import SearchDestination
from components.logging.destinations.volume import VolumeDestination
from components.names import check_name
from components.settings import Cores, Image, Section, SectionError, check_cpu


class DestinationSettings(Section):
    """One destination of logs: exactly one of these kinds."""

    # All kinds that there are. The module of each says everything else about it.
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
            raise ValueError(f"has {' and '.join(given) or 'no destination'}: give exactly one of {known}")
        return self

    @property
    def kind(self) -> str:
        """Return which of them it is."""
        return self._given()[0]

    @property
    def chosen(self) -> Destination:
        """The one that is given."""
        return getattr(self, self.kind)

    def _given(self) -> list[str]:
        return [name for name in type(self).model_fields if getattr(self, name) is not None]


def _exporters() -> Mapping[str, str]:
    """The collector's exporters by the kind of destination, for those that it has."""
    found: dict[str, str] = {}
    for kind, field in DestinationSettings.model_fields.items():
        (model,) = (each for each in get_args(field.annotation) if each is not NoneType)
        exporters = cast("type[Destination]", model).exporters
        found |= {kind: exporters[kind]} if kind in exporters else {}
    return found


EXPORTERS = _exporters()
# The kinds that each agent can write to.
DESTINATIONS: Mapping[Agent, tuple[str, ...]] = {
    "fluentd": tuple(DestinationSettings.model_fields),
    "opentelemetryCollector": tuple(EXPORTERS),
}
# Peaks were measured in bench/logging; see docs/logging.md.
_MEMORY_MIB: Mapping[Agent, int] = {"fluentd": 256, "opentelemetryCollector": 192}

# The container that waits for the collector's last events is an idle shell.
LAST_MIB, LAST_CPU = 16, 0.001

DestinationName = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=40)]


class LoggingSettings(Section):
    """Log shipping: a sidecar in each pod tails the log files and sends their events to each destination."""

    enabled: bool = True
    """Add the sidecar to the pods of Flink clusters. Without it, logs are lost with their pods."""
    agent: Agent = "fluentd"
    """The program in the sidecar. It decides which kinds of destinations are possible."""
    image: Image | None = None
    """Image of the agent; by default that of `images/fluentd`, or the collector's public one."""
    memory_mib: Annotated[int, Field(ge=64, le=4096)] | None = None
    """Memory limit of a sidecar, in MiB; by default 256 for fluentd, 192 for the collector."""
    cpu: Cores = 0.02
    """CPU request of a sidecar, in cores."""
    cpu_limit: Cores = 0.5
    """CPU limit of a sidecar, in cores. It takes CPU from the job only where the node has none left."""
    buffer_mib: Annotated[int, Field(ge=8, le=65536)] = 64
    """The most that may wait on disk for each destination while it cannot be reached, in MiB."""
    flush_seconds: Annotated[int, Field(ge=1, le=300)] = 10
    """Time for which a stopping pod waits for its last logs to be sent, after its process has ended."""
    layout: Literal["text", "json"] = "text"
    """Format of Flink's log files: `text` has lines for people, `json` has one JSON document for each event, with
    logger, thread and stack trace in fields of their own."""
    destinations: Annotated[Mapping[DestinationName, DestinationSettings], Field(min_length=1)] = {
        "kafka": DestinationSettings(kafka=KafkaDestination())
    }
    """Destinations by names of your choice. Each gets all events."""

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
        self._check_clashes()
        check_cpu(self.cpu, self.cpu_limit)
        return self

    def _check_clashes(self) -> None:
        """Raise SectionError where two destinations do not go together."""
        taken: dict[Hashable, str] = {}
        kinds = list(DestinationSettings.model_fields)
        for name, each in sorted(self.destinations.items(), key=lambda item: kinds.index(item[1].kind)):
            exclusive = each.chosen.exclusive(self.agent)
            if exclusive is not None and (first := taken.setdefault((each.kind, exclusive), name)) != name:
                key, text = each.chosen.clash(first)
                raise SectionError(f"destinations.{name}.{each.kind}.{key}", text)

    @property
    def sidecar_mib(self) -> int:
        """Memory limit of the agent in each pod, in MiB."""
        return _MEMORY_MIB[self.agent] if self.memory_mib is None else self.memory_mib

    @property
    def pod_mib(self) -> int:
        """Return what shipping adds to the memory of each pod, in MiB."""
        return (self.sidecar_mib + (LAST_MIB if self.agent == "opentelemetryCollector" else 0)) * self.enabled

    @property
    def pod_cpu(self) -> float:
        """Return what shipping adds to the CPU request of each pod, in cores."""
        return (self.cpu + (LAST_CPU if self.agent == "opentelemetryCollector" else 0)) * self.enabled

    @property
    def own_topics(self) -> Mapping[str, KafkaDestination]:
        """The topics in the stack's own Kafka that logs go to."""
        kafkas = [each.kafka for each in self.destinations.values() if each.kafka]
        return {each.topic: each for each in kafkas if self.enabled and each.bootstrap_servers is None}
