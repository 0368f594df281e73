"""The pods of a Flink cluster: what their containers run, mount and answer to, and how they stop."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s

from components.base import Expanded, PodAdditions, checksum, container, pod_template, ports, resources
from components.flink.config import (
    JOB_MANAGER_SESSION_SECONDS,
    TASK_MANAGER_SESSION_SECONDS,
)
from components.flink.directories import (
    CONF_DIR,
    DATA_DIR,
    LIBRARY_DIR,
    LOG_DIR,
    PLATFORM_CONF_DIR,
    S3_PLUGIN_DIR,
    SCRIPTS_DIR,
    STATE_DIR,
    STATE_RECORD,
)
from components.flink.settings import FlinkClusterSettings, JobManagerSettings, TaskManagerSettings
from components.ports import FLINK_METRICS, JOB_MANAGER, TASK_MANAGER
from components.quantities import jemalloc_arenas, mib, number

USER = 9999  # of the image
# Bounds of the emptyDir volumes of both roles. Log files of at most 160 MiB (log4j-console.properties), the collector's
# of 50, and a crash report.
_LOG_MIB = 256
_CONF_MIB = 1
_TMP_MIB = 1024
_S3_PLUGIN_MIB = 1
_UNBOUNDED_MIB = 1024  # counted for an emptyDir of a user's own that has no sizeLimit
_SCRIPTS = Path(__file__).parent / "scripts"


# How long a process may take for a checkpoint before it stops, for a savepoint, and for stopping itself: a TaskManager
# signs off at once and its JVM halts after 5 s at most, a JobManager leaves the leadership and the job where they are.
_CHECKPOINT_SECONDS = 10
_SAVEPOINT_SECONDS = 300
_STOP_SECONDS = 10
# How long a JobManager that died leaves the node's CPUs to the standby: that leads a second or two after the session's
# end, and has the job running two seconds later (bench/rescale, docs/measurements.md).
_TAKE_OVER_SECONDS = JOB_MANAGER_SESSION_SECONDS + 4


def scripts() -> dict[str, str]:
    """The files of `components/flink/scripts`, by name."""
    return {path.name: path.read_text() for path in sorted(_SCRIPTS.glob("*.sh"))}


@dataclass(frozen=True, kw_only=True)
class _Role:
    """The container of one role, as far as it differs from the other role's.

    `script` starts it with `args`. Its probes say that it has `started`, that it is `alive`, and that it is `ready`.
    `saves` are the ways in which state is saved before it stops, each with the most seconds that it may take.
    """

    name: str
    sizes: JobManagerSettings | TaskManagerSettings
    script: str
    args: Sequence[str]
    ports: Mapping[str, int]
    started: k8s.core.v1.ProbeArgsDict
    alive: k8s.core.v1.ProbeArgsDict
    ready: k8s.core.v1.ProbeArgsDict
    saves: Mapping[str, int]
    env: Mapping[str, str]
    mounts: Sequence[k8s.core.v1.VolumeMountArgsDict] = ()


@dataclass(frozen=True, kw_only=True)
class FlinkPods:
    """The inputs of the pod templates of both roles.

    `config_map`, `scripts` and `library` name ConfigMaps. `claim` is the volume that the pods share, if they share one.
    `rest_address` is host:port of the JobManager's REST API. `leases` is the id under which the leader is elected in
    Kubernetes. `texts` is all that is mounted from ConfigMaps.
    """

    image: str
    account: str
    config_map: str
    scripts: str
    library: str
    claim: str | None
    job_id: str
    rest_address: str
    leases: pulumi.Input[str] | None
    settings: FlinkClusterSettings
    texts: Mapping[str, str]
    additions: PodAdditions

    def job_manager_template(self, labels: Mapping[str, str]) -> k8s.core.v1.PodTemplateSpecArgsDict:
        """The pods of the JobManagers: one leads, and runs the job's main method."""
        settings = self.settings
        # Both, as Flink recovers from checkpoints only.
        saves = {"savepoint": _SAVEPOINT_SECONDS} if settings.job_manager.savepoint_on_stop else {}
        saves["checkpoint"] = _CHECKPOINT_SECONDS
        role = _Role(
            name="jobmanager",
            sizes=settings.job_manager,
            script="jobmanager.sh",
            # The pod's address, not the Service's: with high availability it is published in ZooKeeper. What stands
            # after the dashes is the job's, whatever it looks like.
            args=[
                "standalone-job",
                "-D",
                Expanded("jobmanager.rpc.address=$(POD_IP)"),
                "--job-id",
                self.job_id,
                "--job-classname",
                settings.main_class,
                "--",
                *settings.arguments,
            ],
            ports=JOB_MANAGER,
            started={"tcp_socket": {"port": "rest"}},
            # Answers without a leader, but not where the process stands still: the kernel takes connections for it.
            alive={"http_get": {"path": "/config", "port": "rest"}},
            # The job runs, whichever JobManager leads.
            ready={"exec_": {"command": ["bash", f"{SCRIPTS_DIR}/ready.sh"]}},
            saves=saves,
            env={"STANDBY_SECONDS": str(_TAKE_OVER_SECONDS) if settings.job_manager.replicas > 1 else ""},
        )
        return self._template(labels, role)

    def task_manager_template(self, labels: Mapping[str, str]) -> k8s.core.v1.PodTemplateSpecArgsDict:
        """The pods of the TaskManagers, of which there are as many as the autoscaler wants."""
        settings = self.settings
        saves = {"checkpoint": _CHECKPOINT_SECONDS} if settings.task_managers.checkpoint_on_stop else {}
        if settings.job_manager.savepoint_on_stop:
            # The JobManager may be about to take one, and the tasks whose state it saves must stay until then.
            saves["others"] = _SAVEPOINT_SECONDS
        listens: k8s.core.v1.ProbeArgsDict = {"tcp_socket": {"port": "rpc"}}
        # Without blanks: the public image's scripts take an option with one apart.
        options = {
            # The pod's address, not its name, which resolves nowhere else.
            "taskmanager.host": "$(POD_IP)",
            # A JobManager that dies is no reason to stop: the next one takes the job over.
            "heartbeat.timeout": f"{settings.failure_detection.job_manager_timeout_millis}ms",
            "high-availability.zookeeper.client.session-timeout": f"{TASK_MANAGER_SESSION_SECONDS}s",
            "io.tmp.dirs": STATE_DIR,
            # Where whole files wait for their upload (default: /tmp, which is smaller).
            **({"presto.s3.staging-directory": STATE_DIR} if settings.s3 else {}),
        }
        role = _Role(
            name="taskmanager",
            sizes=settings.task_managers,
            script="start.sh",
            args=[
                "taskmanager",
                *(word for key, value in options.items() for word in ("-D", Expanded(f"{key}={value}"))),
            ],
            ports=TASK_MANAGER,
            started=listens,
            alive=listens,
            ready=listens,
            saves=saves,
            env={"STATE": STATE_DIR},
            mounts=[self._state_mount()],
        )
        return self._template(
            labels,
            role,
            volumes=[self._state_volume()],
            init_containers=[self._own_host_path()] if settings.task_managers.state_directory.host_path else [],
        )

    def _template(
        self,
        labels: Mapping[str, str],
        role: _Role,
        *,
        volumes: Sequence[k8s.core.v1.VolumeArgsDict] = (),
        init_containers: Sequence[k8s.core.v1.ContainerArgsDict] = (),
    ) -> k8s.core.v1.PodTemplateSpecArgsDict:
        more = self.additions
        own: list[k8s.core.v1.VolumeArgsDict] = [
            {"name": "platform-conf", "config_map": {"name": self.config_map}},
            {"name": "platform-scripts", "config_map": {"name": self.scripts}},
            {"name": "platform-library", "config_map": {"name": self.library}},
            self._data_volume(),
            {"name": "log", "empty_dir": {"size_limit": mib(_LOG_MIB)}},
            {"name": "conf", "empty_dir": {"size_limit": mib(_CONF_MIB)}},
            {"name": "tmp", "empty_dir": {"size_limit": mib(_TMP_MIB)}},
            *volumes,
        ]
        # Volumes of other additions are counted by the containers that come with them.
        filled = sum(_empty_dir_mib(cast("Mapping[str, Any]", each)) for each in (*own, *self.settings.pod.volumes))
        return pod_template(
            labels,
            account=self.account,
            user=USER,
            checksum=checksum({**self.texts, **more.texts}),
            init_containers=[*init_containers, *more.init_containers],
            containers=[self._container(role, filled), *more.containers],
            volumes=[*own, *more.volumes],
            grace_seconds=_STOP_SECONDS + sum(role.saves.values()) + more.grace_seconds,
            # Leaders in Kubernetes are elected by who may write to the API.
            more={"automount_service_account_token": True, **more.spec} if self.leases else more.spec,
        )

    def _data_volume(self) -> k8s.core.v1.VolumeArgsDict:
        """Return the volume that all pods share; with S3, the volume for the S3 plug-in, which Flink loads only from
        a directory of its own."""
        if self.claim is not None:
            return {"name": "data", "persistent_volume_claim": {"claim_name": self.claim}}
        return {"name": "data", "empty_dir": {"size_limit": mib(_S3_PLUGIN_MIB)}}

    def _credentials(self) -> list[k8s.core.v1.EnvVarArgsDict]:
        """The keys to S3, where they are not the pod's own identity."""
        s3 = self.settings.s3
        if s3 is None or s3.secret is None:
            return []
        secret = s3.secret
        keys = ("access-key-id", "secret-access-key")
        return [
            {
                "name": f"AWS_{key.replace('-', '_').upper()}",
                "value_from": {"secret_key_ref": {"name": secret, "key": key}},
            }
            for key in keys
        ]

    def _state_volume(self) -> k8s.core.v1.VolumeArgsDict:
        """Return where RocksDB works. It is a cache: state that must last is in checkpoints."""
        directory = self.settings.task_managers.state_directory
        if directory.host_path is not None:
            return {"name": "state", "host_path": {"path": directory.host_path, "type": "DirectoryOrCreate"}}
        if directory.class_name is None:
            return {"name": "state", "empty_dir": {"size_limit": mib(directory.size_mib)}}
        return {
            "name": "state",
            "ephemeral": {
                "volume_claim_template": {
                    "spec": {
                        "access_modes": ["ReadWriteOnce"],
                        "storage_class_name": directory.class_name,
                        "resources": {"requests": {"storage": mib(directory.size_mib)}},
                    }
                }
            },
        }

    def _state_mount(self) -> k8s.core.v1.VolumeMountArgsDict:
        """The mount of working state. With hostPath, each pod gets its own subdirectory, free of leftovers."""
        mount: k8s.core.v1.VolumeMountArgsDict = {"name": "state", "mount_path": STATE_DIR}
        if self.settings.task_managers.state_directory.host_path is not None:
            mount["sub_path_expr"] = "$(POD_NAME)"
        return mount

    def _own_host_path(self) -> k8s.core.v1.ContainerArgsDict:
        """Give the node's directory, which the kubelet makes as root's, to the Flink user."""
        return container(
            {
                "name": "own-host-path",
                "image": self.image,
                "command": ["chown", f"{USER}:{USER}", STATE_DIR],
                "env": [_field("POD_NAME", "metadata.name")],
                "security_context": {
                    "run_as_user": 0,
                    "run_as_non_root": False,
                    "allow_privilege_escalation": False,
                    "read_only_root_filesystem": True,
                    "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]},
                },
                "resources": resources(64, 0.01),
                "volume_mounts": [self._state_mount()],
            }
        )

    def _container(self, role: _Role, volumes_mib: int) -> k8s.core.v1.ContainerArgsDict:
        """The main container. It may write as much to the node's disk as all emptyDir volumes hold, `volumes_mib`.

        Without settings, that is 256 (log) + 1 (conf) + 1024 (tmp) = 1281 MiB for a JobManager, and 4096 (state) more
        for a TaskManager.
        """
        variables = {
            "S3": "" if self.claim else "true",
            "JOB_ID": self.job_id,
            "MALLOC_CONF": f"narenas:{jemalloc_arenas(role.sizes.cpu_limit)}",
            "REST": self.rest_address,
            **role.env,
        }
        spec: k8s.core.v1.ContainerArgsDict = {
            "name": role.name,
            "image": self.image,
            # Why a process does not come up is in its last lines, and in what the state record says.
            "termination_message_policy": "FallbackToLogsOnError",
            "command": ["bash", f"{SCRIPTS_DIR}/{role.script}"],
            "args": list(role.args),
            "env": [
                _field("POD_IP", "status.podIP"),
                _field("POD_NAME", "metadata.name"),
                *(_variable(variable, value) for variable, value in sorted(variables.items())),
                *([] if self.leases is None else [_variable("LEASES", self.leases)]),
                *self._credentials(),
                *self.additions.env,
            ],
            "ports": ports({**role.ports, **(FLINK_METRICS if self.settings.metrics.enabled else {})}),
            "resources": resources(
                role.sizes.container_mib, role.sizes.cpu, role.sizes.cpu_limit, volumes_mib=volumes_mib
            ),
            # Four minutes: a JVM, and for the JobManager a main method, on a busy machine with few CPUs.
            "startup_probe": {**role.started, "period_seconds": 1, "failure_threshold": 240},
            "liveness_probe": {**role.alive, "period_seconds": 10, "timeout_seconds": 5, "failure_threshold": 6},
            "readiness_probe": {**role.ready, "period_seconds": 3, "timeout_seconds": 5, "failure_threshold": 3},
            "volume_mounts": [
                {"name": "platform-conf", "mount_path": PLATFORM_CONF_DIR, "read_only": True},
                {"name": "platform-scripts", "mount_path": SCRIPTS_DIR, "read_only": True},
                {
                    "name": "platform-library",
                    "mount_path": f"{LIBRARY_DIR}/{STATE_RECORD}",
                    "sub_path": STATE_RECORD,
                    "read_only": True,
                },
                {"name": "conf", "mount_path": CONF_DIR},
                {"name": "data", "mount_path": DATA_DIR if self.claim else S3_PLUGIN_DIR},
                {"name": "log", "mount_path": LOG_DIR},
                *role.mounts,
                {"name": "tmp", "mount_path": "/tmp"},
                *self.additions.mounts,
            ],
        }
        if role.saves:
            ways = [f"{way}={seconds}" for way, seconds in role.saves.items()]
            leave = ["bash", f"{SCRIPTS_DIR}/leave.sh", *ways]
            spec["lifecycle"] = {"pre_stop": {"exec_": {"command": leave}}}
        return container(spec, read_only_root=True)


def _empty_dir_mib(volume: Mapping[str, Any]) -> int:
    """The disk of the node that a volume may take, in MiB: the bound of an emptyDir, 0 for all others.

    The platform's own are written for Pulumi, a user's as in a manifest.
    """
    empty_dir = volume.get("empty_dir", volume.get("emptyDir"))
    if empty_dir is None or empty_dir.get("medium"):  # in memory
        return 0
    size = empty_dir.get("size_limit", empty_dir.get("sizeLimit"))
    return _UNBOUNDED_MIB if size is None else math.ceil(number(str(size)) / 2**20)


def _variable(name: str, value: pulumi.Input[str]) -> k8s.core.v1.EnvVarArgsDict:
    return {"name": name, "value": value}


def _field(name: str, path: str) -> k8s.core.v1.EnvVarArgsDict:
    return {"name": name, "value_from": {"field_ref": {"field_path": path}}}
