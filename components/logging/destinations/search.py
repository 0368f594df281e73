"""Logs to Elasticsearch or OpenSearch."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from components.exact import ObjectName, Url
from components.logging.destinations import collector, fluentd
from components.logging.destinations.base import Destination, Place


class SearchDestination(Destination):
    """Elasticsearch or OpenSearch: a data stream or index of documents, one for each event."""

    secret_keys = ("username", "password")
    # The collector's exporter for OpenSearch cannot be had as a Go module at the version of the other parts.
    exporters: ClassVar[Mapping[str, str]] = {"elasticsearch": "elasticsearch"}

    urls: Annotated[tuple[Url, ...], Field(min_length=1)]
    """URLs of the nodes."""
    index: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")] = "logs"
    """Index or data stream that documents are written to."""
    secret: ObjectName | None = None
    """Secret with `username` and `password`."""

    def store(self, at: Place) -> fluentd.FluentdStore:
        parameters: dict[str, object] = {
            "@type": at.kind,
            "hosts": ",".join(self.urls),
            "index_name": self.index,
            "include_timestamp": True,
            # Both indices and data streams take it.
            "write_operation": "create",
            "suppress_type_name": True,
            "reconnect_on_error": True,
            "reload_on_failure": True,
            "reload_connections": False,
        }
        if at.kind == "elasticsearch":
            parameters |= {"verify_es_version_at_startup": False, "default_elasticsearch_version": 8}
        if self.secret is not None:
            parameters |= {
                "user": fluentd.secret(at.name, "username"),
                "password": fluentd.secret(at.name, "password"),
            }
        return fluentd.FluentdStore(
            parameters=parameters, buffer={"chunk_limit_size": "4m", "flush_interval": "1s"}, sections=()
        )

    def exporter(self, at: Place) -> dict[str, Any]:
        exporter: dict[str, Any] = {
            "endpoints": list(self.urls),
            "logs_index": self.index,
            "mapping": {"mode": "bodymap"},
            "retry": {"enabled": True, "max_retries": 0, "initial_interval": "1s", "max_interval": "30s"},
            "sending_queue": collector.queue(at.buffer_mib, 1),
        }
        if self.secret is not None:
            exporter |= {
                "user": collector.secret(at.name, "username"),
                "password": collector.secret(at.name, "password"),
            }
        return exporter
