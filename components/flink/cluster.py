"""A Flink cluster in reactive mode: one job, which runs with as many TaskManagers as the autoscaler gives it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components.base import Children, Expanded, PodAdditions, StorageArgs, checksum, claim_spec, labels, selector
from components.flink.autoscaling import autoscaler_spec
from components.flink.config import flink_configuration, render
from components.flink.directories import DATA_DIR, STATE_RECORD
from components.flink.log4j import Layout, log4j_console
from components.flink.pod_settings import PodSettings
from components.flink.pods import FlinkPods, scripts
from components.flink.settings import FlinkClusterSettings
from components.names import FLINK_CLUSTER, LEADER_ACCOUNT, all_pods, check_name, image_version, state_claim
from components.ports import FLINK_METRICS, JOB_MANAGER

_LEASE_OVER = json.dumps(
    {
        "holderIdentity": "",
        "leaseDuration": "PT1S",
        "acquireTime": "1970-01-01T00:00:00.000000Z",
        "renewTime": "1970-01-01T00:00:00.000000Z",
        "leaderTransitions": 0,
    }
)


@dataclass(frozen=True, kw_only=True)
class FlinkClusterArgs:
    """`image` has Flink, and the job in /opt/flink/usrlib: by default that of the settings.

    `zookeeper` is `host:port[,host:port...]`. `access_mode` is that of the one claim that all pods share. `log_layout`
    is what Flink writes: lines, or one JSON document for each event. `state_record` is the jar that state-record/
    makes. `additions` come into the pods of both roles, after what `settings.pod` says.
    """

    namespace: str
    image: str | None = None
    zookeeper: str
    settings: FlinkClusterSettings
    access_mode: str = "ReadWriteOnce"
    storage: StorageArgs = field(default_factory=StorageArgs)
    state_record: bytes
    log_layout: Layout = "text"
    additions: PodAdditions = field(default_factory=PodAdditions)


class FlinkCluster(pulumi.ComponentResource):
    """JobManagers with high availability, TaskManagers, and their autoscaler.

    Raises ValueError for a name that Flink does not take and where no image is given, FlinkMemoryError and
    FlinkConfigurationError for settings that Flink or the platform refuses.
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
        image = args.image or args.settings.image
        if image is None:
            raise ValueError(f"Flink cluster {name}: no image is given: name one in `image`, or in the settings")
        configuration, version = _configuration(name, image, args)
        super().__init__("streaming:flink:FlinkCluster", name, None, opts)
        self._name, self._image, self._args = name, image, args
        self.service = self.job_manager = f"{name}-jobmanager"
        self.task_manager = f"{name}-taskmanager"
        self.rest_port = JOB_MANAGER["rest"]

        kubernetes = args.settings.high_availability == "kubernetes"
        files = {"config.yaml": render(configuration), "log4j-console.properties": log4j_console(args.log_layout)}
        programs = scripts()
        leases = _lease_id(name, version, self) if kubernetes else None
        pods = FlinkPods(
            image=image,
            account=LEADER_ACCOUNT if kubernetes else f"{name}-flink",
            config_map=f"{name}-config",
            scripts=f"{name}-scripts",
            library=f"{name}-library",
            claim=None if args.settings.s3 else state_claim(name),
            job_id=job_id(args.namespace, name),
            rest_address=f"{self.service}:{JOB_MANAGER['rest']}",
            leases=leases,
            settings=args.settings,
            texts=files | programs | {STATE_RECORD: hashlib.sha256(args.state_record).hexdigest()},
            additions=_additions(args.settings.pod) + args.additions,
        )
        shared = self._children("cluster")
        needs: list[pulumi.Resource] = [
            shared.config_map(pods.config_map, files),
            shared.config_map(pods.scripts, programs),
            shared.config_map(pods.library, {}, binary={STATE_RECORD: args.state_record}),
        ]
        if leases is None:
            needs.append(shared.service_account(pods.account))
        else:
            needs += _leases(shared, name, leases)
        if pods.claim is not None:
            volume = claim_spec(args.settings.storage_mib, args.access_mode, args.storage)
            # A cluster may be deleted, and its checkpoints stay: one of the same name goes on from them.
            needs.append(shared.claim(pods.claim, volume, retain=args.storage.protect))
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
        # Also while the job does not run: that is when people want to look.
        children.service(self.service, JOB_MANAGER, before_ready=True)
        self._for_prometheus(children, "jobmanager")
        if replicas > 1:
            # All are unready where the job does not run: a node must be drained all the same.
            children.disruption_budget(self.job_manager, unready_may_go=True)
        self._deployment(self.job_manager, children, pods.job_manager_template(children.labels), needs, replicas)

    def _task_managers(self, pods: FlinkPods, needs: Sequence[pulumi.Resource]) -> None:
        children = self._children("taskmanager")
        workers, scaling = self._args.settings.task_managers, self._args.settings.autoscaling
        children.disruption_budget(self.task_manager)
        self._for_prometheus(children, "taskmanager")
        deployment = self._deployment(self.task_manager, children, pods.task_manager_template(children.labels), needs)
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

    def _for_prometheus(self, children: Children, role: str) -> None:
        """The Service that has the address of each pod of a role: what does not become ready is looked at, too."""
        if self._args.settings.metrics.enabled:
            children.service(all_pods(self._name, role), FLINK_METRICS, headless=True)

    def _children(self, component: str) -> Children:
        all_labels = labels(name="flink", instance=self._name, version=image_version(self._image), component=component)
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


def job_id(namespace: str, cluster: str) -> str:
    """The id of the job, in 32 hexadecimal digits: Flink keeps a job's checkpoints under it.

    It stays the same over upgrades, and whatever state the job went back to.
    """
    # The last part was, once, what the job started from.
    return hashlib.sha256(f"{namespace}/{cluster}/".encode()).hexdigest()[:32]


def _configuration(name: str, image: str, args: FlinkClusterArgs) -> tuple[dict[str, str], str]:
    """Return what goes into config.yaml, and the version of the job.

    Processes of two versions do not work together: each version has a place of its own where it finds its leader.
    """
    settings = args.settings
    configuration = flink_configuration(
        settings.specification(namespace=args.namespace, cluster=name, zookeeper=args.zookeeper, data=DATA_DIR)
    )
    # Of the pods only what a main method may read.
    surroundings = settings.pod.model_dump_json(include={"env", "volumes", "volume_mounts"})
    words = (image, settings.main_class, surroundings, *settings.arguments)
    version = checksum({"config.yaml": render(configuration), "job": "\0".join(words)})
    place = f"{configuration['high-availability.cluster-id']}/{version}"
    return {**configuration, "high-availability.cluster-id": place}, version


def _lease_id(name: str, version: str, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Return what JobManagers in Kubernetes elect their leader under: a new one for each change of version.

    It names a ConfigMap of this stack, which goes with its version.
    """
    made = random.RandomId(
        f"{name}-leases", byte_length=4, keepers={"version": version}, opts=pulumi.ResourceOptions(parent=parent)
    )
    return made.hex.apply(lambda digits: f"{name}-{digits}")


def _leases(children: Children, name: str, leases: pulumi.Output[str]) -> list[pulumi.Resource]:
    """The ConfigMap in which JobManagers elect a leader: by the name and labels that Flink gives.

    Flink would make it itself, and leave it behind: that of a version that was replaced goes with it. It holds a lease
    that is over, as Flink does not take one without any; what Flink writes into it is its own.
    """
    namespace = children.namespace
    # Where the administrator did not make the account, this fails at once and says so; pods would never come.
    account = k8s.core.v1.ServiceAccount.get(
        f"{name}-{LEADER_ACCOUNT}", f"{namespace}/{LEADER_ACCOUNT}", pulumi.ResourceOptions(parent=children.parent)
    )
    lease = k8s.core.v1.ConfigMap(
        f"{name}-cluster-lease",
        metadata={
            **children.metadata("", {"control-plane.alpha.kubernetes.io/leader": _LEASE_OVER}),
            "name": pulumi.Output.concat(leases, "-cluster-config-map"),
            "labels": {
                **children.labels,
                "app": leases,
                "configmap-type": "high-availability",
                "type": "flink-native-kubernetes",
            },
        },
        opts=children.options(ignore_changes=["data", "metadata.annotations", "metadata.labels"]),
    )
    return [account, lease]


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
        env=tuple(_variable(each) for each in settings.env),
        spec=spec,
    )


def _variable(given: Mapping[str, object]) -> k8s.core.v1.EnvVarArgsDict:
    """A user's own, as in a manifest: `$(NAME)` in it is another variable."""
    value = given.get("value")
    return cast("k8s.core.v1.EnvVarArgsDict", {**given, "value": Expanded(value)} if isinstance(value, str) else given)
