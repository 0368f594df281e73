"""A Flink cluster in reactive mode: one job, which runs with as many TaskManagers as the autoscaler gives it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pulumi
import pulumi_kubernetes as k8s

from components.base import Children, PodAdditions, StorageArgs, checksum, claim_spec, labels, selector
from components.flink.autoscaling import autoscaler_spec
from components.flink.config import REST_PORT, flink_configuration, log4j_console, render
from components.flink.pods import DATA_DIR, JOB_MANAGER_PORTS, FlinkPods, scripts
from components.names import FLINK_CLUSTER, check_name, image_version
from stacks.flink import FlinkClusterSettings, PodSettings


@dataclass(frozen=True, kw_only=True)
class FlinkClusterArgs:
    """`image` has Flink, and the job in /opt/flink/usrlib; `zookeeper` is `host:port[,host:port...]`.

    `access_mode` is that of the one claim that all pods share. `additions` come into the pods of both roles, after
    what `settings.pod` says.
    """

    namespace: str
    image: str
    zookeeper: str
    settings: FlinkClusterSettings
    access_mode: str
    storage: StorageArgs
    additions: PodAdditions = field(default_factory=PodAdditions)


class FlinkCluster(pulumi.ComponentResource):
    """JobManagers with high availability in ZooKeeper, TaskManagers, and their autoscaler.

    Raises ValueError for a name that Flink does not take, FlinkMemoryError and FlinkConfigurationError for settings
    that Flink or the platform refuses.
    """

    service: str
    """The Service of the JobManager."""
    rest_port: int
    """The port of the REST API and UI at that Service."""
    job_manager: str
    """The Deployment of the JobManagers."""
    task_manager: str
    """The Deployment of the TaskManagers, which the autoscaler of the same name scales."""

    def __init__(self, name: str, args: FlinkClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_name(name, FLINK_CLUSTER)
        configuration = _configuration(name, args)
        super().__init__("streaming:flink:FlinkCluster", name, None, opts)
        self._name, self._args = name, args
        self.service = self.job_manager = f"{name}-jobmanager"
        self.task_manager = f"{name}-taskmanager"
        self.rest_port = REST_PORT

        files = {"config.yaml": render(configuration), "log4j-console.properties": log4j_console()}
        programs = scripts()
        pods = FlinkPods(
            image=args.image,
            account=f"{name}-flink",
            config=f"{name}-config",
            scripts=f"{name}-scripts",
            claim=f"{name}-data",
            cluster=configuration["high-availability.cluster-id"],
            job_id=job_id(args.namespace, name, args.settings.restore_from),
            rest=f"{self.service}:{REST_PORT}",
            settings=args.settings,
            texts=files | programs,
            additions=_additions(args.settings.pod) + args.additions,
        )
        shared = self._children("cluster")
        volume = claim_spec(args.settings.storage_mib, args.access_mode, args.storage)
        needs = [
            shared.service_account(pods.account),
            shared.config_map(pods.config, files),
            shared.config_map(pods.scripts, programs),
            # A cluster may be deleted, and its checkpoints stay: one of the same name goes on from them.
            shared.claim(pods.claim, volume, retain=args.storage.protect),
        ]
        self._job_managers(pods, needs)
        self._task_managers(pods, needs)
        self.register_outputs(
            {
                "service": self.service,
                "rest_port": self.rest_port,
                "job_manager": self.job_manager,
                "task_manager": self.task_manager,
            }
        )

    def _job_managers(self, pods: FlinkPods, needs: Sequence[pulumi.Resource]) -> None:
        children = self._children("jobmanager")
        replicas = self._args.settings.job_manager.replicas
        children.service(self.service, JOB_MANAGER_PORTS)
        if replicas > 1:
            children.disruption_budget(self.job_manager)
        self._deployment(self.job_manager, children, pods.job_manager(children.labels), needs, replicas)

    def _task_managers(self, pods: FlinkPods, needs: Sequence[pulumi.Resource]) -> None:
        children = self._children("taskmanager")
        workers, scaling = self._args.settings.task_managers, self._args.settings.autoscaling
        children.disruption_budget(self.task_manager)
        deployment = self._deployment(self.task_manager, children, pods.task_manager(children.labels), needs)
        k8s.autoscaling.v2.HorizontalPodAutoscaler(
            self.task_manager,
            metadata=children.metadata(self.task_manager),
            spec=autoscaler_spec(
                self.task_manager,
                container="taskmanager",
                minimum=workers.min,
                maximum=workers.max,
                cpu_percent=scaling.cpu_percent,
                lag=scaling.lag,
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
        template: k8s.core.v1.PodTemplateSpecArgsDict,
        needs: Sequence[pulumi.Resource],
        replicas: int | None = None,
    ) -> k8s.apps.v1.Deployment:
        """A Deployment of one role; TaskManagers have no number of replicas here, but from the autoscaler."""
        spec: k8s.apps.v1.DeploymentSpecArgsDict = {
            # All at once: processes of two versions do not work together, and each one replaced is one restart.
            "strategy": {"type": "Recreate"},
            "selector": {"match_labels": selector(children.labels)},
            "template": template,
        }
        if replicas is not None:
            spec["replicas"] = replicas
        return k8s.apps.v1.Deployment(
            name, metadata=children.metadata(name), spec=spec, opts=children.options(depends_on=needs)
        )


def job_id(namespace: str, cluster: str, restore_from: str | None) -> str:
    """The id of the job, in 32 hexadecimal digits: Flink keeps a job's checkpoints under it.

    It stays the same over upgrades. A job that starts from a named savepoint is another one, as the checkpoints of the
    one before would go before the savepoint.
    """
    identity = "/".join([namespace, cluster, restore_from or ""])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _configuration(name: str, args: FlinkClusterArgs) -> dict[str, str]:
    """What goes into config.yaml. Each version of the job has a place of its own for the stored job graph.

    With high availability on, a JobManager restores the job as it was stored: a new image, argument or option would be
    ignored without a word. Where the graph of this very version is not stored, it runs the main method, and Flink goes
    on from the job's latest checkpoint, whose place is the same for all versions.
    """
    settings = args.settings
    configuration = flink_configuration(
        settings.specification(namespace=args.namespace, cluster=name, zookeeper=args.zookeeper, data=DATA_DIR)
    )
    words = (args.image, settings.main_class, *settings.arguments)
    version = checksum({"config.yaml": render(configuration), "job": "\0".join(words)})
    return {**configuration, "high-availability.zookeeper.path.execution-plans": f"/execution-plans-{version}"}


def _additions(settings: PodSettings) -> PodAdditions:
    """A user's own additions. Objects come as in a manifest, whose keys the API server checks."""
    spec: dict[str, object] = {}
    if settings.node_selector:
        spec["node_selector"] = dict(settings.node_selector)
    if settings.tolerations:
        spec["tolerations"] = [dict(each) for each in settings.tolerations]
    if settings.priority_class is not None:
        spec["priority_class_name"] = settings.priority_class
    if settings.image_pull_secrets:
        spec["image_pull_secrets"] = [{"name": name} for name in settings.image_pull_secrets]
    if settings.share_process_namespace:
        spec["share_process_namespace"] = True
    return PodAdditions(
        volumes=cast("tuple[k8s.core.v1.VolumeArgsDict, ...]", settings.volumes),
        mounts=cast("tuple[k8s.core.v1.VolumeMountArgsDict, ...]", settings.volume_mounts),
        env=cast("tuple[k8s.core.v1.EnvVarArgsDict, ...]", settings.env),
        spec=spec,
    )
