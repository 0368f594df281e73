"""Kafka in a stack: brokers with their properties, and topics, by whatever means they are made."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any

from policies.programs import KAFKA, surely_runs
from policies.resources import Process, Stack
from policies.scaling import replicas_at_most
from policies.unknown import field, items, known, mapping, part, whole

DEFAULT_MAX_TRANSACTION_MILLIS = 900_000  # transaction.max.timeout.ms
DEFAULT_MESSAGE_BYTES = 1_048_588  # message.max.bytes, max.message.bytes

_PROPERTY = re.compile(r"^\s*([A-Za-z0-9.]+)\s*[=:]\s*(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class KafkaBrokers(Process):
    """The brokers of one workload."""

    @property
    def count(self) -> int:
        return replicas_at_most(self.stack, self.owner)

    @cached_property
    def files(self) -> dict[str, dict[str, str]]:
        """The properties files of the brokers, by name, and what the environment says (KAFKA_...), as `environment`."""
        found: dict[str, dict[str, str]] = {}
        for volume in items(self.container.pod.spec, "volumes"):
            name = field(volume, "configMap", "name")
            config = self.stack.find("ConfigMap", self.owner.namespace, str(name)) if name else None
            for file, text in mapping(config.body, "data").items() if config else ():
                if file.endswith(".properties") and "log4j" not in file:
                    found[file] = dict(_PROPERTY.findall(str(known(text))))
        # What the public images do: KAFKA_MIN_INSYNC_REPLICAS is min.insync.replicas.
        env = {
            name.removeprefix("KAFKA_").lower().replace("_", "."): str(known(value))
            for name, value in self.container.env.items()
            if name.startswith("KAFKA_") and not name.endswith("_OPTS")
        }
        return {**found, **({"environment": env} if env else {})}


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic, with `properties` that may be unknown; `counted` says how many brokers the stack has, if it has any."""

    urn: str
    where: str
    properties: Any
    counted: Callable[[], int | None]

    @property
    def replicas(self) -> Any:
        return field(self.properties, "replicas") or field(self.properties, "replicationFactor")

    @property
    def config(self) -> dict[str, Any]:
        return mapping(self.properties, "config")

    @property
    def brokers(self) -> int | None:
        """Return how many brokers there are for it, if that is told anywhere."""
        told = field(self.properties, "connection", "brokers")
        return self.counted() if told is None else whole("brokers", told)

    def number(self, key: str) -> int | None:
        """A number of the topic's configuration, if it is there."""
        value = known(self.config.get(key))
        return None if value is None else whole(key, value)


@lru_cache(maxsize=2)  # each rule asks again
def kafkas(stack: Stack) -> tuple[KafkaBrokers, ...]:
    """All brokers in the stack."""
    return tuple(
        KafkaBrokers(container=container, stack=stack)
        for container in stack.containers
        if surely_runs(container, KAFKA)
    )


def topics(stack: Stack) -> Iterator[Topic]:
    """All topics: of this platform, of the Kafka provider (`kafka:index/topic:Topic`), of Strimzi."""

    @cache
    def counted() -> int | None:
        return max((each.count for each in kafkas(stack)), default=None)

    for resource in stack.resources:
        if resource.type.rpartition(":")[2] == "Topic" and "kafka" in resource.type:
            names = [part(resource.properties, key) for key in ("topic", "name")]
            name = next((name for name in names if isinstance(name, str)), resource.name)
            yield Topic(urn=resource.urn, where=f"topic {name}", properties=resource.properties, counted=counted)
    for each in stack.of_kind("KafkaTopic"):
        yield Topic(urn=each.urn, where=each.where, properties=part(each.body, "spec"), counted=counted)
