import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from components.base import OWN_DISK_MIB, PodAdditions
from components.flink.cluster import FlinkCluster, job_id
from components.flink.config import FlinkConfigurationError
from components.flink.memory import FlinkMemoryError
from components.quantities import number
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


def options(container: dict[str, Any]) -> dict[str, str]:
    """The options on a command line, `-D key=value`."""
    args = container["args"]
    return dict(value.split("=", 1) for word, value in pairwise(args) if word == "-D")


def test_the_job_manager_runs_the_job_under_its_pods_address() -> None:
    recording = building.flink(arguments=["--topic", "events", "--count", 3])
    assert containers(recording)["jobmanager"]["args"] == [
        *("standalone-job", "-D", "jobmanager.rpc.address=$(POD_IP)", "--job-id", job_id("dev", "claims")),
        *("--job-classname", "com.example.Job", "--", "--topic", "events", "--count", "3"),
    ]


def test_task_managers_register_under_their_pods_address(default: Recording) -> None:
    container = containers(default)["taskmanager"]
    assert container["args"][0] == "taskmanager"
    assert options(container)["taskmanager.host"] == "$(POD_IP)"
    assert env(container)["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}


def test_the_images_entry_point_gets_a_copy_of_the_configuration_that_it_may_write_to(default: Recording) -> None:
    start = default.inputs("ConfigMap", "claims-scripts")["data"]["start.sh"]
    assert 'cp "${0%/*}"/../conf/* "$FLINK_HOME/conf/"' in start
    for name, container in containers(default).items():
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert container["command"][1].startswith("/opt/platform/scripts/"), name
        assert mounts["/opt/platform/conf"]["readOnly"] is mounts["/opt/platform/scripts"]["readOnly"] is True
        assert mounts["/opt/flink/conf"]["name"] == "conf", name


def test_the_root_is_read_only_and_flinks_writable_volumes_are_bounded(default: Recording) -> None:
    for name, template in default.pod_templates():
        (container,) = template["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        written = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"] if "readOnly" not in mount}
        assert {"/opt/flink/conf", "/opt/flink/log", "/tmp", "/flink-data"} <= set(written.values()), name
        assert all("sizeLimit" in volumes[each]["emptyDir"] for each in written if each != "data"), name


def test_the_autoscaler_owns_the_number_of_task_managers(default: Recording) -> None:
    assert "replicas" not in default.inputs("Deployment", "claims-taskmanager")["spec"]
    assert default.inputs("Deployment", "claims-jobmanager")["spec"]["replicas"] == 2


def test_processes_of_two_versions_never_run_at_once(default: Recording) -> None:
    for deployment in default.all("Deployment"):
        assert deployment.inputs["spec"]["strategy"] == {"type": "Recreate"}, deployment.name


def test_container_limits_are_the_memory_that_flink_divides() -> None:
    recording = building.flink(
        taskManagers={"memoryMib": 2048, "cpu": 0.5, "cpuLimit": 2}, jobManager={"memoryMib": 1024, "cpu": 0.25}
    )
    config = yaml.safe_load(recording.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    assert config["taskmanager.memory.process.size"] == "2048m"
    assert config["jobmanager.memory.process.size"] == "1024m"
    assert containers(recording)["taskmanager"]["resources"] == {
        "requests": {"cpu": "500m", "memory": "2Gi", "ephemeral-storage": "64Mi"},
        "limits": {"cpu": "2", "memory": "2Gi", "ephemeral-storage": "5633Mi"},
    }
    limits = containers(recording)["jobmanager"]["resources"]["limits"]
    assert limits == {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1537Mi"}


@pytest.mark.parametrize(
    ("state", "volume", "volumes_mib"),
    [
        ('{"sizeMib": 10240}', "", 1281 + 10240),
        ('{"hostPath": "/mnt/nvme"}', "", 1281),
        ('{"class": "fast"}', "", 1281),
        ("{}", '"emptyDir": {"sizeLimit": "1500M"}', 1281 + 4096 + 1431),
        ("{}", '"emptyDir": {}', 1281 + 4096 + 1024),
        ("{}", '"emptyDir": {"medium": "Memory"}', 1281 + 4096),
        ("{}", '"configMap": {"name": "a"}', 1281 + 4096),
    ],
)
def test_a_container_may_fill_the_volumes_that_it_writes_to(state: str, volume: str, volumes_mib: int) -> None:
    volumes = [json.loads(f'{{"name": "a", {volume}}}')] if volume else []
    made = building.flink(taskManagers={"stateDirectory": json.loads(state)}, pod={"volumes": volumes})
    resources = containers(made)["taskmanager"]["resources"]
    assert number(resources["limits"]["ephemeral-storage"]) == (volumes_mib + OWN_DISK_MIB) * 2**20


def test_a_container_has_the_memory_that_flink_adds_up() -> None:
    recording = building.flink(
        taskManagers={"taskHeapMib": 384, "managedMib": 512, "offHeapMib": 0, "memory": {"networkFraction": 0.1}},
        jobManager={"flinkMemoryMib": 1152, "memory": {"jvmMetaspaceMib": 300}},
    )
    config = yaml.safe_load(recording.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    assert {key: value for key, value in config.items() if ".memory." in key} == {
        "jobmanager.memory.flink.size": "1152m",
        "jobmanager.memory.jvm-metaspace.size": "300m",
        "taskmanager.memory.task.heap.size": "384m",
        "taskmanager.memory.managed.size": "512m",
        "taskmanager.memory.task.off-heap.size": "0m",
    }
    # A few bytes more than 1728 MiB, since 0.1 is no 32-bit float.
    for name, limit in {"taskmanager": "1729Mi", "jobmanager": "1644Mi"}.items():
        resources = containers(recording)[name]["resources"]
        assert resources["limits"]["memory"] == resources["requests"]["memory"] == limit


def test_memory_tracking_restarts_both_processes_with_it(default: Recording) -> None:
    tracked = building.flink(debug={"nativeMemoryTracking": True})
    config = yaml.safe_load(tracked.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    assert "-XX:NativeMemoryTracking=summary" in config["env.java.opts.all"].split()
    for (name, before), (_, after) in zip(default.pod_templates(), tracked.pod_templates(), strict=True):
        assert before["metadata"]["annotations"] != after["metadata"]["annotations"], name


def test_jemalloc_counts_the_pods_cpus() -> None:
    recording = building.flink(taskManagers={"cpuLimit": 2}, jobManager={"cpuLimit": 1})
    assert env(containers(recording)["taskmanager"])["MALLOC_CONF"] == "narenas:8"
    assert env(containers(recording)["jobmanager"])["MALLOC_CONF"] == "narenas:1"


def test_container_ports_are_those_of_the_configuration(default: Recording) -> None:
    config = yaml.safe_load(default.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    names = {"process": "metrics-process", "job": "metrics-job", "task": "metrics-task", "operator": "metrics-op"}
    reporters = {name: config[f"metrics.reporter.{scope}.port"] for scope, name in names.items()}
    assert len(set(reporters.values())) == 4
    of_job_manager = {
        "rpc": config["high-availability.jobmanager.port"],
        "blob": config["blob.server.port"],
        "query-service": config["metrics.internal.query-service.port"],
        "rest": config["rest.port"],
    }
    assert ports_of(default)["jobmanager"] == of_job_manager | reporters
    assert ports_of(default)["taskmanager"] == reporters | {
        "rpc": config["taskmanager.rpc.port"],
        "data": config["taskmanager.data.port"],
        "query-service": config["metrics.internal.query-service.port"],
    }
    assert all(len(name) <= 15 for names in ports_of(default).values() for name in names)
    service = default.inputs("Service", "claims-jobmanager")["spec"]["ports"]
    assert {port["name"]: str(int(port["port"])) for port in service} == of_job_manager


def ports_of(recording: Recording) -> dict[str, dict[str, str]]:
    return {
        name: {port["name"]: str(int(port["containerPort"])) for port in container.get("ports", [])}
        for name, container in containers(recording).items()
    }


def test_prometheus_gets_series_that_outlast_a_restart(default: Recording) -> None:
    config = config_of(default)
    assert config["metrics.reporters"].split(",") == ["process", "job", "task", "operator"]
    for scope in config["metrics.reporters"].split(","):
        own = f"metrics.reporter.{scope}"
        assert config[f"{own}.factory.class"].endswith(".PrometheusReporterFactory")
        excluded = config[f"{own}.scope.variables.excludes"].split(";")
        assert {"task_attempt_id", "task_attempt_num", "tm_id", "host"} == set(excluded)
        # What tells series of one process apart.
        assert not {"job_name", "task_name", "task_id", "subtask_index", "operator_name", "operator_id"} & {*excluded}


def test_metrics_can_be_switched_off_and_reporters_are_the_users_then() -> None:
    own = {"metrics.reporter.mine.factory.class": "org.apache.flink.metrics.statsd.StatsDReporterFactory"}
    recording = building.flink(metrics={"enabled": False}, configuration=own)
    assert {key for key in config_of(recording) if key.startswith("metrics.reporter")} == own.keys()
    assert not any(name.startswith("metrics") for names in ports_of(recording).values() for name in names)
    with pytest.raises(ValidationError, match=r"metrics\.reporter\.mine\.factory\.class.*metrics\.enabled"):
        building.flink(configuration=own)


def test_high_availability_files_and_checkpoints_lie_on_the_shared_claim() -> None:
    recording = building.flink(storageMib=5120)
    config = yaml.safe_load(recording.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    assert config["high-availability.storageDir"] == "file:///flink-data/ha"
    assert config["execution.checkpointing.dir"] == "file:///flink-data/checkpoints"
    claim = recording.inputs("PersistentVolumeClaim", "claims-data")["spec"]
    assert claim == {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "5Gi"}}}


def config_of(recording: Recording) -> dict[str, str]:
    return yaml.safe_load(recording.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])


def place(recording: Recording) -> str:
    return config_of(recording)["high-availability.cluster-id"]


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": ["--more"]},
        {"mainClass": "com.example.Other"},
        {"configuration": {"a.b": "c"}},
        {"taskManagers": {"slots": 2}},
        {"pod": {"env": [{"name": "MODE", "value": "fast"}]}},
    ],
)
def test_each_version_of_a_job_finds_its_leader_in_a_place_of_its_own(
    default: Recording, change: dict[str, Any]
) -> None:
    other = building.flink(**change)
    assert place(other) != place(default)
    assert place(other).startswith("/claims/")
    assert place(building.flink(**change)) == place(other)


def test_a_standby_is_made_for_a_quick_start_and_the_users_own_options_come_last() -> None:
    recording = building.flink(configuration={"env.java.opts.jobmanager": "-XX:+BytecodeVerificationRemote"})
    config = yaml.safe_load(recording.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    words = config["env.java.opts.jobmanager"].split()
    assert words[-4:] == [
        "-XX:TieredStopAtLevel=1",
        "-XX:+UnlockDiagnosticVMOptions",
        "-XX:-BytecodeVerificationRemote",
        "-XX:+BytecodeVerificationRemote",
    ]
    assert "TieredStopAtLevel" not in config["env.java.opts.taskmanager"]


def test_a_change_that_is_not_the_jobs_keeps_its_place(default: Recording) -> None:
    assert place(building.flink(taskManagers={"max": 9, "cpu": 0.7}, pod={"priorityClass": "high"})) == place(default)


def test_the_job_keeps_its_id_with_any_initial_state(default: Recording) -> None:
    ids = {job_id("dev", "claims"), job_id("ops", "claims"), job_id("dev", "orders")}
    assert len(ids) == 3
    assert all(len(each) == 32 and int(each, 16) for each in ids)
    named = "file:///flink-data/savepoints/savepoint-1"
    back = building.flink(restoreFrom=named)
    assert config_of(back)["platform.restore-from"] == named
    assert "platform.restore-from" not in config_of(default)
    for recording in (default, back):
        main = containers(recording)["jobmanager"]
        assert env(main)["JOB_ID"] == job_id("dev", "claims")
        assert env(main)["JOB_ID"] in main["args"]


@pytest.mark.parametrize("more", [{}, {"highAvailability": "kubernetes"}, {"s3": {"path": "s3://checkpoints"}}])
def test_the_state_to_resume_from_is_found_by_the_record_beside_it(more: dict[str, Any]) -> None:
    recording = building.flink(**more)
    config = config_of(recording)
    assert config["high-availability.type"] == "streaming.state.RecordedHighAvailabilityFactory"
    assert config["platform.election"] == more.get("highAvailability", "zookeeper")
    storage = config["execution.checkpointing.dir"].removesuffix("/checkpoints")
    assert config["platform.state-record"] == f"{storage}/record"
    assert recording.inputs("ConfigMap", "claims-library")["binaryData"] == {"state-record.jar": "amFy"}
    for name, container in containers(recording).items():
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert mounts["/opt/flink/lib/state-record.jar"]["subPath"] == "state-record.jar", name
        assert mounts[config["platform.local-directory"]]["name"] == "conf", name


def test_another_record_replaces_the_pods(default: Recording) -> None:
    other = record(lambda: FlinkCluster("claims", replace(building.flink_args(), state_record=b"other")))
    for (name, before), (_, after) in zip(default.pod_templates(), other.pod_templates(), strict=True):
        assert before["metadata"]["annotations"] != after["metadata"]["annotations"], name


def test_a_job_manager_is_ready_while_the_job_runs_and_alive_while_it_answers(default: Recording) -> None:
    main = containers(default)["jobmanager"]
    assert main["readinessProbe"]["exec"]["command"][1] == "/opt/platform/scripts/ready.sh"
    assert main["livenessProbe"]["httpGet"] == {"path": "/config", "port": "rest"}
    assert main["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert default.inputs("Service", "claims-jobmanager")["spec"]["publishNotReadyAddresses"] is True


def test_processes_save_state_before_they_stop_and_have_the_time_for_it(default: Recording) -> None:
    saving = building.flink(jobManager={"savepointOnStop": True})
    for recording, role, ways, grace in (
        (default, "jobmanager", ["checkpoint=10"], 20),
        (default, "taskmanager", ["checkpoint=10"], 20),
        (saving, "jobmanager", ["savepoint=300", "checkpoint=10"], 320),
        (saving, "taskmanager", ["checkpoint=10", "others=300"], 320),  # the savepoint needs its tasks
        (building.flink(taskManagers={"checkpointOnStop": False}), "taskmanager", [], 10),
    ):
        hook = containers(recording)[role].get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
        assert hook[2:] == ways, role
        spec = recording.inputs("Deployment", f"claims-{role}")["spec"]["template"]["spec"]
        assert spec["terminationGracePeriodSeconds"] == grace


def test_task_managers_outlast_a_job_manager_that_is_replaced() -> None:
    recording = building.flink(
        failureDetection={
            "heartbeatIntervalMillis": 300,
            "heartbeatTimeoutMillis": 3000,
            "jobManagerTimeoutMillis": 30000,
        }
    )
    config = yaml.safe_load(recording.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    assert (config["heartbeat.interval"], config["heartbeat.timeout"]) == ("300 ms", "3000 ms")
    own = options(containers(recording)["taskmanager"])
    assert own["heartbeat.timeout"] == "30000ms"
    assert own["high-availability.zookeeper.client.session-timeout"] == "60s"
    assert not any(" " in value for value in own.values())


@pytest.mark.parametrize(
    ("given", "volume"),
    [
        ({}, {"emptyDir": {"sizeLimit": "4Gi"}}),
        ({"sizeMib": 1024}, {"emptyDir": {"sizeLimit": "1Gi"}}),
        ({"hostPath": "/mnt/nvme"}, {"hostPath": {"path": "/mnt/nvme", "type": "DirectoryOrCreate"}}),
        (
            {"class": "fast"},
            {
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "storageClassName": "fast",
                            "resources": {"requests": {"storage": "4Gi"}},
                        }
                    }
                }
            },
        ),
    ],
)
def test_working_state_is_where_the_user_says(given: dict[str, Any], volume: dict[str, Any]) -> None:
    recording = building.flink(taskManagers={"stateDirectory": given})
    spec = recording.inputs("Deployment", "claims-taskmanager")["spec"]["template"]["spec"]
    assert {"name": "state", **volume} in spec["volumes"]
    assert options(containers(recording)["taskmanager"])["io.tmp.dirs"] == "/flink-state"
    main = containers(recording)["taskmanager"]
    assert env(main)["STATE"] == "/flink-state"
    made = spec.get("initContainers", [])
    assert [each["command"] for each in made] == (
        [["chown", "9999:9999", "/flink-state"]] if "hostPath" in given else []
    )
    # Pods of one node do not share a directory.
    mounts = [mount for each in (main, *made) for mount in each["volumeMounts"] if mount["name"] == "state"]
    assert all(("subPathExpr" in mount) == ("hostPath" in given) for mount in mounts)


def test_a_users_additions_reach_the_pods_of_both_roles() -> None:
    toleration = {"key": "flink", "operator": "Exists"}
    recording = building.flink(
        pod={
            "nodeSelector": {"disk": "nvme"},
            "tolerations": [toleration],
            "priorityClass": "high",
            "imagePullSecrets": ["registry"],
            "env": [{"name": "TZ", "value": "UTC"}],
            "volumes": [{"name": "models", "configMap": {"name": "models"}}],
            "volumeMounts": [{"name": "models", "mountPath": "/models"}],
            "shareProcessNamespace": True,
        }
    )
    for name, template in recording.pod_templates():
        spec = template["spec"]
        (container,) = spec["containers"]
        assert spec["nodeSelector"] == {"disk": "nvme"}, name
        assert spec["tolerations"] == [toleration], name
        assert spec["priorityClassName"] == "high", name
        assert spec["imagePullSecrets"] == [{"name": "registry"}], name
        assert spec["shareProcessNamespace"] is True, name
        assert {"name": "models", "configMap": {"name": "models"}} in spec["volumes"], name
        assert {"name": "models", "mountPath": "/models"} in container["volumeMounts"], name
        assert env(container)["TZ"] == "UTC", name


def test_another_component_adds_a_sidecar_to_the_pods(default: Recording) -> None:
    agent: Any = {"name": "agent", "image": "agent:1", "restart_policy": "Always"}
    additions = PodAdditions(
        init_containers=(agent,), volumes=({"name": "agent"},), texts={"agent.conf": "1"}, grace_seconds=7
    )
    recording = record(lambda: FlinkCluster("claims", replace(building.flink_args(), additions=additions)))
    for (name, template), (_, before) in zip(recording.pod_templates(), default.pod_templates(), strict=True):
        spec = template["spec"]
        assert spec["initContainers"] == [{"name": "agent", "image": "agent:1", "restartPolicy": "Always"}], name
        assert {"name": "agent"} in spec["volumes"], name
        assert spec["terminationGracePeriodSeconds"] == before["spec"]["terminationGracePeriodSeconds"] + 7, name
        assert template["metadata"]["annotations"] != before["metadata"]["annotations"], name


def test_a_cluster_may_be_deleted_and_its_checkpoints_stay() -> None:
    claim = building.flink(protect=True).one("PersistentVolumeClaim", "claims-data")
    assert (claim.protect, claim.retain) == (False, True)


def test_a_users_options_reach_flink_and_restart_it(default: Recording) -> None:
    other = building.flink(configuration={"state.backend.type": "rocksdb"})
    config = yaml.safe_load(other.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    assert config["state.backend.type"] == "rocksdb"
    for (name, before), (_, after) in zip(default.pod_templates(), other.pod_templates(), strict=True):
        assert before["metadata"]["annotations"] != after["metadata"]["annotations"], name


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


def test_the_autoscaler_looks_at_consumer_lag_too_where_asked_for() -> None:
    lag = {"labels": {"consumergroup": "claims", "topic": "events"}, "recordsPerTaskManager": 20000}
    recording = building.flink(autoscaling={"lag": lag})
    cpu, external = recording.inputs("HorizontalPodAutoscaler", "claims-taskmanager")["spec"]["metrics"]
    assert cpu["type"] == "ContainerResource"
    assert external == {
        "type": "External",
        "external": {
            "metric": {
                "name": "kafka_consumergroup_lag",
                "selector": {"matchLabels": {"consumergroup": "claims", "topic": "events"}},
            },
            "target": {"type": "AverageValue", "averageValue": "20k"},
        },
    }


def test_a_peak_at_start_up_does_not_scale_up_and_scaling_down_waits_longer(default: Recording) -> None:
    behavior = default.inputs("HorizontalPodAutoscaler", "claims-taskmanager")["spec"]["behavior"]
    up, down = (behavior[way]["stabilizationWindowSeconds"] for way in ("scaleUp", "scaleDown"))
    assert 60 <= up < down


def test_pods_of_which_there_are_several_are_taken_one_at_a_time(default: Recording) -> None:
    def budgets(recording: Recording) -> dict[str, int]:
        specs = [budget.inputs["spec"] for budget in recording.all("PodDisruptionBudget")]
        component = "app.kubernetes.io/component"
        return {spec["selector"]["matchLabels"][component]: int(spec["maxUnavailable"]) for spec in specs}

    assert budgets(default) == {"jobmanager": 1, "taskmanager": 1}
    assert budgets(building.flink(jobManager={"replicas": 1})) == {"taskmanager": 1}


def test_pods_wait_for_the_objects_that_they_mount(default: Recording) -> None:
    for deployment in default.all("Deployment"):
        kinds = {urn.split("::")[2].rpartition(":")[2] for urn in deployment.depends_on}
        assert {"ConfigMap", "PersistentVolumeClaim", "ServiceAccount"} <= kinds, deployment.name


def test_a_name_longer_than_flink_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="46 characters; at most 45 fit"):
        building.flink("c" * 46)


def test_the_image_is_that_of_the_settings_unless_another_is_given(default: Recording) -> None:
    args = replace(building.flink_args(), image=None)
    taken = record(lambda: FlinkCluster("claims", args))
    assert containers(taken) == containers(default)
    of_a_jar = args.settings.model_copy(update={"image": None, "jar": "target/claims.jar"})
    with pytest.raises(ValueError, match="claims: no image is given: name one in `image`") as caught:
        record(lambda: FlinkCluster("claims", replace(args, settings=of_a_jar)))
    assert created_before(caught.value) == []


def test_settings_that_flink_would_refuse_are_refused_before_anything_is_created() -> None:
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


KUBERNETES: dict[str, Any] = {"highAvailability": "kubernetes"}


def test_leaders_in_kubernetes_write_to_the_api_as_an_account_that_may() -> None:
    recording = building.flink(**KUBERNETES)
    assert not recording.all("ServiceAccount")
    for name, template in recording.pod_templates():
        assert template["spec"]["serviceAccountName"] == "flink-leader", name
        assert template["spec"]["automountServiceAccountToken"] is True, name


def test_each_change_of_version_elects_its_leader_in_new_configmaps_which_go_with_it() -> None:
    one, other = building.flink(**KUBERNETES), building.flink(**KUBERNETES, arguments=["--more"])
    ids = [recording.inputs("RandomId", "claims-leases") for recording in (one, other)]
    assert ids[0]["keepers"] != ids[1]["keepers"]
    assert building.flink(**KUBERNETES).inputs("RandomId", "claims-leases") == ids[0]
    made = one.one("ConfigMap", f"claims-{building.LEASES}-cluster-config-map")
    assert made.inputs["metadata"]["labels"]["app"] == f"claims-{building.LEASES}"
    lease = json.loads(made.inputs["metadata"]["annotations"]["control-plane.alpha.kubernetes.io/leader"])
    assert (lease["holderIdentity"], lease["renewTime"][:4]) == ("", "1970")
    # All that Flink writes: nothing is left that an update could fight about.
    assert set(made.ignore_changes) == {"data", "metadata.annotations", "metadata.labels"}
    for name, container in containers(one).items():
        assert env(container)["LEASES"] == f"claims-{building.LEASES}", name


def test_the_longest_name_leaves_room_for_its_leases() -> None:
    recording = building.flink("c" * 45, **KUBERNETES)
    (label, *_) = {len(made.inputs["metadata"]["labels"].get("app", "")) for made in recording.all("ConfigMap")} - {0}
    assert label <= 63


S3 = {"path": "s3://checkpoints/flink", "endpoint": "http://minio:9000", "secret": "minio"}


def test_pods_with_checkpoints_in_s3_share_no_volume() -> None:
    recording = building.flink(s3=S3)
    assert not recording.all("PersistentVolumeClaim")
    config = yaml.safe_load(recording.inputs("ConfigMap", "claims-config")["data"]["config.yaml"])
    assert config["execution.checkpointing.dir"] == "s3://checkpoints/flink/dev/claims/checkpoints"
    assert config["high-availability.storageDir"] == "s3://checkpoints/flink/dev/claims/ha"
    for name, container in containers(recording).items():
        variables = env(container)
        assert variables["S3"] == "true", name
        assert variables["AWS_ACCESS_KEY_ID"] == {"secretKeyRef": {"name": "minio", "key": "access-key-id"}}
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts["data"] == "/opt/flink/plugins/s3", name


def test_pods_with_an_identity_of_their_own_get_no_keys() -> None:
    recording = building.flink(s3={"path": "s3://checkpoints"})
    assert all("AWS_ACCESS_KEY_ID" not in env(container) for container in containers(recording).values())
