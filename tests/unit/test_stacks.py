"""Whole stacks: what they are composed of, in which order, and what they give away."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
import yaml

from stacks import cluster, environment
from stacks.settings import ClusterSettings, EnvironmentSettings, SettingsError, parse
from tests.unit import building
from tests.unit.recording import Recording, record

KUBECONFIG = "apiVersion: v1\nkind: Config\n"
JOB = {"image": "registry.example/job:1", "mainClass": "com.example.Job"}


def reference(kubeconfigs: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """A cluster stack with these kubeconfigs, and what the random provider adds."""
    return {
        "pulumi:pulumi:StackReference": {
            "outputs": {"kubeconfigs": dict(kubeconfigs)},
            "secretOutputNames": ["kubeconfigs"],
        },
        "random:index/randomId:RandomId": {"b64Url": building.CLUSTER_ID},
    }


def build_environment(kubeconfigs: Mapping[str, str] | None = None, **config: Any) -> Recording:
    document: dict[str, Any] = {
        "kind": "environment",
        "environment": "dev",
        "kafka": {"topics": {"events": {"partitions": 4, "replicas": 3}}},
        "flink": {"clusters": {"claims": JOB, "other": JOB}},
        **config,
    }
    settings = parse({f"streaming-platform:{key}": value for key, value in document.items()})
    assert isinstance(settings, EnvironmentSettings)
    known = {"dev": KUBECONFIG} if kubeconfigs is None else kubeconfigs
    return record(lambda: export(environment.build(settings)), reference(known))


def build_cluster(**config: Any) -> Recording:
    document: dict[str, Any] = {
        "kind": "cluster",
        "server": building.SERVER,
        "environments": {"dev": {}, "ops": {}},
        **config,
    }
    settings = parse({f"streaming-platform:{key}": value for key, value in document.items()})
    assert isinstance(settings, ClusterSettings)
    return record(lambda: export(cluster.build(settings)), building.TOKEN)


def export(outputs: Mapping[str, object]) -> None:
    class Outputs(pulumi.ComponentResource):
        def __init__(self) -> None:
            super().__init__("test:stack:Outputs", "outputs")
            self.register_outputs(dict(outputs))

    Outputs()


def outputs(recording: Recording) -> dict[str, Any]:
    return recording.outputs[recording.one("Outputs", "outputs").urn]


@pytest.fixture(scope="module")
def dev() -> Recording:
    """An environment with default settings, a topic and two Flink clusters, built once."""
    return build_environment()


def test_the_cluster_stack_gives_each_environment_a_kubeconfig_and_keeps_them_secret() -> None:
    recording = build_cluster()
    assert outputs(recording)["namespaces"] == ["dev", "ops"]
    kubeconfigs = outputs(recording)["kubeconfigs"]
    assert kubeconfigs.keys() == {"dev", "ops"}
    assert yaml.safe_load(kubeconfigs["ops"])["contexts"][0]["context"]["namespace"] == "ops"
    assert recording.secrets[recording.one("Outputs", "outputs").urn] == {"kubeconfigs"}


def test_a_new_address_of_the_cluster_replaces_nothing_and_another_context_does() -> None:
    def identifier(**config: Any) -> str:
        return build_cluster(**config).one("kubernetes", "kubernetes").inputs["clusterIdentifier"]

    assert identifier(context="a") == identifier(context="a", server="https://10.9.9.9:6443")
    assert identifier(context="a") != identifier(context="b")
    assert identifier()


def test_a_cluster_stack_without_the_servers_address_is_refused_before_anything_is_created() -> None:
    with pytest.raises(SettingsError, match=r"streaming-platform:server: is missing.*pulumi config set server"):
        build_cluster(server=None)


def test_an_environment_is_applied_with_its_deployers_rights(dev: Recording) -> None:
    (provider,) = dev.all("kubernetes")
    assert provider.inputs["kubeconfig"] == KUBECONFIG
    assert provider.inputs["namespace"] == "dev"
    assert provider.inputs["clusterIdentifier"]
    in_kubernetes = [each for each in dev.resources if each.type.startswith("kubernetes:")]
    assert len(in_kubernetes) > 30
    for resource in in_kubernetes:
        assert resource.provider.startswith(provider.urn), resource.name
        assert resource.inputs["metadata"]["namespace"] == "dev", resource.name


def test_a_changed_file_does_not_delete_the_config_map_under_running_pods(dev: Recording) -> None:
    assert dev.all("kubernetes")[0].inputs["enableConfigMapMutable"] in (True, "true")


def test_a_kubeconfig_in_the_settings_takes_the_place_of_the_cluster_stack() -> None:
    recording = build_environment(kubeconfig="apiVersion: v2\n")
    assert recording.all("kubernetes")[0].inputs["kubeconfig"] == "apiVersion: v2\n"
    assert not recording.all("StackReference")
    assert recording.all("Topic")[0].inputs["connection"]["credentials"].startswith("config:")


def test_an_environment_that_the_cluster_stack_does_not_know_is_named() -> None:
    with pytest.raises(pulumi.RunError) as caught:
        build_environment(kubeconfigs={"ops": KUBECONFIG, "test": KUBECONFIG})
    message = str(caught.value)
    assert "organization/streaming-platform/cluster has no kubeconfig for environment dev" in message
    assert "it has: ops, test" in message
    assert "apply that stack first" in message
    assert KUBECONFIG not in message


def test_kafkas_cluster_id_is_random_and_protected_like_the_data() -> None:
    for protect in (True, False):
        recording = build_environment(dataProtection=protect)
        identity = recording.one("RandomId", "kafka-cluster-id")
        assert identity.inputs["byteLength"] == 16
        protected = [identity, *recording.all("Topic"), *recording.all("PersistentVolumeClaim")]
        assert len(protected) == 1 + 2 + 3 + 3 + 2
        assert {resource.protect or resource.retain for resource in protected} == {protect}


def test_topics_come_after_kafka_and_flink_after_both(dev: Recording) -> None:
    topics = dev.all("Topic")
    stateful_sets = {resource.name: resource.urn for resource in dev.all("StatefulSet")}
    assert all(stateful_sets["kafka"] in topic.depends_on for topic in topics)
    for flink in dev.all("FlinkCluster"):
        assert {*(topic.urn for topic in topics), *stateful_sets.values()} <= set(flink.depends_on), flink.name


def test_resources_with_data_are_changed_only_after_they_were_checked(dev: Recording) -> None:
    looked = dev.one("Continuity", "continuity")
    for component in (*dev.all("ZooKeeperEnsemble"), *dev.all("KafkaCluster")):
        assert looked.urn in component.depends_on, component.name
    assert looked.inputs["places"] == {"claims": "", "other": ""}
    assert looked.inputs["named"] == {}
    assert (looked.inputs["members"], looked.inputs["brokers"]) == (3, 3)
    assert looked.inputs["clusterId"] == building.CLUSTER_ID
    sets = {each.name for each in dev.all("StatefulSet")}
    assert {looked.inputs["zookeeper"], looked.inputs["connection"]["statefulSet"]} == sets


def test_only_the_topic_of_the_logs_keeps_replicas_that_follow_the_brokers(dev: Recording) -> None:
    assert [topic.name for topic in dev.all("Topic") if topic.inputs.get("keepsReplicas")] == ["logs"]


def test_topics_that_only_time_bounds_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    build_environment()
    assert ["bounded by time alone, not by size: events." in text for text in said] == [True]
    bounded = {"retention.bytes": 1048576, "segment.bytes": 1048576}
    build_environment(kafka={"topics": {"events": {"partitions": 4, "replicas": 3, "config": bounded}}})
    assert len(said) == 1


def test_a_topic_knows_how_to_reach_the_brokers_and_no_secret(dev: Recording) -> None:
    inputs = dev.all("Topic")[0].inputs
    assert inputs["connection"]["credentials"] == "stack:organization/streaming-platform/cluster"
    assert KUBECONFIG not in str(inputs)


def test_outputs_name_the_resources_and_their_addresses(dev: Recording) -> None:
    assert outputs(dev) == {
        "namespace": "dev",
        "zookeeper": "zookeeper:2181",
        "kafka": "kafka:9092",
        "topics": ["events", "logs"],
        "flink": {
            name: {
                "image": "registry.example/job:1",
                "service": f"{name}-jobmanager",
                "restPort": 8081,
                "jobManager": f"{name}-jobmanager",
                "taskManager": f"{name}-taskmanager",
            }
            for name in ("claims", "other")
        },
    }


def test_names_of_objects_are_unique(dev: Recording) -> None:
    names = [(each.kind, each.inputs["metadata"]["name"]) for each in dev.resources if "metadata" in each.inputs]
    assert len(names) == len(set(names))


def test_the_storage_class_of_the_settings_is_that_of_all_claims() -> None:
    recording = build_environment(storage={"class": "fast", "accessMode": "ReadWriteMany"})
    claims = {each.name: each.inputs["spec"] for each in recording.all("PersistentVolumeClaim")}
    assert {spec["storageClassName"] for spec in claims.values()} == {"fast"}
    shared = {name for name, spec in claims.items() if spec["accessModes"] == ["ReadWriteMany"]}
    assert shared == {"claims-data", "other-data"}
