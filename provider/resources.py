"""The components of the provider: thin, each makes one of the library with what it was given.

Their types are `streaming:index:<Name>`, as the SDK knows no other module. Below each is the library's component with
its own type, such as `streaming:flink:FlinkCluster`: a move from Python to another language changes URNs.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pulumi
from pydantic import Field

from components.base import StorageArgs
from components.exact import ObjectName
from components.flink import cluster, running
from components.flink.settings import FlinkClusterSettings
from components.kafka import topic
from components.kafka.admin import PodConnection
from components.kafka.settings import Brokers, KafkaSettings, TopicName, TopicSettings
from components.settings import Image, Namespace, Port, Section
from provider.inputs import read, typed

PACKAGE = "streaming"
STATE_RECORD = Path(__file__).resolve().parent.parent / "state-record" / "target" / "state-record.jar"

Component = TypeVar("Component", bound=type[pulumi.ComponentResource])

TAKES: dict[str, type[Section]] = {}
"""The models of the components' inputs, by the name of the component."""
COMPONENTS: list[type[pulumi.ComponentResource]] = []


def _takes(model: type[Section]) -> Callable[[Component], Component]:
    """Say to the SDK what a component's `args` are, and add the component to the provider."""

    def add(component: Component) -> Component:
        component.__init__.__annotations__["args"] = typed(model)
        TAKES[component.__name__] = model
        COMPONENTS.append(component)
        return component

    return add


class KafkaPods(Section):
    """The brokers of a Kafka in Kubernetes: the pods of a StatefulSet, which are reached through the API server."""

    namespace: Namespace
    stateful_set: ObjectName = "kafka"
    brokers: Brokers = KafkaSettings.model_fields["brokers"].default
    """Number of pods of the StatefulSet."""
    admin_port: Port = KafkaSettings.model_fields["admin_port"].default
    """Broker n is administered at 127.0.0.1:<adminPort + n> inside its pod, and at the end of a port-forward."""
    credentials: str | None = None
    """Source of the kubeconfig: `config:<organization>/<project>/<stack>` (by default of this stack) is the stack's
    secret setting `kubeconfig`; `stack:<organization>/<project>/<stack>` is its secret output `kubeconfigs`."""


class TopicInputs(TopicSettings):
    """A Kafka topic, and where it is."""

    topic: TopicName | None = None
    """Its name in Kafka; by default that of the resource."""
    kafka: KafkaPods


class FlinkClusterInputs(FlinkClusterSettings):
    """A Flink cluster, and where it is."""

    # No image is built here. (A model that narrows a key of another one: pydantic allows it, and type checkers do not.)
    jar: None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    image: Image = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    """An image with Flink and the job in /opt/flink/usrlib."""
    namespace: Namespace
    zookeeper: str = "zookeeper:2181"
    """The ensemble in which its JobManagers elect a leader: host:port, or several, separated by commas."""
    access_mode: str = "ReadWriteOnce"
    """Access mode of the claim that its pods share. On more than one node: ReadWriteMany."""
    storage_class: ObjectName | None = None
    """StorageClass of the claim; by default the cluster's default class."""
    protect: bool = True
    """Leave the claim where it is when the cluster is deleted."""


class RunningJobInputs(Section):
    """The Flink cluster whose job should run."""

    namespace: Namespace
    cluster: ObjectName
    """Its name."""
    credentials: str | None = None
    """Source of the kubeconfig: `config:<organization>/<project>/<stack>` (by default of this stack) is the stack's
    secret setting `kubeconfig`; `stack:<organization>/<project>/<stack>` is its secret output `kubeconfigs`."""


@_takes(TopicInputs)
class Topic(pulumi.ComponentResource):
    """A topic in Kafka. It is created, grown and configured in place; what Kafka cannot do is refused at preview."""

    topic: pulumi.Output[str]
    """Its name in Kafka."""

    def __init__(self, name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = read(TopicInputs, args)
        super().__init__(f"{PACKAGE}:index:Topic", name, dict(args), opts)
        made = topic.KafkaTopic(
            name,
            topic.TopicArgs(
                topic=inputs.topic or name,
                partitions=inputs.partitions,
                replicas=inputs.replicas,
                config=inputs.properties,
                connection=PodConnection(
                    namespace=inputs.kafka.namespace,
                    stateful_set=inputs.kafka.stateful_set,
                    brokers=inputs.kafka.brokers,
                    admin_port=inputs.kafka.admin_port,
                    credentials=inputs.kafka.credentials or _this_stack(),
                ),
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.topic = made.topic
        self.register_outputs({"topic": self.topic})


@_takes(FlinkClusterInputs)
class FlinkCluster(pulumi.ComponentResource):
    """A Flink cluster in reactive mode, which runs one job with as many TaskManagers as its autoscaler gives it."""

    service: pulumi.Output[str]
    """The Service of the JobManager."""
    rest_port: pulumi.Output[int]
    """The port of the REST API and UI at that Service."""
    job_manager: pulumi.Output[str]
    """The Deployment of the JobManagers."""
    task_manager: pulumi.Output[str]
    """The Deployment of the TaskManagers, which the autoscaler of the same name scales."""

    def __init__(self, name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = read(FlinkClusterInputs, args)
        if not STATE_RECORD.is_file():
            raise ValueError(f"{STATE_RECORD} does not exist; every Flink cluster needs it: build it with `make jars`")
        super().__init__(f"{PACKAGE}:index:FlinkCluster", name, dict(args), opts)
        made = cluster.FlinkCluster(
            name,
            cluster.FlinkClusterArgs(
                namespace=inputs.namespace,
                zookeeper=inputs.zookeeper,
                settings=inputs,
                access_mode=inputs.access_mode,
                storage=StorageArgs(storage_class=inputs.storage_class, protect=inputs.protect),
                state_record=STATE_RECORD.read_bytes(),
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.service = pulumi.Output.from_input(made.service)
        self.rest_port = pulumi.Output.from_input(made.rest_port)
        self.job_manager = pulumi.Output.from_input(made.job_manager)
        self.task_manager = pulumi.Output.from_input(made.task_manager)
        self.register_outputs(
            {
                "service": self.service,
                "restPort": self.rest_port,
                "jobManager": self.job_manager,
                "taskManager": self.task_manager,
            }
        )


@_takes(RunningJobInputs)
class RunningJob(pulumi.ComponentResource):
    """The job of a Flink cluster, as a resource: an update waits until it runs, or fails with why it does not."""

    def __init__(self, name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = read(RunningJobInputs, args)
        super().__init__(f"{PACKAGE}:index:RunningJob", name, dict(args), opts)
        asked = running.RunningJobArgs(
            namespace=inputs.namespace, cluster=inputs.cluster, credentials=inputs.credentials or _this_stack()
        )
        running.RunningJob(name, asked, pulumi.ResourceOptions(parent=self))
        self.register_outputs({})


def _this_stack() -> str:
    """The secret setting `kubeconfig` of the stack at hand."""
    return f"config:{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
