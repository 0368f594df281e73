"""The settings of each kind of stack: frozen models, and the only home of defaults.

Names in stack files are camelCase. Memory and storage are in MiB, CPU in cores, times in the unit that their name ends
with.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from components.names import PROJECT
from components.topic_capacity import Kept, capacity_problem
from components.topic_rules import collision, config_problems
from stacks.exact import Context, NodePath, ObjectName, Registry, ServerUrl, StackName
from stacks.flink import FlinkSettings
from stacks.logging import KafkaDestination, LoggingSettings
from stacks.sections import (
    Cores,
    Image,
    Memory,
    Namespace,
    Section,
    SectionError,
    Storage,
    Text,
    TopicName,
    odd,
)

_HIGHEST_PORT = 65535
_BROKER_PORTS = range(9092, 9094)  # clients and controllers; see components/kafka/cluster.py


class QuotaSettings(Section):
    """What all pods of a namespace may ask for together."""

    cpu: Cores = 8.0
    """Sum of CPU requests, in cores."""
    memory_mib: Memory = 32768
    """Sum of memory limits (and so of requests), in MiB."""
    storage_mib: Storage = 262144
    """Sum of the sizes of all volume claims, in MiB."""
    pods: Annotated[int, Field(ge=1, le=10000)] = 100
    """Number of pods that have not ended."""


class LimitSettings(Section):
    """What a container gets that does not say, and the most that one may ask for."""

    default_cpu: Cores = 0.1
    """CPU request of a container that names none, in cores."""
    default_memory_mib: Memory = 256
    """Memory limit and request of a container that names none, in MiB."""
    max_memory_mib: Memory = 16384
    """Largest memory limit of one container, in MiB."""

    @model_validator(mode="after")
    def _default_below_maximum(self) -> Self:
        if self.default_memory_mib > self.max_memory_mib:
            raise SectionError(
                "defaultMemoryMib",
                f"{self.default_memory_mib} is above maxMemoryMib, {self.max_memory_mib}: lower it, or raise that",
            )
        return self


class NamespaceSettings(Section):
    """One environment: a namespace, and what isolates it."""

    quota: QuotaSettings = QuotaSettings()
    limits: LimitSettings = LimitSettings()
    admission: Literal["deny", "warn"] = "deny"
    """What the API server does with what breaks a rule of docs/policies.md: refuse it, or admit it and tell."""
    host_paths: tuple[NodePath, ...] = ()
    """Directories of nodes below which pods may mount. Pod Security admits none but with all else that is dangerous
    (`privileged`): the namespace gets that, and the rules for isolation of docs/policies.md refuse the rest."""
    data_protection: bool = True
    """Refuse to delete the namespace, and with it all that is in it, or what isolates it."""
    kubernetes_high_availability: bool = False
    """Make an account for Flink clusters that elect their leader in Kubernetes (highAvailability: kubernetes). Its pods
    may write to all ConfigMaps of the namespace."""


class ClusterSettings(Section):
    """The stack `cluster`: what an administrator applies once for each Kubernetes cluster."""

    kind: Literal["cluster"]
    server: ServerUrl | None = None
    """Address of the API server for the deployers' kubeconfigs, such as https://10.0.0.1:6443."""
    context: Context | None = None
    """The kube context to apply the stack with; by default the current one of KUBECONFIG."""
    environments: Annotated[Mapping[Namespace, NamespaceSettings], Field(min_length=1)]
    """Namespaces by name."""


class ImageSettings(Section):
    """Container images. `registry` is where images of our own are pushed to: those built for a Flink cluster's jar."""

    registry: Registry | None = None
    flink: Image = "flink:2.3.0-java17"
    kafka: Image = "apache/kafka:4.1.0"
    zookeeper: Image = "zookeeper:3.9.4"


class StorageSettings(Section):
    """Where data lies."""

    class_name: Annotated[ObjectName | None, Field(alias="class")] = None
    """StorageClass of all claims; by default the cluster's default class."""
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] = "ReadWriteOnce"
    """Of the claims that several pods share, those of Flink clusters. On more than one node: ReadWriteMany."""


class ZooKeeperSettings(Section):
    """The ZooKeeper ensemble, in which Flink keeps leaders and pointers to checkpoints."""

    members: Annotated[int, Field(ge=1, le=7), AfterValidator(odd)] = 3
    """Odd: an even number survives no more failures than the odd one below it."""
    memory_mib: Annotated[int, Field(ge=192, le=65536)] = 512
    """Memory limit of a member, in MiB; half of it is heap."""
    cpu: Cores = 0.1
    """CPU request of a member, in cores."""
    storage_mib: Annotated[Storage, Field(ge=512)] = 2048
    """Claim of a member, in MiB. Three snapshots are kept, and each transaction log takes 64 MiB (preAllocSize)."""


class TopicSettings(Section):
    """A Kafka topic."""

    partitions: Annotated[int, Field(ge=1, le=10000)]
    """Can grow, never shrink."""
    replicas: Annotated[int, Field(ge=1, le=32767)]
    """Brokers that hold a copy."""
    retention_millis: Annotated[int, Field(ge=-1, le=2**63 - 1)] = 7 * 24 * 3600 * 1000
    """How long records are kept; -1 for ever."""
    config: Mapping[str, Text] = {}
    """Further settings of the topic, by Kafka's names; retention.bytes bounds the disk that a partition takes."""

    @model_validator(mode="after")
    def _configs(self) -> Self:
        if "retention.ms" in self.config:
            given = self.config["retention.ms"]
            raise SectionError("config.retention.ms", f"{given!r} has a key of its own: set retentionMillis instead")
        for name, problem in config_problems(self.config):
            raise SectionError(f"config.{name}", problem)
        needed = self.properties["min.insync.replicas"]
        if int(needed) > self.replicas:
            raise SectionError(
                "config.min.insync.replicas",
                f"{needed!r} is not a number from 1 to {self.replicas} (replicas): "
                "no record could be written with acks=all; lower it, or raise replicas",
            )
        return self

    @property
    def properties(self) -> dict[str, str]:
        """All of the topic's own Kafka settings. By default a write survives the loss of one replica."""
        return {
            "retention.ms": str(self.retention_millis),
            "min.insync.replicas": str(max(1, self.replicas - 1)),
            **self.config,
        }

    @property
    def kept(self) -> Kept:
        """What the topic may keep."""
        return Kept(partitions=self.partitions, replicas=self.replicas, config=self.properties)


class KafkaSettings(Section):
    """The Kafka cluster and its topics."""

    brokers: Annotated[int, Field(ge=1, le=99)] = 3
    """One or two brokers have one controller, three or more have three; brokers cannot move between the two later."""
    memory_mib: Annotated[int, Field(ge=512, le=1048576)] = 2048
    """Memory limit of a broker, in MiB; half of it is heap, most of the rest page cache."""
    cpu: Cores = 0.5
    """CPU request of a broker, in cores."""
    storage_mib: Storage = 20480
    """Claim of a broker, in MiB."""
    admin_port: Annotated[int, Field(ge=1024, le=_HIGHEST_PORT)] = 19092
    """Broker n is administered at 127.0.0.1:<adminPort + n> inside its pod, and at the end of a port-forward."""
    topics: Mapping[TopicName, TopicSettings] = {}
    """Topics by name."""
    new_disks: tuple[Annotated[int, Field(ge=0, le=98)], ...] = ()
    """Controllers that lost their disk and may start with an empty one: see docs/runbook.md."""

    @model_validator(mode="after")
    def _brokers_suffice(self) -> Self:
        last = self.admin_port + self.brokers - 1
        if last > _HIGHEST_PORT or set(range(self.admin_port, last + 1)) & set(_BROKER_PORTS):
            raise SectionError(
                "adminPort",
                f"{self.admin_port}: {self.brokers} brokers need the ports {self.admin_port} to {last}, at most "
                f"{_HIGHEST_PORT} and none of {', '.join(map(str, _BROKER_PORTS))}; use 19092",
            )
        if strangers := [node for node in self.new_disks if node >= self.brokers]:
            raise SectionError("newDisks", f"{strangers[0]} is no broker of {self.brokers} (from 0): take it out")
        for name, topic in self.topics.items():
            if topic.replicas > self.brokers:
                raise SectionError(
                    f"topics.{name}.replicas",
                    f"{topic.replicas} is above the number of brokers, {self.brokers}: lower it, or raise brokers",
                )
        return self


class EnvironmentSettings(Section):
    """The stacks `dev`, `test` and `ops`: what runs in the namespace of an environment."""

    kind: Literal["environment"]
    environment: Namespace
    """The namespace; the stack `cluster` creates it."""
    cluster_stack: StackName = f"organization/{PROJECT}/cluster"
    """The stack that holds the kubeconfig of this environment's deployer."""
    kubeconfig: SecretStr | None = None
    """The deployer's kubeconfig itself, instead of clusterStack: a secret."""
    data_protection: bool = True
    """Refuse to delete claims, topics and Kafka's cluster id."""
    allow_host_path: bool = False
    """Say that the namespace admits directories of nodes: `hostPaths` of this environment in the stack cluster does it,
    or Pod Security `privileged` and an admission policy of yours for all else that `restricted` would refuse."""
    images: ImageSettings = ImageSettings()
    storage: StorageSettings = StorageSettings()
    zookeeper: ZooKeeperSettings = ZooKeeperSettings()
    kafka: KafkaSettings = KafkaSettings()
    flink: FlinkSettings = FlinkSettings()
    logging: LoggingSettings = LoggingSettings()

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
                    f"topic {other} has the same name to Kafka, which takes dots for underscores in its metrics: "
                    "choose another name for one of them",
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
