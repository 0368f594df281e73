"""Logs to a bucket."""

from collections.abc import Hashable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from components.exact import ObjectName, RelativePath, Url
from components.logging.destinations import collector, fluentd
from components.logging.destinations.base import Agent, Destination, Place


class S3Destination(Destination):
    """A bucket of an S3-compatible store: objects of JSON lines below <prefix>/<namespace>/<cluster>/<date>/."""

    secret_keys = ("access-key-id", "secret-access-key")
    exporters: ClassVar[Mapping[str, str]] = {"s3": "awss3"}
    # The exporter knows the names of Amazon's own tools, and no other.
    collector_variables: ClassVar[Mapping[str, str]] = {
        "access-key-id": "AWS_ACCESS_KEY_ID",
        "secret-access-key": "AWS_SECRET_ACCESS_KEY",
    }

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    """Bucket that objects are written to. It must exist."""
    prefix: RelativePath = "logs"
    """First part of the key of each object."""
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] = "us-east-1"
    """Region of the bucket."""
    endpoint: Url | None = None
    """Endpoint of a store other than Amazon's, which is addressed by path (endpoint/bucket/key)."""
    secret: ObjectName | None = None
    """Secret with `access-key-id` and `secret-access-key`; by default what the pods' own identity is allowed."""

    def exclusive(self, agent: Agent) -> Hashable:
        # One pod has one of each of Amazon's variables.
        return "keys" if agent == "opentelemetryCollector" and self.secret is not None else None

    def clash(self, first: str) -> tuple[str, str]:
        return "secret", (f"the collector takes one pair of S3 keys, and {first} has one: leave it out, or use fluentd")

    def store(self, at: Place) -> fluentd.FluentdStore:
        parameters: dict[str, object] = {
            "@type": "s3",
            "s3_bucket": self.bucket,
            "s3_region": self.region,
            "path": f"{self.prefix}/{fluentd.PLACE}/%Y/%m/%d/",
            # The same name when a part is sent again: repetitions take the place of what they repeat.
            "s3_object_key_format": "%{path}#{ENV['POD']}-%{hex_random}.%{file_extension}",
            "hex_random_length": 16,
            "store_as": "gzip",
            "check_bucket": False,
            "check_object": False,
        }
        if self.endpoint is not None:
            parameters |= {"s3_endpoint": self.endpoint, "force_path_style": True}
        if self.secret is not None:
            parameters |= {
                "aws_key_id": fluentd.secret(at.name, "access-key-id"),
                "aws_sec_key": fluentd.secret(at.name, "secret-access-key"),
            }
        return fluentd.FluentdStore(
            parameters=parameters,
            chunk_keys="time",
            buffer={"timekey": "1d", "chunk_limit_size": "16m", "flush_interval": "60s"},
        )

    def exporter(self, at: Place) -> dict[str, Any]:
        uploader: dict[str, Any] = {
            "region": self.region,
            "s3_bucket": self.bucket,
            "s3_prefix": f"{self.prefix}/{collector.CLUSTER_PATH}",
            "s3_partition_format": "%Y/%m/%d",
            "s3_partition_timezone": "UTC",
            "file_prefix": "${env:POD}-",
            "unique_key_func_name": "uuidv7",
            "compression": "gzip",
            "retry_max_attempts": 0,  # for ever
        }
        if self.endpoint is not None:
            uploader |= {"endpoint": self.endpoint, "s3_force_path_style": True}
        queue = collector.queue(at.buffer_mib, 60)
        # Few large objects instead of many small ones.
        queue["batch"] |= {"min_size": 8 * collector.MIB, "max_size": 16 * collector.MIB}
        return {"s3uploader": uploader, "marshaler": "body", "timeout": "0s", "sending_queue": queue}
