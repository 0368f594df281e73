"""What every destination of logs has: settings, and what fluentd and the OpenTelemetry Collector are told of it."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from components.logging.destinations.fluentd import FluentdStore
from components.settings import Section

Agent = Literal["fluentd", "opentelemetryCollector"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a destination stands: its name and kind in the settings, and what of the pod and the stack it may need.

    `kafka` is `host:port` of the stack's own, `volume` where the destination's volume is mounted, `buffer_mib` how much
    may wait for it.
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
    """Whether the collector's exporter needs the date of each event, for paths."""

    @property
    def secret_name(self) -> str | None:
        """The Secret that it needs."""
        return getattr(self, "secret", None)

    @property
    def claim_name(self) -> str | None:
        """The claim that the pods mount for it."""
        return None

    def exclusive(self, agent: Agent) -> Hashable:
        """What no other destination of its kind may have as well; None if there is nothing."""
        return None

    def clash(self, first: str) -> tuple[str, str]:
        """The key at fault, and value and remedy, where the destination `first` has what is exclusive already."""
        raise NotImplementedError

    def store(self, at: Place) -> FluentdStore:
        """What fluentd is told."""
        raise NotImplementedError

    def exporter(self, at: Place) -> dict[str, Any]:
        """What the collector is told. Not asked for a kind that has none of `exporters`."""
        raise NotImplementedError
