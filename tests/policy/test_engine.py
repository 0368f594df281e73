"""Rules as the engine runs them: through the SDK, with its proxies, and with values that are not known yet."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from pulumi_policy import EnforcementLevel, ResourceValidationArgs, StackValidationArgs
from pulumi_policy.policy import PolicyResource
from pulumi_policy.proxy import UNKNOWN_NUMBER_VALUE, UNKNOWN_STRING_VALUE, unknown_checking_proxy

from policies.__main__ import policy
from policies.availability import ODD
from policies.delivery import TOPIC_SURVIVES
from policies.engine import Judge, UnjudgedError, plain
from policies.headroom import HOLDS_PROCESS, JVM_HEAP
from policies.hygiene import OPAQUE
from policies.memory import BOUNDED, NAMESPACE
from policies.pack import RULES, Configuration, configuration, judge
from policies.rescale import NOT_FIXED
from policies.resources import Resource, Stack
from policies.rules import Level, Rule
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


def engine(documents: list[Document], rule: Rule, **bounds: Any) -> tuple[list[str], str]:
    """What the engine is told of a stack: violations, and the note of what could not be judged."""
    judge_ = Judge(lambda _: DEV.with_bounds({rule.id: bounds}))
    told: list[str] = []
    notes: list[str] = []

    def report(message: str, _urn: str | None) -> None:
        told.append(message)

    def attempt(run: Callable[[], None]) -> None:
        try:
            run()
        except UnjudgedError as error:
            notes.append(error.message)

    everything = list(resources(documents))
    options: Any = None
    for each, document in zip(everything, documents, strict=True):
        args = ResourceValidationArgs(
            each.type, unknown_checking_proxy(document), each.urn, each.name, options, None, bounds
        )
        attempt(lambda args=args: judge_.resource(rule if rule.scope == "object" else BOUNDED, args, report))
    if rule.scope == "stack":
        told.clear()
        notes.clear()
        # What the API server makes of it: a Deployment has one replica where nobody said.
        for document in documents:
            if document["kind"] == "Deployment":
                document["spec"].setdefault("replicas", 1)
        shown = [
            PolicyResource(
                each.type, unknown_checking_proxy(document), each.urn, each.name, options, None, None, [], {}
            )
            for each, document in zip(everything, documents, strict=True)
        ]
        attempt(lambda: judge_.stack(rule, StackValidationArgs(shown, bounds), report))
    return told, "\n".join(notes)


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
def test_what_is_not_known_is_told_and_is_no_violation(rule: Rule, at: str, path: str, value: str, told: str) -> None:
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


def test_what_is_unknown_beside_it_hides_no_violation() -> None:
    documents, document = changed(Bad("", KAFKA, f"{MAIN}/resources/limits/memory", UNKNOWN_STRING_VALUE))
    del documents[documents.index(document) - 3]["spec"]["template"]["spec"]["containers"][0]["resources"]
    violations, note = engine(documents, BOUNDED)
    assert len(violations) == 2  # request and limit
    assert all("StatefulSet dev/zookeeper, container zookeeper" in violation for violation in violations)
    assert "StatefulSet dev/kafka, container kafka: cannot be judged" in note


@pytest.mark.parametrize("kind", ["helm.sh/v3:Release", "apps/v1:DeploymentPatch"])
def test_what_the_pack_cannot_see_into_is_told(kind: str) -> None:
    resource = Resource(type=f"kubernetes:{kind}", name="theirs", urn="urn", properties={})
    (finding,) = OPAQUE.judge(Stack((resource,)), {})
    assert finding.open
    assert "theirs: cannot be judged at preview" in finding.text


def test_properties_become_plain() -> None:
    proxied = unknown_checking_proxy({"a": [1.0, 2.5, {"b": UNKNOWN_STRING_VALUE}], "c": True, "d": None})
    assert plain(proxied) == {"a": [1, 2.5, {"b": Unknown("a[2].b")}], "c": True, "d": None}


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


def test_findings_are_equal_whichever_way_the_properties_came() -> None:
    documents, _ = changed(_FIRST["flink-limit-holds-process"])
    told, _ = engine(documents, HOLDS_PROCESS)
    assert told == [finding.text for finding in HOLDS_PROCESS.judge(stack(documents), {})]


def test_bounds_of_the_stack_files_go_by_the_name_of_the_stack() -> None:
    rule = next(rule for rule in RULES if rule.id == "namespace-of-platform")
    asked: list[str] = []

    def configured(stack: str) -> Configuration:
        asked.append(stack)
        return Configuration({rule.id: {"namespaces": [stack]}})

    def told(judge_: Judge, stack: str) -> list[str]:
        found: list[str] = []
        document: Document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "dev"}}
        urn = f"urn:pulumi:{stack}::streaming-platform::kubernetes:core/v1:ConfigMap::a"
        options: Any = None
        # What the engine hands over for a bound that the stack files have does not count.
        given = {"namespaces": ["dev", "staging"]}
        args = ResourceValidationArgs("kubernetes:core/v1:ConfigMap", document, urn, "a", options, None, given)
        judge_.resource(rule, args, lambda text, _: found.append(text))
        return found

    judge_ = Judge(configured)
    assert told(judge_, "dev") == []
    (text,) = told(judge_, "staging")
    assert "namespace 'dev' is none of staging" in text
    assert asked == ["dev", "staging"]

    def refused(stack: str) -> Configuration:
        raise ValueError(f"{stack} is no environment")

    assert told(Judge(refused), "nowhere") == ["nowhere is no environment"]
