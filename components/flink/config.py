"""The configuration of a reactive Flink 2.3 cluster: config.yaml, as plain text.

Every option that differs from Flink's default says why. A user's own options are merged in, except those that the
rest of the platform relies on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from components.flink import java
from components.flink.backends import BACKENDS, MANAGED_BACKENDS, state_backend
from components.flink.directories import CONF_DIR, LOG_DIR
from components.flink.memory import (
    JobManagerOptions,
    TaskManagerMemory,
    TaskManagerOptions,
    flink_options,
    job_manager_memory,
    task_manager_memory,
)
from components.flink.metrics import reporters
from components.flink.reserved import KEY, refusal
from components.ports import FLINK_SCOPES, JOB_MANAGER, TASK_MANAGER

HIGH_AVAILABILITY_FACTORY = "streaming.state.RecordedHighAvailabilityFactory"  # of the jar that state-record/ makes

# Of the session in ZooKeeper. TaskManagers lead nothing, so that theirs may as well outlive an outage of the ensemble.
JOB_MANAGER_SESSION_SECONDS = 4
TASK_MANAGER_SESSION_SECONDS = 60

# What Flink and Kryo reach into inside the JDK, which Java 17 keeps closed: the list of Flink's own default
# configuration, less exports that no class of Flink 2.3 refers to (jdk.compiler, which a JRE does not have either, and
# sun.net.util). RMI's is for the JMX server, Kerberos' for Hadoop file systems.
_EXPORTS = ("java.rmi/sun.rmi.registry", "java.security.jgss/sun.security.krb5")
_OPENS = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.reflect",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.text",
    "java.base/java.time",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.util.concurrent.locks",
    "java.base/sun.nio.ch",
)

_BACKEND = "state.backend.type"


class FlinkConfigurationError(ValueError):
    """A Flink option that a user may not set, or not so."""


@dataclass(frozen=True, kw_only=True)
class S3Access:
    """An S3-compatible service: its URL (None: that of AWS), and whether buckets are in the path, not in the host."""

    endpoint: str | None
    path_style: bool


@dataclass(frozen=True, kw_only=True)
class FlinkConfigurationSpec:
    """The inputs of the configuration of one reactive cluster.

    `restore_from` is what a user asks the job to start from, once. `zookeeper_quorum` is `host:port[,host:port...]`, or
    None for high availability by the Kubernetes API. `*_storage` and `state_record` are URIs that every pod of the
    cluster can read. `s3` says how to reach those that begin with `s3:`, `extra` are a user's own Flink options.
    `native_memory_tracking` makes the JVMs count what they allocate outside the heap. `metrics` makes each process
    serve Prometheus.
    """

    namespace: str
    cluster: str
    zookeeper_quorum: str | None
    task_manager: TaskManagerOptions
    job_manager: JobManagerOptions
    native_memory_tracking: bool
    metrics: bool
    slots: int
    max_parallelism: int
    checkpoint_interval_seconds: int
    heartbeat_interval_millis: int
    heartbeat_timeout_millis: int
    ha_storage: str
    checkpoint_storage: str
    savepoint_storage: str
    state_record: str
    restore_from: str | None
    s3: S3Access | None
    extra: Mapping[str, str]


def flink_configuration(spec: FlinkConfigurationSpec) -> dict[str, str]:
    """Return everything that goes into config.yaml, the user's options last.

    Raises FlinkMemoryError for sizes that Flink refuses, FlinkConfigurationError for an option that is the platform's,
    that no key of Flink looks like, or that the sizes do not allow.
    """
    memory = task_manager_memory(spec.task_manager)
    job_manager = job_manager_memory(spec.job_manager)
    refusals = [
        text for key, value in sorted(spec.extra.items()) if (text := refusal(key, value, metrics=spec.metrics))
    ]
    refusals += java.refusals(spec.extra, memory, job_manager)
    if refusals:
        raise FlinkConfigurationError("; ".join(refusals))
    backend = _backend(spec.extra.get(_BACKEND), memory)
    return {
        **_processes(spec),
        **_high_availability(spec),
        **_scaling(spec),
        **_fault_tolerance(spec),
        **_s3(spec.s3),
        **_state_metrics(backend),
        **(reporters(FLINK_SCOPES) if spec.metrics else {}),
        **spec.extra,
        **{f"env.java.opts.{role}": _java_options(role, spec.extra) for role in ("jobmanager", "taskmanager")},
    }


def render(configuration: Mapping[str, str]) -> str:
    """The text of config.yaml: flat keys, sorted, values quoted, so that each reads back as the same string."""
    return "".join(f"{_plain_or_quoted(key)}: {_quoted(value)}\n" for key, value in sorted(configuration.items()))


def _processes(spec: FlinkConfigurationSpec) -> dict[str, str]:
    """Addresses, ports, memory and the JVM."""
    return {
        "jobmanager.rpc.address": f"{spec.cluster}-jobmanager.{spec.namespace}.svc",
        "jobmanager.rpc.port": str(JOB_MANAGER["rpc"]),
        "blob.server.port": str(JOB_MANAGER["blob"]),
        "metrics.internal.query-service.port": str(JOB_MANAGER["query-service"]),
        "rest.port": str(JOB_MANAGER["rest"]),
        "taskmanager.rpc.port": str(TASK_MANAGER["rpc"]),
        "taskmanager.data.port": str(TASK_MANAGER["data"]),
        # The images' own configuration binds to localhost; a pod has one address, and a Service in front.
        "jobmanager.bind-host": "0.0.0.0",
        "taskmanager.bind-host": "0.0.0.0",
        "rest.bind-address": "0.0.0.0",
        # Anyone who reaches the REST port could otherwise run code. Other changes need the cluster's token
        # (state-record/), so a button for them would have no effect.
        "web.submit.enable": "false",
        "web.cancel.enable": "false",
        # Default: one thread for each core. In a pod of one core a call that hangs would stop the JobManager.
        "jobmanager.io-pool.size": "4",
        **flink_options(spec.job_manager),
        **flink_options(spec.task_manager),
        "taskmanager.numberOfTaskSlots": str(spec.slots),
        # A TaskManager that ran out of heap limps (default: false); a new one restores the checkpoint.
        "taskmanager.jvm-exit-on-oom": "true",
        # What user code prints goes through log4j, which rolls; a file of its own would grow without end.
        "taskmanager.system-out.mode": "LOG",
        "env.java.opts.all": " ".join(
            [f"--add-exports={package}=ALL-UNNAMED" for package in _EXPORTS]
            + [f"--add-opens={package}=ALL-UNNAMED" for package in _OPENS]
            # Not in env.java.opts.taskmanager, which is the user's.
            + (["-XX:NativeMemoryTracking=summary"] if spec.native_memory_tracking else [])
        ),
    }


def _java_options(role: str, extra: Mapping[str, str]) -> str:
    """Return the JVM options of one role, the user's last. The log of the garbage collector and crash reports are
    written to the directory of the logs."""
    ours = [
        f"-Xlog:gc*:file={LOG_DIR}/{role}.gc:time,uptime,level,tags:filecount=5,filesize=10m",
        f"-XX:ErrorFile={LOG_DIR}/{role}-crash.log",
    ]
    if role == "jobmanager":
        # The quick compiler only, and classes are not verified as they are loaded. A standby runs most of its code for
        # the first time when it takes over, while nothing runs: without the first a job stood still for twice as long,
        # without the second for half as long again (bench/rescale, docs/measurements.md).
        ours += ["-XX:TieredStopAtLevel=1", "-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote"]
    return " ".join(filter(None, (*ours, extra.get(f"env.java.opts.{role}"))))


def _backend(given: str | None, memory: TaskManagerMemory) -> str | None:
    """The state backend that a user names, if any, by its short name."""
    if given is None:
        return None
    backend = state_backend(given)
    if backend is None:
        raise FlinkConfigurationError(
            f"Flink option {_BACKEND} = {given!r} is neither {', '.join(BACKENDS)} nor the name of a factory's class: "
            "write one of them"
        )
    if backend in MANAGED_BACKENDS and memory.managed == 0:
        raise FlinkConfigurationError(
            f"Flink option {_BACKEND} = {given!r} keeps state in managed memory, and TaskManagers have none: raise "
            "taskManagers.memory.managedFraction or managedMib"
        )
    return backend


def _high_availability(spec: FlinkConfigurationSpec) -> dict[str, str]:
    """Leader election outside of the JobManager, which can die; what the job goes on from is in the state record."""
    return {
        "high-availability.type": HIGH_AVAILABILITY_FACTORY,
        "platform.election": "kubernetes" if spec.zookeeper_quorum is None else "zookeeper",
        "platform.state-record": spec.state_record,
        "platform.local-directory": CONF_DIR,
        **({} if spec.restore_from is None else {"platform.restore-from": spec.restore_from}),
        # Default true: the process ends with its job, and would be started again, and the job with it.
        "execution.shutdown-on-application-finish": "false",
        # The default is /default for every cluster: two of them would fight over one job.
        "high-availability.cluster-id": f"/{spec.cluster}",
        "high-availability.storageDir": spec.ha_storage,
        # With HA this takes the place of jobmanager.rpc.port (default: random).
        "high-availability.jobmanager.port": str(JOB_MANAGER["rpc"]),
        **(_kubernetes(spec) if spec.zookeeper_quorum is None else _zookeeper(spec.zookeeper_quorum)),
        # Who finds a new leader that is not ready yet, or whose name is not known yet, asks again after this (default
        # 10 s, 30 s and at most every 30 s).
        "cluster.registration.error-delay": "500 ms",
        "cluster.registration.refused-registration-delay": "500 ms",
        "cluster.registration.max-timeout": "2 s",
    }


def _zookeeper(quorum: str) -> dict[str, str]:
    client = "high-availability.zookeeper.client"
    return {
        "high-availability.zookeeper.quorum": quorum,
        "high-availability.zookeeper.path.root": "/flink",
        "zookeeper.sasl.disable": "true",  # our ensemble has none: each start would log its absence as an error
        # A dead JobManager's session must end before the next can lead: 60 s by default. A live one must get a ping
        # through in two thirds of it, a full GC included. Our ensemble grants 2 s and more (twice its tickTime).
        f"{client}.session-timeout": f"{JOB_MANAGER_SESSION_SECONDS} s",
        # Default 15 s; more than the session's makes no sense, and the client says so.
        f"{client}.connection-timeout": "3 s",
        # Default 5 s: longer than the session.
        f"{client}.retry-wait": "1 s",
        # A change of ZooKeeper's leader suspends connections for a moment: without this, every job restarts.
        f"{client}.tolerate-suspended-connections": "true",
        # Would replace the quorum by the members' own names, which need not resolve where Flink runs.
        f"{client}.ensemble-tracker": "false",
    }


def _kubernetes(spec: FlinkConfigurationSpec) -> dict[str, str]:
    election = "high-availability.kubernetes.leader-election"
    return {
        "kubernetes.namespace": spec.namespace,
        # A dead JobManager's lease must end before the next can lead, and the next must look: 15 s and 5 s by default.
        # A live one gives up where it cannot renew its own in time (default 15 s), so before others may take it.
        f"{election}.lease-duration": "4 s",
        f"{election}.renew-deadline": "3 s",
        f"{election}.retry-period": "1 s",
    }


def _scaling(spec: FlinkConfigurationSpec) -> dict[str, str]:
    """Reactive mode: as many slots as there are, soon after a TaskManager came or went.

    A new TaskManager gets work after what is left of the cooldown, the stabilization and the next checkpoint: seconds,
    and not a minute and a half.
    """
    scheduler = "jobmanager.adaptive-scheduler.executing"
    return {
        "scheduler-mode": "reactive",
        # The upper bound of the parallelism, and of what a savepoint can ever be restored with.
        "pipeline.max-parallelism": str(spec.max_parallelism),
        # Default 30 s. The HPA decides every 15 s; pods of one decision come up within seconds of each other.
        f"{scheduler}.cooldown-after-rescaling": "5 s",
        # Default 60 s, and always waited for in full: in reactive mode the job would always like more slots.
        f"{scheduler}.resource-stabilization-timeout": "2 s",
        # Default true: a TaskManager registers only after a reverse DNS lookup, and pods have no such names.
        "jobmanager.retrieve-taskmanager-hostname": "false",
    }


def _fault_tolerance(spec: FlinkConfigurationSpec) -> dict[str, str]:
    """Checkpoints, restarts, and how soon a lost process is noticed."""
    restart = "restart-strategy.exponential-delay"
    return {
        "execution.checkpointing.interval": f"{spec.checkpoint_interval_seconds} s",
        "execution.checkpointing.dir": spec.checkpoint_storage,
        "execution.checkpointing.savepoint-dir": spec.savepoint_storage,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        # By default the first failed checkpoint restarts the job, as when the storage hiccups.
        "execution.checkpointing.tolerable-failed-checkpoints": "3",
        # Working state on the heap: jobs of small state need no local disk. `rocksdb` is in the image.
        _BACKEND: "hashmap",
        # Scaling down counts as a failure. By default the first restart waits 1 s, each further one half as long again,
        # and only an hour of calm is forgiven: a cluster that scales often would stand still for longer and longer.
        "restart-strategy.type": "exponential-delay",
        f"{restart}.initial-backoff": "20 ms",
        f"{restart}.backoff-multiplier": "2",
        f"{restart}.max-backoff": "5 s",
        f"{restart}.reset-backoff-threshold": "10 s",
        # The JobManager's side. A TaskManager that died is noticed after two heartbeats that cannot be delivered, one
        # that is cut off, which refuses no connection, after the time-out. By default 2 x 10 s and 50 s.
        "heartbeat.interval": f"{spec.heartbeat_interval_millis} ms",
        "heartbeat.timeout": f"{spec.heartbeat_timeout_millis} ms",
    }


def _s3(access: S3Access | None) -> dict[str, str]:
    """Return the options that say where S3 is. They have no keys: the plug-in takes these from the environment, or
    from the pod's identity."""
    if access is None:
        return {}
    return {
        **({} if access.endpoint is None else {"s3.endpoint": access.endpoint}),
        "s3.path.style.access": str(access.path_style).lower(),
    }


def _state_metrics(backend: str | None) -> dict[str, str]:
    """Return the options that report how full RocksDB's share of managed memory is: three numbers for each state,
    read when metrics are reported."""
    if backend != "rocksdb":
        return {}
    return {
        f"state.backend.rocksdb.metrics.block-cache-{name}": "true" for name in ("capacity", "pinned-usage", "usage")
    }


def _plain_or_quoted(key: str) -> str:
    return key if KEY.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    """A double-quoted YAML scalar. JSON's escapes are YAML's; JSON leaves DEL as it is, which YAML refuses."""
    return json.dumps(text).replace("\x7f", "\\u007f")
