"""Logs to another fluentd, whose protocol the collector does not have."""

from components.exact import Host, ObjectName
from components.logging.destinations import fluentd
from components.logging.destinations.base import Destination, Place
from components.settings import Port


class ForwardDestination(Destination):
    """Another fluentd."""

    secret_keys = ("shared-key",)

    host: Host
    """Host of the other fluentd."""
    port: Port = 24224
    """Port of the other fluentd's input `forward`."""
    tls: bool = False
    """Encrypt the connection."""
    secret: ObjectName | None = None
    """Secret with `shared-key`."""

    def store(self, at: Place) -> fluentd.FluentdStore:
        sections = [fluentd.FluentdSection("server", "", {"host": self.host, "port": self.port})]
        if self.secret is not None:
            keys = {"self_hostname": "#{ENV['POD']}", "shared_key": fluentd.secret(at.name, "shared-key")}
            sections.append(fluentd.FluentdSection("security", "", keys))
        return fluentd.FluentdStore(
            parameters={
                "@type": "forward",
                "require_ack_response": True,
                **({"transport": "tls"} if self.tls else {}),
            },
            buffer={"chunk_limit_size": "1m", "flush_interval": "1s"},
            sections=sections,
        )
