"""Parts of the OpenTelemetry Collector's configuration that destinations share."""

from typing import Any

from components.logging.files import variable

STORAGE = "file_storage"
TEXT_ENCODING = "text_encoding"  # documents as JSON lines
DATE = "date"  # of an event, for paths
MIB = 1024 * 1024
RETRY = {"enabled": True, "initial_interval": "1s", "max_interval": "30s", "max_elapsed_time": 0}
CLUSTER_PATH = "${env:NAMESPACE}/${env:CLUSTER}"


def queue(buffer_mib: int, seconds: float) -> dict[str, Any]:
    """A queue on disk, sent when 1 MiB has come together or after `seconds`, by one sender: events stay in order."""
    return {
        "enabled": True,
        "storage": STORAGE,
        "sizer": "bytes",
        "queue_size": buffer_mib * MIB,
        "num_consumers": 1,
        "block_on_overflow": True,
        "batch": {"flush_timeout": f"{seconds}s", "sizer": "bytes", "min_size": MIB // 2, "max_size": MIB},
    }


def secret(destination: str, key: str) -> str:
    """A key of a destination's Secret, as the collector reads it from its environment."""
    return f"${{env:{variable(destination, key)}}}"
