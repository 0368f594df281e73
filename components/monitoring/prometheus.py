"""Prometheus of an environment: shards that scrape the platform's metrics and keep them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.base import Children, Expanded, StorageArgs, checksum, container, labels, ports, resources
from components.monitoring.jobs import ScrapeJob, configuration, own_jobs
from components.monitoring.settings import MonitoringSettings
from components.monitoring.shards import shared_out
from components.names import STATEFUL_SET, check_name, image_version
from components.ports import PROMETHEUS
from components.stateful_set import StatefulSetArgs, stateful_set

_USER = 65534  # of the image
_CONFIG_DIR = "/etc/prometheus/shards"
_DATA_DIR = "/prometheus"


@dataclass(frozen=True, kw_only=True)
class PrometheusArgs:
    """`image` has Prometheus and its version as the tag; `jobs` are what is scraped beside Prometheus itself."""

    namespace: str
    image: str
    settings: MonitoringSettings
    jobs: Sequence[ScrapeJob]
    storage: StorageArgs


class Prometheus(pulumi.ComponentResource):
    """Shards of Prometheus with a volume each, which share out the scrape jobs.

    Raises ValueError for a name that does not fit a StatefulSet.
    """

    stateful_set: str
    """The name of the StatefulSet, for port-forwards to its pods."""
    port: int
    """The port of each shard's API."""

    def __init__(self, name: str, args: PrometheusArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_name(name, STATEFUL_SET)
        super().__init__("streaming:monitoring:Prometheus", name, None, opts)
        settings = args.settings
        files = shard_files(name, args)
        all_labels = labels(name="prometheus", instance=name, version=image_version(args.image), component="monitoring")
        stateful_set(
            name,
            StatefulSetArgs(
                count=settings.shards,
                files=files,
                checksum=checksum(files),
                ports=PROMETHEUS,
                client_port="http",
                container=_container(args),
                user=_USER,
                # It lets queries end and closes its files: what it scraped is in its write-ahead log already.
                grace_seconds=30,
                storage_mib=settings.storage_mib,
                storage=args.storage,
            ),
            Children(parent=self, namespace=args.namespace, labels=all_labels),
        )
        self.stateful_set = name
        self.port = PROMETHEUS["http"]
        self.register_outputs({"stateful_set": self.stateful_set, "port": self.port})


def shard_files(name: str, args: PrometheusArgs) -> dict[str, str]:
    """The configuration file of each shard, by the name of its pod."""
    settings = args.settings
    jobs = {job.name: job for job in (*args.jobs, *own_jobs(name, settings.shards))}
    return {
        f"{name}-{shard}.yaml": configuration(
            [jobs[each] for each in own], namespace=args.namespace, scrape_seconds=settings.scrape_seconds
        )
        for shard, own in enumerate(shared_out(jobs, settings.shards))
    }


def _container(args: PrometheusArgs) -> k8s.core.v1.ContainerArgsDict:
    settings = args.settings
    ready: k8s.core.v1.ProbeArgsDict = {"http_get": {"path": "/-/ready", "port": "http"}}
    return container(
        {
            "name": "prometheus",
            "image": args.image,
            "args": [
                Expanded(f"--config.file={_CONFIG_DIR}/$(POD_NAME).yaml"),
                f"--storage.tsdb.path={_DATA_DIR}",
                f"--storage.tsdb.retention.time={settings.retention_hours}h",
                # Old blocks are deleted only after new ones were written: a quarter is for that. MB are MiB here.
                f"--storage.tsdb.retention.size={settings.storage_mib * 3 // 4}MB",
                f"--web.listen-address=:{PROMETHEUS['http']}",
            ],
            "env": [
                {"name": "POD_NAME", "value_from": {"field_ref": {"field_path": "metadata.name"}}},
                # Below the limit: Go would let the heap double before it looks for garbage, and the kernel would kill.
                {"name": "GOMEMLIMIT", "value": f"{settings.memory_mib * 9 // 10}MiB"},
            ],
            "ports": ports(PROMETHEUS),
            "resources": resources(settings.memory_mib, settings.cpu),
            # Ten minutes: it reads its log again when it starts, which takes longer the more series there are.
            "startup_probe": {**ready, "period_seconds": 2, "failure_threshold": 300},
            "readiness_probe": {**ready, "period_seconds": 5, "failure_threshold": 3},
            "liveness_probe": {
                "http_get": {"path": "/-/healthy", "port": "http"},
                "period_seconds": 15,
                "failure_threshold": 4,
                "timeout_seconds": 5,
            },
            "volume_mounts": [
                {"name": "config", "mount_path": _CONFIG_DIR, "read_only": True},
                {"name": "data", "mount_path": _DATA_DIR},
            ],
        },
        read_only_root=True,
    )
