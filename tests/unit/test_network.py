"""What the network policies of an environment let through: tests/integration/test_network.py tries it with packets."""

from typing import Any

import pytest

from components.isolation.docs import text
from components.isolation.network import FLOWS, api_server
from console.paths import ROOT
from stacks.settings import SettingsError, parse
from tests.unit import building
from tests.unit.recording import Recording

NAME = "app.kubernetes.io/name"


def policies(recording: Recording) -> dict[str, Any]:
    return {each.inputs["metadata"]["name"]: each.inputs["spec"] for each in recording.all("NetworkPolicy")}


def test_all_traffic_is_refused_but_to_the_own_pods_and_to_dns() -> None:
    found = policies(building.namespace())
    assert found["nothing-in"] == {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}
    assert found["little-out"]["podSelector"] == {}
    assert found["little-out"]["policyTypes"] == ["Egress"]
    inside, dns = found["little-out"]["egress"]
    assert inside == {"to": [{"podSelector": {}}]}
    assert {each["port"] for each in dns["ports"]} == {53}


def test_nothing_comes_in_from_another_namespace() -> None:
    for name, spec in policies(building.namespace()).items():
        for rule in spec.get("ingress", []):
            for end in rule["from"]:
                assert end.keys() == {"podSelector"}, name


def test_each_port_of_the_platforms_containers_has_a_way_in() -> None:
    """A port that a component opens and no flow names would be closed without anybody noticing."""
    named = {(flow.part, port) for flow in FLOWS for port in flow.ports.values()}
    for recording in (building.zookeeper(), building.kafka(), building.flink(), building.prometheus()):
        for resource in recording.all("Deployment") + recording.all("StatefulSet"):
            template = resource.inputs["spec"]["template"]
            for container in template["spec"]["containers"]:
                for port in container.get("ports", []):
                    assert (template["metadata"]["labels"][NAME], port["containerPort"]) in named


def test_the_policies_that_refuse_all_traffic_are_made_last() -> None:
    assert list(policies(building.namespace()))[-2:] == ["nothing-in", "little-out"]


def test_each_policy_has_one_direction() -> None:
    """kube-router, as of its version 2.6, lets in whatever one policy of both directions lets out."""
    network = {"ingress": {"a": {"namespace": "b", "ports": (1,)}}, "egress": {"a": {"namespace": "b", "ports": (1,)}}}
    for name, spec in policies(building.namespace(network=network, kubernetesHighAvailability=True)).items():
        assert len(spec["policyTypes"]) == 1, name


def test_peers_are_let_through_by_name() -> None:
    network = {
        "ingress": {"ui": {"namespace": "ingress-nginx", "ports": (8081,)}},
        "egress": {"s3": {"cidr": "10.1.0.0/16", "ports": (443, 9000)}},
    }
    found = policies(building.namespace(network=network))
    assert found["from-ui"]["ingress"] == [
        {
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}],
            "ports": [{"port": 8081, "protocol": "TCP"}],
        }
    ]
    assert found["to-s3"]["egress"] == [
        {
            "to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
            "ports": [{"port": 443, "protocol": "TCP"}, {"port": 9000, "protocol": "TCP"}],
        }
    ]


def test_flink_reaches_the_api_server_where_it_elects_its_leader_there() -> None:
    assert "flink-to-kubernetes" not in policies(building.namespace())
    spec = policies(building.namespace(kubernetesHighAvailability=True))["flink-to-kubernetes"]
    assert spec["podSelector"] == {"matchLabels": {NAME: "flink"}}
    narrow = building.namespace(kubernetesHighAvailability=True, network={"apiServer": "10.9.0.0/24"})
    assert policies(narrow)["flink-to-kubernetes"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "10.9.0.0/24"}}]


@pytest.mark.parametrize(
    ("url", "cidr", "ports"),
    [
        ("https://10.0.0.1:6443", "10.0.0.1/32", (443, 6443)),
        ("https://[fd00::1]:6443", "fd00::1/128", (443, 6443)),
        ("https://api.example", "0.0.0.0/0", (443,)),
    ],
)
def test_the_api_servers_address_follows_from_its_url(url: str, cidr: str, ports: tuple[int, ...]) -> None:
    peer = api_server(url)
    assert (peer.cidr, peer.ports) == (cidr, ports)


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        ({"ports": [80]}, "write either cidr or namespace"),
        ({"cidr": "10.0.0.0/8", "namespace": "x", "ports": [80]}, "write either cidr or namespace"),
        ({"cidr": "10.0.0.1/8", "ports": [80]}, "first address of the range"),
        ({"cidr": "10.0.0.0/8", "ports": []}, "give at least one entry"),
        ({"cidr": "everywhere", "ports": [80]}, "a range of addresses"),
    ],
)
def test_a_peer_is_one_place_and_its_ports(peer: dict[str, Any], said: str) -> None:
    environment = {"network": {"egress": {"s3": peer}}}
    with pytest.raises(SettingsError, match=said):
        parse({"streaming-platform:kind": "cluster", "streaming-platform:environments": {"dev": environment}})


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "isolation.md").read_text() == text(), "run: make generate"


def test_peers_can_be_taken_out_of_a_protected_environment_and_nothing_else() -> None:
    network = {"egress": {"s3": {"cidr": "10.1.0.0/16", "ports": (443,)}}}
    recording = building.namespace(protect=True, network=network)
    protected = {each.inputs["metadata"]["name"]: each.protect for each in recording.all("NetworkPolicy")}
    assert [name for name, protect in protected.items() if not protect] == ["to-s3"]
