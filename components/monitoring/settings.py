"""The settings of an environment's Prometheus."""

from typing import Annotated

from pydantic import Field

from components.settings import Cores, Section, Storage


class MonitoringSettings(Section):
    """A Prometheus of the environment, which `make dashboard` shows: docs/metrics.md."""

    enabled: bool = False
    """Let the environment have a Prometheus of its own."""
    shards: Annotated[int, Field(ge=1, le=20)] = 1
    """Number of Prometheus processes. They share out what is scraped: each target belongs to one of them."""
    memory_mib: Annotated[int, Field(ge=128, le=65536)] = 400
    """Memory limit of a shard, in MiB. It grows with the number of series."""
    cpu: Cores = 0.05
    """CPU request of a shard, in cores."""
    storage_mib: Annotated[Storage, Field(ge=512)] = 2048
    """Claim of a shard, in MiB. Three quarters of it hold metrics, of which the oldest are dropped first."""
    retention_hours: Annotated[int, Field(ge=2, le=8760)] = 48
    """Time that metrics are kept, in hours, where the claim has room for it."""
    scrape_seconds: Annotated[int, Field(ge=5, le=120)] = 15
    """Time between two scrapes of a target, in seconds."""
