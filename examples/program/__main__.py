"""Two topics and a Flink cluster on a Kafka and a ZooKeeper that exist: a program of its own, from `components`."""

from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s
from pydantic import TypeAdapter

from components.base import StorageArgs
from components.flink.cluster import FlinkCluster, FlinkClusterArgs
from components.flink.running import RunningJob, RunningJobArgs
from components.flink.settings import FlinkClusterSettings
from components.kafka.admin import PodConnection
from components.kafka.settings import TopicSettings
from components.kafka.topic import KafkaTopic, TopicArgs

config = pulumi.Config()
namespace, name = config.require("namespace"), "orders"
# Mappings are there as JSON; the models are the ones of the platform's own stack files.
settings = FlinkClusterSettings.model_validate_json(config.require("cluster"))
wanted = TypeAdapter(dict[str, TopicSettings]).validate_json(config.require("topics"))

# Where the kubeconfig is, for the resources that ask Kafka and Flink: this stack's secret setting `kubeconfig`.
credentials = f"config:{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
kubernetes = k8s.Provider(
    "kubernetes",
    kubeconfig=config.require_secret("kubeconfig"),
    enable_config_map_mutable=True,  # files that change are updated in place, under running pods
)
kafka = PodConnection(
    namespace=namespace,
    stateful_set="kafka",
    brokers=config.require_int("kafkaBrokers"),
    admin_port=config.require_int("kafkaAdminPort"),
    credentials=credentials,
)
topics = [
    KafkaTopic(
        topic,
        TopicArgs(
            topic=topic, partitions=each.partitions, replicas=each.replicas, config=each.properties, connection=kafka
        ),
    )
    for topic, each in wanted.items()
]
cluster = FlinkCluster(
    name,
    FlinkClusterArgs(
        namespace=namespace,
        zookeeper=config.require("zookeeper"),
        settings=settings,
        storage=StorageArgs(protect=False),  # the claim goes with the stack
        state_record=Path(config.require("stateRecord")).read_bytes(),
    ),
    pulumi.ResourceOptions(provider=kubernetes, depends_on=topics),
)
# `pulumi up` ends when the job runs, or says why it does not.
job = RunningJobArgs(namespace=namespace, cluster=name, credentials=credentials)
RunningJob(name, job, pulumi.ResourceOptions(depends_on=[cluster]))
pulumi.export("ui", f"{cluster.service}:{cluster.rest_port}")
