"""A Kafka cluster in KRaft mode: brokers of which the first, or the first three, are controllers too."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components.base import Children, StorageArgs, checksum, container, labels, ports, resources
from components.kafka.settings import KafkaSettings
from components.names import STATEFUL_SET, check_name, image_version
from components.ports import KAFKA, KAFKA_METRICS
from components.stateful_set import StatefulSetArgs, stateful_set

_USER = 1000  # of the image
_CONFIG_DIR = "/etc/kafka-nodes"
_PROGRAMS_DIR = "/opt/platform/programs"
_DATA_DIR = "/var/lib/kafka"

_AGENT = "metrics-agent.jar"
_RULES = "metrics.yaml"

_START = (Path(__file__).parent / "scripts" / "start.sh").read_text(encoding="utf-8")
_METRICS = (Path(__file__).parent / _RULES).read_text(encoding="utf-8")

# To the console only: Kafka's own configuration writes files that are rolled by the hour and never deleted.
_LOG4J2 = """\
# By default the loggers end when the JVM is asked to: a broker's controlled shutdown would not be logged.
shutdownHook = disable

appender.console.name = Console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c [%t] - %m%n%throwable

rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
"""


@dataclass(frozen=True, kw_only=True)
class KafkaClusterArgs:
    """`image` has Kafka and its version as the tag; `cluster_id` is 16 bytes in URL-safe base64, and never changes.

    `metrics_agent` is the jar that components/kafka/agent gets; without it brokers serve no metrics.
    """

    namespace: str
    image: str
    cluster_id: pulumi.Input[str]
    settings: KafkaSettings
    storage: StorageArgs
    metrics_agent: bytes | None = None


class KafkaCluster(pulumi.ComponentResource):
    """Brokers with a volume each.

    Clients in the namespace use the listener `internal`. The listener `admin` of broker n is bound to the loopback
    address of its pod and advertises 127.0.0.1:<admin port + n>: behind a port-forward from the same local port, it is
    the same address on both sides.

    Raises ValueError for a name that does not fit a StatefulSet.
    """

    bootstrap_servers: str
    """The address for clients inside the namespace: `host:port`."""
    stateful_set: str
    """The name of the StatefulSet, for port-forwards to its pods."""

    def __init__(self, name: str, args: KafkaClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_name(name, STATEFUL_SET)
        super().__init__("streaming:kafka:KafkaCluster", name, None, opts)
        brokers = args.settings.brokers
        nodes = [
            node_properties(
                node, name=name, namespace=args.namespace, brokers=brokers, admin_port=args.settings.admin_port
            )
            for node in range(brokers)
        ]
        all_labels = labels(name="kafka", instance=name, version=image_version(args.image), component="broker")
        # One node's file says all that they share: another broker must not restart the rest.
        texts = {"log4j2.properties": _LOG4J2, "0.properties": nodes[0]}
        metrics: dict[str, str] = {}
        if args.metrics_agent is not None:
            metrics = {_RULES: _METRICS}
            texts |= metrics | {_AGENT: hashlib.sha256(args.metrics_agent).hexdigest()}
        stateful_set(
            name,
            StatefulSetArgs(
                count=brokers,
                files={
                    "log4j2.properties": _LOG4J2,
                    **{f"{node}.properties": text for node, text in enumerate(nodes)},
                    **_new_disks(args.settings),
                    **metrics,
                },
                checksum=checksum(texts),
                ports=KAFKA,
                client_port="internal",
                container=_container(args),
                user=_USER,
                # Leadership of every partition moves away and logs are flushed; killed before that, a broker reads its
                # logs again when it starts.
                grace_seconds=90,
                storage_mib=args.settings.storage_mib,
                storage=args.storage,
                programs={} if args.metrics_agent is None else {_AGENT: args.metrics_agent},
            ),
            Children(parent=self, namespace=args.namespace, labels=all_labels),
        )
        self.bootstrap_servers = f"{name}:{KAFKA['internal']}"
        self.stateful_set = name
        self.register_outputs({"bootstrap_servers": self.bootstrap_servers, "stateful_set": self.stateful_set})


def node_properties(node: int, *, name: str, namespace: str, brokers: int, admin_port: int) -> str:
    """The server.properties of one node."""
    controllers = 3 if brokers >= 3 else 1
    replicas = min(3, brokers)
    in_sync = max(1, replicas - 1)
    is_controller = node < controllers
    ports_in_cluster = {"INTERNAL": KAFKA["internal"]} | ({"CONTROLLER": KAFKA["controller"]} if is_controller else {})
    admin = {"ADMIN": f"127.0.0.1:{admin_port + node}"}
    listeners = {each: f":{port}" for each, port in ports_in_cluster.items()} | admin
    host = _host(node, name, namespace)
    advertised = {each: f"{host}:{port}" for each, port in ports_in_cluster.items()} | admin
    voters = [f"{voter}@{_host(voter, name, namespace)}:{KAFKA['controller']}" for voter in range(controllers)]
    properties: dict[str, str | int] = {
        "node.id": node,
        "process.roles": "broker,controller" if is_controller else "broker",
        "controller.quorum.voters": ",".join(voters),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "INTERNAL",
        "listeners": _addresses(listeners),
        "advertised.listeners": _addresses(advertised),
        "listener.security.protocol.map": "INTERNAL:PLAINTEXT,ADMIN:PLAINTEXT,CONTROLLER:PLAINTEXT",
        # A directory below the mount, which may hold what its file system puts there.
        "log.dirs": f"{_DATA_DIR}/data",
        # Topics are resources: a name with a typing mistake must not become one more.
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        # Default 15 min. Flink's KafkaSink asks for 1 h (transaction.timeout.ms) unless told otherwise, and with
        # EXACTLY_ONCE it would not start.
        "transaction.max.timeout.ms": 3600 * 1000,
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def _new_disks(settings: KafkaSettings) -> dict[str, str]:
    """The file that says which disks may be formatted again, read by a broker that waits for it: no pod is replaced."""
    return {"new-disks": "".join(f"{node}\n" for node in settings.new_disks)} if settings.new_disks else {}


def _host(node: int, name: str, namespace: str) -> str:
    return f"{name}-{node}.{name}-headless.{namespace}.svc"


def _addresses(listeners: dict[str, str]) -> str:
    return ",".join(f"{listener}://{address}" for listener, address in listeners.items())


def _container(args: KafkaClusterArgs) -> k8s.core.v1.ContainerArgsDict:
    settings = args.settings
    # The port opens when the broker has read its logs and caught up with the controllers. Ten minutes: after a crash
    # it reads all segments that were open.
    accepts: k8s.core.v1.ProbeArgsDict = {"tcp_socket": {"port": "internal"}}
    metrics = args.metrics_agent is not None
    agent = f"-javaagent:{_PROGRAMS_DIR}/{_AGENT}={KAFKA_METRICS['metrics']}:{_CONFIG_DIR}/{_RULES}"
    return container(
        {
            "name": "kafka",
            "image": args.image,
            "command": ["bash", "-ec", _START],
            "env": [
                {"name": "CLUSTER_ID", "value": args.cluster_id},
                # Half: the rest is for the JVM itself and, above all, the page cache that consumers read from.
                {"name": "HEAP_MIB", "value": str(settings.memory_mib // 2)},
                *([{"name": "METRICS_AGENT", "value": agent}] if metrics else []),
            ],
            "ports": ports({**KAFKA, **(KAFKA_METRICS if metrics else {})}),
            "resources": resources(settings.memory_mib, settings.cpu),
            "startup_probe": {**accepts, "period_seconds": 2, "failure_threshold": 300},
            "liveness_probe": {**accepts, "period_seconds": 10, "failure_threshold": 6},
            "readiness_probe": {**accepts, "period_seconds": 3, "failure_threshold": 3},
            "volume_mounts": [
                {"name": "config", "mount_path": _CONFIG_DIR, "read_only": True},
                {"name": "data", "mount_path": _DATA_DIR},
                *([{"name": "programs", "mount_path": _PROGRAMS_DIR, "read_only": True}] if metrics else []),
            ],
        }
    )
