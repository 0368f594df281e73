"""The roles on a real API server: its authorizer grants what the table says, and nothing else; kubectl as each role."""

import base64
import dataclasses
import http.client
import json
import subprocess
import sys
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cli import access
from cli.kube import Kube
from cli.platform import Target
from cli.preview import engine
from cli.pulumi import Workspace, stack_file
from components.isolation.roles import ROLES, rights
from console.paths import ROOT
from console.progress import LocalError
from local.node.config import Layout
from stacks.settings import ClusterSettings, load_file, merge
from tests.integration.test_boundary import deployment
from tests.integration.tls import tls
from tests.waiting import eventually

Right = tuple[str, str, str]  # API group, resource with its sub-resource, verb

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
ENVIRONMENTS = ("dev", "ops")  # with developerExec, and without
# Whoever has one of these gets other rights, or lifts what bounds an environment.
CLOSED: dict[tuple[str, str], tuple[str, ...]] = {
    ("rbac.authorization.k8s.io", "roles"): ("escalate", "bind", *VERBS),
    ("rbac.authorization.k8s.io", "clusterroles"): ("escalate", "bind", *VERBS),
    ("rbac.authorization.k8s.io", "rolebindings"): VERBS,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): VERBS,
    ("", "users"): ("impersonate",),
    ("", "groups"): ("impersonate",),
    ("", "serviceaccounts"): ("impersonate",),
    ("", "serviceaccounts/token"): ("create",),
    ("", "secrets"): VERBS,
    ("", "resourcequotas"): VERBS,
    ("", "limitranges"): VERBS,
    ("networking.k8s.io", "networkpolicies"): VERBS,
    ("", "namespaces"): VERBS,
    ("", "nodes/proxy"): VERBS,
    ("", "pods/ephemeralcontainers"): VERBS,
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): VERBS,
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): VERBS,
}
RESTART = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
MORE: list[dict[str, Any]] = [
    {"spec": {"replicas": 3}},
    {"spec": {"paused": True}},
    {"spec": {"minReadySeconds": 7}},
    {"spec": {"template": {"metadata": {"annotations": {"other": "x"}}}}},
    {"spec": {"template": {"metadata": {"labels": {"other": "x"}}}}},
    {"spec": {"template": {"spec": {"containers": [{"name": "main", "command": ["id"]}]}}}},
    {"spec": {"template": {"spec": {"serviceAccountName": "flink-leader"}}}},
    {"metadata": {"labels": {"other": "x"}}},
    {"metadata": {"annotations": {"other": "x"}}},
    {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]}},
]


class Server:
    """The API server as the administrator asks it, over one connection."""

    def __init__(self, node: Layout) -> None:
        self._connection = http.client.HTTPSConnection(
            node.server.removeprefix("https://"), context=tls(node), timeout=30
        )

    def _send(self, method: str, path: str, body: object = None, user: str = "") -> dict[str, Any]:
        headers = {"Content-Type": "application/json", **({"Impersonate-User": user} if user else {})}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status < 300, text
        return json.loads(text)

    def resources(self) -> list[tuple[str, str, bool]]:
        """All resources that the API server knows: group, resource with its sub-resource, whether in a namespace."""
        groups = self._send("GET", "/apis")["groups"]
        versions = [("", "/api/v1")] + [
            (group["name"], f"/apis/{version['groupVersion']}") for group in groups for version in group["versions"]
        ]
        return sorted(
            {
                (group, each["name"], each["namespaced"])
                for group, path in versions
                for each in self._send("GET", path)["resources"]
            }
        )

    def rules(self, user: str, namespace: str) -> set[Right]:
        """All that a user may do in a namespace, as its own review of its rules says."""
        status = self._send(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectRulesReview",
                "spec": {"namespace": namespace},
            },
            user,
        )["status"]
        assert not status["incomplete"], status
        return {
            (group, f"{resource}{rule['resourceNames'] if rule.get('resourceNames') else ''}", verb)
            for rule in status["resourceRules"]
            for group in rule.get("apiGroups", [])
            for resource in rule.get("resources", [])
            for verb in rule["verbs"]
        }

    def allowed(self, account: str, role: str, namespace: str, right: Right) -> bool:
        """Whether an environment's account may do something in a namespace, or, without one, outside of all."""
        group, resource, verb = right
        name, _, sub = resource.partition("/")
        attributes = {"group": group, "resource": name, "subresource": sub, "verb": verb, "namespace": namespace}
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account}", "system:authenticated"]
        spec = {"user": user(account, role), "groups": groups, "resourceAttributes": attributes}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        return self._send("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)["status"]["allowed"]


def user(environment: str, role: str) -> str:
    return f"system:serviceaccount:{environment}:{role}"


def table(environment: str, role: str) -> set[Right]:
    """What the documentation says of a role."""
    settings = load_file(stack_file("cluster"))
    assert isinstance(settings, ClusterSettings)
    granted = ROLES[role].granted(developer_exec=settings.environments[environment].developer_exec)
    return {(group, resource, verb) for (group, resource), verbs in rights(granted).items() for verb in verbs}


@pytest.fixture(scope="module")
def server(node: Layout) -> Server:
    return Server(node)


@pytest.fixture(scope="module")
def role(target: Target, work: Workspace) -> dict[str, Kube]:
    """kubectl with the kubeconfig of each role of `dev`, in the namespace of its context."""
    files = {role: access.role_kubeconfig(target, "dev", role, 1) for role in ROLES}
    return {role: Kube(bin=work.bin, kubeconfig=file, namespace="dev") for role, file in files.items()}


@pytest.fixture
def workload(dev: Kube) -> Generator[str]:
    """A Deployment without pods."""
    document = deployment()
    document["spec"]["replicas"] = 0
    dev.run("create", "-f", "-", stdin=json.dumps(document))
    yield "deployment/other"
    dev.run("delete", "deployment", "other")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", ROLES)
def test_a_role_has_the_rules_of_the_table_in_its_namespace_and_none_elsewhere(
    server: Server, environment: str, name: str
) -> None:
    (other,) = set(ENVIRONMENTS) - {environment}
    everybody = server.rules(user(environment, "default"), environment)
    assert {(group, verb) for group, _, verb in everybody} <= {
        ("authorization.k8s.io", "create"),
        ("authentication.k8s.io", "create"),
    }
    assert server.rules(user(environment, name), environment) - everybody == table(environment, name)
    for namespace in (other, "test", "kube-system", "default"):
        assert server.rules(user(environment, name), namespace) == everybody, namespace


def test_developers_run_programs_in_pods_only_where_the_environment_says_so(server: Server) -> None:
    right = ("", "pods/exec", "create")
    assert [server.allowed(each, "developer", each, right) for each in ENVIRONMENTS] == [True, False]


@pytest.mark.parametrize("name", ROLES)
def test_the_authorizer_answers_as_the_table_for_every_resource(server: Server, name: str) -> None:
    """Each resource and sub-resource that the API server knows, with each verb."""
    known = server.resources()
    assert len(known) > 100
    told = table("dev", name)
    assert {(group, resource) for group, resource, _ in told} <= {(group, resource) for group, resource, _ in known}
    asked = [(group, resource, verb) for group, resource, _ in known for verb in VERBS]
    assert _granted(server, name, "dev", asked) == told
    # Elsewhere the review of the rules has found nothing: here is a sample, and what is in no namespace.
    sample = [(group, resource, verb) for group, resource, _ in known for verb in ("list", "create")]
    for namespace in ("ops", "kube-system", ""):
        assert _granted(server, name, namespace, _without_self(sample)) == set(), namespace


def _without_self(asked: Iterable[Right]) -> list[Right]:
    """Leave out what every account may ask about itself."""
    return [right for right in asked if not right[1].startswith("selfsubject")]


def _granted(server: Server, name: str, namespace: str, asked: Sequence[Right]) -> set[Right]:
    return {right for right in _without_self(asked) if server.allowed("dev", name, namespace, right)}


@pytest.mark.parametrize("name", ROLES)
def test_no_role_gets_at_other_rights_or_at_what_bounds_it(server: Server, name: str) -> None:
    closed = [(group, resource, verb) for (group, resource), verbs in CLOSED.items() for verb in verbs]
    for namespace in ("dev", "ops", "kube-system", ""):
        assert _granted(server, name, namespace, closed) == set(), namespace


def test_a_printed_kubeconfig_shows_its_environment_and_no_other(target: Target, work: Workspace) -> None:
    words = [sys.executable, "-m", "cli", "--name", target.name, "kubeconfig", "dev", "--role", "viewer"]
    line = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    def kubectl(*command: str) -> "subprocess.CompletedProcess[str]":
        script = f'{line}\nexec "$@"'
        return subprocess.run(
            ["sh", "-c", script, "sh", work.bin / "kubectl", *command], capture_output=True, text=True, check=False
        )

    assert kubectl("config", "current-context").stdout == "dev-viewer\n"
    assert "pod/zookeeper-0" in kubectl("get", "pods", "-o", "name").stdout.split()
    for words in (["get", "pods", "-n", "ops"], ["get", "secrets"], ["get", "namespaces"], ["delete", "pod", "x"]):
        assert "Forbidden" in kubectl(*words).stderr, words


def test_a_token_expires_and_is_renewed(target: Target) -> None:
    def read(file: Path) -> tuple[str, dict[str, Any]]:
        token: str = json.loads(file.read_text())["users"][0]["user"]["token"]
        payload = token.split(".")[1]
        return token, json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    file = access.role_kubeconfig(target, "dev", "viewer", 2)
    token, claims = read(file)
    assert claims["exp"] - claims["iat"] == 2 * 3600
    assert claims["sub"] == user("dev", "viewer")
    assert access.role_kubeconfig(target, "dev", "viewer", 2) == file
    assert read(file)[0] != token
    assert file.stat().st_mode & 0o777 == 0o600


def test_one_kubeconfig_has_a_context_for_each_environment(target: Target, work: Workspace) -> None:
    every = Kube(bin=work.bin, kubeconfig=access.role_kubeconfig(target, "all", "viewer", 1), namespace="")
    contexts = every.run("config", "get-contexts", "-o", "name").split()
    assert contexts == ["dev-viewer", "ops-viewer", "test-viewer"]
    for context in contexts:
        namespace = context.removesuffix("-viewer")
        dataclasses.replace(every, namespace=namespace).run("--context", context, "get", "pods")


def test_a_previewer_tries_changes_and_makes_none(role: dict[str, Kube], admin: Kube) -> None:
    previewer = role["previewer"]
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tried"}, "data": {"a": "b"}}
    text = json.dumps(document)
    changes = (["create", "-f", "-"], ["apply", "--server-side", "-f", "-"])
    patch = ["patch", "service", "zookeeper", "--type", "merge", "-p", '{"metadata": {"labels": {"a": "b"}}}']
    for words in (*changes, patch):
        previewer.run(*words, "--dry-run=server", stdin=text)
        with pytest.raises(LocalError, match=r"\[dry-run-only\] the account previewer may only try changes"):
            previewer.run(*words, stdin=text)
    assert not dataclasses.replace(admin, namespace="dev").get("configmap", "tried")
    # The account is held, whatever rights somebody gives it later, and wherever.
    own = ("--as", user("dev", "previewer"))
    admin.run("create", "rolebinding", "more", "--clusterrole=edit", f"--serviceaccount={'dev:previewer'}")
    try:
        for words in (["create", "configmap", "x"], ["delete", "configmap", "kube-root-ca.crt"]):
            eventually("the right is there", lambda words=words: bool(admin.run(*own, *words, "--dry-run=server")), 20)
            with pytest.raises(LocalError, match=r"\[dry-run-only\]"):
                admin.run(*own, *words)
    finally:
        admin.run("delete", "rolebinding", "more")
    assert previewer.run("auth", "can-i", "create", "configmaps").strip() == "yes"


def test_a_previewer_previews_the_stack(role: dict[str, Kube], work: Workspace) -> None:
    text = role["previewer"].kubeconfig.read_text()
    held = dataclasses.replace(work, overlay=merge(work.overlay, {"dev": {"kubeconfig": text}}))
    found = held.look(engine.PREVIEW, "dev")
    assert found.result == "succeeded"


@pytest.mark.parametrize("name", ["developer", "operator"])
def test_who_may_restart_a_workload_changes_nothing_else_of_it(role: dict[str, Kube], workload: str, name: str) -> None:
    by = role[name]
    by.run("rollout", "restart", workload)
    by.run("patch", workload, "--dry-run=server", "-p", json.dumps(RESTART))
    by.run("patch", "statefulset/zookeeper", "--dry-run=server", "-p", json.dumps(RESTART))
    for more in MORE:
        with pytest.raises(LocalError, match=r"\[restart-only\] this role may restart a workload"):
            by.run("patch", workload, "--dry-run=server", "-p", json.dumps(merge(RESTART, more)))
    role["deployer"].run("patch", workload, "--dry-run=server", "-p", json.dumps(MORE[0]))


def test_an_operator_scales_a_workload(role: dict[str, Kube], workload: str) -> None:
    role["operator"].run("scale", workload, "--replicas=0")
    with pytest.raises(LocalError, match="Forbidden"):
        role["developer"].run("scale", workload, "--replicas=0")
