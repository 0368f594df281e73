"""A Flink cluster in reactive mode: one job, which runs with as many TaskManagers as the autoscaler gives it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.base import (
    Children,
    StorageArgs,
    checksum,
    claim_spec,
    container,
    labels,
    pod_template,
    ports,
    resources,
    selector,
)
from components.flink.autoscaling import autoscaler_spec
from components.flink.config import (
    BLOB_PORT,
    METRICS_PORT,
    REST_PORT,
    RPC_PORT,
    TASK_MANAGER_DATA_PORT,
    TASK_MANAGER_RPC_PORT,
    flink_configuration,
    log4j_console,
    render,
)
from components.names import FLINK_CLUSTER, check_name, image_version
from components.quantities import jemalloc_arenas
from stacks.models import FlinkClusterSettings, JobManagerSettings, TaskManagerSettings

_USER = 9999  # of the image
_DATA_DIR = "/flink-data"

# With high availability on, a JobManager restores the job as it was stored: a new image or argument would be ignored
# without a word. A new pod is a new version of the job, so it forgets the stored graph, and keeps the checkpoints,
# from which the new one goes on. A container that restarts inside its pod does not come by here.
_FORGET_JOB_GRAPH = """\
said=$(zkCli.sh -server "$QUORUM" -waitforconnection deleteall "$NODE" 2>&1) || [[ $said == *"does not exist"* ]] || {
  echo "$said"
  exit 1
}
"""


@dataclass(frozen=True, kw_only=True)
class FlinkClusterArgs:
    """`image` has Flink, and the job in /opt/flink/usrlib; `zookeeper` is `host:port[,host:port...]`.

    `zookeeper_image` has the client `zkCli.sh`. `access_mode` is that of the one claim that all pods share.
    """

    namespace: str
    image: str
    zookeeper: str
    zookeeper_image: str
    settings: FlinkClusterSettings
    access_mode: str
    storage: StorageArgs


class FlinkCluster(pulumi.ComponentResource):
    """A JobManager with high availability in ZooKeeper, TaskManagers, and their autoscaler.

    Raises ValueError for a name that Flink does not take, FlinkMemoryError and FlinkConfigurationError for settings
    that Flink or the platform refuses.
    """

    service: str
    """The Service of the JobManager."""
    rest_port: int
    """The port of the REST API and UI at that Service."""
    job_manager: str
    """The Deployment of the JobManager."""
    task_manager: str
    """The Deployment of the TaskManagers, which the autoscaler of the same name scales."""

    def __init__(self, name: str, args: FlinkClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_name(name, FLINK_CLUSTER)
        settings = args.settings
        configuration = flink_configuration(
            settings.specification(namespace=args.namespace, cluster=name, zookeeper=args.zookeeper, data=_DATA_DIR)
        )
        super().__init__("streaming:flink:FlinkCluster", name, None, opts)
        self._name, self._args, self._configuration = name, args, configuration
        self._files = {"config.yaml": render(configuration), "log4j-console.properties": log4j_console()}
        self.service = self.job_manager = f"{name}-jobmanager"
        self.task_manager = f"{name}-taskmanager"
        self.rest_port = REST_PORT

        shared = self._children("cluster")
        volume = claim_spec(settings.storage_mib, args.access_mode, args.storage)
        needs = [
            shared.service_account(f"{name}-flink"),
            shared.config_map(f"{name}-config", self._files),
            shared.claim(f"{name}-data", volume, protect=args.storage.protect),
        ]
        self._job_manager(needs)
        self._task_managers(needs)
        self.register_outputs(
            {
                "service": self.service,
                "rest_port": self.rest_port,
                "job_manager": self.job_manager,
                "task_manager": self.task_manager,
            }
        )

    def _job_manager(self, needs: Sequence[pulumi.Resource]) -> None:
        children = self._children("jobmanager")
        children.service(self.service, {"rpc": RPC_PORT, "blob": BLOB_PORT, "rest": REST_PORT})
        self._deployment(
            self.job_manager,
            children,
            self._job_manager_container(),
            needs,
            init_containers=[self._forget_job_graph()],
            # It leaves the leadership to the next one, and the job where it is: a few seconds.
            grace_seconds=30,
        )

    def _task_managers(self, needs: Sequence[pulumi.Resource]) -> None:
        children = self._children("taskmanager")
        workers = self._args.settings.task_managers
        children.disruption_budget(self.task_manager)
        deployment = self._deployment(
            self.task_manager,
            children,
            self._task_manager_container(),
            needs,
            # It signs off at the JobManager at once; the JVM halts after 5 s at most.
            grace_seconds=15,
        )
        k8s.autoscaling.v2.HorizontalPodAutoscaler(
            self.task_manager,
            metadata=children.metadata(self.task_manager),
            spec=autoscaler_spec(
                self.task_manager,
                container="taskmanager",
                minimum=workers.min,
                maximum=workers.max,
                cpu_percent=self._args.settings.autoscaling.cpu_percent,
            ),
            opts=children.options(depends_on=[deployment]),
        )

    def _children(self, component: str) -> Children:
        all_labels = labels(
            name="flink", instance=self._name, version=image_version(self._args.image), component=component
        )
        return Children(parent=self, namespace=self._args.namespace, labels=all_labels)

    def _deployment(
        self,
        name: str,
        children: Children,
        main: k8s.core.v1.ContainerArgsDict,
        needs: Sequence[pulumi.Resource],
        *,
        init_containers: Sequence[k8s.core.v1.ContainerArgsDict] = (),
        grace_seconds: int,
    ) -> k8s.apps.v1.Deployment:
        """A Deployment of one role, without a number of replicas: TaskManagers have theirs from the autoscaler.

        A sidecar goes beside `main`, and its volumes beside these two and the log directory.
        """
        return k8s.apps.v1.Deployment(
            name,
            metadata=children.metadata(name),
            spec={
                # All at once: processes of two versions do not work together, and each one replaced is one restart.
                "strategy": {"type": "Recreate"},
                "selector": {"match_labels": selector(children.labels)},
                "template": pod_template(
                    children.labels,
                    account=f"{self._name}-flink",
                    user=_USER,
                    checksum=checksum(self._files),
                    init_containers=init_containers,
                    containers=[main],
                    volumes=[
                        {"name": "config", "config_map": {"name": f"{self._name}-config"}},
                        {"name": "data", "persistent_volume_claim": {"claim_name": f"{self._name}-data"}},
                        # Log files of at most 100 MiB (log4j-console.properties), with room for JVM crash reports.
                        {"name": "log", "empty_dir": {"size_limit": "256Mi"}},
                    ],
                    grace_seconds=grace_seconds,
                ),
            },
            opts=children.options(depends_on=needs),
        )

    def _job_manager_container(self) -> k8s.core.v1.ContainerArgsDict:
        settings = self._args.settings
        return self._flink_container(
            "jobmanager",
            settings.job_manager,
            # The pod's address, not the Service's: with high availability it is published in ZooKeeper. What stands
            # after the dashes is the job's, whatever it looks like.
            [
                *("standalone-job", "-D", "jobmanager.rpc.address=$(POD_IP)"),
                *("--job-classname", settings.main_class, "--", *settings.arguments),
            ],
            {"rpc": RPC_PORT, "blob": BLOB_PORT, "metrics": METRICS_PORT, "rest": REST_PORT},
            alive="rest",
            # Answers while some JobManager leads; until then 503.
            ready={"http_get": {"path": "/overview", "port": "rest"}},
        )

    def _task_manager_container(self) -> k8s.core.v1.ContainerArgsDict:
        return self._flink_container(
            "taskmanager",
            self._args.settings.task_managers,
            # The pod's address, not its name, which resolves nowhere else.
            ["taskmanager", "-D", "taskmanager.host=$(POD_IP)"],
            {"rpc": TASK_MANAGER_RPC_PORT, "data": TASK_MANAGER_DATA_PORT, "metrics": METRICS_PORT},
            alive="rpc",
            ready={"tcp_socket": {"port": "rpc"}},
        )

    def _flink_container(
        self,
        name: str,
        sizes: JobManagerSettings | TaskManagerSettings,
        args: list[str],
        numbers: dict[str, int],
        *,
        alive: str,
        ready: k8s.core.v1.ProbeArgsDict,
    ) -> k8s.core.v1.ContainerArgsDict:
        listens: k8s.core.v1.ProbeArgsDict = {"tcp_socket": {"port": alive}}
        return container(
            {
                "name": name,
                "image": self._args.image,
                "args": args,
                "env": [
                    {"name": "POD_IP", "value_from": {"field_ref": {"field_path": "status.podIP"}}},
                    {"name": "MALLOC_CONF", "value": f"narenas:{jemalloc_arenas(sizes.cpu_limit)}"},
                ],
                "ports": ports(numbers),
                "resources": resources(sizes.memory_mib, sizes.cpu, sizes.cpu_limit),
                # Four minutes: a JVM, and for the JobManager a main method, on a busy machine with few CPUs.
                "startup_probe": {**listens, "period_seconds": 2, "failure_threshold": 120},
                "liveness_probe": {**listens, "period_seconds": 10, "timeout_seconds": 5, "failure_threshold": 6},
                "readiness_probe": {**ready, "period_seconds": 3, "timeout_seconds": 5, "failure_threshold": 3},
                "volume_mounts": [
                    {"name": "config", "mount_path": "/opt/flink/conf", "read_only": True},
                    {"name": "data", "mount_path": _DATA_DIR},
                    {"name": "log", "mount_path": "/opt/flink/log"},
                ],
            }
        )

    def _forget_job_graph(self) -> k8s.core.v1.ContainerArgsDict:
        root = self._configuration["high-availability.zookeeper.path.root"]
        cluster = self._configuration["high-availability.cluster-id"]
        return container(
            {
                "name": "forget-job-graph",
                "image": self._args.zookeeper_image,
                "command": ["bash", "-c", _FORGET_JOB_GRAPH],
                "env": [
                    {"name": "QUORUM", "value": self._args.zookeeper},
                    {"name": "NODE", "value": f"{root}{cluster}/execution-plans"},
                    {"name": "ZK_CLIENT_HEAP", "value": "64"},
                ],
                "resources": resources(160, 0.05),
            }
        )
