"""Flink's options that a user may not set, as the rest of the platform relies on them, and what to set instead."""

import re

from components.flink.backends import MANAGED_BACKENDS
from components.secrets.mask import shown

KEY = re.compile(r"[a-z][a-z0-9]*([.-][A-Za-z0-9_-]+)+")

# The remedy by a key, or by the start of keys (ends with a dot). The longest that fits counts; an empty remedy lets the
# user set it after all. Old names of options that we set would be lost silently.
_ADDRESS = "Services and network policies rely on it: leave it out"
_HIGH_AVAILABILITY = "each cluster has its own place there: set highAvailability"
_DETECTION = "JobManagers and TaskManagers have different ones: set failureDetection"
_MEMORY = "the container's limit follows from the sizes: set"
_ROCKSDB = "state would grow beyond managed memory, until the kernel kills the TaskManager: leave it out, and set"
_KEYS = "anyone who may read the ConfigMap would know it: put it into a Secret, and set s3.secret"
_REACTIVE = "clusters scale with their TaskManagers (reactive mode): leave it out"
_SLOTS = "a reactive cluster uses every slot: set taskManagers.min, max and slots"
_UNSAFE = "the REST port has no authentication: leave it out"
_RECORD = "what a job goes on from, and whether it does, follows from its state record: leave it out"
_METRICS = "the platform's own reporters serve Prometheus: leave it out, or set metrics.enabled to false"
_VOLUME = "checkpoints lie on the cluster's volume, or where s3.path says: leave it out"
_REMEDIES = {
    "blob.server.port": _ADDRESS,
    "env.java.opts": "use env.java.opts.jobmanager or env.java.opts.taskmanager",
    "env.java.opts.all": "use env.java.opts.jobmanager or env.java.opts.taskmanager",
    "execution.checkpointing.dir": _VOLUME,
    "execution.checkpointing.externalized-checkpoint-retention": _RECORD,
    "execution.checkpointing.interval": "set checkpointIntervalSeconds",
    "execution.checkpointing.savepoint-dir": _VOLUME,
    "execution.savepoint.path": "set restoreFrom",
    "execution.shutdown-on-application-finish": _RECORD,
    "execution.shutdown-on-attached-exit": _RECORD,
    "execution.state-recovery.claim-mode": _RECORD,
    "execution.state-recovery.path": "set restoreFrom",
    "execution.submit-failed-job-on-application-error": _RECORD,
    "execution.terminate-application-on-any-job-exception": _RECORD,
    "heartbeat.": _DETECTION,
    "high-availability": _HIGH_AVAILABILITY,
    "high-availability.": _HIGH_AVAILABILITY,
    "high-availability.kubernetes.leader-election.": "",
    "high-availability.zookeeper.client.": "",
    "io.tmp.dirs": "set taskManagers.stateDirectory",
    "jobmanager.adaptive-scheduler.scaling-interval.min": (
        "use jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling"
    ),
    "jobmanager.bind-host": _ADDRESS,
    "jobmanager.memory.": f"{_MEMORY} jobManager.memoryMib, offHeapMib or memory",
    "jobmanager.rpc.": _ADDRESS,
    "jobmanager.scheduler": _REACTIVE,
    "jobmanager.web.": "an old name: use rest.* or web.*",
    "kubernetes.": _HIGH_AVAILABILITY,
    "metrics.internal.query-service.port": _ADDRESS,
    "metrics.reporter.": _METRICS,
    "metrics.reporters": _METRICS,
    "parallelism.default": _SLOTS,
    "pipeline.jobvertex-parallelism-overrides": _SLOTS,
    "pipeline.max-parallelism": "set maxParallelism",
    "platform.": _RECORD,
    "recovery.": "an old name: use high-availability.zookeeper.client.*",
    "rest.address": _ADDRESS,
    "rest.bind-address": _ADDRESS,
    "rest.bind-port": _ADDRESS,
    "rest.port": _ADDRESS,
    **{
        f"{prefix}{key}": remedy
        for prefix in ("s3.", "presto.s3.", "fs.s3a.")
        for key, remedy in {
            "access-key": _KEYS,
            "access.key": _KEYS,
            "secret-key": _KEYS,
            "secret.key": _KEYS,
            "endpoint": "set s3.endpoint of the cluster",
            "path-style-access": "set s3.pathStyleAccess of the cluster",
            "path.style.access": "set s3.pathStyleAccess of the cluster",
        }.items()
    },
    "restart-strategy": "use restart-strategy.type",
    "savepoints.state.backend.fs.dir": _VOLUME,
    "scheduler-mode": _REACTIVE,
    "state.backend": "use state.backend.type",
    "state.backend.fs.checkpointdir": _VOLUME,
    **{
        f"state.backend.{backend}.memory.{key}": f"{_ROCKSDB} taskManagers.memory.managedFraction or managedMib"
        for backend in MANAGED_BACKENDS
        for key in ("fixed-per-slot", "fixed-per-tm", "managed")
    },
    "state.checkpoints.dir": _VOLUME,
    "state.savepoints.dir": _VOLUME,
    "taskmanager.bind-host": _ADDRESS,
    "taskmanager.data.": _ADDRESS,
    "taskmanager.host": _ADDRESS,
    "taskmanager.memory.": f"{_MEMORY} taskManagers.memoryMib, offHeapMib or memory",
    "taskmanager.numberOfTaskSlots": "set taskManagers.slots",
    "taskmanager.rpc.": _ADDRESS,
    "web.address": _ADDRESS,
    "web.cancel.enable": _UNSAFE,
    "web.port": _ADDRESS,
    "web.submit.enable": _UNSAFE,
}


# Where the platform's reporters do not run, reporters are the user's.
_REPORTERS = ("metrics.reporter.", "metrics.reporters")


def refusal(key: str, value: str, *, metrics: bool = True) -> str | None:
    """Return why a user may not set an option, with the remedy; None if that is allowed.

    `metrics` is whether the platform's reporters run.
    """
    if not KEY.fullmatch(key):
        return (
            f"Flink option {key!r} = {shown(key, value)} is not the name of an option: write it like state.backend.type"
        )
    if not metrics and key.startswith(_REPORTERS):
        return None
    owners = [name for name in _REMEDIES if key == name or (name.endswith(".") and key.startswith(name))]
    remedy = _REMEDIES[max(owners, key=len)] if owners else ""
    return f"Flink option {key} = {shown(key, value)} is not yours to set: {remedy}" if remedy else None
