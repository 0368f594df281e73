import pytest

from components.flink.config import TASK_MANAGER_SESSION_SECONDS
from components.zookeeper.ensemble import zoo_cfg
from tests.unit import building


def settings_of(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_members_are_numbered_from_one_and_named_by_the_headless_service() -> None:
    config = settings_of(zoo_cfg(name="zookeeper", namespace="ops", members=3))
    assert {key: value for key, value in config.items() if key.startswith("server.")} == {
        f"server.{number + 1}": f"zookeeper-{number}.zookeeper-headless.ops.svc:2888:3888" for number in range(3)
    }


def test_config_avoids_the_known_traps() -> None:
    config = settings_of(zoo_cfg(name="zookeeper", namespace="dev", members=3))
    assert int(config["autopurge.purgeInterval"]) > 0
    assert set(config["4lw.commands.whitelist"].split(",")) == {"ruok", "srvr"}
    assert config["quorumListenOnAllIPs"] == "true"
    assert config["admin.enableServer"] == "false"
    assert int(config["maxSessionTimeout"]) >= 1000 * TASK_MANAGER_SESSION_SECONDS


def test_members_serve_prometheus_at_a_port_of_its_own() -> None:
    recording = building.zookeeper()
    config = settings_of(recording.inputs("ConfigMap", "zookeeper-config")["data"]["zoo.cfg"])
    assert config["metricsProvider.className"].endswith(".PrometheusMetricsProvider")
    assert config["metricsProvider.exportJvmInfo"] == "true"
    ((_, container),) = recording.containers()
    ports = {port["name"]: str(int(port["containerPort"])) for port in container["ports"]}
    assert ports["metrics"] == config["metricsProvider.httpPort"]
    served = [port["name"] for each in recording.all("Service") for port in each.inputs["spec"]["ports"]]
    assert "metrics" not in served


def test_peers_find_each_other_before_they_are_ready() -> None:
    recording = building.zookeeper()
    headless = recording.inputs("Service", "zookeeper-headless")["spec"]
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is True
    stateful_set = recording.inputs("StatefulSet", "zookeeper")["spec"]
    assert stateful_set["serviceName"] == "zookeeper-headless"
    assert stateful_set["podManagementPolicy"] == "Parallel"


def test_readiness_needs_a_quorum_and_liveness_only_an_answer() -> None:
    ((_, container),) = building.zookeeper().containers()
    ready, alive = (container[probe]["exec"]["command"][-1] for probe in ("readinessProbe", "livenessProbe"))
    assert "printf srvr" in ready
    assert "leader|follower|standalone" in ready
    assert "printf ruok" in alive
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        assert container[probe]["timeoutSeconds"] == 5


def test_heap_is_half_of_the_memory_limit() -> None:
    ((_, container),) = building.zookeeper(memoryMib=256).containers()
    assert container["resources"]["limits"]["memory"] == "256Mi"
    assert {"name": "ZK_SERVER_HEAP", "value": "128"} in container["env"]


def test_connect_string_is_the_client_service() -> None:
    recording = building.zookeeper()
    assert recording.outputs[recording.component().urn] == {"connect_string": "zookeeper:2181"}
    assert "clusterIP" not in recording.inputs("Service", "zookeeper")["spec"]


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 5), (5, 3)])
def test_more_or_fewer_members_keep_the_other_members_claims(before: int, after: int) -> None:
    old, new = (building.zookeeper(members=members).all("PersistentVolumeClaim") for members in (before, after))
    kept = min(before, after)
    claims = {claim.name: claim.inputs for claim in new}
    assert [claim.inputs == claims.get(claim.name) for claim in sorted(old, key=lambda each: each.name)][:kept] == (
        [True] * kept
    )


def test_a_changed_member_list_replaces_the_pods() -> None:
    checksums = {
        next(building.zookeeper(members=members).pod_templates())[1]["metadata"]["annotations"][
            "streaming-platform/config-checksum"
        ]
        for members in (3, 5)
    }
    assert len(checksums) == 2


def test_a_set_name_longer_than_its_pods_labels_allow_is_refused() -> None:
    with pytest.raises(ValueError, match="53 characters; at most 52 fit"):
        building.zookeeper("z" * 53)
