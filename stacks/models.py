"""The settings of the two kinds of stack: frozen models. Those of each part are beside it, in components/<part>/.

Names in stack files are camelCase. Memory and storage are in MiB, CPU in cores, times in the unit that their name ends
with. A setting's default is in the model that has the setting.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from components.exact import Context, ObjectName, Registry, ServerUrl, StackName
from components.flink.settings import FlinkSettings
from components.isolation.settings import NamespaceSettings
from components.kafka.settings import KafkaSettings, TopicSettings
from components.kafka.topic_capacity import capacity_problem
from components.kafka.topic_rules import collision
from components.logging.destinations.kafka import KafkaDestination
from components.logging.settings import LoggingSettings
from components.monitoring.settings import MonitoringSettings
from components.names import PROJECT
from components.settings import Image, Namespace, Section, SectionError
from components.zookeeper.settings import ZooKeeperSettings
from versions import FLINK_IMAGE, KAFKA_IMAGE, PROMETHEUS_IMAGE, ZOOKEEPER_IMAGE


class ClusterSettings(Section):
    """The stack `cluster`: what an administrator applies once for each Kubernetes cluster."""

    kind: Literal["cluster"]
    """The kind of stack: this one isolates the environments, and is applied by an administrator."""
    server: ServerUrl | None = None
    """Address of the API server for the deployers' kubeconfigs, such as https://10.0.0.1:6443."""
    context: Context | None = None
    """The kube context to apply the stack with; by default the current one of KUBECONFIG."""
    environments: Annotated[Mapping[Namespace, NamespaceSettings], Field(min_length=1)]
    """Namespaces by name."""


class ImageSettings(Section):
    """Container images. `registry` is where images of our own are pushed to: those built for a Flink cluster's jar, and
    fluentd's."""

    registry: Registry | None = None
    """Registry that images of our own are pushed to, and pulled from by the cluster."""
    flink: Image = FLINK_IMAGE
    """Image of Flink that a cluster with a `jar` is built from."""
    kafka: Image = KAFKA_IMAGE
    """Image of the brokers."""
    zookeeper: Image = ZOOKEEPER_IMAGE
    """Image of the ensemble."""
    prometheus: Image = PROMETHEUS_IMAGE
    """Image of Prometheus, where `monitoring` is enabled."""


class StorageSettings(Section):
    """The volume claims of the environment."""

    class_name: Annotated[ObjectName | None, Field(alias="class")] = None
    """StorageClass of all claims; by default the cluster's default class."""
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] = "ReadWriteOnce"
    """Access mode of the claims that several pods share: those of Flink clusters. Where their pods run on more than one
    node, it must be ReadWriteMany."""


class EnvironmentSettings(Section):
    """The stack of an environment, such as `dev`: what runs in its namespace."""

    kind: Literal["environment"]
    """The kind of stack: this one runs in one environment, with the rights of its deployer."""
    environment: Namespace
    """The namespace; the stack `cluster` creates it."""
    cluster_stack: StackName = f"organization/{PROJECT}/cluster"
    """The stack that holds the kubeconfig of this environment's deployer."""
    kubeconfig: SecretStr | None = None
    """The deployer's kubeconfig itself, instead of clusterStack: a secret."""
    data_protection: bool = True
    """Let Pulumi refuse to delete claims, topics and Kafka's cluster id. `false` lifts that, and loses nothing by
    itself."""
    allow_host_path: bool = False
    """Set it to `true` where the namespace admits directories of nodes (`stateDirectory.hostPath`). It does so where
    the stack `cluster` lists `hostPaths` for this environment. A namespace of your own needs Pod Security `privileged`,
    and an admission policy for all else that `restricted` would refuse."""
    images: ImageSettings = ImageSettings()
    storage: StorageSettings = StorageSettings()
    zookeeper: ZooKeeperSettings = ZooKeeperSettings()
    kafka: KafkaSettings = KafkaSettings()
    flink: FlinkSettings = FlinkSettings()
    logging: LoggingSettings = LoggingSettings()
    monitoring: MonitoringSettings = MonitoringSettings()

    @property
    def topics(self) -> Mapping[str, TopicSettings]:
        """All topics of the stack's own Kafka: those of the settings, and those that logs go to."""
        return {**self.kafka.topics, **{name: self._log_topic(each) for name, each in self.logging.own_topics.items()}}

    def _log_topic(self, topic: KafkaDestination) -> TopicSettings:
        replicas = min(3, self.kafka.brokers)
        # A partition is cut segment by segment: of small ones, what is kept never exceeds the bound by much.
        kept = topic.retention_mib * 1024 * 1024 // topic.partitions
        config = {"retention.bytes": str(kept), "segment.bytes": str(max(kept // 4, 1024 * 1024))}
        return TopicSettings.model_validate(
            {
                "partitions": topic.partitions,
                "replicas": replicas,
                "retentionMillis": topic.retention_millis,
                "config": config,
            }
        )

    @model_validator(mode="after")
    def _topics_beside_each_other(self) -> Self:
        for name in self.topics:
            if other := collision(name, self.topics):
                raise SectionError(
                    f"kafka.topics.{name}",
                    f"topic {other} has the same name in Kafka's metrics, which replace dots by underscores: choose "
                    "another name for one of them",
                )
        kept = {name: topic.kept for name, topic in self.topics.items()}
        kafka = self.kafka
        if problem := capacity_problem(kept, brokers=kafka.brokers, storage_mib=kafka.storage_mib):
            raise SectionError("kafka.storageMib", problem)
        return self

    @model_validator(mode="after")
    def _log_topics(self) -> Self:
        for name, destination in self.logging.destinations.items():
            if (
                destination.kafka
                and destination.kafka.topic in self.kafka.topics.keys() & self.logging.own_topics.keys()
            ):
                raise SectionError(
                    f"logging.destinations.{name}.kafka.topic",
                    f"{destination.kafka.topic!r} is one of kafka.topics: choose another name for one of them",
                )
        return self

    @model_validator(mode="after")
    def _host_paths(self) -> Self:
        for name, cluster in self.flink.clusters.items():
            path = cluster.task_managers.state_directory.host_path
            if path is not None and not self.allow_host_path:
                raise SectionError(
                    f"flink.clusters.{name}.taskManagers.stateDirectory.hostPath",
                    f"{path!r}: Pod Security `restricted` and `baseline` both forbid directories of a node, so the "
                    "namespace would refuse the pods. Use class, or add the directory to hostPaths of this environment "
                    "in the stack cluster, which re-imposes the rest by admission policies, and set allowHostPath here",
                )
        return self


Settings = ClusterSettings | EnvironmentSettings
