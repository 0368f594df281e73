"""The rules on a real API server: bad objects are refused, or admitted with a warning; good ones are admitted."""

import dataclasses
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator

import pytest

from cli.kube import Kube
from cli.pulumi import Workspace
from components.isolation.admission import RESOURCES
from local.node.config import Layout
from policies.engine import plain
from policies.pack import RULES, configuration
from policies.rules import Level, Rule
from stacks.settings import merge
from tests.integration.tls import tls
from tests.policy.examples import ADMITTED, BAD, Bad, Document, changed, good
from tests.policy.recorded import recorded
from tests.unit import building
from tests.waiting import eventually

_RULES: dict[str, Rule] = {rule.id: rule for rule in RULES}
_PATH = "/var/lib/flink"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the API server says to an object that it is to create: an error or none, and warnings."""

    error: str
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Server:
    """The API server, asked as the administrator or as `user`. Nothing that is asked for is kept."""

    url: str
    context: ssl.SSLContext
    user: str = ""

    def create(self, document: Document, namespace: str) -> Answer:
        group, version, resource = RESOURCES[document["kind"]]
        prefix = f"apis/{group}/{version}" if group else f"api/{version}"
        # Under another name: what the platform is made of is there already.
        metadata = document["metadata"]
        body = document | {"metadata": metadata | {"namespace": namespace, "name": f"asked-{metadata['name']}"}}
        return self._ask("POST", f"{prefix}/namespaces/{namespace}/{resource}", body, "application/json")

    def debug(self, pod: str, container: Document, namespace: str) -> Answer:
        """Put a container into a pod that runs."""
        path = f"api/v1/namespaces/{namespace}/pods/{pod}/ephemeralcontainers"
        body = {"spec": {"ephemeralContainers": [container]}}
        return self._ask("PATCH", path, body, "application/strategic-merge-patch+json")

    def _ask(self, method: str, path: str, body: Document, kind: str) -> Answer:
        request = urllib.request.Request(
            f"{self.url}/{path}?dryRun=All",
            data=json.dumps(body).encode(),
            headers={"Content-Type": kind, **({"Impersonate-User": self.user} if self.user else {})},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
                return Answer("", tuple(answer.headers.get_all("Warning") or ()))
        except urllib.error.HTTPError as error:
            return Answer(json.load(error)["message"], ())


@pytest.fixture(scope="module")
def server(node: Layout) -> Server:
    return Server(node.server, tls(node))


@pytest.fixture(scope="module")
def warned(work: Workspace) -> Generator[str]:
    """An environment whose rules warn for a while: the others refuse, as they do by default.

    In `ops` pods may mount directories of nodes meanwhile, so that Pod Security does not look at them. It may have one
    ConfigMap, which is there: that of Kubernetes.
    """
    other = {
        "test": {"admission": "warn"},
        "ops": {"admission": "warn", "hostPaths": [_PATH], "quota": {"configMaps": 1}},
    }
    dataclasses.replace(work, overlay=merge(work.overlay, {"cluster": {"environments": other}})).up("cluster")
    yield "test"
    work.up("cluster")


def _judged() -> Iterator[tuple[Bad, Document]]:
    """The bad examples that the API server judges, each with its object."""
    for bad in BAD:
        _, document = changed(bad)
        admission = _RULES[bad.rule].admission
        if not isinstance(admission, str) and document["kind"] in admission(_RULES[bad.rule].bounds({})).kinds:
            yield bad, document


def _warned_of(answer: Answer) -> set[str]:
    """The ids of the rules that an answer warns of."""
    return {text.split("[", 1)[1].split("]")[0] for text in answer.warnings if "ValidatingAdmissionPolicy" in text}


def _refuses(rule: str) -> bool:
    """Whether `dev` refuses what breaks a rule, or tells only."""
    return configuration("dev").level(_RULES[rule]) is Level.MANDATORY


@pytest.mark.parametrize("namespace", ["dev", "test"])
def test_good_objects_are_admitted_without_a_word(server: Server, warned: str, namespace: str) -> None:
    assert warned == "test"
    for document in good():
        if document["kind"] in RESOURCES:
            assert server.create(document, namespace) == Answer("", ()), document["metadata"]["name"]


def test_bad_objects_are_refused_with_the_rules_id_and_remedy_and_no_other(server: Server, warned: str) -> None:
    assert warned != "dev"
    judged = list(_judged())
    # A new policy is compiled when it is first needed.
    eventually("the API server asks", lambda: server.create(judged[0][1], "dev").error != "", 30)
    for bad, document in judged:
        answer = server.create(document, "dev")
        if bad.in_cluster == ADMITTED:
            assert answer.error == "", bad.name
        elif bad.in_cluster:
            assert bad.in_cluster in answer.error, bad.name
        elif _refuses(bad.rule):
            assert f"[{bad.rule}] " in answer.error, bad.name
            assert answer.error.endswith(_RULES[bad.rule].remedy), bad.name
        else:
            assert (answer.error, _warned_of(answer)) == ("", {bad.rule}), bad.name
    assert {bad.rule for bad, _ in judged} == {rule.id for rule in RULES if not isinstance(rule.admission, str)}


def test_bad_objects_are_admitted_with_a_warning_where_rules_warn(server: Server, warned: str) -> None:
    judged = list(_judged())
    eventually("the API server warns", lambda: bool(_warned_of(server.create(judged[0][1], warned))), 30)
    for bad, document in judged:
        answer = server.create(document, warned)
        if not bad.in_cluster:
            assert (answer.error, _warned_of(answer)) == ("", {bad.rule}), bad.name
            assert any(_RULES[bad.rule].remedy in text for text in answer.warnings), bad.name


def test_a_container_that_is_put_into_a_pod_that_runs_is_judged(server: Server, warned: str) -> None:
    assert warned != "dev"
    security = {"runAsUser": 1000, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    shell = {"name": "shell", "image": "busybox:1.37", "securityContext": security}
    assert server.debug("zookeeper-0", shell, "dev") == Answer("", ())
    refused = server.debug("zookeeper-0", shell | {"image": "busybox"}, "dev")
    assert "[image-pinned] container shell" in refused.error


def test_a_running_workload_gets_its_pods_in_spite_of_later_rules(server: Server, warned: str) -> None:
    """A pod as a controller asks for it is admitted, where nobody else's is, whatever owner it names."""
    assert warned != "dev"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "old", "uid": "0a0b", "controller": True}
    _, pod = changed(Bad("", "Pod/shell", "spec/containers/0/image", "registry.example/team/tools"))
    owned = pod | {"metadata": pod["metadata"] | {"ownerReferences": [owner]}}
    controller = dataclasses.replace(server, user="system:serviceaccount:kube-system:replicaset-controller")
    assert "[image-pinned] " in server.create(owned, "dev").error
    assert controller.create(owned, "dev") == Answer("", ())
    _, sets = changed(Bad("", "StatefulSet/zookeeper", "spec/replicas", 4))
    sets["metadata"]["ownerReferences"] = [owner | {"kind": "Deployment"}]
    assert "[ensemble-odd] " in server.create(sets, "dev").error


def test_other_namespaces_are_not_looked_at(server: Server, admin: Kube) -> None:
    for bad, document in {bad.rule: (bad, document) for bad, document in _judged()}.values():
        if not bad.in_cluster:
            assert server.create(document, admin.namespace) == Answer("", ()), bad.name


def test_objects_of_the_stacks_are_admitted(server: Server) -> None:
    made = [each for each in recorded("dev").resources if each.kind in RESOURCES]
    assert len(made) > 5
    for each in made:
        assert server.create({"apiVersion": "", "kind": each.kind, **plain(each.inputs)}, "dev") == Answer("", ()), (
            each.name
        )


def test_a_deployer_makes_no_more_objects_than_its_quota_counts(server: Server, warned: str) -> None:
    assert warned != "ops"
    deployer = dataclasses.replace(server, user="system:serviceaccount:ops:deployer")
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flood"}, "data": {"x": "x" * 1024}}
    answer = deployer.create(own, "ops")
    assert "exceeded quota: quota, requested: count/configmaps=1, used: count/configmaps=1" in answer.error


def test_where_pods_mount_directories_of_nodes_all_else_is_refused_without_pod_security(
    server: Server, warned: str
) -> None:
    assert warned != "ops"
    flink = building.flink(taskManagers={"stateDirectory": {"hostPath": f"{_PATH}/state"}})
    workers = plain(flink.inputs("Deployment", "claims-taskmanager"))
    spec = workers["spec"]["template"]["spec"] | {"serviceAccountName": "default"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "worker"}, "spec": spec}
    assert server.create(workers, "ops").error == server.create(pod, "ops").error == ""
    for path in ("/var/lib", "/var/lib/flinks", "/"):
        moved = json.loads(json.dumps(pod).replace(f"{_PATH}/state", path))
        assert "[host-path-allowed] " in server.create(moved, "ops").error
    for bad, document in _judged():
        if _RULES[bad.rule].subject == "isolation" and document["kind"] == "Pod":
            assert bad.in_cluster == "violates PodSecurity"
            assert f"[{bad.rule}] " in server.create(document, "ops").error, bad.name
