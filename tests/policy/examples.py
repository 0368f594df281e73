"""Good objects, and bad ones: each is the good stack with one thing changed, and the only rule that refuses it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from policies.engine import plain
from policies.pack import Configuration
from policies.resources import Resource, Stack
from tests.unit.recording import Resource as Made

HERE = Path(__file__).parent
MISSING = object()
ADMITTED = "admitted"
DEV = Configuration(
    {
        "namespace-of-platform": {"namespaces": ["dev"]},
        "container-memory-limit": {"maxMib": 4096},
        "namespace-memory-limit": {"maxMib": 20480},
    }
)
"""The bounds of an environment in which the good stack is."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Bad:
    """Set the value at a path of an object (`kind/name`) of the good stack, or take it away (MISSING).

    A value that is a tuple replaces texts inside what is there: old, new, old, new and so on.
    """

    rule: str
    at: str
    path: str
    value: Any
    in_cluster: str = ""
    """What another admission plugin says to it before our policies see it; ADMITTED where they cannot see it."""

    @property
    def name(self) -> str:
        shown = "missing" if self.value is MISSING else str(self.value)
        return f"{self.rule}: {self.at} {self.path} {shown}"[:120]


JM, TM, ZK, KAFKA = (
    "Deployment/flink-jobmanager",
    "Deployment/flink-taskmanager",
    "StatefulSet/zookeeper",
    "StatefulSet/kafka",
)
CONFIG, BROKER = ("ConfigMap/flink-config", "data/config.yaml"), ("ConfigMap/kafka-config", "data/server.properties")
MAIN, INIT = "spec/template/spec/containers/0", "spec/template/spec/initContainers/0"
CRON = "spec/jobTemplate/spec/template/spec"
TEMPLATE = ("ConfigMap/pod-template", "data/pod-template.yaml")
SHELL_ENV = ("Pod/shell", "spec/containers/0/env")
VOLUMES = "spec/template/spec/volumes"
TOKEN = {"name": "deployer-token"}
HPA = "HorizontalPodAutoscaler/flink-taskmanager"

BAD: tuple[Bad, ...] = (
    # memory
    Bad("container-memory-bounded", ZK, f"{MAIN}/resources/limits/memory", MISSING),
    Bad("container-memory-bounded", KAFKA, f"{MAIN}/resources/requests/memory", MISSING),
    Bad("container-memory-bounded", JM, f"{INIT}/resources", MISSING),
    Bad("container-memory-bounded", TM, "spec/template/spec/containers/1/resources/limits/memory", MISSING),
    Bad("container-memory-bounded", "CronJob/cleanup", f"{CRON}/containers/0/resources", MISSING),
    Bad("container-memory-bounded", "CronJob/cleanup", f"{CRON}/initContainers/0/resources", MISSING),
    Bad("container-memory-bounded", "DaemonSet/agent", f"{MAIN}/resources/limits", MISSING),
    Bad("container-memory-bounded", "Job/load", f"{MAIN}/resources/limits", MISSING),
    # The namespace's LimitRange fills it in.
    Bad("container-memory-bounded", "Pod/shell", "spec/containers/0/resources", MISSING, ADMITTED),
    Bad("container-memory-bounded", *TEMPLATE, ("limits: {memory: 64Mi}", "")),
    Bad("memory-request-is-limit", TM, f"{MAIN}/resources/requests/memory", "1Gi"),
    Bad("memory-request-is-limit", ZK, f"{MAIN}/resources/requests/memory", "256Mi"),
    Bad("memory-request-is-limit", KAFKA, f"{MAIN}/resources/requests/memory", "1Gi"),
    Bad("container-memory-limit", "DaemonSet/agent", f"{MAIN}/resources/limits/memory", "4097Mi"),
    Bad(
        "container-memory-limit",
        "Pod/shell",
        "spec/containers/0/resources/limits/memory",
        "5Gi",
        "maximum memory usage",
    ),
    Bad("namespace-memory-limit", "Job/load", "spec/parallelism", 100),
    # headroom
    Bad("flink-limit-holds-process", *CONFIG, ("process.size: 1728m", "process.size: 2g")),
    Bad("flink-limit-holds-process", *CONFIG, ("process.size: 1728m", "flink.size: 1600m")),
    Bad("flink-limit-holds-process", *CONFIG, ("memory.process.size: 1600m", "memory.heap.size: 1200m")),
    Bad("flink-limit-holds-process", *CONFIG, ("process.size: 1728m", "process.size: 500m")),
    Bad("flink-limit-holds-process", *CONFIG, ("web:", "env.java.opts.taskmanager: -Xmx1500m\nweb:")),
    Bad("flink-limit-holds-process", TM, f"{MAIN}/args", ["taskmanager", "-Dtaskmanager.memory.process.size=1729m"]),
    Bad("flink-limit-holds-process", TM, f"{MAIN}/env", [{"name": "FLINK_ENV_JAVA_OPTS_TM", "value": "-Xmx1g"}]),
    Bad("flink-task-off-heap", *CONFIG, ("task.off-heap.size: 64m", "task.off-heap.size: 63m")),
    Bad("flink-task-off-heap", *CONFIG, ("task.off-heap.size: 64m", "managed.fraction: 0.3")),
    Bad("flink-jvm-overhead", *CONFIG, ("task.off-heap.size", "jvm-overhead: {min: 64m}\n    task.off-heap.size")),
    Bad(
        "flink-jvm-overhead",
        *CONFIG,
        ("task.off-heap.size", "jvm-overhead: {min: 64m, max: 64m}\n    task.off-heap.size"),
    ),
    Bad("flink-rocksdb-bounded", *CONFIG, ("web:", "state.backend.rocksdb.memory.managed: false\nweb:")),
    Bad("flink-rocksdb-bounded", *CONFIG, ("web:", "state.backend.rocksdb.memory.fixed-per-slot: 1g\nweb:")),
    Bad("flink-rocksdb-bounded", *CONFIG, ("task.off-heap.size", "managed.fraction: 0\n    task.off-heap.size")),
    Bad("jvm-heap-leaves-room", ZK, f"{MAIN}/env/0/value", "500"),
    Bad("jvm-heap-leaves-room", ZK, f"{MAIN}/env", MISSING),
    Bad("jvm-heap-leaves-room", KAFKA, f"{MAIN}/env/0/value", "-Xmx1900m"),
    Bad("jvm-heap-leaves-room", KAFKA, f"{MAIN}/env/0/value", "-XX:MaxRAMPercentage=95"),
    Bad("jvm-heap-leaves-room", KAFKA, f"{MAIN}/env/0/value", "-XX:MaxHeapSize=1900m"),
    # rescale
    Bad("flink-failure-detection", *CONFIG, ("heartbeat: {interval: 500 ms, timeout: 5 s}", "")),
    Bad("flink-failure-detection", *CONFIG, ("timeout: 5 s", "timeout: 50 s")),
    Bad("flink-failure-detection", *CONFIG, ("interval: 500 ms", "interval: 10 s")),
    Bad("flink-checkpointing", *CONFIG, ("interval: 10 s\n", "interval: 11 min\n")),
    Bad("flink-restart-strategy", *CONFIG, ("exponential-delay", "none")),
    Bad("flink-restart-strategy", *CONFIG, ("exponential-delay", "fixed-delay")),
    Bad("flink-restart-strategy", *CONFIG, ("exponential-delay", "failure-rate")),
    Bad(
        "flink-restart-strategy",
        *CONFIG,
        (
            "restart-strategy.type: exponential-delay",
            "restart-strategy:\n  type: exponential-delay\n  exponential-delay.attempts-before-reset-backoff: 10",
        ),
    ),
    Bad("flink-autoscaled", HPA, "spec/scaleTargetRef/name", "another"),
    Bad("flink-maximum-usable", *CONFIG, ("max-parallelism: 16", "max-parallelism: 4")),
    Bad("flink-scale-down-stabilisation", HPA, "spec/behavior/scaleDown/stabilizationWindowSeconds", 0),
    Bad("flink-replicas-not-fixed", TM, "spec/replicas", 2),
    # delivery
    Bad(
        "delivery-needs-checkpoints",
        *CONFIG,
        ("interval: 10 s\n", "min-pause: 1 s\n", "scheduler-mode: reactive\n", ""),
    ),
    Bad("delivery-transaction-timeout", JM, f"{MAIN}/args/6", "3600001"),
    Bad("delivery-transaction-timeout", JM, f"{MAIN}/args/6", "60000"),
    Bad(
        "delivery-transaction-timeout",
        *BROKER,
        ("transaction.max.timeout.ms=3600000\n", "transaction.max.timeout.ms=60000\n"),
    ),
    Bad("topic-claim-check", "KafkaTopic/orders", "spec/config/max.message.bytes", "10485760"),
    Bad("broker-claim-check", *BROKER, ("min.insync", "message.max.bytes=10485760\nmin.insync")),
    Bad("topic-survives-a-broker", "KafkaTopic/orders", "spec/replicas", 1),
    Bad("topic-survives-a-broker", "KafkaTopic/orders", "spec/config/min.insync.replicas", "3"),
    Bad("topic-survives-a-broker", "KafkaTopic/orders", "spec/config/min.insync.replicas", MISSING),
    Bad(
        "broker-defaults-survive-a-broker",
        *BROKER,
        ("default.replication.factor=3", "offsets.topic.replication.factor=1\ndefault.replication.factor=3"),
    ),
    # availability
    Bad("ensemble-odd", ZK, "spec/replicas", 4),
    Bad("ensemble-odd", *BROKER, (",2@kafka-2:9093", "")),
    Bad("disruption-budget", "PodDisruptionBudget/zookeeper", "spec/selector/matchLabels/app", "another"),
    Bad("disruption-budget", "PodDisruptionBudget/zookeeper", "spec/maxUnavailable", 0),
    Bad("disruption-budget", "PodDisruptionBudget/zookeeper", "spec/maxUnavailable", "100%"),
    Bad("disruption-budget", "PodDisruptionBudget/kafka", "spec/minAvailable", 3),
    Bad("disruption-budget", "PodDisruptionBudget/kafka", "spec/minAvailable", 0),
    Bad("pods-apart", ZK, "spec/template/spec/topologySpreadConstraints", MISSING),
    # The API server fills in one replica, whatever an autoscaler makes of it.
    Bad("pods-apart", TM, "spec/template/spec/affinity", MISSING, ADMITTED),
    Bad("container-probed", KAFKA, f"{MAIN}/readinessProbe", MISSING),
    Bad("container-probed", JM, f"{MAIN}/livenessProbe", MISSING),
    # isolation
    Bad("container-not-root", "CronJob/cleanup", f"{CRON}/securityContext/runAsNonRoot", MISSING),
    Bad("container-not-root", "Pod/shell", "spec/securityContext/runAsNonRoot", MISSING, "violates PodSecurity"),
    Bad("container-not-root", "DaemonSet/agent", f"{MAIN}/securityContext/runAsUser", 0),
    Bad("container-not-root", JM, f"{INIT}/securityContext/runAsNonRoot", False),
    Bad(
        "container-unprivileged",
        "DaemonSet/agent",
        f"{MAIN}/securityContext",
        {"privileged": True, "capabilities": {"drop": ["ALL"]}},
    ),
    Bad("container-unprivileged", TM, f"{MAIN}/securityContext/allowPrivilegeEscalation", MISSING),
    Bad("container-unprivileged", TM, f"{MAIN}/securityContext/capabilities", MISSING),
    Bad("container-unprivileged", JM, f"{INIT}/securityContext/capabilities/add", ["SYS_ADMIN"]),
    Bad("pod-off-the-host", "Pod/shell", "spec/hostIPC", True, "violates PodSecurity"),
    Bad("pod-off-the-host", "DaemonSet/agent", "spec/template/spec/hostNetwork", True),
    Bad("pod-off-the-host", "DaemonSet/agent", "spec/template/spec/hostPID", True),
    Bad("pod-off-the-host", JM, f"{MAIN}/ports/0/hostPort", 8081),
    Bad(
        "host-path-allowed",
        "DaemonSet/agent",
        "spec/template/spec/volumes",
        [{"name": "logs", "hostPath": {"path": "/var/log"}}],
    ),
    Bad("pod-confined", "CronJob/cleanup", f"{CRON}/securityContext/seccompProfile", MISSING),
    Bad("pod-confined", "DaemonSet/agent", f"{MAIN}/securityContext/seccompProfile", {"type": "Unconfined"}),
    Bad("pod-confined", "Job/load", f"{MAIN}/securityContext/procMount", "Unmasked", "hostUsers"),
    Bad("pod-confined", "Job/load", f"{MAIN}/securityContext/seLinuxOptions", {"type": "spc_t"}),
    Bad(
        "pod-confined",
        "DaemonSet/agent",
        "spec/template/spec/securityContext/sysctls",
        [{"name": "net.ipv4.tcp_syncookies", "value": "0"}],
    ),
    Bad(
        "pod-confined",
        "DaemonSet/agent",
        "spec/template/spec/volumes",
        [{"name": "share", "nfs": {"server": "nas.example", "path": "/"}}],
    ),
    # boundary
    Bad("service-inside", "Service/kafka", "spec/externalIPs", ["192.0.2.10"]),
    Bad("service-inside", "Service/kafka", "spec/selector", MISSING),
    Bad("service-inside", "Service/kafka", "spec/selector", {}),
    Bad("service-inside", "Service/kafka", "spec", {"type": "ExternalName", "externalName": "kafka.ops.svc"}),
    Bad("priority-allowed", "Pod/shell", "spec/priorityClassName", "system-node-critical"),
    Bad("priority-allowed", "CronJob/cleanup", f"{CRON}/priorityClassName", "system-cluster-critical"),
    Bad("priority-allowed", ZK, "spec/template/spec/priorityClassName", "of-another-environment"),
    Bad("pod-not-deployer", "Pod/shell", "spec/serviceAccountName", "deployer"),
    Bad("pod-not-deployer", "CronJob/cleanup", f"{CRON}/serviceAccount", "deployer"),
    Bad("pod-not-deployer", "Pod/shell", "spec/serviceAccountName", "operator"),
    Bad("pod-not-deployer", *SHELL_ENV, [{"name": "KEY", "valueFrom": {"secretKeyRef": TOKEN | {"key": "token"}}}]),
    Bad("pod-not-deployer", "Job/load", f"{MAIN}/envFrom", [{"secretRef": TOKEN}]),
    Bad("pod-not-deployer", "Job/load", VOLUMES, [{"name": "s", "secret": {"secretName": "deployer-token"}}]),
    Bad("pod-not-deployer", "DaemonSet/agent", VOLUMES, [{"name": "s", "projected": {"sources": [{"secret": TOKEN}]}}]),
    Bad("pod-not-deployer", TM, "spec/template/spec/serviceAccountName", "deployer"),
    Bad(
        "container-disk-limit",
        "DaemonSet/agent",
        f"{MAIN}/resources/limits",
        {"memory": "128Mi", "ephemeral-storage": "17Gi"},
    ),
    # hygiene
    Bad("namespace-of-platform", "DaemonSet/agent", "metadata/namespace", "default"),
    Bad("image-pinned", "DaemonSet/agent", f"{MAIN}/image", "registry.example:5000/team/agent"),
    Bad("image-pinned", "DaemonSet/agent", f"{MAIN}/image", "registry.example/team/agent:latest"),
    Bad("image-pinned", "Pod/shell", "spec/containers/0/image", "registry.example/team/tools"),
    Bad("image-pinned", JM, f"{INIT}/image", "fluent/fluent-bit"),
    Bad("image-pinned", "CronJob/cleanup", f"{CRON}/containers/0/image", "busybox"),
    Bad("image-pinned", *TEMPLATE, ("fluent-bit:3.2.1", "fluent-bit")),
    Bad("no-secret-in-environment", JM, f"{MAIN}/env/0", {"name": "DATABASE_PASSWORD", "value": "hunter2"}),
    *(
        Bad("no-secret-in-environment", *SHELL_ENV, [{"name": name, "value": value}])
        for name, value in {
            "api_key": "f3a9b",
            "API_TOKEN": "$ecret-hunter2",
            "BASIC_AUTH": "app:hunter2",
            "DATABASE_URL": "postgres://app:hunter2@db/claims",
            "DB_PASS": "hunter2",
            "DB_PASSWORD_1": "hunter2",
            "DB_PWD": "hunter2",
            "ID": "AKIAIOSFODNN7EXAMPLE",
            "PASSWORD": "20240611",
            "PASSWORD_PARAMS": "{aes}x",
            "SECRET_KEY": "/wJalrX+7MD",
            "SLACK_URL": "https://hooks.slack.com/services/T0/B0/XXXX",
            "WEBHOOK_TOKEN": "https://hooks.example.com/T0",
        }.items()
    ),
    *(
        Bad("no-secret-in-command", "CronJob/cleanup", f"{CRON}/initContainers/0/{key}", words)
        for key, words in (
            ("args", ["run", "--db-password", "hunter2"]),
            ("args", ["--db-password=hunter2"]),
            ("args", ["-Djavax.net.ssl.trustStorePassword=hunter2"]),
            ("args", ["--url", "postgres://app:hunter2@db/claims"]),
            ("args", ["-H", "Authorization: Bearer f3a9b77c0d"]),
            ("command", ["x", "--github", "ghp_f3a9b77c0d"]),
        )
    ),
    *(
        Bad("no-secret-in-config-map", "ConfigMap/kafka-config", f"data/{name}", text)
        for name, text in {
            "a.json": '{"user": "a", "password": "hunter2"}',
            "a.sh": "export X_PASSWORD=hunter2\n",
            "a.yaml": "env:\n- name: A_TOKEN\n  value: hunter2\n",
            "config": "users:\n- user: {client-key-data: hunter2}\n",
            "core-site.xml": "<name>fs.azure.account.key</name><value>hunter2</value>",
            "pgp": "-----BEGIN PGP PRIVATE KEY BLOCK-----\nxx\n",
            "tls.key": "-----BEGIN RSA PRIVATE KEY-----\nMII\n",
            "url": "mongodb://app:hunter2@db/claims",
        }.items()
    ),
    *(
        Bad("no-secret-in-config-map", "ConfigMap/kafka-config", "binaryData", {name: data})
        for name, data in {"a.properties": "cGFzc3dvcmQ9aHVudGVyMg==", "keystore.jks": "/u3+7QAAAAIAAAAA"}.items()
    ),
    Bad("no-secret-in-config-map", *CONFIG, ("web:", "fs.azure.account.key.x.blob.core.windows.net: hunter2\nweb:")),
    Bad("no-secret-in-config-map", *CONFIG, ("web:", "pipeline.global-job-parameters: db.secret:hunter2\nweb:")),
    Bad("no-secret-in-config-map", *CONFIG, ("web:", "containerized.taskmanager.env.DB_SECRET: hunter2\nweb:")),
    Bad("no-secret-in-config-map", *CONFIG, ("web:", "s3.secret-key: f3a9b77c\nweb:")),
    Bad("no-secret-in-config-map", *BROKER, ("min.insync", "ssl.keystore.password=hunter2\nmin.insync")),
    Bad(
        "no-secret-in-config-map",
        *BROKER,
        ("min.insync", 'sasl.jaas.config=x.PlainLoginModule required username="a" password="hunter2";\nmin.insync'),
    ),
    Bad("flink-logs-shipped", JM, f"{INIT}/restartPolicy", MISSING),
    Bad("flink-logs-shipped", TM, "spec/template/spec/containers/1/volumeMounts", MISSING),
    Bad("flink-logs-shipped", TM, f"{MAIN}/volumeMounts/1", MISSING),
    Bad("flink-metrics-bounded", *CONFIG, ("task_attempt_id;task_attempt_num", "host")),
    Bad("flink-metrics-bounded", *CONFIG, (";tm_id", "")),
    Bad("flink-metrics-bounded", *CONFIG, (";tm_id", "", "web:", "metrics.reporters: prom,other\nweb:")),
    Bad("flink-metrics-bounded", *CONFIG, ("web:", "metrics.scope.task: <job_name>.<task_attempt_id>\nweb:")),
    Bad("flink-rest-closed", *CONFIG, ("submit.enable: false", "submit.enable: true")),
    Bad("flink-rest-closed", *CONFIG, (", cancel.enable: false", "")),
)


@cache
def _good() -> str:
    """As JSON, which has no aliases: a change is to be in one place."""
    return json.dumps(yaml.safe_load((HERE / "good.yaml").read_text())["items"])


def good() -> list[Document]:
    """The documents of the good stack."""
    return json.loads(_good())


def changed(bad: Bad) -> tuple[list[Document], Document]:
    """The good stack with one thing changed, and the object with it."""
    documents = good()
    kind, _, name = bad.at.partition("/")
    (document,) = [each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    *steps, last = bad.path.split("/")
    at: Any = document
    for step in steps:
        at = at[_key(step)]
    key = _key(last)
    if bad.value is MISSING:
        del at[key]
    elif _is_replacement(bad.value):
        at[key] = _replaced(at[key], bad.value)
    else:
        at[key] = bad.value
    return documents, document


def _is_replacement(value: object) -> TypeGuard[tuple[str, ...]]:
    return isinstance(value, tuple)


def _replaced(text: str, texts: tuple[str, ...]) -> str:
    for old, new in zip(texts[::2], texts[1::2], strict=True):
        assert old in text
        text = text.replace(old, new, 1)
    return text


def _key(step: str) -> Any:
    return int(step) if step.isdecimal() else step


def resources(documents: list[Document]) -> Iterator[Resource]:
    """Documents as the engine hands them over."""
    for document in documents:
        version, kind, name = document["apiVersion"], document["kind"], document["metadata"]["name"]
        yield Resource(
            type=f"kubernetes:{version if '/' in version else 'core/' + version}:{kind}",
            name=name,
            urn=f"urn:pulumi:dev::test::{kind}::{name}",
            properties=plain(document),
        )


def stack(documents: list[Document]) -> Stack:
    return Stack(resources(documents))


def stack_of(made: Iterable[Made]) -> Stack:
    """Recorded resources as the engine hands them over."""
    return Stack(Resource(type=each.type, name=each.name, urn=each.urn, properties=plain(each.inputs)) for each in made)
