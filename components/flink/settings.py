"""The settings of Flink clusters. Defaults of memory are in memory.py; those that no setting changes, in config.py."""

import math
import re
from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Literal, Self, cast

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from components.exact import (
    ARGUMENT,
    LABEL_VALUE,
    Jar,
    JavaClass,
    LabelName,
    Metric,
    NodePath,
    ObjectName,
    Snapshot,
    Url,
)
from components.flink import java
from components.flink.config import FlinkConfigurationError, FlinkConfigurationSpec, S3Access, flink_configuration
from components.flink.memory_settings import JobManagerSizes, TaskManagerSizes
from components.flink.pod_settings import PodSettings
from components.names import FLINK_CLUSTER, check_name
from components.settings import Cores, Image, Section, SectionError, Storage, Text, check_cpu

_TAKEN_NAMES = ("kafka", "prometheus", "zookeeper")  # their ConfigMaps are called <name>-config, as a Flink cluster's

# What the autoscaler takes for no difference: a tenth, unless the cluster's administrator says otherwise
# (--horizontal-pod-autoscaler-tolerance of kube-controller-manager).
_TOLERANCE = 1.1


def _flink_cluster_name(name: str) -> str:
    if name in _TAKEN_NAMES:
        raise ValueError(f"name {name!r} is taken by the platform: choose one other than {' and '.join(_TAKEN_NAMES)}")
    return check_name(name, FLINK_CLUSTER)


FlinkClusterName = Annotated[str, AfterValidator(_flink_cluster_name)]


def _uri(given: str) -> str:
    """One spelling for file:/x and file:///x: Flink prints the one, and a job's id follows from it."""
    return re.sub("^file:/(?!/)", "file:///", given)


def _flat(configuration: object) -> object:
    """The options as they are given. Raises SectionError for nested ones, with the name that they have in one line."""
    if not isinstance(configuration, Mapping):
        return configuration
    options = cast("Mapping[str, object]", configuration)
    for key, value in options.items():
        name, below = key, value
        while isinstance(below, Mapping) and below:
            first, below = next(iter(cast("Mapping[str, object]", below).items()))
            name += f".{first}"
        if name != key:
            raise SectionError(
                key, f"is a mapping: write each option in a line of its own, with all of its name: {name}"
            )
        if isinstance(value, list | tuple):
            raise SectionError(key, "is a list: write its entries as one text, with ; between them: first;second")
    return options


class StateDirectorySettings(Section):
    """The disk for a TaskManager's working state (RocksDB) and other temporary files.

    With `hostPath`, each pod has a directory of its own below that directory of the node. With `class`, a volume is
    claimed for the lifetime of the pod. With neither, the disk is an emptyDir.
    """

    size_mib: Storage = 4096
    """Bound of an emptyDir, or size of the claim, in MiB. The namespace bounds what one container may have in emptyDir
    volumes (limits.maxEphemeralStorageMib of the stack `cluster`)."""
    class_name: Annotated[ObjectName | None, Field(alias="class")] = None
    """StorageClass of a claim that comes and goes with the pod."""
    host_path: NodePath | None = None
    """A directory of the node. It is refused unless `allowHostPath` is set, which says what the namespace needs."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.class_name is not None and self.host_path is not None:
            raise SectionError("class", f"{self.class_name!r} and hostPath, {self.host_path!r}: give one of them")
        return self


class FailureDetectionSettings(Section):
    """The times after which Flink's processes notice a lost process; docs/flink-defaults.md has their costs."""

    heartbeat_interval_millis: Annotated[int, Field(ge=50, le=600_000)] = 250
    """Time between two heartbeats from the JobManager to each TaskManager. Two refused heartbeats mean a dead
    process."""
    heartbeat_timeout_millis: Annotated[int, Field(ge=200, le=3_600_000)] = 2500
    """Time without an answer after which the JobManager gives a TaskManager up. It must be longer than a full
    garbage collection of the TaskManager's heap."""
    job_manager_timeout_millis: Annotated[int, Field(ge=200, le=3_600_000)] = 20_000
    """Time without an answer after which a TaskManager gives the JobManager up and stops the job's tasks. It should be
    longer than another JobManager takes to take over. With leaders in ZooKeeper, tasks stop earlier if the leader died:
    when its session has expired."""

    @model_validator(mode="after")
    def _order(self) -> Self:
        for name, millis, least in (
            ("heartbeatTimeoutMillis", self.heartbeat_timeout_millis, 2 * self.heartbeat_interval_millis),
            ("jobManagerTimeoutMillis", self.job_manager_timeout_millis, 2 * self.heartbeat_interval_millis),
        ):
            if millis < least:
                raise SectionError(
                    name,
                    f"{millis} is below two heartbeats, {least} (2 x heartbeatIntervalMillis): one late heartbeat "
                    "would be a failure; raise it, or lower heartbeatIntervalMillis",
                )
        return self


class TaskManagerSettings(TaskManagerSizes):
    """The TaskManagers of a Flink cluster: as many as the load asks for, from `min` to `max`."""

    min: Annotated[int, Field(ge=1, le=1000)] = 1
    """The fewest TaskManagers that the autoscaler keeps."""
    max: Annotated[int, Field(ge=1, le=1000)] = 3
    """The most TaskManagers that the autoscaler runs."""
    slots: Annotated[int, Field(ge=1, le=1024)] = 1
    """Task slots of one TaskManager."""
    cpu: Cores = 0.5
    """CPU request, in cores."""
    cpu_limit: Cores = 1.0
    """CPU limit, in cores."""
    checkpoint_on_stop: bool = True
    """Take a checkpoint before a TaskManager stops, so that the others repeat next to nothing."""
    state_directory: StateDirectorySettings = StateDirectorySettings()

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min > self.max:
            raise SectionError("min", f"{self.min} is above max, {self.max}: lower min, or raise max")
        check_cpu(self.cpu, self.cpu_limit)
        return self


class JobManagerSettings(JobManagerSizes):
    """The JobManagers of a Flink cluster: one leads, the others stand by."""

    replicas: Annotated[int, Field(ge=1, le=5)] = 2
    """Number of JobManagers. With one, nothing leads until the JVM of a JobManager that died has started again."""
    savepoint_on_stop: bool = False
    """Take a savepoint before the JobManager of a running job stops, as when it is upgraded; it stays until deleted."""
    cpu: Cores = 0.5
    """CPU request, in cores."""
    cpu_limit: Cores = 1.0
    """CPU limit, in cores."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        check_cpu(self.cpu, self.cpu_limit)
        return self


class LagSettings(Section):
    """Scaling on records that wait in Kafka, too. The cluster must serve the metric (external.metrics.k8s.io), as KEDA
    or the Prometheus adapter do."""

    metric: Metric = "kafka_consumergroup_lag"
    """Name of the metric; the default is the one of the usual exporter for consumer groups (kafka_exporter)."""
    labels: Annotated[Mapping[LabelName, Annotated[Text, LABEL_VALUE]], Field(min_length=1)]
    """Labels that select the metric's series, such as the job's consumer group and its input topic."""
    records_per_task_manager: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Number of waiting records for each TaskManager that the autoscaler aims at: with more, it adds TaskManagers.
    Offsets are committed with checkpoints, so the records of one checkpoint interval always count as waiting."""


class AutoscalingSettings(Section):
    """The thresholds at which TaskManagers are added and removed."""

    cpu_percent: Annotated[int, Field(ge=1, le=100000)] = 80
    """Mean CPU use of the TaskManagers that the autoscaler aims at, in percent of their CPU request."""
    lag: LagSettings | None = None


class S3Settings(Section):
    """Checkpoints, savepoints and high-availability files in S3-compatible storage: the pods share no volume then."""

    path: Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]+[a-z0-9](/[^/\s]+)*$")]
    """Bucket, and a path in it if wanted, such as s3://checkpoints/flink. Each cluster has a place of its own below."""
    endpoint: Url | None = None
    """URL of a service other than AWS, such as http://minio:9000."""
    path_style_access: bool = False
    """Address the bucket in the URL's path, as most services other than AWS expect."""
    secret: ObjectName | None = None
    """Secret with `access-key-id` and `secret-access-key`; by default what the pods' own identity is allowed."""


class DebugSettings(Section):
    """Aids for finding a fault. Each costs something."""

    native_memory_tracking: bool = False
    """Let the JVMs count what they allocate outside the heap (-XX:NativeMemoryTracking=summary): see docs/memory.md."""


class MetricsSettings(Section):
    """The metrics of a Flink cluster, for Prometheus: docs/metrics.md."""

    enabled: bool = True
    """Let each process serve its metrics, at one port for each scope. With false, `configuration` may name reporters
    (metrics.reporter.*)."""


class FlinkClusterSettings(Section):
    """A Flink cluster in reactive mode, which runs one job with all the TaskManagers that there are."""

    jar: Jar | None = None
    """The job, relative to the project's root: an image is built from it. Or give `image`."""
    image: Image | None = None
    """An image with Flink and the job in /opt/flink/usrlib. Or give `jar`."""
    main_class: JavaClass
    """The class whose main method builds the job."""
    arguments: tuple[Annotated[Text, ARGUMENT], ...] = ()
    """Arguments of the main method, which gets them as they are written."""
    max_parallelism: Annotated[int, Field(ge=1, le=32768)] = 128
    """Upper bound of the parallelism; state can only be restored with the same one (pipeline.max-parallelism)."""
    task_managers: TaskManagerSettings = TaskManagerSettings()
    job_manager: JobManagerSettings = JobManagerSettings()
    autoscaling: AutoscalingSettings = AutoscalingSettings()
    failure_detection: FailureDetectionSettings = FailureDetectionSettings()
    pod: PodSettings = PodSettings()
    restore_from: Annotated[Snapshot, AfterValidator(_uri)] | None = None
    """State to start from once, instead of the newest: the URI of a savepoint or retained checkpoint, such as
    file:///flink-data/savepoints/savepoint-1a2b3c-4d5e6f, or `nothing` to start without state. After that the job
    continues from its own newest state, whether this setting stays or not. To ask for the same again, add # and any
    text, such as nothing#2."""
    high_availability: Literal["zookeeper", "kubernetes"] = "zookeeper"
    """Service in which JobManagers elect their leader. `kubernetes` needs an account that the stack `cluster` makes
    (kubernetesHighAvailability)."""
    storage_mib: Storage = 10240
    """Claim for checkpoints and high-availability files, in MiB."""
    s3: S3Settings | None = None
    """Storage of checkpoints, savepoints and high-availability files in S3 instead of the claim (`storageMib`)."""
    checkpoint_interval_seconds: Annotated[int, Field(ge=1, le=86400)] = 30
    """Time between two checkpoints."""
    metrics: MetricsSettings = MetricsSettings()
    debug: DebugSettings = DebugSettings()
    configuration: Annotated[Mapping[str, Text], BeforeValidator(_flat)] = {}
    """Further Flink options; those that the platform relies on are refused."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        workers = self.task_managers
        if (self.jar is None) == (self.image is None):
            given = "neither is given" if self.jar is None else f"both are given, {self.jar!r} and {self.image!r}"
            raise SectionError("jar", f"{given}: give exactly one of jar and image")
        if workers.max * workers.slots > self.max_parallelism:
            raise SectionError(
                "maxParallelism",
                f"{self.max_parallelism} is below the slots of all TaskManagers, {workers.max} x {workers.slots} "
                f"(taskManagers.max x slots): raise it to {workers.max * workers.slots} or more, or lower those",
            )
        reachable = 100 * workers.cpu_limit / workers.cpu
        if self.autoscaling.cpu_percent * _TOLERANCE >= reachable:
            raise SectionError(
                "autoscaling.cpuPercent",
                f"{self.autoscaling.cpu_percent} would never add a TaskManager: the autoscaler does so above a tenth "
                f"more, and one is held at {reachable:.0f} percent of its request (taskManagers.cpuLimit / cpu); lower "
                f"it to {math.ceil(reachable / _TOLERANCE) - 1} or less, or raise taskManagers.cpuLimit",
            )
        if self.job_manager.savepoint_on_stop and not workers.checkpoint_on_stop:
            raise SectionError(
                "jobManager.savepointOnStop",
                "true needs taskManagers.checkpointOnStop: TaskManagers that stop at once end the tasks whose state "
                "is being saved; set that to true, or leave this out",
            )
        try:
            flink_configuration(self.specification(namespace="any", cluster="any", zookeeper="any", data="/any"))
        except FlinkConfigurationError as error:
            raise SectionError("configuration", str(error)) from None
        self._check_variables()
        return self

    def _check_variables(self) -> None:
        """Those that the JVM reads go before what Flink tells it; those of S3 are there already."""
        for index, name, value in self.pod.java_options():
            refused = java.variable_refusals(name, value, self.task_managers.division, self.job_manager.division)
            if text := "; ".join(refused):
                raise SectionError(f"pod.env.{index}.value", text)
        secrets = () if self.s3 is None or self.s3.secret is None else ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        for index, each in enumerate(self.pod.env):
            if each["name"] in secrets:
                raise SectionError(
                    f"pod.env.{index}.name", f"{each['name']!r} is from s3.secret: leave one of them out"
                )

    def argument(self, name: str) -> str | None:
        """The word after `name` among the arguments, if it is there."""
        words = dict(zip(self.arguments, self.arguments[1:], strict=False))
        return words.get(name)

    def specification(self, *, namespace: str, cluster: str, zookeeper: str, data: str) -> FlinkConfigurationSpec:
        """Return what the cluster's config.yaml follows from; `data` is where the claim is mounted."""
        storage = f"file://{data}" if self.s3 is None else f"{self.s3.path}/{namespace}/{cluster}"
        return FlinkConfigurationSpec(
            namespace=namespace,
            cluster=cluster,
            zookeeper_quorum=zookeeper if self.high_availability == "zookeeper" else None,
            task_manager=self.task_managers.options,
            job_manager=self.job_manager.options,
            native_memory_tracking=self.debug.native_memory_tracking,
            metrics=self.metrics.enabled,
            slots=self.task_managers.slots,
            max_parallelism=self.max_parallelism,
            checkpoint_interval_seconds=self.checkpoint_interval_seconds,
            heartbeat_interval_millis=self.failure_detection.heartbeat_interval_millis,
            heartbeat_timeout_millis=self.failure_detection.heartbeat_timeout_millis,
            ha_storage=f"{storage}/ha",
            checkpoint_storage=f"{storage}/checkpoints",
            savepoint_storage=f"{storage}/savepoints",
            state_record=f"{storage}/record",
            restore_from=self.restore_from,
            s3=self.s3 and S3Access(endpoint=self.s3.endpoint, path_style=self.s3.path_style_access),
            extra=self.configuration,
        )


# What no two jobs on one Kafka may share, as the reference job and others call it, and what happens if they do.
_OF_ONE_JOB = {
    "--transactional-id-prefix": "each would fence off the other's transactions",
    "--group-id": "each would overwrite the offsets of the other, and the lag that scaling goes by would be neither's",
}


class FlinkSettings(Section):
    """Flink clusters."""

    clusters: Mapping[FlinkClusterName, FlinkClusterSettings] = {}
    """Clusters by name."""

    @property
    def jars(self) -> list[str | None]:
        """The path of each cluster's jar, None for a cluster that names an image."""
        return [cluster.jar for cluster in self.clusters.values()]

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for (first, one), (second, other) in combinations(self.clusters.items(), 2):
            here, there = (each.argument("--bootstrap-servers") for each in (one, other))
            if here and there and not {*here.split(",")} & {*there.split(",")}:
                continue  # on another Kafka
            for name, effect in _OF_ONE_JOB.items():
                value = other.argument(name)
                if value is not None and value == one.argument(name):
                    raise SectionError(
                        f"clusters.{second}.arguments",
                        f"{name} {value!r} is also that of cluster {first}: {effect}; give each its own",
                    )
        return self
