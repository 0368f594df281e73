"""A ZooKeeper ensemble: where Flink elects its leaders and keeps pointers to its checkpoints."""

from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components.base import Children, StorageArgs, checksum, container, labels, ports, resources
from components.names import STATEFUL_SET, check_name, image_version
from components.ports import ZOOKEEPER, ZOOKEEPER_METRICS
from components.stateful_set import StatefulSetArgs, stateful_set
from components.zookeeper.settings import ZooKeeperSettings

_USER = 1000  # of the image

_START = (Path(__file__).parent / "scripts" / "start.sh").read_text(encoding="utf-8")

# A four-letter word and what a healthy member answers. `srvr` names the mode only while the member serves, as part of
# a quorum; `ruok` is answered by any process that is not stuck.
_SERVES = "srvr", r"Mode:\ (leader|follower|standalone)"
_ANSWERS = "ruok", "imok"


@dataclass(frozen=True, kw_only=True)
class ZooKeeperArgs:
    """`image` has ZooKeeper and its version as the tag; `settings` are the members and their sizes."""

    namespace: str
    image: str
    settings: ZooKeeperSettings
    storage: StorageArgs


class ZooKeeperEnsemble(pulumi.ComponentResource):
    """An ensemble of an odd number of members, each with a volume of its own.

    Raises ValueError for a name that does not fit a StatefulSet.
    """

    connect_string: str
    """The address for clients inside the namespace: `host:port`."""

    def __init__(self, name: str, args: ZooKeeperArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_name(name, STATEFUL_SET)
        super().__init__("streaming:zookeeper:ZooKeeperEnsemble", name, None, opts)
        settings = args.settings
        config = {"zoo.cfg": zoo_cfg(name=name, namespace=args.namespace, members=settings.members)}
        all_labels = labels(
            name="zookeeper", instance=name, version=image_version(args.image), component="coordination"
        )
        stateful_set(
            name,
            StatefulSetArgs(
                count=settings.members,
                files=config,
                checksum=checksum(config),
                ports=ZOOKEEPER,
                client_port="client",
                container=_container(args),
                user=_USER,
                # A member has nothing to finish: what it acknowledged is on disk. It ends within a second or two.
                grace_seconds=15,
                storage_mib=settings.storage_mib,
                storage=args.storage,
            ),
            Children(parent=self, namespace=args.namespace, labels=all_labels),
        )
        self.connect_string = f"{name}:{ZOOKEEPER['client']}"
        self.register_outputs({"connect_string": self.connect_string})


def zoo_cfg(*, name: str, namespace: str, members: int) -> str:
    """The configuration of every member; what differs is only /data/myid."""
    peers = f"{ZOOKEEPER['peer']}:{ZOOKEEPER['election']}"
    servers = [
        f"server.{member + 1}={name}-{member}.{name}-headless.{namespace}.svc:{peers}" for member in range(members)
    ]
    lines = [
        # Milliseconds. A client's session may be as short as two ticks: Flink's next JobManager leads when that of the
        # last one has ended.
        "tickTime=1000",
        # By default 20 ticks: the 60 s that TaskManagers ask for, as Flink does by default, would be cut to 20 s.
        "maxSessionTimeout=60000",
        # Ticks that a member may take to catch up with the leader, and may lag behind it.
        "initLimit=20",
        "syncLimit=10",
        "dataDir=/data",
        f"clientPort={ZOOKEEPER['client']}",
        # Off by default, and snapshots and logs would fill the volume. Hours between purges.
        "autopurge.purgeInterval=1",
        "autopurge.snapRetainCount=3",
        # Only srvr by default.
        "4lw.commands.whitelist=ruok,srvr",
        # A member's own name may not resolve yet when it starts to listen.
        "quorumListenOnAllIPs=true",
        # An HTTP server without authentication, on by default.
        "admin.enableServer=false",
        # For Prometheus, with what the JVM says of itself.
        "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
        f"metricsProvider.httpPort={ZOOKEEPER_METRICS['metrics']}",
        "metricsProvider.exportJvmInfo=true",
        *servers,
    ]
    return "\n".join(lines) + "\n"


def _container(args: ZooKeeperArgs) -> k8s.core.v1.ContainerArgsDict:
    settings = args.settings
    return container(
        {
            "name": "zookeeper",
            "image": args.image,
            "command": ["bash", "-ec", _START],
            # Half for the heap: what a JVM this small needs beside it (classes, code, threads, buffers) is as much.
            "env": [{"name": "ZK_SERVER_HEAP", "value": str(settings.memory_mib // 2)}],
            "ports": ports({**ZOOKEEPER, **ZOOKEEPER_METRICS}),
            "resources": resources(settings.memory_mib, settings.cpu),
            # Often at first, and for ten minutes: a member waits for the others. Later seldom, as each probe starts a
            # process: 20 s without a quorum take it out of its Service, 90 s without an answer are a hang.
            "startup_probe": {**_ask(*_SERVES), "period_seconds": 2, "failure_threshold": 300},
            "readiness_probe": {**_ask(*_SERVES), "period_seconds": 10, "failure_threshold": 2},
            "liveness_probe": {**_ask(*_ANSWERS), "period_seconds": 30, "failure_threshold": 3},
            "volume_mounts": [
                {"name": "config", "mount_path": "/conf/zoo.cfg", "sub_path": "zoo.cfg", "read_only": True},
                {"name": "data", "mount_path": "/data"},
            ],
        }
    )


def _ask(word: str, answer: str) -> k8s.core.v1.ProbeArgsDict:
    """Send a four-letter word to the member in this pod, and match what it answers with a regular expression."""
    script = (
        f"exec 3<>/dev/tcp/127.0.0.1/{ZOOKEEPER['client']}; printf {word} >&3; "
        f"read -r -d '' -t 4 -u 3 reply || :; [[ $reply =~ {answer} ]]"
    )
    return {"exec_": {"command": ["bash", "-c", script]}, "timeout_seconds": 5}
