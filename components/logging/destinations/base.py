"""The base of all destinations of logs."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from components.logging.destinations.fluentd import FluentdStore
from components.settings import Section

Agent = Literal["fluentd", "opentelemetryCollector"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """The surroundings of a destination, from which its part of an agent's configuration follows.

    `name` and `kind` are those in the settings. `kafka` is `host:port` of the stack's own Kafka. `volume` is the
    directory where the destination's volume is mounted. `buffer_mib` bounds the events that may wait for it.
    """

    name: str
    kind: str
    kafka: str
    volume: str
    buffer_mib: int


class Destination(Section):
    """One kind of destination. Its fields are its settings."""

    secret_keys: ClassVar[tuple[str, ...]] = ()
    """The keys that are read from its Secret, if it names one."""
    exporters: ClassVar[Mapping[str, str]] = {}
    """The collector's exporter, by the kind in the settings; the collector cannot write to a kind that is not here."""
    collector_variables: ClassVar[Mapping[str, str]] = {}
    """The sidecar's variables for keys of its Secret, where the collector's exporter reads none but these."""
    dated: ClassVar[bool] = False
    """True if the collector's exporter makes paths of the date of each event."""

    @property
    def secret_name(self) -> str | None:
        """The Secret that it needs."""
        return getattr(self, "secret", None)

    @property
    def claim_name(self) -> str | None:
        """The claim that the pods mount for it."""
        return None

    def exclusive(self, agent: Agent) -> Hashable:
        """A value that no other destination of its kind may have, too; None if there is none."""
        return None

    def clash(self, first: str) -> tuple[str, str]:
        """The key at fault, and value and remedy, where the destination `first` has what is exclusive already."""
        raise NotImplementedError

    def store(self, at: Place) -> FluentdStore:
        """The part of fluentd's configuration."""
        raise NotImplementedError

    def exporter(self, at: Place) -> dict[str, Any]:
        """The part of the collector's configuration. Not called for a kind that is not in `exporters`."""
        raise NotImplementedError
