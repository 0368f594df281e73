"""The provider for other languages: its schema, and what its components make of what the engine hands over."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
from pulumi.errors import InputPropertiesError
from pulumi.provider.server import ComponentInitError

from components.flink.settings import FlinkClusterSettings
from console.paths import ROOT
from policies.pack import judge
from provider.host import Components, schema
from provider.resources import TAKES
from stacks.bounds import configured
from stacks.settings import read_file
from tests.policy.examples import stack_of
from tests.unit import building
from tests.unit.recording import Recording, created_before, record

THIS_STACK = r"config:\w+/streaming-platform/unit"

# As other languages send it: keys as in stack files, and every number a float.
TOPIC = {"partitions": 2.0, "replicas": 1.0, "kafka": {"namespace": "dev", "brokers": 1.0}}
CLUSTER = {
    "namespace": "dev",
    "image": "registry.example/jobs/claims:1.0",
    "mainClass": "com.example.Job",
    "arguments": ["--topic", "orders"],
    "taskManagers": {"max": 2.0, "cpu": 0.5, "stateDirectory": {"class": "fast", "sizeMib": 1024.0}},
    "pod": {"tolerations": [{"key": "stream", "operator": "Exists", "tolerationSeconds": 60.0, "effect": "NoExecute"}]},
    "configuration": {"state.backend.type": "rocksdb"},
}


def construct(kind: str, inputs: Mapping[str, Any], name: str = "orders") -> Recording:
    """Let the provider make a component, as the engine asks it to."""
    token = f"streaming:index:{kind}"
    return record(lambda: Components().construct(name, token, dict(inputs)), {"random:index/randomId:RandomId": {}})


def test_the_schema_in_the_repository_is_current() -> None:
    assert (ROOT / "provider" / "schema.json").read_text(encoding="utf-8") == schema(), "run: make generate"


def test_the_schema_has_every_setting_with_its_meaning() -> None:
    document = json.loads(schema())
    resources = {token.rpartition(":")[2]: each for token, each in document["resources"].items()}
    assert resources.keys() == {"Topic", "FlinkCluster", "RunningJob"} == TAKES.keys()
    inputs = resources["FlinkCluster"]["inputProperties"]
    settings = {field.alias or name for name, field in FlinkClusterSettings.model_fields.items()}
    assert settings - inputs.keys() == {"jar"}
    assert set(resources["FlinkCluster"]["requiredInputs"]) == {"image", "mainClass", "namespace"}
    assert inputs["arguments"]["items"]["type"] == "string"
    assert inputs["taskManagers"]["$ref"] == "#/types/streaming:index:TaskManagerSettings"
    memory = document["types"]["streaming:index:TaskManagerSettings"]["properties"]
    assert memory["memoryMib"]["description"].startswith("Memory limit, in MiB")
    assert "class" in document["types"]["streaming:index:StateDirectorySettings"]["properties"]


def test_a_topic_is_reached_with_the_kubeconfig_of_the_stack_at_hand() -> None:
    recording = construct("Topic", {**TOPIC, "config": {"cleanup.policy": "compact"}})
    (made,) = [each for each in recording.all("Topic") if not each.is_component]
    assert made.inputs["topic"] == "orders"
    assert made.inputs["partitions"] == 2
    assert made.inputs["config"]["cleanup.policy"] == "compact"
    connection = made.inputs["connection"]
    assert re.fullmatch(THIS_STACK, connection["credentials"])
    assert (connection["statefulSet"], connection["brokers"], connection["adminPort"]) == ("kafka", 1, 19092)


def test_another_name_and_other_credentials_are_used() -> None:
    kafka = {"namespace": "dev", "statefulSet": "other", "credentials": "stack:organization/streaming-platform/cluster"}
    recording = construct("Topic", {**TOPIC, "topic": "orders.v2", "kafka": kafka})
    (made,) = [each for each in recording.all("Topic") if not each.is_component]
    assert (made.name, made.inputs["topic"]) == ("orders", "orders.v2")
    assert made.inputs["connection"]["credentials"] == kafka["credentials"]
    assert made.inputs["connection"]["statefulSet"] == "other"


def test_the_provider_makes_the_same_flink_cluster_as_the_library() -> None:
    given = construct("FlinkCluster", {**CLUSTER, "zookeeper": "zookeeper:2181", "accessMode": "ReadWriteMany"})
    settings = {key: value for key, value in CLUSTER.items() if key not in ("namespace", "image")}
    same = building.flink("orders", protect=True, **json.loads(json.dumps(settings).replace(".0", "")))
    of = {(each.kind, each.name): each for each in given.resources if not each.is_component}
    assert of.keys() == {(each.kind, each.name) for each in same.resources if not each.is_component}
    for each in same.resources:
        if each.kind in ("Service", "HorizontalPodAutoscaler", "PersistentVolumeClaim"):
            assert of[each.kind, each.name].inputs == each.inputs
    names = [container["args"] for _, container in given.containers() if container["name"] == "jobmanager"]
    assert names == [container["args"] for _, container in same.containers() if container["name"] == "jobmanager"]


def test_the_policies_judge_a_flink_cluster_as_they_do_that_of_a_stack() -> None:
    recording = construct("FlinkCluster", {**CLUSTER, "jobManager": {"replicas": 2.0}})
    of = stack_of(recording.resources)
    assert {finding.rule for finding in judge(of, configured("dev"))} == {"flink-logs-shipped"}


def test_a_component_has_outputs_that_name_its_resources() -> None:
    recording = construct("FlinkCluster", CLUSTER)
    (urn,) = [each.urn for each in recording.all("FlinkCluster") if each.type == "streaming:index:FlinkCluster"]
    assert recording.outputs[urn] == {
        "service": "orders-jobmanager",
        "restPort": 8081,
        "jobManager": "orders-jobmanager",
        "taskManager": "orders-taskmanager",
    }
    _, job = construct("RunningJob", {"namespace": "dev", "cluster": "orders"}).resources
    assert re.fullmatch(THIS_STACK, job.inputs["credentials"])


def test_the_example_in_yaml_is_accepted_by_the_provider() -> None:
    document = read_file(ROOT / "examples" / "yaml" / "Pulumi.yaml")
    given = {"${image}": "registry.example/jobs/orders:1.0", "${adminPort}": 19092.0}
    kinds: list[str] = []
    for name, resource in document["resources"].items():
        text = json.dumps(resource["properties"])
        for word, value in given.items():
            text = text.replace(json.dumps(word), json.dumps(value))
        kinds.append(resource["type"].removeprefix("streaming:"))
        assert construct(kinds[-1], json.loads(text), resource.get("name", name)).resources
    assert kinds == ["Topic", "Topic", "FlinkCluster", "RunningJob"]


@pytest.mark.parametrize(
    ("kind", "inputs", "text"),
    [
        ("Topic", {**TOPIC, "partitions": 0.0}, "partitions: "),
        ("Topic", {**TOPIC, "partitions": 1.5}, "partitions: "),
        ("Topic", {**TOPIC, "config": {"retention.ms": "1"}}, "config.retention.ms: '1' has a key of its own"),
        ("FlinkCluster", {**CLUSTER, "taskManagers": {"min": 4.0, "max": 3.0}}, "taskManagers.min: 4 is above max, 3"),
        ("FlinkCluster", {**CLUSTER, "image": "jobs/claims"}, "image: "),
        ("FlinkCluster", {**CLUSTER, "namespace": "Dev"}, "namespace: "),
    ],
)
def test_refusals_of_the_models_name_the_key_without_a_traceback(
    kind: str, inputs: Mapping[str, Any], text: str
) -> None:
    with pytest.raises(InputPropertiesError) as caught:
        construct(kind, inputs)
    assert text in caught.value.message
    assert caught.value.errors, "the SDK fails on none"
    assert created_before(caught.value) == []


def test_refusals_of_a_component_have_no_traceback() -> None:
    with pytest.raises(InputPropertiesError, match="46 characters; at most 45 fit") as caught:
        construct("FlinkCluster", CLUSTER, "a" * 46)
    assert caught.value.errors


@pytest.mark.parametrize("key", ["image", "pod"])
def test_values_that_come_late_are_refused_by_name(key: str) -> None:
    def program() -> None:
        late = pulumi.Output.from_input("a:1")
        inputs = {**CLUSTER, key: late if key == "image" else {"imagePullSecrets": [late]}}
        Components().construct("orders", "streaming:index:FlinkCluster", inputs)

    with pytest.raises(InputPropertiesError, match=f"^{key}: is not known before the update"):
        record(program)


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> None: ...

    monkeypatch.setattr("provider.resources.read", nothing)
    with pytest.raises(ComponentInitError):
        construct("Topic", TOPIC)
