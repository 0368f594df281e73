from dataclasses import replace
from typing import Any

import pytest
import yaml

from components.flink.cluster import FlinkCluster
from components.flink.config import FlinkConfigurationError
from components.flink.memory import FlinkMemoryError
from tests.unit import building
from tests.unit.recording import Recording, created_before, record


@pytest.fixture(scope="module")
def default() -> Recording:
    """A cluster with default settings, built once."""
    return building.flink()


def containers(recording: Recording) -> dict[str, dict[str, Any]]:
    return {container["name"]: container for _, container in recording.containers()}


def env(container: dict[str, Any]) -> dict[str, Any]:
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container["env"]}


def test_the_job_manager_runs_the_job_under_its_pods_address() -> None:
    recording = building.flink(arguments=["--topic", "events", "--count", 3])
    assert containers(recording)["jobmanager"]["args"] == [
        *("standalone-job", "-D", "jobmanager.rpc.address=$(POD_IP)", "--job-classname", "com.example.Job"),
        *("--", "--topic", "events", "--count", "3"),
    ]


def test_task_managers_register_under_their_pods_address(default: Recording) -> None:
    container = containers(default)["taskmanager"]
    assert container["args"] == ["taskmanager", "-D", "taskmanager.host=$(POD_IP)"]
    assert env(container)["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}


def test_the_images_own_entry_point_is_used(default: Recording) -> None:
    for name, container in containers(default).items():
        assert ("command" in container) == (name == "forget-job-graph"), name


def test_no_deployment_has_replicas_since_the_autoscaler_owns_them(default: Recording) -> None:
    for deployment in default.all("Deployment"):
        assert "replicas" not in deployment.inputs["spec"], deployment.name


def test_processes_of_two_versions_never_run_at_once(default: Recording) -> None:
    for deployment in default.all("Deployment"):
        assert deployment.inputs["spec"]["strategy"] == {"type": "Recreate"}, deployment.name


def test_container_limits_are_what_flink_divides() -> None:
    recording = building.flink(
        taskManagers={"memoryMib": 2048, "cpu": 0.5, "cpuLimit": 2}, jobManager={"memoryMib": 1024, "cpu": 0.25}
    )
    config = yaml.safe_load(recording.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    assert config["taskmanager.memory.process.size"] == "2048m"
    assert config["jobmanager.memory.process.size"] == "1024m"
    assert containers(recording)["taskmanager"]["resources"] == {
        "requests": {"cpu": "500m", "memory": "2Gi"},
        "limits": {"cpu": "2", "memory": "2Gi"},
    }
    assert containers(recording)["jobmanager"]["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}


def test_jemalloc_counts_the_pods_cpus() -> None:
    recording = building.flink(taskManagers={"cpuLimit": 2}, jobManager={"cpuLimit": 1})
    assert env(containers(recording)["taskmanager"])["MALLOC_CONF"] == "narenas:8"
    assert env(containers(recording)["jobmanager"])["MALLOC_CONF"] == "narenas:1"


def test_container_ports_are_those_of_the_configuration(default: Recording) -> None:
    config = yaml.safe_load(default.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    ports = {
        name: {port["name"]: str(int(port["containerPort"])) for port in container.get("ports", [])}
        for name, container in containers(default).items()
    }
    assert ports["jobmanager"] == {
        "rpc": config["high-availability.jobmanager.port"],
        "blob": config["blob.server.port"],
        "metrics": config["metrics.internal.query-service.port"],
        "rest": config["rest.port"],
    }
    assert ports["taskmanager"] == {
        "rpc": config["taskmanager.rpc.port"],
        "data": config["taskmanager.data.port"],
        "metrics": config["metrics.internal.query-service.port"],
    }


def test_configuration_is_mounted_read_only_and_data_and_logs_are_not(default: Recording) -> None:
    for name in ("jobmanager", "taskmanager"):
        mounts = {mount["mountPath"]: mount for mount in containers(default)[name]["volumeMounts"]}
        assert mounts["/opt/flink/conf"]["readOnly"] is True
        assert mounts.keys() == {"/opt/flink/conf", "/flink-data", "/opt/flink/log"}


def test_high_availability_files_and_checkpoints_lie_on_the_shared_claim() -> None:
    recording = building.flink(storageMib=5120)
    config = yaml.safe_load(recording.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    assert config["high-availability.storageDir"] == "file:///flink-data/ha"
    assert config["execution.checkpointing.dir"] == "file:///flink-data/checkpoints"
    claim = recording.inputs("PersistentVolumeClaim", "claims-data")["spec"]
    assert claim == {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "5Gi"}}}


def test_a_new_job_manager_pod_forgets_the_stored_job_graph_and_nothing_else(default: Recording) -> None:
    config = yaml.safe_load(default.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    init = containers(default)["forget-job-graph"]
    root, cluster = config["high-availability.zookeeper.path.root"], config["high-availability.cluster-id"]
    assert env(init)["NODE"] == f"{root}{cluster}/execution-plans"
    assert env(init)["QUORUM"] == config["high-availability.zookeeper.quorum"] == "zookeeper:2181"
    assert init["image"] == "zookeeper:3.9.4"
    assert "initContainers" not in default.inputs("Deployment", "claims-taskmanager")["spec"]["template"]["spec"]


def test_a_users_options_reach_flink_and_restart_it(default: Recording) -> None:
    other = building.flink(configuration={"state.backend.type": "rocksdb"})
    config = yaml.safe_load(other.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    assert config["state.backend.type"] == "rocksdb"
    for (name, before), (_, after) in zip(default.pod_templates(), other.pod_templates(), strict=True):
        assert before["metadata"]["annotations"] != after["metadata"]["annotations"], name


def test_ready_is_the_job_manager_when_some_job_manager_leads(default: Recording) -> None:
    probe = containers(default)["jobmanager"]["readinessProbe"]
    assert probe["httpGet"] == {"path": "/overview", "port": "rest"}


def test_the_autoscaler_scales_on_the_task_managers_container_alone() -> None:
    recording = building.flink(taskManagers={"min": 2, "max": 5}, autoscaling={"cpuPercent": 60})
    spec = recording.inputs("HorizontalPodAutoscaler", "claims-taskmanager")["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "claims-taskmanager"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    (metric,) = spec["metrics"]
    assert metric == {
        "type": "ContainerResource",
        "containerResource": {
            "container": "taskmanager",
            "name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 60},
        },
    }


def test_a_peak_at_start_up_does_not_scale_up_and_scaling_down_waits_longer(default: Recording) -> None:
    behavior = default.inputs("HorizontalPodAutoscaler", "claims-taskmanager")["spec"]["behavior"]
    up, down = (behavior[way]["stabilizationWindowSeconds"] for way in ("scaleUp", "scaleDown"))
    assert 60 <= up < down


def test_only_task_managers_have_a_disruption_budget_since_there_is_one_job_manager(default: Recording) -> None:
    (budget,) = default.all("PodDisruptionBudget")
    assert budget.inputs["spec"]["maxUnavailable"] == 1
    assert budget.inputs["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == "taskmanager"


def test_pods_wait_for_what_they_mount(default: Recording) -> None:
    for deployment in default.all("Deployment"):
        kinds = {urn.split("::")[2].rpartition(":")[2] for urn in deployment.depends_on}
        assert {"ConfigMap", "PersistentVolumeClaim", "ServiceAccount"} <= kinds, deployment.name


def test_a_name_longer_than_flink_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="46 characters; at most 45 fit"):
        building.flink("c" * 46)


def test_what_flink_would_refuse_is_refused_before_anything_is_created() -> None:
    # Settings check this too; a component does not rely on where its arguments come from.
    args = building.flink_args()
    small = args.settings.task_managers.model_copy(update={"memory_mib": 512})
    wrong = {
        FlinkConfigurationError: args.settings.model_copy(update={"configuration": {"rest.port": "1"}}),
        FlinkMemoryError: args.settings.model_copy(update={"task_managers": small}),
    }
    for error, settings in wrong.items():
        with pytest.raises(error) as caught:
            record(lambda settings=settings: FlinkCluster("claims", replace(args, settings=settings)))
        assert not created_before(caught.value)
