"""An environment stack: ZooKeeper, Kafka and its topics, Flink clusters, and Prometheus, in that order."""

from collections.abc import Iterator, Mapping

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components.base import PodAdditions, StorageArgs
from components.continuity.resource import Continuity, ContinuityArgs
from components.flink.cluster import FlinkCluster, FlinkClusterArgs
from components.flink.directories import LOG_DIR
from components.flink.running import RunningJob, RunningJobArgs
from components.kafka.admin import PodConnection
from components.kafka.cluster import KafkaCluster, KafkaClusterArgs
from components.kafka.topic import KafkaTopic, TopicArgs
from components.logging.files import LogFiles
from components.logging.sidecar import LogSidecar, LogSidecarArgs
from components.monitoring.jobs import ScrapeJob, flink_jobs, member_job
from components.monitoring.prometheus import Prometheus, PrometheusArgs
from components.names import state_claim
from components.ports import KAFKA_METRICS, ZOOKEEPER_METRICS
from components.zookeeper.ensemble import ZooKeeperArgs, ZooKeeperEnsemble
from stacks.settings import EnvironmentSettings, flink_image, log_image, metrics_agent, state_record

_ZOOKEEPER, _KAFKA, _PROMETHEUS = "zookeeper", "kafka", "prometheus"  # their StatefulSets


def build(settings: EnvironmentSettings) -> Mapping[str, object]:
    """Create the stack's resources and return its outputs. Raises SettingsError if a jar is not built."""
    images = {name: flink_image(settings, name) for name in settings.flink.clusters}
    record = state_record() if settings.flink.clusters else b""
    namespace = settings.environment
    storage = StorageArgs(storage_class=settings.storage.class_name, protect=settings.data_protection)
    provider = k8s.Provider(
        "kubernetes",
        kubeconfig=_kubeconfig(settings),
        namespace=namespace,
        # The same cluster as long as it is the same cluster stack, whatever its address or the deployer's token.
        cluster_identifier=f"{settings.cluster_stack}/{namespace}",
        # Files that change are updated in place; by default the ConfigMap would be deleted first, under running pods.
        enable_config_map_mutable=True,
    )
    # KRaft's format: 16 bytes in URL-safe base64. Brokers refuse to start with another id than the one on their disk.
    cluster_id = random.RandomId(
        "kafka-cluster-id", byte_length=16, opts=pulumi.ResourceOptions(protect=settings.data_protection)
    )
    connection = PodConnection(
        namespace=namespace,
        stateful_set=_KAFKA,
        brokers=settings.kafka.brokers,
        admin_port=settings.kafka.admin_port,
        credentials=_credentials(settings),
    )
    continuity = Continuity(
        "continuity",
        ContinuityArgs(
            members=settings.zookeeper.members,
            brokers=settings.kafka.brokers,
            cluster_id=cluster_id.b64_url,
            storage_class=settings.storage.class_name,
            access_mode=settings.storage.access_mode,
            places={name: each.s3.path if each.s3 else "" for name, each in settings.flink.clusters.items()},
            named={name: each.restore_from for name, each in settings.flink.clusters.items() if each.restore_from},
            sizes=_sizes(settings),
            zookeeper=_ZOOKEEPER,
            connection=connection,
        ),
    )
    in_cluster = pulumi.ResourceOptions(provider=provider)
    # What holds data is looked at before it is touched.
    checked = pulumi.ResourceOptions(provider=provider, depends_on=[continuity])

    zookeeper = ZooKeeperEnsemble(
        _ZOOKEEPER,
        ZooKeeperArgs(
            namespace=namespace, image=settings.images.zookeeper, settings=settings.zookeeper, storage=storage
        ),
        checked,
    )
    kafka = KafkaCluster(
        _KAFKA,
        KafkaClusterArgs(
            namespace=namespace,
            image=settings.images.kafka,
            cluster_id=cluster_id.b64_url,
            settings=settings.kafka,
            storage=storage,
            metrics_agent=metrics_agent(),
        ),
        checked,
    )
    topics = _topics(settings, connection, kafka)
    if unbounded := [name for name, topic in settings.topics.items() if topic.kept.grows]:
        pulumi.log.warn(
            f"these topics are bounded by time alone, not by size: {', '.join(unbounded)}. Give them "
            "retention.bytes and segment.bytes (docs/runbook.md, A full disk)"
        )
    sidecars = {
        name: LogSidecar(
            f"{name}-logs",
            LogSidecarArgs(
                namespace=namespace,
                image=log_image(settings),
                shell=images[name],
                kafka=kafka.bootstrap_servers,
                files=LogFiles(volume="log", directory=LOG_DIR, gcs=("*.gc",)),
                settings=settings.logging,
            ),
            in_cluster,
        )
        for name in (settings.flink.clusters if settings.logging.enabled else ())
    }
    clusters = {
        name: FlinkCluster(
            name,
            FlinkClusterArgs(
                namespace=namespace,
                image=images[name],
                zookeeper=zookeeper.connect_string,
                settings=cluster,
                access_mode=settings.storage.access_mode,
                storage=storage,
                state_record=record,
                log_layout=settings.logging.layout,
                additions=sidecars[name].additions if name in sidecars else PodAdditions(),
            ),
            pulumi.ResourceOptions(provider=provider, depends_on=[zookeeper, kafka, *topics, *sidecars.values()]),
        )
        for name, cluster in settings.flink.clusters.items()
    }
    for name, cluster in clusters.items():
        RunningJob(
            name,
            RunningJobArgs(namespace=namespace, cluster=name, credentials=connection.credentials),
            pulumi.ResourceOptions(depends_on=[cluster]),
        )
    if settings.monitoring.enabled:
        Prometheus(
            _PROMETHEUS,
            PrometheusArgs(
                namespace=namespace,
                image=settings.images.prometheus,
                settings=settings.monitoring,
                jobs=list(_scraped(settings)),
                storage=storage,
            ),
            checked,
        )
    return {
        "namespace": namespace,
        "zookeeper": zookeeper.connect_string,
        "kafka": kafka.bootstrap_servers,
        "topics": list(settings.topics),
        "flink": {
            name: {
                "image": images[name],
                "service": cluster.service,
                "restPort": cluster.rest_port,
                "jobManager": cluster.job_manager,
                "taskManager": cluster.task_manager,
            }
            for name, cluster in clusters.items()
        },
    }


def _kubeconfig(settings: EnvironmentSettings) -> pulumi.Output[str]:
    """The deployer's kubeconfig, a secret: from the settings, or from the cluster stack's outputs."""
    if settings.kubeconfig is not None:
        return pulumi.Output.secret(settings.kubeconfig.get_secret_value())
    stack, environment = settings.cluster_stack, settings.environment

    def pick(outputs: dict[str, dict[str, str]]) -> str:
        kubeconfigs = outputs.get("kubeconfigs", {})
        if environment not in kubeconfigs:
            known = ", ".join(sorted(kubeconfigs)) or "none"
            raise pulumi.RunError(
                f"stack {stack} has no kubeconfig for environment {environment} (it has: {known}): add it to "
                "streaming-platform:environments there and apply that stack first (`make up` does)"
            )
        return kubeconfigs[environment]

    return pulumi.Output.secret(pulumi.StackReference(stack).outputs.apply(pick))


def _topics(settings: EnvironmentSettings, connection: PodConnection, kafka: KafkaCluster) -> list[KafkaTopic]:
    return [
        KafkaTopic(
            name,
            TopicArgs(
                topic=name,
                partitions=topic.partitions,
                replicas=topic.replicas,
                config=topic.properties,
                connection=connection,
                keeps_replicas=name in settings.logging.own_topics,
            ),
            pulumi.ResourceOptions(depends_on=[kafka], protect=settings.data_protection),
        )
        for name, topic in settings.topics.items()
    ]


def _scraped(settings: EnvironmentSettings) -> Iterator[ScrapeJob]:
    """Yield what the environment's Prometheus reads."""
    yield member_job(_ZOOKEEPER, "member", ZOOKEEPER_METRICS["metrics"])
    yield member_job(_KAFKA, "broker", KAFKA_METRICS["metrics"])
    for name, cluster in settings.flink.clusters.items():
        if cluster.metrics.enabled:
            yield from flink_jobs(name)


def _sizes(settings: EnvironmentSettings) -> Mapping[str, int]:
    """Each claim of an environment, and its size in MiB."""
    members = {f"data-{_ZOOKEEPER}-{n}": settings.zookeeper.storage_mib for n in range(settings.zookeeper.members)}
    brokers = {f"data-{_KAFKA}-{n}": settings.kafka.storage_mib for n in range(settings.kafka.brokers)}
    shards = settings.monitoring.shards if settings.monitoring.enabled else 0
    metrics = {f"data-{_PROMETHEUS}-{n}": settings.monitoring.storage_mib for n in range(shards)}
    clusters = settings.flink.clusters.items()
    return (
        members
        | brokers
        | metrics
        | {state_claim(name): each.storage_mib for name, each in clusters if each.s3 is None}
    )


def _credentials(settings: EnvironmentSettings) -> str:
    """Return where topics get the deployer's kubeconfig from, as PodConnection expects it: never the kubeconfig
    itself."""
    if settings.kubeconfig is None:
        return f"stack:{settings.cluster_stack}"
    return f"config:{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
