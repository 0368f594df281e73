"""Logs to a volume that all pods mount."""

from collections.abc import Mapping
from typing import Any, ClassVar

from components.exact import ObjectName, RelativePath
from components.logging.destinations import collector, fluentd
from components.logging.destinations.base import Destination, Place


class VolumeDestination(Destination):
    """A volume: files of JSON lines below <path>/<namespace>/<cluster>/<date>/, one for each pod."""

    exporters: ClassVar[Mapping[str, str]] = {"volume": "file"}
    dated = True

    claim: ObjectName
    """A claim of the namespace that all pods may mount at once."""
    path: RelativePath = "logs"
    """Directory in the volume that files are written below."""

    @property
    def claim_name(self) -> str | None:
        return self.claim

    def store(self, at: Place) -> fluentd.FluentdStore:
        return fluentd.FluentdStore(
            parameters={
                "@type": "file",
                "path": f"{at.volume}/{self.path}/{fluentd.PLACE}/%Y-%m-%d/#{{ENV['POD']}}",
                "append": True,
            },
            chunk_keys="time",
            buffer={"timekey": "1d", "chunk_limit_size": "8m", "flush_interval": "1s"},
        )

    def exporter(self, at: Place) -> dict[str, Any]:
        # Written through, without a queue: a volume that is full or away makes the reader wait.
        return {
            "path": f"{at.volume}/{self.path}/{collector.CLUSTER_PATH}/*/${{env:POD}}.log",
            "group_by": {"enabled": True, "resource_attribute": collector.DATE},
            "create_directory": True,
            "encoding": collector.TEXT_ENCODING,
        }
