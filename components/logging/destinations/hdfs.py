"""Logs to HDFS, which the collector cannot write to."""

from typing import Annotated

from pydantic import Field

from components.exact import Host, RelativePath
from components.logging.destinations import fluentd
from components.logging.destinations.base import Destination, Place
from components.settings import Port


class HdfsDestination(Destination):
    """HDFS by WebHDFS: files of JSON lines below <path>/<namespace>/<cluster>/<date>/, one for each pod and hour."""

    host: Host
    """The active NameNode, or an HttpFS gateway."""
    port: Port = 9870
    """Port of WebHDFS on the NameNode."""
    path: RelativePath = "logs"
    """Directory that files are written below."""
    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]*$")] = "flink"
    """User that files are written as."""
    tls: bool = False
    """Use HTTPS."""

    def store(self, at: Place) -> fluentd.FluentdStore:
        parameters: dict[str, object] = {
            "@type": "webhdfs",
            "host": self.host,
            "port": self.port,
            "username": self.user,
            "path": f"/{self.path}/{fluentd.PLACE}/%Y-%m-%d/#{{ENV['POD']}}.%H.log",
            "ignore_start_check_error": True,
        }
        return fluentd.FluentdStore(
            parameters=parameters | ({"ssl": True, "ssl_verify_mode": "peer"} if self.tls else {}),
            chunk_keys="time",
            buffer={"timekey": "1h", "chunk_limit_size": "8m", "flush_interval": "10s"},
        )
