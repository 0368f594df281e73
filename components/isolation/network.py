"""The traffic of an environment's pods: all is refused but what is listed here, and with peers that settings name."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi_kubernetes as k8s

from components.isolation.settings import Peer
from components.names import PROJECT
from components.ports import (
    FLINK_METRICS,
    JOB_MANAGER,
    KAFKA,
    KAFKA_METRICS,
    PROMETHEUS,
    TASK_MANAGER,
    ZOOKEEPER,
    ZOOKEEPER_METRICS,
)

_NAME, _COMPONENT, _PART_OF = (f"app.kubernetes.io/{label}" for label in ("name", "component", "part-of"))
_NAMESPACE = "kubernetes.io/metadata.name"
# Where names are looked up: the pods of the cluster's DNS, and the address of a DNS cache on each node, which is
# NodeLocal DNSCache's own.
_DNS_NAMESPACE, _DNS_PODS, _DNS_ON_NODE = "kube-system", {"k8s-app": "kube-dns"}, "169.254.20.10/32"
_DNS_PORT = 53
_ANYWHERE = "0.0.0.0/0"
# The policies that refuse all other traffic: the last to be made, so that what runs is not cut off.
CLOSED = ("nothing-in", "little-out")

Spec = k8s.networking.v1.NetworkPolicySpecArgsDict


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Ports of one part of the platform, and the parts that may connect to them; without `sources` any pod of the
    environment may."""

    name: str
    part: str
    component: str = ""
    ports: Mapping[str, int]
    sources: Sequence[str] = ()
    why: str

    def spec(self) -> Spec:
        """The policy that lets it through."""
        labels = {_NAME: self.part} | ({_COMPONENT: self.component} if self.component else {})
        return {
            "pod_selector": {"match_labels": labels},
            "policy_types": ["Ingress"],
            "ingress": [
                {
                    "from_": [{"pod_selector": {"match_labels": {_NAME: source}}} for source in self.sources]
                    or [{"pod_selector": {}}],
                    "ports": _tcp(self.ports.values()),
                }
            ],
        }


FLOWS = (
    Flow(
        name="zookeeper-clients",
        part="zookeeper",
        ports={"client": ZOOKEEPER["client"]},
        sources=("flink",),
        why="JobManagers elect their leader there, and TaskManagers look it up",
    ),
    Flow(
        name="zookeeper-ensemble",
        part="zookeeper",
        ports={name: port for name, port in ZOOKEEPER.items() if name in ("peer", "election")},
        sources=("zookeeper",),
        why="members agree with each other",
    ),
    Flow(
        name="kafka-clients",
        part="kafka",
        ports={"internal": KAFKA["internal"]},
        why="Flink jobs, log sidecars and clients of your own; brokers replicate",
    ),
    Flow(
        name="kafka-controllers",
        part="kafka",
        ports={"controller": KAFKA["controller"]},
        sources=("kafka",),
        why="brokers and controllers",
    ),
    Flow(
        name="job-managers",
        part="flink",
        component="jobmanager",
        ports=JOB_MANAGER,
        sources=("flink",),
        why="TaskManagers register and fetch jars; who reaches the REST API reads all about a job",
    ),
    Flow(
        name="task-managers",
        part="flink",
        component="taskmanager",
        ports=TASK_MANAGER,
        sources=("flink",),
        why="JobManagers deploy tasks, and TaskManagers exchange records",
    ),
    *(
        Flow(
            name=f"{part}-metrics",
            part=part,
            ports=ports,
            sources=("prometheus",),
            why="Prometheus of the environment reads metrics",
        )
        for part, ports in {"zookeeper": ZOOKEEPER_METRICS, "kafka": KAFKA_METRICS, "flink": FLINK_METRICS}.items()
    ),
    Flow(
        name="prometheus",
        part="prometheus",
        ports=PROMETHEUS,
        sources=("prometheus",),
        why="shards read each other's metrics; people use a port-forward",
    ),
)


def policies(
    ingress: Mapping[str, Peer], egress: Mapping[str, Peer], kubernetes_api: Sequence[Peer]
) -> Iterator[tuple[str, Spec]]:
    """Yield each policy of an environment by name, those of `CLOSED` last. `kubernetes_api` is where Flink's pods reach
    the API server."""
    yield "same-namespace", _own_pods()
    for flow in FLOWS:
        yield flow.name, flow.spec()
    for name, peer in ingress.items():
        rule: k8s.networking.v1.NetworkPolicyIngressRuleArgsDict = {"from_": [_end(peer)], "ports": _tcp(peer.ports)}
        yield f"from-{name}", {"pod_selector": {}, "policy_types": ["Ingress"], "ingress": [rule]}
    for name, peer in egress.items():
        yield f"to-{name}", {"pod_selector": {}, "policy_types": ["Egress"], "egress": [_out(peer)]}
    if kubernetes_api:
        selected: k8s.meta.v1.LabelSelectorArgsDict = {"match_labels": {_NAME: "flink"}}
        rules = [_out(peer) for peer in kubernetes_api]
        yield "flink-to-kubernetes", {"pod_selector": selected, "policy_types": ["Egress"], "egress": rules}
    # Two: kube-router lets in whatever one policy of both directions lets out.
    yield CLOSED[0], _nothing_in()
    yield CLOSED[1], _little_out()


def api_server(url: str) -> Peer:
    """Return where pods reach the API server of a URL: its address and port, or the port anywhere for a name, whose
    addresses a policy cannot look up."""
    parts = urlsplit(url)
    try:
        address = ipaddress.ip_network(parts.hostname or "")
    except ValueError:
        address = ipaddress.ip_network(_ANYWHERE)
    # In the cluster the Service `kubernetes` has port 443, and its endpoints the server's own.
    return Peer(cidr=str(address), ports=tuple(sorted({443, parts.port or 443})))


def _nothing_in() -> Spec:
    """The policy that lets nothing in, unless another one does."""
    return {"pod_selector": {}, "policy_types": ["Ingress"], "ingress": []}


def _little_out() -> Spec:
    """The policy that lets traffic out to DNS and to the environment's own pods alone: each says what it lets in."""
    dns: k8s.networking.v1.NetworkPolicyEgressRuleArgsDict = {
        "to": [
            {
                "namespace_selector": {"match_labels": {_NAMESPACE: _DNS_NAMESPACE}},
                "pod_selector": {"match_labels": _DNS_PODS},
            },
            {"ip_block": {"cidr": _DNS_ON_NODE}},
        ],
        "ports": [{"port": _DNS_PORT, "protocol": protocol} for protocol in ("UDP", "TCP")],
    }
    return {"pod_selector": {}, "policy_types": ["Egress"], "egress": [{"to": [{"pod_selector": {}}]}, dns]}


def _own_pods() -> Spec:
    """The policy that lets the environment's pods reach those that are none of the platform's.

    Its name is from a time when it was for all pods: an environment that is protected deletes no policy.
    """
    return {
        "pod_selector": {"match_expressions": [{"key": _PART_OF, "operator": "NotIn", "values": [PROJECT]}]},
        "policy_types": ["Ingress"],
        "ingress": [{"from_": [{"pod_selector": {}}]}],
    }


def _end(peer: Peer) -> k8s.networking.v1.NetworkPolicyPeerArgsDict:
    if peer.cidr is not None:
        return {"ip_block": {"cidr": peer.cidr}}
    return {"namespace_selector": {"match_labels": {_NAMESPACE: peer.namespace or ""}}}


def _out(peer: Peer) -> k8s.networking.v1.NetworkPolicyEgressRuleArgsDict:
    return {"to": [_end(peer)], "ports": _tcp(peer.ports)}


def _tcp(numbers: Iterable[int]) -> list[k8s.networking.v1.NetworkPolicyPortArgsDict]:
    return [{"port": port, "protocol": "TCP"} for port in sorted(numbers)]
