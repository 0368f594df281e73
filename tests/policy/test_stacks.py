"""The pack on the real stacks of all environments, and on a manifest as others write it."""

import pytest
import yaml

from cli.preview.stacks import kinds
from components.isolation.settings import NamespaceSettings
from policies.kafka import topics
from policies.pack import RULES, Configuration, judge
from stacks.bounds import configured, of_environment
from stacks.settings import ROOT, ClusterSettings, load_file
from tests.policy.examples import HERE, stack, stack_of
from tests.policy.recorded import recorded
from tests.unit import building


@pytest.mark.parametrize("name", kinds(ROOT))
def test_nothing_is_wrong_with_the_stacks_and_all_of_them_is_judged(name: str) -> None:
    of = stack_of(recorded(name).resources)
    assert judge(of, configured(name)) == []
    settings = load_file(ROOT / "stacks" / f"Pulumi.{name}.yaml")
    workloads = 0
    if not isinstance(settings, ClusterSettings):
        workloads = 2 + 2 * len(settings.flink.clusters) + settings.monitoring.enabled
    assert len(of.pods) == workloads


def test_the_pack_sees_all_resources_of_the_stacks() -> None:
    """A change for the worse in a setting of each subject is found in the real stack too."""
    of = stack_of(recorded("ops").resources)
    strict = {
        "container-disk-limit": {"maxMib": 1},
        "container-memory-limit": {"maxMib": 1},
        "namespace-memory-limit": {"maxMib": 1},
        "flink-task-off-heap": {"minMib": 65},
        "jvm-heap-leaves-room": {"maxHeapShare": 0.1},
        "flink-failure-detection": {"maxTimeoutMillis": 1},
        "flink-checkpointing": {"maxIntervalMillis": 1},
        "flink-scale-down-stabilisation": {"minSeconds": 181},
        "ensemble-odd": {"minMembers": 5},
        "namespace-of-platform": {"namespaces": ["dev"]},
        "image-pinned": {"digest": True},
    }
    found = judge(of, Configuration(strict))
    assert [topic.replicas for topic in topics(of)] == [3, 3, 3, 3]
    assert {finding.rule for finding in found} == set(strict)


def test_bounds_are_those_of_the_namespaces() -> None:
    settings = load_file(ROOT / "stacks" / "Pulumi.cluster.yaml")
    assert isinstance(settings, ClusterSettings)
    for name, namespace in settings.environments.items():
        said = configured(name).overrides
        assert said["container-memory-limit"]["maxMib"] == namespace.limits.max_memory_mib
        assert said["namespace-memory-limit"]["maxMib"] == namespace.quota.memory_mib
        assert said["container-disk-limit"]["maxMib"] == namespace.limits.max_ephemeral_storage_mib
        assert said["namespace-of-platform"]["namespaces"] == [name]
    assert configured("cluster").overrides["namespace-of-platform"]["namespaces"] == list(settings.environments)


def test_directories_of_nodes_are_those_of_the_namespace() -> None:
    rules = {rule.id for rule in RULES if "hostPaths" in rule.settings}
    assert "host-path-allowed" in rules
    given = NamespaceSettings.model_validate_json('{"hostPaths": ["/var/lib/flink"]}')
    for namespace, paths in ((given, ["/var/lib/flink"]), (NamespaceSettings(), [])):
        bounds = of_environment("dev", namespace)
        assert {rule for rule in rules if bounds.get(rule, {}).get("hostPaths", []) == paths} == rules


def test_every_source_of_a_bound_is_a_setting_of_an_environment() -> None:
    """A source that is misspelt would leave its bound at the default."""
    namespace = NamespaceSettings.model_validate_json('{"hostPaths": ["/var/lib/flink"], "priorityClasses": ["high"]}')
    bounds = of_environment("dev", namespace)
    sourced = {(rule.id, name) for rule in RULES for name, setting in rule.settings.items() if setting.source}
    assert {(rule, name) for rule, values in bounds.items() for name in values} == sourced
    assert len(sourced) > 3


def test_a_manifest_as_in_flinks_documentation_is_caught() -> None:
    documents = yaml.safe_load((HERE / "reactive.yaml").read_text())["items"]
    found = judge(stack(documents), configured("dev"))
    assert not [finding.text for finding in found if finding.open]
    assert {finding.rule for finding in found} == {
        "container-memory-bounded",  # the JobManager has none
        "container-not-root",
        "container-probed",
        "container-unprivileged",
        "pod-confined",
        "disruption-budget",
        "flink-failure-detection",
        "flink-logs-shipped",
        "flink-limit-holds-process",  # 1728 MiB in a container of 1024
        "flink-replicas-not-fixed",
        "flink-rest-closed",
        "flink-task-off-heap",
        "host-path-allowed",
        "image-pinned",
        "pods-apart",
    }
    (limit,) = [finding.text for finding in found if finding.rule == "flink-limit-holds-process"]
    assert "the memory limit is 1024 MiB, below the process size that Flink derives, 1728 MiB" in limit


def test_a_directory_of_a_node_is_for_environments_that_allow_it() -> None:
    made = building.flink(taskManagers={"stateDirectory": {"hostPath": "/var/lib/flink/state"}}).resources
    of = stack_of(made)

    def found(*paths: str) -> set[str]:
        allowed = {rule.id: {"hostPaths": paths} for rule in RULES if "hostPaths" in rule.settings}
        levels = {"flink-logs-shipped": "disabled", "namespace-of-platform": "disabled"}
        return {finding.rule for finding in judge(of, Configuration({**levels, **allowed}))}

    assert found("/var/lib/flink") == set()
    # The init container that is root to give the directory to Flink is for such environments alone.
    assert found() == {"host-path-allowed", "container-not-root", "container-unprivileged"}
    assert found("/var/lib/flinks") == {"host-path-allowed"}
