import re
from dataclasses import replace

import pytest
import yaml

from components.kafka.cluster import KafkaCluster, node_properties
from tests.unit import building
from tests.unit.recording import record

PROGRAMS = "/opt/platform/programs"


def properties(node: int, brokers: int) -> dict[str, str]:
    text = node_properties(node, name="kafka", namespace="dev", brokers=brokers, admin_port=19092)
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.mark.parametrize(("brokers", "controllers"), [(1, 1), (2, 1), (3, 3), (4, 3), (7, 3)])
def test_the_first_one_or_three_nodes_are_controllers(brokers: int, controllers: int) -> None:
    nodes = [properties(node, brokers) for node in range(brokers)]
    assert [node["process.roles"] for node in nodes] == (
        ["broker,controller"] * controllers + ["broker"] * (brokers - controllers)
    )
    (voters,) = {node["controller.quorum.voters"] for node in nodes}
    assert [voter.partition("@")[0] for voter in voters.split(",")] == [str(node) for node in range(controllers)]
    for number, node in enumerate(nodes):
        address = f"CONTROLLER://kafka-{number}.kafka-headless.dev.svc:9093"
        for key, value in (("listeners", "CONTROLLER://:9093"), ("advertised.listeners", address)):
            assert (value in node[key].split(",")) == (number < controllers)


def test_the_admin_listener_is_the_same_address_on_both_ends_of_a_port_forward() -> None:
    for node in range(3):
        settings = properties(node, 3)
        assert f"ADMIN://127.0.0.1:{19092 + node}" in settings["listeners"].split(",")
        assert f"ADMIN://127.0.0.1:{19092 + node}" in settings["advertised.listeners"].split(",")


def test_clients_are_sent_to_the_pod_that_they_asked_for() -> None:
    assert "INTERNAL://kafka-2.kafka-headless.dev.svc:9092" in properties(2, 3)["advertised.listeners"].split(",")
    assert properties(2, 3)["inter.broker.listener.name"] == "INTERNAL"


@pytest.mark.parametrize(
    ("brokers", "replicas", "in_sync"), [(1, "1", "1"), (2, "2", "1"), (3, "3", "2"), (9, "3", "2")]
)
def test_internal_topics_survive_as_many_failures_as_the_brokers_allow(
    brokers: int, replicas: str, in_sync: str
) -> None:
    settings = properties(0, brokers)
    for key in ("offsets.topic", "transaction.state.log", "default"):
        assert settings[f"{key}.replication.factor"] == replicas
    assert settings["transaction.state.log.min.isr"] == settings["min.insync.replicas"] == in_sync


def test_transactions_of_flinks_default_length_are_taken() -> None:
    assert int(properties(0, 1)["transaction.max.timeout.ms"]) >= 3600 * 1000


def test_topics_are_created_as_resources_only() -> None:
    assert properties(0, 1)["auto.create.topics.enable"] == "false"


def test_a_cluster_id_that_starts_with_a_dash_is_no_option() -> None:
    ((_, container),) = building.kafka().containers()
    script = container["command"][-1]
    assert '--cluster-id="$CLUSTER_ID"' in script
    assert {"name": "CLUSTER_ID", "value": building.CLUSTER_ID} in container["env"]
    assert building.CLUSTER_ID.startswith("-")


def test_storage_is_formatted_once_and_the_server_takes_the_shells_place() -> None:
    ((_, container),) = building.kafka().containers()
    script = container["command"][-1].splitlines()
    (formatting,) = [line for line in script if "kafka-storage.sh format" in line]
    assert "--ignore-formatted" in formatting
    assert script[-1].startswith("exec /opt/kafka/bin/kafka-server-start.sh")


def test_heap_is_half_of_the_limit_and_not_inherited_by_tools_run_in_the_pod() -> None:
    ((_, container),) = building.kafka(memoryMib=1024).containers()
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert env["HEAP_MIB"] == "512"
    assert "KAFKA_HEAP_OPTS" not in env
    assert "-Xmx${HEAP_MIB}m" in container["command"][-1]


def test_every_node_has_its_file() -> None:
    recording = building.kafka(brokers=4)
    files = recording.inputs("ConfigMap", "kafka-config")["data"]
    assert files.keys() == {"log4j2.properties", "metrics.yaml", *(f"{node}.properties" for node in range(4))}
    assert "node.id=3\n" in files["3.properties"]


def test_another_broker_does_not_restart_the_others() -> None:
    templates = [next(building.kafka(brokers=brokers).pod_templates())[1] for brokers in (3, 4)]
    assert templates[0] == templates[1]


def test_another_admin_port_restarts_all() -> None:
    templates = [next(building.kafka(adminPort=port).pod_templates())[1] for port in (19092, 29092)]
    assert templates[0] != templates[1]


def test_brokers_serve_prometheus_by_an_agent_that_is_mounted() -> None:
    recording = building.kafka()
    ((_, container),) = recording.containers()
    ports = {port["name"]: int(port["containerPort"]) for port in container["ports"]}
    (agent,) = [each["value"] for each in container["env"] if each["name"] == "METRICS_AGENT"]
    jar, rules = f"{PROGRAMS}/metrics-agent.jar", "/etc/kafka-nodes/metrics.yaml"
    assert agent == f"-javaagent:{jar}={ports['metrics']}:{rules}"
    assert ports["metrics"] not in {ports["internal"], ports["controller"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts[PROGRAMS] == "programs"
    assert recording.inputs("ConfigMap", "kafka-programs")["binaryData"] == {"metrics-agent.jar": "YWdlbnQ="}
    served = [port["name"] for each in recording.all("Service") for port in each.inputs["spec"]["ports"]]
    assert "metrics" not in served


def test_rules_of_the_agent_ask_for_what_they_name() -> None:
    rules = yaml.safe_load(building.kafka().inputs("ConfigMap", "kafka-config")["data"]["metrics.yaml"])
    asked = {name.split(",")[0] for name in rules["includeObjectNames"]}
    for rule in rules["rules"]:
        ((domain, types),) = re.findall(r"^([a-z.]+)<type=\(([A-Za-z|]+)\),", rule["pattern"])
        assert {f"{domain}:type={each}" for each in types.split("|")} <= asked, rule


def test_a_cluster_without_the_agent_has_no_port_for_metrics() -> None:
    args = replace(building.kafka_args(), metrics_agent=None)
    recording = record(lambda: KafkaCluster("kafka", args))
    ((_, container),) = recording.containers()
    assert {port["name"] for port in container["ports"]} == {"internal", "controller"}
    assert "METRICS_AGENT" not in {each["name"] for each in container["env"]}
    assert [each.inputs["metadata"]["name"] for each in recording.all("ConfigMap")] == ["kafka-config"]


def test_another_agent_replaces_the_brokers() -> None:
    args = building.kafka_args()
    pods = [
        next(record(lambda args=each: KafkaCluster("kafka", args)).pod_templates())[1]
        for each in (args, replace(args, metrics_agent=b"other"))
    ]
    assert pods[0] != pods[1]


def test_claims_use_the_storage_class_of_the_settings() -> None:
    claims = building.kafka(brokers=2, storageMib=5120).all("PersistentVolumeClaim")
    assert sorted(claim.name for claim in claims) == ["data-kafka-0", "data-kafka-1"]
    for claim in claims:
        assert claim.inputs["spec"] == {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "5Gi"}},
            "storageClassName": "fast",
        }


def test_controllers_find_each_other_before_they_are_ready() -> None:
    recording = building.kafka(brokers=3)
    assert recording.inputs("Service", "kafka-headless")["spec"]["publishNotReadyAddresses"] is True
    assert recording.inputs("StatefulSet", "kafka")["spec"]["podManagementPolicy"] == "Parallel"


def test_outputs() -> None:
    recording = building.kafka()
    assert recording.outputs[recording.component().urn] == {"bootstrap_servers": "kafka:9092", "stateful_set": "kafka"}
