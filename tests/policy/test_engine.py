"""Rules as the engine runs them: through the messages of its protocol, and with values that are not known yet."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import EnforcementLevel
from pulumi_policy.proxy import UNKNOWN_NUMBER_VALUE, UNKNOWN_STRING_VALUE

from policies.availability import ODD
from policies.delivery import TOPIC_SURVIVES
from policies.engine import Judge, plain
from policies.headroom import HOLDS_PROCESS, JVM_HEAP
from policies.hygiene import OPAQUE
from policies.memory import BOUNDED, NAMESPACE
from policies.pack import RULES, Configuration, configuration, judge
from policies.rescale import NOT_FIXED
from policies.resources import Resource, Stack
from policies.rules import Level, Rule
from policies.server import Server, policy
from policies.unknown import Unknown
from tests.policy.examples import (
    BAD,
    BROKER,
    DEV,
    KAFKA,
    MAIN,
    TM,
    ZK,
    Bad,
    Document,
    changed,
    good,
    resources,
    stack,
)


def served(configured: Callable[[str], Configuration], **bounds: Mapping[str, Any]) -> Any:
    """The pack's server for stack files of a test, configured by the engine with bounds of rules."""
    server: Any = Server("test", "0.0.1", [policy(rule) for rule in RULES], EnforcementLevel.MANDATORY)
    server.judge = Judge(configured)
    request = analyzer_pb2.ConfigureAnalyzerRequest()
    for name, values in bounds.items():
        each = request.policyConfig[name.replace("_", "-")]
        each.enforcementLevel = analyzer_pb2.MANDATORY
        each.properties.update(values)
    server.Configure(request, None)
    return server


def asked(message: Any, each: Resource, properties: Document) -> Any:
    """A message of the engine about a resource."""
    message.type, message.name, message.urn = each.type, each.name, each.urn
    message.properties.update(properties)
    return message


def engine(documents: list[Document], rule: Rule, **bounds: Any) -> tuple[list[str], str]:
    """What the engine is told of a stack: violations, and the note of what could not be judged."""
    server = served(lambda _: DEV.with_bounds({rule.id: bounds}), **({rule.id: bounds} if bounds else {}))
    everything = list(resources(documents))
    answers = [
        server.Analyze(asked(analyzer_pb2.AnalyzeRequest(), each, document), None)
        for each, document in zip(everything, documents, strict=True)
    ]
    if rule.scope == "stack":
        # What the API server makes of it: a Deployment has one replica where nobody said.
        for document in documents:
            if document["kind"] == "Deployment":
                document["spec"].setdefault("replicas", 1)
        request = analyzer_pb2.AnalyzeStackRequest()
        for each, document in zip(everything, documents, strict=True):
            asked(request.resources.add(), each, document)
        answers = [server.AnalyzeStack(request, None)]
    told = [each for answer in answers for each in answer.diagnostics if each.policyName == rule.id]
    heading = f"{rule.description}\n"
    assert all(each.message.startswith(heading) for each in told)
    violations = [
        each.message.removeprefix(heading) for each in told if each.enforcementLevel == analyzer_pb2.MANDATORY
    ]
    notes = [each.message.removeprefix(heading) for each in told if each.enforcementLevel == analyzer_pb2.ADVISORY]
    return violations, "\n".join(notes)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_good_stack_passes_through_the_sdk(rule: Rule) -> None:
    assert engine(good(), rule) == ([], "")


_FIRST = {bad.rule: bad for bad in BAD}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.id in _FIRST], ids=lambda rule: rule.id)
def test_a_bad_stack_is_refused_through_the_sdk(rule: Rule) -> None:
    documents, _ = changed(_FIRST[rule.id])
    # As they come from the engine: numbers are floats.
    bounds = {"container-memory-limit": {"maxMib": 4096.0}, "namespace-memory-limit": {"maxMib": 20480.0}}.get(
        rule.id, {}
    )
    told, _ = engine(documents, rule, **bounds)
    assert told
    assert all(rule.remedy in text for text in told)


def test_replicas_that_only_the_api_server_wrote_are_not_fixed_ones() -> None:
    assert engine(good(), NOT_FIXED) == ([], "")


@pytest.mark.parametrize(
    ("rule", "at", "path", "value", "told"),
    [
        (BOUNDED, ZK, f"{MAIN}/resources/limits/memory", UNKNOWN_STRING_VALUE, "resources.limits.memory is not known"),
        (BOUNDED, ZK, f"{MAIN}", UNKNOWN_STRING_VALUE, "spec.template.spec.containers[0] is not known"),
        (BOUNDED, ZK, "spec/template", UNKNOWN_STRING_VALUE, "spec.template is not known"),
        (HOLDS_PROCESS, TM, f"{MAIN}/resources/limits/memory", UNKNOWN_STRING_VALUE, "limits.memory is not known"),
        (HOLDS_PROCESS, "ConfigMap/flink-config", "data/config.yaml", UNKNOWN_STRING_VALUE, "data.config.yaml is not"),
        (
            HOLDS_PROCESS,
            "ConfigMap/flink-config",
            "metadata/name",
            "another",
            "ConfigMap flink-config, which it mounts",
        ),
        (JVM_HEAP, ZK, f"{MAIN}/env/0/value", UNKNOWN_STRING_VALUE, "env[0].value is not known"),
        (NAMESPACE, KAFKA, "spec/replicas", UNKNOWN_NUMBER_VALUE, "spec.replicas is not known"),
        (ODD, ZK, "spec/replicas", UNKNOWN_NUMBER_VALUE, "spec.replicas is not known"),
        (ODD, *BROKER, UNKNOWN_STRING_VALUE, "data.server.properties is not known"),
        (TOPIC_SURVIVES, KAFKA, "spec/replicas", UNKNOWN_NUMBER_VALUE, "spec.replicas is not known"),
        (TOPIC_SURVIVES, "KafkaTopic/orders", "spec", UNKNOWN_STRING_VALUE, "spec is not known"),
        (
            JVM_HEAP,
            KAFKA,
            f"{MAIN}/env/0",
            {"name": "KAFKA_HEAP_OPTS", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}},
            "variable KAFKA_HEAP_OPTS is in another object",
        ),
    ],
)
def test_an_unknown_value_is_reported_and_is_no_violation(
    rule: Rule, at: str, path: str, value: str, told: str
) -> None:
    documents, _ = changed(Bad(rule.id, at, path, value))
    violations, note = engine(documents, rule)
    assert violations == []
    assert "cannot be judged at preview" in note
    assert told in note


def test_a_list_whose_items_are_not_known_disturbs_no_rule() -> None:
    unknown = Resource(
        type="kubernetes:core/v1:ConfigMapList", name="theirs", urn="urn", properties={"items": Unknown("items")}
    )
    found = judge(Stack([unknown, *resources(good())]), DEV)
    assert [finding.text for finding in found if not finding.open] == []


def test_an_unknown_value_hides_no_violation_of_another_object() -> None:
    documents, document = changed(Bad("", KAFKA, f"{MAIN}/resources/limits/memory", UNKNOWN_STRING_VALUE))
    del documents[documents.index(document) - 3]["spec"]["template"]["spec"]["containers"][0]["resources"]
    violations, note = engine(documents, BOUNDED)
    assert len(violations) == 2  # request and limit
    assert all("StatefulSet dev/zookeeper, container zookeeper" in violation for violation in violations)
    assert "StatefulSet dev/kafka, container kafka: cannot be judged" in note


@pytest.mark.parametrize("kind", ["helm.sh/v3:Release", "apps/v1:DeploymentPatch"])
def test_opaque_resources_are_reported(kind: str) -> None:
    resource = Resource(type=f"kubernetes:{kind}", name="theirs", urn="urn", properties={})
    (finding,) = OPAQUE.judge(Stack((resource,)), {})
    assert finding.open
    assert "theirs: cannot be judged at preview" in finding.text


def test_properties_become_plain() -> None:
    properties = {"a": [1.0, 2.5, {"b": UNKNOWN_STRING_VALUE}], "c": True, "d": None}
    assert plain(properties) == {"a": [1, 2.5, {"b": Unknown("a[2].b")}], "c": True, "d": None}


def test_levels_and_bounds_have_a_schema_that_the_engine_checks() -> None:
    for rule in RULES:
        made = policy(rule)
        assert made.enforcement_level == EnforcementLevel.MANDATORY
        told = {name for name, setting in rule.settings.items() if not setting.source}
        assert set(made.config_schema.properties if made.config_schema else {}) == told
        for setting in rule.settings.values():
            assert {"type", "description", "default"} <= setting.schema.keys()


def test_a_disabled_rule_finds_nothing_and_an_advisory_one_does() -> None:
    documents, _ = changed(_FIRST["image-pinned"])
    off, told = (Configuration({**DEV.overrides, "image-pinned": level}) for level in ("disabled", "advisory"))
    assert judge(stack(documents), off) == []
    assert [finding.rule for finding in judge(stack(documents), told)] == ["image-pinned"]
    (rule,) = [rule for rule in RULES if rule.id == "image-pinned"]
    assert (off.level(rule), told.level(rule)) == (Level.DISABLED, Level.ADVISORY)
    assert Configuration({"all": "advisory", "image-pinned": {"digest": True}}).level(rule) is Level.ADVISORY
    assert configuration("dev").level(rule) is Level.MANDATORY


def test_work_grows_with_the_number_of_resources_and_no_faster() -> None:
    """Two hundred resources are to take less than 3 s, whatever else the machine does: what counts is calls."""

    def calls(copies: int) -> int:
        documents: list[Document] = []
        for copy in range(copies):
            documents += [each | {"metadata": each["metadata"] | {"namespace": f"n{copy}"}} for each in good()]
        of, count = stack(documents), 0

        def counted(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(counted)
        try:
            judge(of, Configuration({}))
        finally:
            sys.setprofile(None)
        return count

    few, many = calls(6), calls(12)  # 90 and 180 resources
    assert many < 2.3 * few


def test_findings_are_equal_for_properties_from_any_source() -> None:
    documents, _ = changed(_FIRST["flink-limit-holds-process"])
    told, _ = engine(documents, HOLDS_PROCESS)
    assert told == [finding.text for finding in HOLDS_PROCESS.judge(stack(documents), {})]


def test_bounds_of_the_stack_files_go_by_the_name_of_the_stack() -> None:
    rule = next(rule for rule in RULES if rule.id == "namespace-of-platform")
    names: list[str] = []

    def configured(stack: str) -> Configuration:
        names.append(stack)
        return Configuration({rule.id: {"namespaces": [stack]}})

    def told(server: Any, stack: str) -> list[str]:
        document: Document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "dev"}}
        urn = f"urn:pulumi:{stack}::streaming-platform::kubernetes:core/v1:ConfigMap::a"
        each = Resource(type="kubernetes:core/v1:ConfigMap", name="a", urn=urn, properties={})
        answer = server.Analyze(asked(analyzer_pb2.AnalyzeRequest(), each, document), None)
        return [each.message for each in answer.diagnostics if each.policyName == rule.id]

    # What the engine hands over for a bound that the stack files have does not count.
    server = served(configured, **{rule.id: {"namespaces": ["dev", "staging"]}})
    assert told(server, "dev") == []
    (text,) = told(server, "staging")
    assert "namespace 'dev' is none of staging" in text
    assert set(names) == {"dev", "staging"}

    def refused(stack: str) -> Configuration:
        raise ValueError(f"{stack} is no environment")

    assert told(served(refused), "nowhere") == [f"{rule.description}\nnowhere is no environment"]


def test_properties_are_decoded_once_for_all_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []
    decode = json_format.MessageToDict

    def counted(message: Any) -> Any:
        decoded.append(message)
        return decode(message)

    monkeypatch.setattr("policies.server.json_format.MessageToDict", counted)
    documents = good()
    engine(documents, ODD)  # each resource on its own, then all of the stack
    assert len(decoded) == len(documents)
