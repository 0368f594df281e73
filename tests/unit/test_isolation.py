import base64
import json

import pytest
import yaml
from pydantic import ValidationError

from components.isolation.namespace import kubeconfig
from components.isolation.roles import ROLES
from components.isolation.settings import NamespaceSettings, QuotaSettings
from tests.unit import building
from tests.unit.recording import Recording


@pytest.fixture(scope="module")
def dev() -> Recording:
    """A namespace with default settings, built once."""
    return building.namespace()


def rights(recording: Recording, role: str = "deployer") -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in recording.inputs("Role", role)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_pod_security_is_restricted_in_every_mode(dev: Recording) -> None:
    labels = dev.inputs("Namespace", "dev")["metadata"]["labels"]
    assert [labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "warn", "audit")] == ["restricted"] * 3


def test_the_deployer_has_a_right_for_everything_that_components_create(dev: Recording) -> None:
    granted = rights(dev)
    for component in (building.zookeeper(), building.kafka(), building.flink()):
        for resource in component.resources:
            if resource.is_component:
                continue
            group = resource.inputs["apiVersion"].rpartition("/")[0]
            plural = resource.kind.lower() + "s"
            for verb in ("get", "list", "watch", "create", "patch", "delete"):
                assert (group, plural, verb) in granted, resource.name


# All that a deployer may do, and so all that dev's team may do: what comes in here needs a reason.
LOOK = {"get", "list", "watch"}
MANAGE = {*LOOK, "create", "patch", "delete"}
RIGHTS = {
    ("", "configmaps"): MANAGE,
    ("", "events"): LOOK,
    ("", "persistentvolumeclaims"): MANAGE,
    ("", "pods"): LOOK,
    ("", "pods/exec"): {"get", "create"},
    ("", "pods/log"): {"get"},
    ("", "pods/portforward"): {"get", "create"},
    ("", "serviceaccounts"): MANAGE,
    ("", "services"): MANAGE,
    ("apps", "deployments"): MANAGE,
    ("apps", "replicasets"): LOOK,
    ("apps", "statefulsets"): MANAGE,
    ("autoscaling", "horizontalpodautoscalers"): MANAGE,
    ("policy", "poddisruptionbudgets"): MANAGE,
}


def test_the_deployer_has_these_rights_and_no_other(dev: Recording) -> None:
    assert rights(dev) == {(group, kind, verb) for (group, kind), verbs in RIGHTS.items() for verb in verbs}
    assert {key for rule in dev.inputs("Role", "deployer")["rules"] for key in rule} == {
        "apiGroups",
        "resources",
        "verbs",
    }
    assert not dev.all("ClusterRole") + dev.all("ClusterRoleBinding")


def test_the_deployer_decides_neither_where_a_service_leads_nor_whose_token_it_gets(dev: Recording) -> None:
    """Rules on Services and pods would be gone round with these rights."""
    closed = {"endpoints", "endpointslices", "services/status", "services/proxy", "serviceaccounts/token", "secrets"}
    assert not closed & {kind for _, kind, _ in rights(dev)}


def test_the_role_is_bound_to_the_deployer_of_this_namespace_alone(dev: Recording) -> None:
    binding = dev.inputs("RoleBinding", "deployer")
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deployer"}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "deployer", "namespace": "dev"}]


def test_the_token_is_made_for_the_deployer_and_after_it(dev: Recording) -> None:
    secret = dev.one("Secret", "deployer-token")
    assert secret.inputs["type"] == "kubernetes.io/service-account-token"
    assert secret.inputs["metadata"]["annotations"]["kubernetes.io/service-account.name"] == "deployer"
    assert "data" not in secret.inputs
    assert any("ServiceAccount" in urn for urn in secret.depends_on)


def test_the_kubeconfig_is_a_secret_output_with_the_deployers_token(dev: Recording) -> None:
    component = dev.component()
    assert dev.secrets[component.urn] == {"kubeconfig"}
    document = yaml.safe_load(dev.outputs[component.urn]["kubeconfig"])
    (user,) = document["users"]
    assert user["user"]["token"] == base64.b64decode("dG9rZW4=").decode()


def test_a_kubeconfig_names_server_namespace_and_authority() -> None:
    document = yaml.safe_load(kubeconfig("ops", building.SERVER, {"ca.crt": "Y2E=", "token": "dG9rZW4="}))
    (context,) = document["contexts"]
    (cluster,) = document["clusters"]
    assert document["current-context"] == context["name"]
    assert context["context"]["namespace"] == "ops"
    assert context["context"]["cluster"] == cluster["name"]
    assert cluster["cluster"] == {"server": building.SERVER, "certificate-authority-data": "Y2E="}


def test_quota_and_limits_are_as_the_api_server_writes_them() -> None:
    recording = building.namespace(
        quota={
            "cpu": 4,
            "memoryMib": 16384,
            "storageMib": 1536,
            "ephemeralStorageMib": 2048,
            "pods": 40,
            "deployments": 10,
            "volumeClaims": 1000,
        },
        limits={"defaultCpu": 0.1, "defaultMemoryMib": 256, "maxMemoryMib": 4096, "maxEphemeralStorageMib": 8192},
    )
    assert recording.inputs("ResourceQuota", "quota")["spec"]["hard"] == {
        "requests.cpu": "4",
        "requests.memory": "16Gi",
        "limits.memory": "16Gi",
        "requests.storage": "1536Mi",
        "requests.ephemeral-storage": "2Gi",
        "limits.ephemeral-storage": "2Gi",
        "pods": "40",
        "count/configmaps": "100",
        "count/secrets": "50",
        "count/services": "50",
        "count/serviceaccounts": "50",
        "count/deployments.apps": "10",
        "count/replicasets.apps": "120",
        "count/statefulsets.apps": "10",
        "count/controllerrevisions.apps": "120",
        "count/jobs.batch": "20",
        "persistentvolumeclaims": "1k",
        "count/horizontalpodautoscalers.autoscaling": "30",
        "count/poddisruptionbudgets.policy": "50",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    (limits,) = recording.inputs("LimitRange", "limits")["spec"]["limits"]
    assert limits["default"] == {"memory": "256Mi", "ephemeral-storage": "1Gi"}
    assert limits["defaultRequest"] == {"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "64Mi"}
    assert limits["max"] == {"memory": "4Gi", "ephemeral-storage": "8Gi"}


def test_the_quota_counts_every_kind_that_the_deployer_may_create(dev: Recording) -> None:
    hard = dev.inputs("ResourceQuota", "quota")["spec"]["hard"]
    kinds = {(group, kind) for group, kind, verb in rights(dev) if verb == "create" and "/" not in kind}
    assert len(kinds) > 5
    for group, kind in kinds:
        counted = f"count/{kind}.{group}" if group else f"count/{kind}"
        assert counted in hard or kind in hard, kind


def test_the_objects_of_one_environment_do_not_fill_the_store_of_the_api_server() -> None:
    assert sum(QuotaSettings().counts.values()) * 1.5 < 2048


def test_the_quota_comes_after_what_it_counts(dev: Recording) -> None:
    """A quota that has not counted yet refuses what it counts."""
    (secret,) = (urn for urn in dev.one("ResourceQuota", "quota").depends_on if "Secret" in urn)
    assert secret.endswith("dev-deployer-token")
    recording = building.namespace(kubernetesHighAvailability=True)
    needs = recording.one("ResourceQuota", "quota").depends_on
    assert any(urn.endswith("ServiceAccount::dev-flink-leader") for urn in needs)


def test_everything_in_the_namespace_comes_after_it(dev: Recording) -> None:
    for resource in dev.resources:
        if not resource.is_component and resource.kind not in {"Namespace", "Secret", "RoleBinding"}:
            assert any("Namespace" in urn for urn in resource.depends_on), resource.name


@pytest.mark.parametrize("protect", [True, False])
def test_a_protected_namespace_keeps_the_objects_that_isolate_it(protect: bool) -> None:
    recording = building.namespace(protect=protect)
    assert {each.protect for each in recording.resources if not each.is_component} == {protect}


def test_names_in_pulumi_tell_environments_apart() -> None:
    names = [{each.name for each in building.namespace(name).resources} for name in ("dev", "ops")]
    assert not names[0] & names[1]


def test_pods_may_elect_a_leader_in_configmaps_only_where_the_administrator_says_so(dev: Recording) -> None:
    assert "flink-leader" not in {role.inputs["metadata"]["name"] for role in dev.all("Role")}
    recording = building.namespace(kubernetesHighAvailability=True)
    (rule,) = recording.inputs("Role", "flink-leader")["rules"]
    assert rule["resources"] == ["configmaps"]
    assert recording.inputs("RoleBinding", "flink-leader")["subjects"] == [
        {"kind": "ServiceAccount", "name": "flink-leader", "namespace": "dev"}
    ]


READ_ONLY = {"get", "list", "watch"}


def changing(recording: Recording, role: str) -> set[tuple[str, str, str]]:
    return {right for right in rights(recording, role) if right[2] not in READ_ONLY or "/" in right[1]}


def test_each_role_has_an_account_that_is_bound_to_it_in_its_namespace_alone(dev: Recording) -> None:
    assert list(ROLES) == ["viewer", "developer", "operator", "deployer", "previewer"]
    for role in ROLES:
        assert dev.inputs("ServiceAccount", role)["automountServiceAccountToken"] is False
        binding = dev.inputs("RoleBinding", role)
        assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": role, "namespace": "dev"}]
        assert binding["metadata"]["namespace"] == dev.inputs("Role", role)["metadata"]["namespace"] == "dev"
    assert len(dev.all("Role")) == len(dev.all("RoleBinding")) == len(ROLES)


def test_a_viewer_changes_nothing_and_connects_to_nothing(dev: Recording) -> None:
    assert changing(dev, "viewer") == {("", "pods/log", "get")}


def test_each_role_has_what_the_one_before_it_has(dev: Recording) -> None:
    assert rights(dev, "viewer") < rights(dev, "developer") < rights(dev, "operator")
    assert rights(dev, "previewer") < rights(dev, "deployer")


def test_what_a_developer_and_an_operator_change(dev: Recording) -> None:
    restart = {("apps", "deployments", "patch"), ("apps", "statefulsets", "patch"), ("", "pods", "delete")}
    forward = {("", "pods/portforward", "get"), ("", "pods/portforward", "create")}
    developer = {("", "pods/log", "get"), *restart, *forward}
    assert changing(dev, "developer") == developer
    execute = {("", "pods/exec", "get"), ("", "pods/exec", "create")}
    scale = {("apps", f"{kind}/scale", verb) for kind in ("deployments", "statefulsets") for verb in ("get", "patch")}
    assert changing(dev, "operator") == developer | execute | scale | {("", "pods/eviction", "create")}
    assert changing(building.namespace(developerExec=True), "developer") == developer | execute


def test_a_previewer_has_the_deployers_rights_but_to_delete_and_to_run_programs(dev: Recording) -> None:
    lost = rights(dev) - rights(dev, "previewer")
    assert {verb for _, kind, verb in lost if kind != "pods/exec"} == {"delete"}
    assert {kind for _, kind, verb in lost if verb != "delete"} == {"pods/exec"}


def test_no_role_gets_at_rights_of_others_or_at_what_bounds_it(dev: Recording) -> None:
    groups = {"", "apps", "autoscaling", "policy", "metrics.k8s.io"}
    closed = {"secrets", "resourcequotas", "limitranges", "namespaces", "serviceaccounts/token"}
    for role in ROLES:
        assert {group for group, _, _ in rights(dev, role)} <= groups
        assert not closed & {kind for _, kind, _ in rights(dev, role)}
        assert not {"*", "update", "escalate", "bind", "impersonate"} & {verb for _, _, verb in rights(dev, role)}


def test_groups_have_a_role_beside_its_account() -> None:
    recording = building.namespace(groups={"viewer": ("everybody", "oidc:guests"), "operator": ("on-call",)})
    subjects = {role: recording.inputs("RoleBinding", role)["subjects"] for role in ROLES}
    found = {role: [each["name"] for each in some if each["kind"] == "Group"] for role, some in subjects.items()}
    assert found == {key: [] for key in ROLES} | {"viewer": ["everybody", "oidc:guests"], "operator": ["on-call"]}
    assert subjects["viewer"][0] == {"kind": "ServiceAccount", "name": "viewer", "namespace": "dev"}
    assert subjects["viewer"][1]["apiGroup"] == "rbac.authorization.k8s.io"


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"previewer": ["ci"]}, "viewer"),
        ({"viewer": ["system:authenticated"]}, "a group of your identity provider"),
        ({"viewer": []}, "at least 1"),
    ],
)
def test_groups_that_would_be_too_wide_are_refused(groups: dict[str, list[str]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        NamespaceSettings.model_validate_json(json.dumps({"groups": groups}))


def test_the_limits_of_roles_are_there_before_the_roles_are_bound(dev: Recording) -> None:
    names = {f"{each}-dev.streaming-platform" for each in ("dry-run-only", "restart-only")}
    made = dev.all("ValidatingAdmissionPolicyBinding")
    assert {each.inputs["metadata"]["name"] for each in made} == names
    assert all(each.inputs["spec"]["validationActions"] == ["Deny"] for each in made)
    for role in ROLES:
        assert {each.urn for each in made} <= set(dev.one("RoleBinding", role).depends_on)


def test_a_previewer_is_held_to_dry_runs_by_its_name_and_wherever_it_asks(dev: Recording) -> None:
    spec = dev.inputs("ValidatingAdmissionPolicy", "dry-run-only-dev.streaming-platform")["spec"]
    (rule,) = spec["matchConstraints"]["resourceRules"]
    assert (rule["apiGroups"], rule["resources"]) == (["*"], ["*/*"])
    assert rule["operations"] == ["CREATE", "UPDATE", "DELETE"]
    (condition,) = spec["matchConditions"]
    assert condition["expression"] == "request.userInfo.username == 'system:serviceaccount:dev:previewer'"
    assert spec["failurePolicy"] == "Fail"
    binding = dev.inputs("ValidatingAdmissionPolicyBinding", "dry-run-only-dev.streaming-platform")["spec"]
    assert "matchResources" not in binding
