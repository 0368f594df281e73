"""Isolation on the network, with real packets: each pair of pods connects, or does not, as the list of flows says."""

import json
import socket
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest

from cli.kube import Kube
from cli.pulumi import Workspace
from components.isolation.network import FLOWS, Flow
from components.ports import ZOOKEEPER
from local.node.config import DNS, Layout
from stacks.settings import merge
from tests.waiting import eventually
from versions import ZOOKEEPER_IMAGE

_NAME = "app.kubernetes.io/name"
_COMPONENT = "app.kubernetes.io/component"
_LEADERS_ALONE = ZOOKEEPER["peer"]  # no other member of the ensemble listens there
_PLATFORM = "app.kubernetes.io/part-of"


@dataclass(frozen=True)
class Client:
    """A pod that tries to connect: a namespace, and the part of the platform that it is labelled as."""

    namespace: str
    part: str

    @property
    def pod(self) -> str:
        return f"connects-{self.part or 'as-nobody'}"


CLIENTS = [Client("dev", part) for part in ("", "flink", "kafka", "prometheus", "zookeeper")] + [
    Client("test", part) for part in ("", "flink")
]


def _pod(client: Client) -> dict[str, object]:
    labels = {_NAME: client.part, _PLATFORM: "streaming-platform"} if client.part else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": client.pod, "namespace": client.namespace, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "client",
                    "image": ZOOKEEPER_IMAGE,
                    "command": ["sleep", "900"],
                    "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }


@pytest.fixture(scope="module")
def machine(node: Layout) -> Iterator[int]:
    """The port of a server outside of the cluster, at the machine's end of the link to the node."""
    with socket.create_server((node.host_ip, 0)) as server:

        def accept() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield int(server.getsockname()[1])


@pytest.fixture(scope="module")
def clients(admin: Kube, work: Workspace, node: Layout, machine: int) -> Generator[None]:
    """All clients; pods of `test` may connect to the server outside meanwhile, as its settings name it."""
    peer = {"machine": {"cidr": f"{node.host_ip}/32", "ports": [machine]}}
    named = {"cluster": {"environments": {"test": {"network": {"egress": peer}}}}}
    replace(work, overlay=merge(work.overlay, named)).up("cluster")
    for client in CLIENTS:
        replace(admin, namespace=client.namespace).run("apply", "-f", "-", stdin=json.dumps(_pod(client)))
    for client in CLIENTS:
        within = replace(admin, namespace=client.namespace)
        within.run("wait", "--for=condition=Ready", f"pod/{client.pod}", "--timeout=120s")
    yield
    for client in CLIENTS:
        replace(admin, namespace=client.namespace).run("delete", "pod", client.pod, "--wait=false")
    work.up("cluster")


@pytest.fixture(scope="module")
def servers(admin: Kube) -> Mapping[tuple[str, str], str]:
    """Address of a pod of each part and component of `dev`."""
    found: dict[tuple[str, str], str] = {}
    for pod in replace(admin, namespace="dev").items("pods", "-l", f"{_PLATFORM}=streaming-platform"):
        labels = pod["metadata"]["labels"]
        if _COMPONENT in labels:
            found[labels[_NAME], labels[_COMPONENT]] = pod["status"]["podIP"]
    assert {part for part, _ in found} == {"flink", "kafka", "prometheus", "zookeeper"}
    return found


def _connects(admin: Kube, client: Client, ends: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """The addresses and ports of some that a client connects to within 5 s."""
    tries = " ".join(
        f"(timeout 5 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null && echo {address} {port}) &"
        for address, port in sorted(ends)
    )
    told = replace(admin, namespace=client.namespace).run("exec", client.pod, "--", "bash", "-c", f"{tries} wait")
    return {(line.split()[0], int(line.split()[1])) for line in told.splitlines()}


def _ends(flows: Sequence[Flow], servers: Mapping[tuple[str, str], str]) -> set[tuple[str, int]]:
    """The addresses and ports that some flows lead to."""
    return {
        (address, port)
        for flow in flows
        for (part, component), address in servers.items()
        if part == flow.part and (not flow.component or component == flow.component)
        for port in flow.ports.values()
        if port != _LEADERS_ALONE
    }


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: f"{client.namespace}-{client.part or 'nobody'}")
@pytest.mark.usefixtures("clients")
def test_a_pod_connects_to_what_the_list_of_flows_says_and_to_nothing_else(
    client: Client, admin: Kube, servers: Mapping[tuple[str, str], str]
) -> None:
    every = _ends(FLOWS, servers)
    own = client.namespace == "dev"
    expected = _ends([each for each in FLOWS if own and (not each.sources or client.part in each.sources)], servers)
    # The node's rules follow a pod within a second or two; then they hold.
    eventually("as the list says", lambda: _connects(admin, client, every) == expected)
    assert _connects(admin, client, every) == expected


@pytest.mark.usefixtures("clients")
def test_out_of_the_cluster_goes_only_what_settings_name(admin: Kube, node: Layout, machine: int) -> None:
    outside = {(node.host_ip, machine)}
    assert _connects(admin, Client("test", ""), outside) == outside
    assert _connects(admin, Client("dev", ""), outside) == set()


@pytest.mark.usefixtures("clients")
def test_only_flink_reaches_the_api_server(admin: Kube, node: Layout) -> None:
    """`dev` lets Flink clusters elect their leader in Kubernetes, `test` does not."""
    server = {(node.node_ip, 6443)}
    assert _connects(admin, Client("dev", "flink"), server) == server
    assert _connects(admin, Client("dev", ""), server) == set()
    assert _connects(admin, Client("test", "flink"), server) == set()


@pytest.mark.usefixtures("clients")
def test_names_are_looked_up(admin: Kube) -> None:
    for client in CLIENTS:
        within = replace(admin, namespace=client.namespace)
        assert "kafka.dev.svc" in within.run("exec", client.pod, "--", "getent", "hosts", "kafka.dev.svc.cluster.local")
    assert DNS == "169.254.20.10"  # the address that the policies let pods look names up at
