"""The rules as the cluster stack makes them: what is judged, where, and what a violation does."""

import re
from typing import Any
from unittest import mock

import pytest

from components.isolation.admission import AdmissionRule, AdmissionRules
from components.isolation.settings import NamespaceSettings
from policies.pack import RULES, Configuration, PolicyConfigError
from stacks import admission
from stacks.admission import admission_rules
from stacks.settings import SettingsError
from tests.unit import building
from tests.unit.recording import Recording, record
from tests.unit.test_stacks import build_cluster

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
PINNED = "image-pinned.streaming-platform"


def settings(**given: Any) -> NamespaceSettings:
    return NamespaceSettings.model_validate(given)


def rules(**environments: NamespaceSettings) -> dict[str, AdmissionRule]:
    return {rule.name: rule for rule in admission_rules(environments)}


@pytest.fixture(scope="module")
def stack() -> Recording:
    """A cluster stack in which one environment refuses and the other warns."""
    return build_cluster(environments={"dev": {"admission": "warn"}, "ops": {}})


def test_every_rule_that_can_be_judged_on_one_object_has_a_policy(stack: Recording) -> None:
    labels = [each.inputs["metadata"]["labels"] for each in stack.all(POLICY)]
    app = "app.kubernetes.io"
    made = {each[f"{app}/instance"] for each in labels if each[f"{app}/name"] == "admission"}
    assert made == {rule.id for rule in RULES if not isinstance(rule.admission, str)}


def test_a_policy_says_id_and_remedy_and_fails_closed(stack: Recording) -> None:
    (pinned,) = [rule for rule in RULES if rule.id == "image-pinned"]
    spec = stack.inputs(POLICY, PINNED)["spec"]
    assert spec["failurePolicy"] == "Fail"
    (validation,) = spec["validations"]
    assert validation["messageExpression"].startswith("'[image-pinned] '")
    assert pinned.remedy in validation["messageExpression"]
    assert [rule["resources"] for rule in spec["matchConstraints"]["resourceRules"]] == [
        ["pods", "pods/ephemeralcontainers", "replicationcontrollers"],
        ["deployments", "statefulsets", "daemonsets", "replicasets"],
        ["jobs", "cronjobs"],
    ]


def test_an_object_of_a_controller_is_known_by_the_requester_not_by_its_owner_field(stack: Recording) -> None:
    def condition(name: str) -> str:
        conditions = stack.inputs(POLICY, f"{name}.streaming-platform")["spec"]["matchConditions"]
        return {each["name"]: each["expression"] for each in conditions}["not-made-by-a-controller"]

    assert "ownerReferences" not in str([policy.inputs for policy in stack.all(POLICY)])
    pattern = condition("image-pinned").partition("'")[2].partition("'")[0]
    for user, own in {
        "system:serviceaccount:kube-system:replicaset-controller": True,
        "system:serviceaccount:kube-system:daemon-set-controller": True,
        "system:kube-controller-manager": True,
        "system:serviceaccount:dev:replicaset-controller": False,
        "system:serviceaccount:kube-system:generic-garbage-collector": False,
        "system:serviceaccount:kube-system:replicaset-controller-x": False,
        "system:serviceaccount:dev:deployer": False,
        "kubernetes-admin": False,
    }.items():
        assert (re.search(pattern, user) is not None) == own, user
    # Pod Security looks at every pod, and so do the rules that stand in for it. A pod with the deployer's token must
    # not come again when that token has been changed.
    for name in ("container-not-root", "pod-not-deployer"):
        assert condition(name).startswith("object.kind == 'Pod' || ")
    assert "object.kind == 'Pod'" not in condition("image-pinned")


def test_policy_configuration_that_cannot_be_read_ends_as_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = mock.Mock(side_effect=PolicyConfigError("dev.json: image-pinned: 5 is neither a level nor a mapping"))
    monkeypatch.setattr(admission, "configuration", wrong)
    with pytest.raises(SettingsError, match=r"dev\.json: image-pinned: 5 is neither"):
        build_cluster(environments={"dev": {}})


def test_a_policy_is_bound_to_the_platforms_namespaces_with_the_mode_of_each(stack: Recording) -> None:
    for name, action, namespaces in (("deny", "Deny", ["ops"]), ("warn", "Warn", ["dev"])):
        binding = stack.one(BINDING, f"{name}.{PINNED}")
        assert binding.inputs["spec"]["policyName"] == PINNED
        assert binding.inputs["spec"]["validationActions"] == [action]
        selector = binding.inputs["spec"]["matchResources"]["namespaceSelector"]
        assert selector["matchLabels"] == {"app.kubernetes.io/part-of": "streaming-platform"}
        assert selector["matchExpressions"][0]["values"] == namespaces
        assert any(urn.endswith(f"{POLICY}::{PINNED}") for urn in binding.depends_on)


def test_a_change_of_mode_leaves_the_policies_alone() -> None:
    def made(mode: str) -> dict[str, Any]:
        return {each.name: each.inputs for each in build_cluster(environments={"dev": {"admission": mode}}).all(POLICY)}

    assert made("deny") == made("warn")


def test_environments_with_other_bounds_have_a_policy_of_their_own() -> None:
    least = settings(limits={"maxMemoryMib": 4096})
    made = rules(dev=least, test=least, ops=settings())
    small, large = made["container-memory-limit-dev-test"], made["container-memory-limit-ops"]
    assert "'4096Mi'" in small.places
    assert "'16384Mi'" in large.places
    assert small.actions == {"dev": "Deny", "test": "Deny"}


def test_levels_are_those_of_the_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Configuration({"image-pinned": "advisory", "container-probed": "disabled"})
    monkeypatch.setattr(admission, "configuration", mock.Mock(return_value=said))
    made = rules(dev=settings())
    assert made["image-pinned"].actions == {"dev": "Warn"}
    assert "container-probed" not in made
    assert made["container-not-root"].actions == {"dev": "Deny"}


def test_where_directories_of_nodes_are_allowed_rules_stand_in_for_pod_security(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "configuration", mock.Mock(return_value=Configuration({"all": "disabled"})))
    made = rules(dev=settings(), ops=settings(admission="warn", hostPaths=("/var/lib/flink/",)))
    isolation = {rule.id for rule in RULES if rule.subject == "isolation"}
    assert made.keys() == isolation
    assert {str(rule.actions) for rule in made.values()} == {"{'ops': 'Deny'}"}
    assert "['/var/lib/flink']" in made["host-path-allowed"].places
    for security, paths in (("restricted", ()), ("privileged", ("/var/lib/flink",))):
        labels = building.namespace(hostPaths=paths).inputs("Namespace", "dev")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == security


def test_quotes_in_a_text_are_written_for_cel() -> None:
    rule = AdmissionRule(
        name="own",
        id="own",
        kinds=("Pod",),
        variables={},
        places="[]",
        text="the pod's \\ text",
        actions={"dev": "Warn"},
    )
    made = record(lambda: AdmissionRules("admission", [rule]))
    (validation,) = made.one(POLICY, "own.streaming-platform").inputs["spec"]["validations"]
    assert validation["messageExpression"].endswith("': the pod\\'s \\\\ text'")
