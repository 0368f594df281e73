"""The pack on the real stacks of all environments, and on a manifest as others write it."""

import pytest
import yaml

from components.isolation.settings import NamespaceSettings
from policies.engine import plain
from policies.kafka import topics
from policies.pack import RULES, Configuration, configuration, configuration_file, judge
from policies.resources import Resource, Stack
from stacks.settings import ROOT, ClusterSettings, load_file
from tests.policy.examples import HERE, stack
from tests.policy.recorded import recorded
from tests.unit import building


@pytest.mark.parametrize("name", ["cluster", "dev", "test", "ops"])
def test_nothing_is_wrong_with_the_stacks_and_all_of_them_is_judged(name: str) -> None:
    assert configuration_file(name)
    of = Stack(
        Resource(type=each.type, name=each.name, urn=each.urn, properties=plain(each.inputs))
        for each in recorded(name).resources
    )
    assert judge(of, configuration(name)) == []
    assert len(of.pods) == (0 if name == "cluster" else 4)


def test_the_pack_sees_what_the_stacks_are_made_of() -> None:
    """A change for the worse in a setting of each subject is found in the real stack too."""
    of = Stack(
        Resource(type=each.type, name=each.name, urn=each.urn, properties=plain(each.inputs))
        for each in recorded("ops").resources
    )
    strict = {
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
        said = configuration(name).overrides
        assert said["container-memory-limit"]["maxMib"] == namespace.limits.max_memory_mib
        assert said["namespace-memory-limit"]["maxMib"] == namespace.quota.memory_mib
        assert _other_paths(name, namespace) == set()
        # What an environment allows and the pack does not would be found.
        assert _other_paths(name, namespace.model_copy(update={"host_paths": ("/var/lib/flink",)})) == {
            rule.id for rule in RULES if "hostPaths" in rule.settings
        }


def _other_paths(environment: str, namespace: NamespaceSettings) -> set[str]:
    """The rules whose directories of nodes are not those of the namespace."""
    return {
        rule.id
        for rule in RULES
        if "hostPaths" in rule.settings
        and tuple(configuration(environment).bounds(rule).get("hostPaths", ())) != namespace.host_paths
    }


def test_a_manifest_as_in_flinks_documentation_is_caught() -> None:
    documents = yaml.safe_load((HERE / "reactive.yaml").read_text())["items"]
    found = judge(stack(documents), configuration("dev"))
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
    of = Stack(Resource(type=each.type, name=each.name, urn=each.urn, properties=plain(each.inputs)) for each in made)

    def found(*paths: str) -> set[str]:
        allowed = {rule.id: {"hostPaths": paths} for rule in RULES if "hostPaths" in rule.settings}
        return {finding.rule for finding in judge(of, Configuration({"flink-logs-shipped": "disabled", **allowed}))}

    assert found("/var/lib/flink") == set()
    # The init container that is root to give the directory to Flink is for such environments alone.
    assert found() == {"host-path-allowed", "container-not-root", "container-unprivileged"}
    assert found("/var/lib/flinks") == {"host-path-allowed"}
