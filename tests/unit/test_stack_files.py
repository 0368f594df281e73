"""The stack files of the project, and the schema that editors check them with."""

import json
from typing import Any

import pytest

from cli.preview.stacks import kinds
from components.quantities import number
from stacks.declared import check
from stacks.settings import ROOT, ClusterSettings, EnvironmentSettings, load_file, schema
from tests.policy.recorded import recorded

STACKS = ROOT / "stacks"


ENVIRONMENTS = [name for name, kind in kinds(ROOT).items() if kind == "environment"]
MODELS = {"cluster": ClusterSettings, "environment": EnvironmentSettings}


@pytest.mark.parametrize(("stack", "kind"), kinds(ROOT).items())
def test_the_stack_files_are_valid(stack: str, kind: str) -> None:
    path = STACKS / f"Pulumi.{stack}.yaml"
    assert isinstance(load_file(path), MODELS[kind])
    assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
    check(stack)


def test_every_environment_of_the_stack_files_has_its_namespace() -> None:
    cluster = load_file(STACKS / "Pulumi.cluster.yaml")
    assert isinstance(cluster, ClusterSettings)
    assert {"dev", "test", "ops"} <= set(ENVIRONMENTS) <= set(cluster.environments)
    for stack in ENVIRONMENTS:
        namespace = cluster.environments[stack]
        loaded = load_file(STACKS / f"Pulumi.{stack}.yaml")
        assert isinstance(loaded, EnvironmentSettings)
        assert loaded.environment == stack
        assert loaded.data_protection == namespace.data_protection
    protected = {stack for stack, namespace in cluster.environments.items() if namespace.data_protection}
    assert "ops" in protected
    assert not protected & {"dev", "test"}


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_an_environment_at_its_maximum_fits_into_its_quota(stack: str) -> None:
    cluster, loaded = load_file(STACKS / "Pulumi.cluster.yaml"), load_file(STACKS / f"Pulumi.{stack}.yaml")
    assert isinstance(cluster, ClusterSettings)
    assert isinstance(loaded, EnvironmentSettings)
    quota, limits = cluster.environments[stack].quota, cluster.environments[stack].limits
    sizes = [
        *[(loaded.zookeeper.cpu, loaded.zookeeper.memory_mib)] * loaded.zookeeper.members,
        *[(loaded.kafka.cpu, loaded.kafka.memory_mib)] * loaded.kafka.brokers,
    ]
    for each in loaded.flink.clusters.values():
        sizes.append((each.job_manager.cpu, each.job_manager.container_mib))
        sizes.extend([(each.task_managers.cpu, each.task_managers.container_mib)] * each.task_managers.max)
        pods = each.job_manager.replicas + each.task_managers.max
        sizes.extend([(loaded.logging.pod_cpu, loaded.logging.pod_mib)] * pods)
    assert sum(cpu for cpu, _ in sizes) <= quota.cpu
    assert sum(memory for _, memory in sizes) <= quota.memory_mib
    assert max(memory for _, memory in sizes) <= limits.max_memory_mib
    written = (loaded.zookeeper.members + loaded.kafka.brokers) * limits.default_ephemeral_storage_mib
    for deployment in recorded(stack).all("Deployment"):
        spec = deployment.inputs["spec"]
        most = max(each.task_managers.max for each in loaded.flink.clusters.values())
        containers = [*spec["template"]["spec"].get("initContainers", ()), *spec["template"]["spec"]["containers"]]
        disks = [number(each["resources"]["limits"]["ephemeral-storage"]) / 2**20 for each in containers]
        written += spec.get("replicas", most) * sum(disks)
        assert max(disks) <= limits.max_ephemeral_storage_mib
    assert written * 2 <= quota.ephemeral_storage_mib  # a second cluster beside the first
    claims = (
        loaded.zookeeper.members * loaded.zookeeper.storage_mib
        + loaded.kafka.brokers * loaded.kafka.storage_mib
        + sum(each.storage_mib for each in loaded.flink.clusters.values())
    )
    assert claims <= quota.storage_mib


def test_dev_fits_on_two_cpus_beside_other_work() -> None:
    dev = load_file(STACKS / "Pulumi.dev.yaml")
    assert isinstance(dev, EnvironmentSettings)
    (claims,) = dev.flink.clusters.values()
    fixed = dev.zookeeper.members * dev.zookeeper.cpu + dev.kafka.brokers * dev.kafka.cpu + claims.job_manager.cpu
    fixed += (claims.job_manager.replicas + claims.task_managers.max) * dev.logging.pod_cpu
    fixed += dev.monitoring.shards * dev.monitoring.cpu
    assert fixed + claims.task_managers.max * claims.task_managers.cpu <= 1.3


def test_the_reference_jobs_transactions_fit_the_brokers() -> None:
    for stack in ("dev", "test", "ops"):
        loaded = load_file(STACKS / f"Pulumi.{stack}.yaml")
        assert isinstance(loaded, EnvironmentSettings)
        arguments = loaded.flink.clusters["claims"].arguments
        options = dict(zip(arguments[::2], arguments[1::2], strict=True))
        assert options["--delivery-guarantee"] == "EXACTLY_ONCE"
        assert int(options["--transaction-timeout-millis"]) <= 3600 * 1000
        for topic in ("--input-topic", "--output-topic", "--dead-letter-topic"):
            assert options[topic] in loaded.kafka.topics


def test_the_schema_for_editors_is_current() -> None:
    written = json.loads((STACKS / "schema.json").read_text())
    assert written == schema(), "run: python -m stacks.settings > stacks/schema.json"


def test_the_schema_knows_the_keys_as_they_are_written() -> None:
    definitions: Any = schema()["$defs"]
    assert "streaming-platform:zookeeper" in definitions["EnvironmentSettings"]["properties"]
    assert "memoryMib" in definitions["ZooKeeperSettings"]["properties"]
    assert definitions["ZooKeeperSettings"]["additionalProperties"] is False
    assert definitions["TopicSettings"]["required"] == ["partitions", "replicas"]
