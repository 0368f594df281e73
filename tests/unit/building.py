"""Builds each component on its own, with mocks and otherwise default settings."""

import json
from typing import Any

from components.base import StorageArgs
from components.flink.cluster import FlinkCluster, FlinkClusterArgs
from components.flink.settings import FlinkClusterSettings
from components.isolation.namespace import IsolatedNamespace, IsolatedNamespaceArgs
from components.isolation.settings import NamespaceSettings
from components.kafka.cluster import KafkaCluster, KafkaClusterArgs
from components.kafka.settings import KafkaSettings
from components.logging.files import LogFiles
from components.logging.settings import LoggingSettings
from components.logging.sidecar import LogSidecarArgs
from components.monitoring.jobs import flink_jobs, member_job
from components.monitoring.prometheus import Prometheus, PrometheusArgs
from components.monitoring.settings import MonitoringSettings
from components.zookeeper.ensemble import ZooKeeperArgs, ZooKeeperEnsemble
from components.zookeeper.settings import ZooKeeperSettings
from tests.unit.recording import Recording, record
from versions import KAFKA_IMAGE, PROMETHEUS_IMAGE, ZOOKEEPER_IMAGE

CLUSTER_ID = "-bcdefghijklmnopqrstuv"
SERVER = "https://10.0.0.1:6443"

# What Kubernetes puts into the Secret of a service account's token.
TOKEN = {"kubernetes:core/v1:Secret": {"data": {"ca.crt": "Y2E=", "token": "dG9rZW4="}}}


LEASES = "0123abcd"  # what the random provider adds


def zookeeper(name: str = "zookeeper", *, protect: bool = False, **settings: Any) -> Recording:
    args = ZooKeeperArgs(
        namespace="dev",
        image=ZOOKEEPER_IMAGE,
        settings=ZooKeeperSettings.model_validate(settings),
        storage=StorageArgs(storage_class=None, protect=protect),
    )
    return record(lambda: ZooKeeperEnsemble(name, args))


def kafka_args(*, protect: bool = False, **settings: Any) -> KafkaClusterArgs:
    return KafkaClusterArgs(
        namespace="dev",
        image=KAFKA_IMAGE,
        cluster_id=CLUSTER_ID,
        settings=KafkaSettings.model_validate(settings),
        storage=StorageArgs(storage_class="fast", protect=protect),
        metrics_agent=b"agent",
    )


def kafka(name: str = "kafka", *, protect: bool = False, **settings: Any) -> Recording:
    args = kafka_args(protect=protect, **settings)
    return record(lambda: KafkaCluster(name, args))


def flink_args(*, protect: bool = False, **settings: Any) -> FlinkClusterArgs:
    image = "registry.example/jobs/claims:1.0"
    document = json.dumps({"image": image, "mainClass": "com.example.Job", **settings})
    return FlinkClusterArgs(
        namespace="dev",
        image=image,
        zookeeper="zookeeper:2181",
        settings=FlinkClusterSettings.model_validate_json(document),
        access_mode="ReadWriteMany",
        storage=StorageArgs(storage_class=None, protect=protect),
        state_record=b"jar",
    )


def flink(name: str = "claims", *, protect: bool = False, **settings: Any) -> Recording:
    args = flink_args(protect=protect, **settings)
    return record(lambda: FlinkCluster(name, args), {"random:index/randomId:RandomId": {"hex": LEASES}})


def log_sidecar_args(settings: LoggingSettings) -> LogSidecarArgs:
    return LogSidecarArgs(
        namespace="dev",
        image="agent:1",
        shell="registry.example/jobs/claims:1.0",
        kafka="kafka:9092",
        files=LogFiles(volume="log", directory="/opt/flink/log", gcs=("*.gc",)),
        settings=settings,
    )


def prometheus_args(*, protect: bool = False, **settings: Any) -> PrometheusArgs:
    return PrometheusArgs(
        namespace="dev",
        image=PROMETHEUS_IMAGE,
        settings=MonitoringSettings.model_validate(settings),
        jobs=[member_job("zookeeper", "member", 7000), member_job("kafka", "broker", 9094), *flink_jobs("claims")],
        storage=StorageArgs(storage_class=None, protect=protect),
    )


def prometheus(name: str = "prometheus", *, protect: bool = False, **settings: Any) -> Recording:
    args = prometheus_args(protect=protect, **settings)
    return record(lambda: Prometheus(name, args))


def namespace(name: str = "dev", *, protect: bool = False, **settings: Any) -> Recording:
    args = IsolatedNamespaceArgs(
        server=SERVER, settings=NamespaceSettings.model_validate({"dataProtection": protect, **settings})
    )
    return record(lambda: IsolatedNamespace(name, args), TOKEN)
