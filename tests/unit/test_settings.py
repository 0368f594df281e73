import contextvars
import json
import os
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import set_all_config

from components.flink.memory import DEFAULT_JOB_MANAGER_MIB, DEFAULT_TASK_MANAGER_MIB
from components.flink.memory_settings import JobManagerSizes, TaskManagerSizes
from components.flink.settings import FlinkClusterSettings
from stacks import settings
from stacks.settings import EnvironmentSettings, SettingsError, load, load_file, parse

JOB = {"image": "registry.example/job:1", "mainClass": "com.example.Job"}
TOPIC = {"partitions": 1, "replicas": 1}


def prefixed(config: dict[str, Any]) -> dict[str, Any]:
    return {f"streaming-platform:{key}": value for key, value in config.items()}


def environment(**config: Any) -> EnvironmentSettings:
    result = parse(prefixed({"kind": "environment", "environment": "dev", **config}))
    assert isinstance(result, EnvironmentSettings)
    return result


def refusal(**config: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        environment(**config)
    return str(caught.value)


def flink(**cluster: Any) -> dict[str, Any]:
    return {"clusters": {"claims": {**JOB, **cluster}}}


def jobs(one: list[str], two: list[str]) -> dict[str, Any]:
    return {"clusters": {"one": {**JOB, "arguments": one}, "two": {**JOB, "arguments": two}}}


def loaded_with(config: dict[str, str], secrets: list[str]) -> settings.Settings:
    """What `load` makes of what an engine hands over, in a context of its own."""

    def run() -> settings.Settings:
        set_all_config(prefixed(config), secrets)
        return load()

    return contextvars.copy_context().run(run)


# Each: the settings, and what the message must name: the key as the user wrote it, the value, the bound, the remedy.
BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a key that does not exist": (
        {"zookeper": {"members": 3}},
        ["streaming-platform:zookeper:", "no such setting", "a mapping of members", "did you mean zookeeper?"],
    ),
    "a key that does not exist, deep down": (
        {"flink": flink(taskManagers={"memoryMb": 1728})},
        ["streaming-platform:flink.clusters.claims.taskManagers.memoryMb:", "1728", "did you mean memoryMib?"],
    ),
    "a key in the wrong spelling": (
        {"zookeeper": {"memory_mib": 512}},
        ["streaming-platform:zookeeper.memory_mib:", "512", "did you mean memoryMib?"],
    ),
    "an even number of ZooKeeper members": (
        {"zookeeper": {"members": 4}},
        ["streaming-platform:zookeeper.members:", "4 is even", "odd number from 1 to 7", "such as 5"],
    ),
    "too many ZooKeeper members": (
        {"zookeeper": {"members": 9}},
        ["streaming-platform:zookeeper.members:", "9 is above 7", "lower it"],
    ),
    "a TaskManager too small for Flink": (
        {"flink": flink(taskManagers={"memoryMib": 700})},
        [
            "streaming-platform:flink.clusters.claims.taskManagers.memoryMib:",
            *("700 MiB is too small", "leaves -232.8 MiB", "smallest that works is 1089 MiB"),
        ],
    ),
    "a JobManager too small for Flink": (
        {"flink": flink(jobManager={"memoryMib": 500})},
        ["streaming-platform:flink.clusters.claims.jobManager.memoryMib:", "500 MiB", "smallest that works is 577 MiB"],
    ),
    "two sizes of a TaskManager": (
        {"flink": flink(taskManagers={"memoryMib": 1728, "flinkMemoryMib": 1280})},
        [
            "streaming-platform:flink.clusters.claims.taskManagers.memoryMib:",
            *("process.size of 1728 MiB and flink.size of 1280 MiB", "exactly one of"),
        ],
    ),
    "a task heap alone": (
        {"flink": flink(taskManagers={"taskHeapMib": 512})},
        ["streaming-platform:flink.clusters.claims.taskManagers.managedMib:", "is missing", "task heap needs it"],
    ),
    "managed memory said twice": (
        {"flink": flink(taskManagers={"managedMib": 512, "memory": {"managedFraction": 0.4}})},
        [
            "streaming-platform:flink.clusters.claims.taskManagers.managedMib:",
            *("512 is given beside memory.managedFraction, 0.4", "one of the two"),
        ],
    ),
    "total Flink memory too small": (
        {"flink": flink(jobManager={"flinkMemoryMib": 128})},
        [
            "streaming-platform:flink.clusters.claims.jobManager.flinkMemoryMib:",
            *("128 MiB", "128 - 128.0 off_heap leaves 0.0 MiB", "smallest that works is 129 MiB"),
        ],
    ),
    "JVM overhead below Flink's": (
        {"flink": flink(jobManager={"memory": {"jvmOverheadMinMib": 64}})},
        [
            "streaming-platform:flink.clusters.claims.jobManager.memory.jvmOverheadMinMib:",
            *("64 MiB is below 192", "raise it"),
        ],
    ),
    "network bounds that cross": (
        {"flink": flink(taskManagers={"memory": {"networkMaxMib": 32}})},
        [
            "streaming-platform:flink.clusters.claims.taskManagers.memory.networkMaxMib:",
            *("32 MiB", "below the minimum, 64", "raise it"),
        ],
    ),
    "a fraction of everything": (
        {"flink": flink(taskManagers={"memory": {"managedFraction": 1}})},
        ["streaming-platform:flink.clusters.claims.taskManagers.memory.managedFraction:", "above 0.999", "lower it"],
    ),
    "a fraction finer than a thousandth": (
        {"flink": flink(taskManagers={"memory": {"networkFraction": 0.0123}})},
        ["flink.clusters.claims.taskManagers.memory.networkFraction:", "0.0123", "at most three decimals"],
    ),
    "RocksDB without managed memory": (
        {
            "flink": flink(
                taskManagers={"memory": {"managedFraction": 0}}, configuration={"state.backend.type": "rocksdb"}
            )
        },
        [
            "streaming-platform:flink.clusters.claims.configuration:",
            *("'rocksdb' keeps state in managed memory", "raise taskManagers.memory.managedFraction"),
        ],
    ),
    "min TaskManagers above max": (
        {"flink": flink(taskManagers={"min": 5, "max": 2})},
        ["streaming-platform:flink.clusters.claims.taskManagers.min:", "5 is above max, 2", "lower min, or raise max"],
    ),
    "more slots than parallelism": (
        {"flink": flink(maxParallelism=4, taskManagers={"max": 3, "slots": 2})},
        ["streaming-platform:flink.clusters.claims.maxParallelism:", "4 is below", "3 x 2", "raise it to 6"],
    ),
    "a name that is too long": (
        {"flink": {"clusters": {"c" * 46: JOB}}},
        [f"streaming-platform:flink.clusters.{'c' * 46}:", "46 characters", "at most 45", "choose a shorter one"],
    ),
    "a name that Kubernetes does not take": (
        {"flink": {"clusters": {"Claims_1": JOB}}},
        ["streaming-platform:flink.clusters.Claims_1:", "'Claims_1'", "lower-case letters, digits and dashes"],
    ),
    "a name that is taken": (
        {"flink": {"clusters": {"kafka": JOB}}},
        ["streaming-platform:flink.clusters.kafka:", "'kafka' is taken", "choose one other than"],
    ),
    "a namespace that is too long": (
        {"environment": "e" * 64},
        ["streaming-platform:environment:", "64 characters", "at most 63", "choose a shorter one"],
    ),
    "a topic name that Kafka does not take": (
        {"kafka": {"topics": {"two words": TOPIC}}},
        ["streaming-platform:kafka.topics.two words:", "'two words'", "at most 249 letters"],
    ),
    "a missing value": (
        {"kafka": {"topics": {"events": {"partitions": 4}}}},
        ["streaming-platform:kafka.topics.events.replicas:", "missing", "add it", "Brokers that hold a copy"],
    ),
    "a missing job": (
        {"flink": {"clusters": {"claims": {"mainClass": "Job"}}}},
        ["streaming-platform:flink.clusters.claims.jar:", "neither is given", "exactly one of jar and image"],
    ),
    "a state that is none": (
        {"flink": flink(restoreFrom="file:///flink-data/savepoints")},
        ["streaming-platform:flink.clusters.claims.restoreFrom:", "'file:///flink-data/savepoints'", "savepoint-"],
    ),
    "a bucket without its scheme": (
        {"flink": flink(s3={"path": "checkpoints"})},
        ["streaming-platform:flink.clusters.claims.s3.path:", "'checkpoints'"],
    ),
    "two jobs": (
        {"flink": flink(jar="a.jar")},
        ["streaming-platform:flink.clusters.claims.jar:", "'a.jar'", "exactly one of jar and image"],
    ),
    "text for a number": (
        {"kafka": {"brokers": "3"}},
        ["streaming-platform:kafka.brokers:", "'3' is text", "write a whole number"],
    ),
    "a fraction for a whole number": (
        {"kafka": {"memoryMib": 1024.5}},
        ["streaming-platform:kafka.memoryMib:", "1024.5 is a number", "write a whole number"],
    ),
    "a number for a section": (
        {"kafka": 3},
        ["streaming-platform:kafka:", "3 is a number", "write a mapping"],
    ),
    "an empty section": (
        {"kafka": None},
        ["streaming-platform:kafka:", "None is empty", "write a mapping"],
    ),
    "a key that does not exist, in a section that may be left out": (
        {"flink": flink(s3={"pat": "s3://checkpoints"})},
        ["streaming-platform:flink.clusters.claims.s3.pat:", "no such setting", "did you mean path?"],
    ),
    "a key that is like none, in a section that may be left out": (
        {"logging": {"destinations": {"all": {"kafka": {"topic": "logs", "color": "blue"}}}}},
        ["streaming-platform:logging.destinations.all.kafka.color:", "'blue'", "or use one of", "retentionMillis, "],
    ),
    "a value that is missing in a section that may be left out": (
        {"flink": flink(autoscaling={"lag": {"labels": {"topic": "events"}}})},
        ["claims.autoscaling.lag.recordsPerTaskManager:", "missing", "Number of waiting records for each TaskManager"],
    ),
    "a list of nothing but a wrong entry": (
        {"logging": {"destinations": {"all": {"elasticsearch": {"urls": ["es"]}}}}},
        ["streaming-platform:logging.destinations.all.elasticsearch.urls.0:", "'es' is not a URL"],
    ),
    "text for a boolean": (
        {"dataProtection": "no"},
        ["streaming-platform:dataProtection:", "'no' is text", "write true or false"],
    ),
    "a mapping for a list": (
        {"flink": flink(arguments={"topic": "events"})},
        ["streaming-platform:flink.clusters.claims.arguments: is a mapping of topic: write a list"],
    ),
    "a number below its bound": (
        {"kafka": {"memoryMib": 256}},
        ["streaming-platform:kafka.memoryMib:", "256 is below 512", "raise it"],
    ),
    "no CPU": (
        {"zookeeper": {"cpu": 0}},
        ["streaming-platform:zookeeper.cpu:", "0 is not above 0", "raise it"],
    ),
    "CPU finer than Kubernetes counts": (
        {"zookeeper": {"cpu": 0.0001}},
        ["streaming-platform:zookeeper.cpu:", "0.0001", "at most three decimals"],
    ),
    "a CPU request above the limit": (
        {"flink": flink(jobManager={"cpu": 2, "cpuLimit": 1})},
        ["streaming-platform:flink.clusters.claims.jobManager.cpu:", "2.0 is above cpuLimit, 1.0", "raise cpuLimit"],
    ),
    "a CPU target that is never reached": (
        {"flink": flink(taskManagers={"cpu": 1, "cpuLimit": 1}, autoscaling={"cpuPercent": 91})},
        ["streaming-platform:flink.clusters.claims.autoscaling.cpuPercent:", "91", "100 percent", "lower it to 90 or"],
    ),
    "more replicas than brokers": (
        {"kafka": {"brokers": 1, "topics": {"events": {"partitions": 1, "replicas": 3}}}},
        ["streaming-platform:kafka.topics.events.replicas:", "3 is above the number of brokers, 1", "raise brokers"],
    ),
    "more in-sync replicas than replicas": (
        {"kafka": {"topics": {"events": {**TOPIC, "config": {"min.insync.replicas": 2}}}}},
        ["streaming-platform:kafka.topics.events.config.min.insync.replicas:", "'2'", "from 1 to 1", "raise replicas"],
    ),
    "retention said twice": (
        {"kafka": {"topics": {"events": {**TOPIC, "config": {"retention.ms": 5}}}}},
        ["streaming-platform:kafka.topics.events.config.retention.ms:", "'5'", "set retentionMillis instead"],
    ),
    "retention beyond Kafka's longest": (
        {"kafka": {"topics": {"events": {**TOPIC, "retentionMillis": 2**63}}}},
        ["streaming-platform:kafka.topics.events.retentionMillis:", str(2**63), str(2**63 - 1), "lower it"],
    ),
    "a config that Kafka has not": (
        {"kafka": {"topics": {"events": {**TOPIC, "config": {"retention.byte": 1}}}}},
        ["streaming-platform:kafka.topics.events.config.retention.byte:", "did you mean retention.bytes?"],
    ),
    "a config with a word that Kafka has not": (
        {"kafka": {"topics": {"events": {**TOPIC, "config": {"cleanup.policy": "compacted"}}}}},
        ["streaming-platform:kafka.topics.events.config.cleanup.policy:", "'compacted'", "compact or delete"],
    ),
    "a config with a broken number": (
        {"kafka": {"topics": {"events": {**TOPIC, "config": {"retention.bytes": 1.5}}}}},
        ["streaming-platform:kafka.topics.events.config.retention.bytes:", "'1.5'", "a whole number from -1"],
    ),
    "a config with true for a number": (
        {"kafka": {"topics": {"events": {**TOPIC, "config": {"retention.bytes": True}}}}},
        ["streaming-platform:kafka.topics.events.config.retention.bytes:", "'true'", "a whole number from -1"],
    ),
    "a config beyond its bounds": (
        {"kafka": {"topics": {"events": {**TOPIC, "config": {"segment.bytes": 10737418240}}}}},
        ["streaming-platform:kafka.topics.events.config.segment.bytes:", "'10737418240'", "1048576 to 2147483647"],
    ),
    "in-sync replicas that are no number": (
        {"kafka": {"topics": {"events": {**TOPIC, "config": {"min.insync.replicas": "asd"}}}}},
        ["streaming-platform:kafka.topics.events.config.min.insync.replicas:", "'asd'", "from 1 to 2147483647"],
    ),
    "one of Kafka's own topics": (
        {"kafka": {"topics": {"__consumer_offsets": TOPIC}}},
        ["streaming-platform:kafka.topics.__consumer_offsets:", "Kafka's own topics", "choose another name"],
    ),
    "one of Kafka's own topics for logs": (
        {"logging": {"destinations": {"k": {"kafka": {"topic": "__transaction_state"}}}}},
        ["streaming-platform:logging.destinations.k.kafka.topic:", "Kafka's own topics", "choose another name"],
    ),
    "a name of dots": (
        {"kafka": {"topics": {"..": TOPIC}}},
        ["streaming-platform:kafka.topics...:", "'..'", "not dots alone"],
    ),
    "topics that collide in Kafka": (
        {"kafka": {"topics": {"a.b": TOPIC, "a_b": TOPIC}}},
        ["streaming-platform:kafka.topics.a.b:", "a_b", "replace dots by underscores", "choose another name"],
    ),
    "a topic that collides with that of logs": (
        {"kafka": {"topics": {"a.b": TOPIC}}, "logging": {"destinations": {"k": {"kafka": {"topic": "a_b"}}}}},
        ["streaming-platform:kafka.topics.a.b:", "a_b", "choose another name"],
    ),
    "two destinations of one topic": (
        {"logging": {"destinations": {"a": {"kafka": {}}, "b": {"kafka": {"partitions": 8}}}}},
        ["streaming-platform:logging.destinations.b.kafka.topic:", "'logs'", "that of a too", "twice"],
    ),
    "topics that the disk has no room for": (
        {"kafka": {"storageMib": 5120, "topics": {"events": {**TOPIC, "config": {"retention.bytes": 10737418240}}}}},
        ["streaming-platform:kafka.storageMib:", "5120", "4608", "events", "raise storageMib to", "retention.bytes"],
    ),
    "logs that the disk has no room for": (
        {
            "kafka": {"storageMib": 5120, "brokers": 1},
            "logging": {"destinations": {"k": {"kafka": {"retentionMib": 8192}}}},
        },
        ["streaming-platform:kafka.storageMib:", "5120", "4608", "logs", "raise storageMib to"],
    ),
    "a new disk of no broker": (
        {"kafka": {"brokers": 3, "newDisks": [1, 3]}},
        ["streaming-platform:kafka.newDisks:", "3 is no broker of 3 (from 0)", "take it out"],
    ),
    "less disk than ZooKeeper's logs take": (
        {"zookeeper": {"storageMib": 511}},
        ["streaming-platform:zookeeper.storageMib:", "511 is below 512", "raise it", "64 MiB"],
    ),
    "admin ports that collide": (
        {"kafka": {"brokers": 3, "adminPort": 9091}},
        ["streaming-platform:kafka.adminPort:", "9091", "9091 to 9093", "none of 9092, 9093, 9094", "use 19092"],
    ),
    "admin ports beyond the last": (
        {"kafka": {"brokers": 3, "adminPort": 65534}},
        ["streaming-platform:kafka.adminPort:", "65534 to 65536", "at most 65535"],
    ),
    "a time-out shorter than two heartbeats": (
        {"flink": flink(failureDetection={"heartbeatIntervalMillis": 2000, "heartbeatTimeoutMillis": 3000})},
        ["claims.failureDetection.heartbeatTimeoutMillis:", "3000", "4000", "lower heartbeatIntervalMillis"],
    ),
    "a variable that the platform sets": (
        {"flink": flink(pod={"env": [{"name": "JOB_ID", "value": "1"}]})},
        ["claims.pod.env.0.name:", "'JOB_ID' is taken", "choose another one"],
    ),
    "options that are nested": (
        {"flink": flink(configuration={"metrics": {"reporter": {"prom": {"port": 9249}}}})},
        ["claims.configuration.metrics:", "is a mapping", "with all of its name: metrics.reporter.prom.port"],
    ),
    "an option with a list": (
        {"flink": flink(configuration={"metrics.reporters": ["a", "b"]})},
        ["claims.configuration.metrics.reporters:", "is a list", "with ; between them: first;second"],
    ),
    "an argument that no process can get": (
        {"flink": flink(arguments=["a", "b\0c"])},
        ["claims.arguments.1:", "'b\\x00c'", "NUL"],
    ),
    "keys to S3 said twice": (
        {
            "flink": flink(
                s3={"path": "s3://checkpoints", "secret": "minio"},
                pod={"env": [{"name": "AWS_ACCESS_KEY_ID", "value": "x"}]},
            )
        },
        ["claims.pod.env.0.name:", "'AWS_ACCESS_KEY_ID' is from s3.secret", "leave one of them out"],
    ),
    "the directory above savepoints": (
        {"flink": flink(restoreFrom="file:///flink-data/savepoints")},
        ["claims.restoreFrom:", "'file:///flink-data/savepoints'", "ends in savepoint-... or chk-..."],
    ),
    "two jobs that fence each other off": (
        {"flink": jobs(["--transactional-id-prefix", "claims"], ["--a", "b", "--transactional-id-prefix", "claims"])},
        ["flink.clusters.two.arguments:", "'claims' is also that of cluster one", "fence off", "give each its own"],
    ),
    "two jobs of one group": (
        {"flink": jobs(["--bootstrap-servers", "a:1,b:2", "--group-id", "x"], ["--group-id", "x"])},
        ["flink.clusters.two.arguments:", "--group-id 'x' is also that of cluster one", "offsets"],
    ),
    "a heap beside Flink's, in a variable": (
        {"flink": flink(pod={"env": [{"name": "_JAVA_OPTIONS", "value": "-Xmx9g"}]})},
        [
            *("claims.pod.env.0.value:", "-Xmx9g is 9216 MiB", "a TaskManager 448 MiB", "a JobManager 1024 MiB"),
            "size the process by its memory settings",
        ],
    ),
    "a heap that no JVM reads": (
        {"flink": flink(configuration={"env.java.opts.taskmanager": "-Xmx2gb"})},
        ["claims.configuration:", "env.java.opts.taskmanager", "'-Xmx2gb' is no size", "-Xmx512m"],
    ),
    "JVM options that the shell would change": (
        {"flink": flink(configuration={"env.java.opts.jobmanager": "-Durl=http://x/?a=1&b=2"})},
        ["claims.configuration:", "'-Durl=http://x/?a=1&b=2' has & in it", "do not hand on"],
    ),
    "a volume without a name": (
        {"flink": flink(pod={"volumes": [{"emptyDir": {}}]})},
        ["claims.pod.volumes.0.name:", "is missing", "it is text"],
    ),
    "two kinds of state directory": (
        {"flink": flink(taskManagers={"stateDirectory": {"class": "fast", "hostPath": "/mnt"}})},
        ["claims.taskManagers.stateDirectory.class:", "'fast' and hostPath, '/mnt'", "give one of them"],
    ),
    "a directory of the node": (
        {"flink": flink(taskManagers={"stateDirectory": {"hostPath": "/mnt"}})},
        ["claims.taskManagers.stateDirectory.hostPath:", "'/mnt'", "Pod Security", "set allowHostPath"],
    ),
    "a savepoint that is no URI": (
        {"flink": flink(restoreFrom="savepoint-1")},
        ["claims.restoreFrom:", "'savepoint-1'"],
    ),
    "a savepoint whose tasks leave": (
        {"flink": flink(jobManager={"savepointOnStop": True}, taskManagers={"checkpointOnStop": False})},
        ["claims.jobManager.savepointOnStop:", "taskManagers.checkpointOnStop", "set that to true"],
    ),
    "a variable that the image's entry point reads": (
        {"flink": flink(pod={"env": [{"name": "FLINK_PROPERTIES", "value": "a: b"}]})},
        ["claims.pod.env.0.name:", "'FLINK_PROPERTIES' is taken", "use configuration"],
    ),
    "lag of nothing in particular": (
        {"flink": flink(autoscaling={"lag": {"labels": {}, "recordsPerTaskManager": 1}})},
        ["claims.autoscaling.lag.labels:"],
    ),
    "an option that the platform owns": (
        {"flink": flink(configuration={"rest.port": 8082})},
        ["streaming-platform:flink.clusters.claims.configuration:", "rest.port", "'8082'", "leave it out"],
    ),
    "an image without a version": (
        {"images": {"kafka": "apache/kafka"}},
        ["streaming-platform:images.kafka:", "'apache/kafka'", "add a tag"],
    ),
    "an access mode that does not exist": (
        {"storage": {"accessMode": "ReadWriteTwice"}},
        ["streaming-platform:storage.accessMode:", "'ReadWriteTwice'", "'ReadWriteOnce' or 'ReadWriteMany'"],
    ),
    "a kind that does not exist": (
        {"kind": "staging"},
        ["streaming-platform:kind:", "'staging'", "use one of cluster, environment"],
    ),
}


def test_jobs_on_other_kafkas_or_with_one_output_topic_do_not_meet() -> None:
    same = ["--group-id", "x", "--transactional-id-prefix", "x", "--output-topic", "results"]
    servers = "--bootstrap-servers"
    environment(flink=jobs([servers, "a:1,b:2", *same], [servers, "c:1", *same]))
    environment(flink=jobs(["--group-id", "x", *same[4:]], ["--group-id", "y", *same[4:]]))


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_with_key_value_bound_and_remedy(case: str) -> None:
    config, words = BAD[case]
    message = refusal(**config)
    assert message.startswith("streaming-platform:")
    assert len(message.splitlines()) == 1, message
    assert [word for word in words if word not in message] == [], message


def test_all_problems_are_reported_at_once() -> None:
    message = refusal(zookeeper={"members": 2}, kafka={"brokers": 0}, image={})
    assert [line.partition(": ")[0] for line in message.splitlines()] == [
        "streaming-platform:zookeeper.members",
        "streaming-platform:kafka.brokers",
        "streaming-platform:image",
    ]


def test_a_key_of_another_project_is_a_mistake_and_one_of_pulumi_is_not() -> None:
    config = prefixed({"kind": "environment", "environment": "dev"})
    assert parse({**config, "pulumi:tags": {"team": "data"}}) == parse(config)
    with pytest.raises(SettingsError, match=r"streaming:kafka: no such setting.*start with streaming-platform:"):
        parse({**config, "streaming:kafka": {}})


def test_a_missing_kind_is_named() -> None:
    with pytest.raises(SettingsError, match="streaming-platform:kind: is missing: use one of cluster, environment"):
        parse({})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, ["streaming-platform:environments:", "missing", "add it"]),
        ({"environments": {}}, ["streaming-platform:environments:", "empty", "at least one entry"]),
        ({"environments": {"Dev": {}}}, ["streaming-platform:environments.Dev:", "'Dev'", "lower-case"]),
        (
            {"environments": {"dev": {"limits": {"defaultMemoryMib": 512, "maxMemoryMib": 256}}}},
            ["environments.dev.limits.defaultMemoryMib:", "512 is above maxMemoryMib, 256", "lower it"],
        ),
        (
            {"environments": {"dev": {"limits": {"maxEphemeralStorageMib": 512}}}},
            [".limits.defaultEphemeralStorageMib:", "1024 is above maxEphemeralStorageMib, 512", "lower it"],
        ),
        (
            {"environments": {"dev": {"limits": {"defaultEphemeralStorageMib": 32}}}},
            [".limits.defaultEphemeralStorageRequestMib:", "64 is above defaultEphemeralStorageMib, 32", "lower it"],
        ),
        (
            {"environments": {"dev": {"priorityClasses": ["dev-high", "system-node-critical"]}}},
            ["environments.dev.priorityClasses.1:", "'system-node-critical'", "name another"],
        ),
        ({"environments": {"dev": {}}, "server": "10.0.0.1"}, ["streaming-platform:server:", "'10.0.0.1'", "https://"]),
    ],
)
def test_bad_input_for_the_cluster_is_named(config: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(prefixed({"kind": "cluster", **config}))
    assert [word for word in words if word not in str(caught.value)] == [], caught.value


def test_zero_and_false_are_values() -> None:
    assert environment(dataProtection=False).data_protection is False
    assert (
        environment(flink=flink(taskManagers={"offHeapMib": 0})).flink.clusters["claims"].task_managers.off_heap_mib
        == 0
    )


def test_numbers_and_booleans_become_the_text_that_programs_want() -> None:
    cluster = environment(flink=flink(arguments=["--count", 3, True, 0.5], configuration={"a.b": False}))
    assert cluster.flink.clusters["claims"].arguments == ("--count", "3", "true", "0.5")
    assert cluster.flink.clusters["claims"].configuration == {"a.b": "false"}


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, "1"), (2, "1"), (3, "2")])
def test_a_write_survives_the_loss_of_one_replica(replicas: int, in_sync: str) -> None:
    topic = environment(kafka={"topics": {"events": {"partitions": 1, "replicas": replicas}}}).kafka.topics["events"]
    assert topic.properties == {"retention.ms": "604800000", "min.insync.replicas": in_sync}


def test_a_savepoint_is_the_same_as_flink_prints_it_and_as_a_uri() -> None:
    given = ("file:/flink-data/savepoints/savepoint-1", "file:///flink-data/savepoints/savepoint-1")
    common = {"image": "flink:2.3.0", "mainClass": "com.example.Job"}
    made = [FlinkClusterSettings.model_validate({**common, "restoreFrom": each}).restore_from for each in given]
    assert made == [given[1], given[1]]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        environment().kafka.brokers = 5  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["No such file", "name an existing stack file"]),
        ("a: [", ["is not YAML", "correct it"]),
        ("", ["has no mapping `config`", "add it"]),
        ("encryptionsalt: v1:x", ["has no mapping `config`", "`git checkout -- stacks/Pulumi.dev.yaml` brings back"]),
        ("config: 3", ["has no mapping `config`", "add it"]),
    ],
)
def test_a_stack_file_that_cannot_be_read_is_named(text: str | None, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_file(path)
    assert [word for word in [str(path), *words] if word not in str(caught.value)] == [], caught.value


def test_secrets_of_a_stack_file_stay_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    secret = {"streaming-platform:kubeconfig": {"secure": "v1:cipher"}}
    path.write_text(json.dumps({"config": prefixed({"kind": "environment", "environment": "dev"}) | secret}))
    loaded = load_file(path)
    assert isinstance(loaded, EnvironmentSettings)
    assert loaded.kubeconfig is not None
    assert loaded.kubeconfig.get_secret_value() == "v1:cipher"
    assert "v1:cipher" not in repr(loaded)


def test_the_engine_hands_over_structures_and_booleans_as_json() -> None:
    config = {"kind": "environment", "environment": "dev", "dataProtection": "false", "kafka": '{"brokers": 1}'}
    loaded = loaded_with({**config, "kubeconfig": "{}"}, secrets=["streaming-platform:kubeconfig"])
    assert isinstance(loaded, EnvironmentSettings)
    assert loaded.data_protection is False
    assert loaded.kafka.brokers == 1
    assert loaded.kubeconfig is not None
    assert loaded.kubeconfig.get_secret_value() == "{}"


def test_settings_of_this_platform_override_those_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"kind": "environment", "environment": "dev", "kafka": '{"brokers": 1, "memoryMib": 1024}'}
    over = {"stack": {"kafka": {"adminPort": 20092}, "dataProtection": False}, "other": {"kafka": {"brokers": 9}}}
    monkeypatch.setenv(settings.OVERLAY, json.dumps(over))
    loaded = loaded_with(config, secrets=[])
    assert isinstance(loaded, EnvironmentSettings)
    assert (loaded.kafka.brokers, loaded.kafka.memory_mib, loaded.kafka.admin_port) == (1, 1024, 20092)
    assert not loaded.data_protection


@pytest.mark.parametrize("text", ["{", "[]", '{"dev": 1}'])
def test_a_variable_that_holds_no_settings_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.OVERLAY, text)
    with pytest.raises(
        SettingsError, match=r'STREAMING_PLATFORM_SETTINGS is not .* run eval "\$\(make -s env\)" again'
    ):
        loaded_with({"kind": "environment", "environment": "dev"}, secrets=[])


def test_the_program_refuses_words_that_the_engine_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    file = settings.stack_file("stack")
    file.parent.mkdir()
    clusters = "{claims: {image: 'a:1', mainClass: Job, arguments: [%s]}}"
    config = {"kind": "environment", "environment": "dev", "flink": json.dumps({"clusters": {"claims": JOB}})}
    for word, refused in {"1234e56": "1234e56", "'1234e56'": ""}.items():
        given = {**config, "flink": {"clusters": "@"}}
        text = json.dumps({"config": prefixed(given)}).replace('"@"', clusters % word)
        file.write_text(text)
        if refused:
            with pytest.raises(SettingsError, match=r"claims\.arguments\.0: '1234e56' in line 1 .* put it in quotes"):
                loaded_with(config, secrets=[])
        else:
            assert isinstance(loaded_with(config, secrets=[]), EnvironmentSettings)


def test_a_missing_stack_file_is_reported_with_the_command_that_restores_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    with pytest.raises(
        SettingsError, match=r"Pulumi\.stack\.yaml does not exist.*`git checkout -- stacks/Pulumi\.stack"
    ):
        contextvars.copy_context().run(lambda: (set_all_config({}, []), load()))


def test_a_kubeconfig_that_is_not_encrypted_is_refused_without_showing_it() -> None:
    config = {"kind": "environment", "environment": "dev", "kubeconfig": "token: abc"}
    with pytest.raises(SettingsError, match=r"kubeconfig: is not encrypted: set it with .* --secret") as caught:
        loaded_with(config, secrets=[])
    assert "abc" not in str(caught.value)


def test_an_images_name_follows_from_its_content() -> None:
    def image(**changes: Any) -> str:
        given: dict[str, Any] = {"registry": None, "cluster": "claims", "flink": "flink:2", "jar": b"1", **changes}
        return settings.job_image(**given)

    assert image().startswith("localhost/streaming-platform/claims:")
    assert image(registry="registry.example:5000/a").startswith("registry.example:5000/a/streaming-platform/claims:")
    names = {image(), image(jar=b"2"), image(flink="flink:3"), image(cluster="other")}
    assert len(names) == 4
    assert image() == image()
    assert len(image().rpartition(":")[2]) == 16


def test_an_image_is_taken_as_given_or_built_from_the_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    (tmp_path / "job.jar").write_bytes(b"1")
    clusters = {
        "given": JOB,
        "built": {"jar": "job.jar", "mainClass": "Job"},
        "missing": {"jar": "no.jar", "mainClass": "J"},
    }
    loaded = environment(flink={"clusters": clusters}, images={"registry": "registry.example"})
    assert settings.flink_image(loaded, "given") == JOB["image"]
    assert settings.flink_image(loaded, "built") == settings.job_image(
        registry="registry.example", cluster="built", flink=loaded.images.flink, jar=b"1"
    )
    (tmp_path / "job.jar").write_bytes(b"2")
    os.utime(tmp_path / "job.jar", ns=(0, 0))
    assert settings.flink_image(loaded, "built") == settings.job_image(
        registry="registry.example", cluster="built", flink=loaded.images.flink, jar=b"2"
    )
    with pytest.raises(
        SettingsError, match=r"streaming-platform:flink\.clusters\.missing\.jar: 'no\.jar'.*make images"
    ):
        settings.flink_image(loaded, "missing")


def test_a_duplicate_key_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(
        "config:\n  streaming-platform:kind: environment\n  streaming-platform:environment: dev\n"
        "  streaming-platform:kafka: {brokers: 1}\n  streaming-platform:kafka: {memoryMib: 1024}\n"
    )
    with pytest.raises(SettingsError, match=r"streaming-platform:kafka: stands twice, again in line 5: put"):
        load_file(path)


def test_descriptions_name_the_size_that_is_the_default() -> None:
    """A description is a literal, and cannot be made from the number."""
    for model, default in (
        (TaskManagerSizes, DEFAULT_TASK_MANAGER_MIB),
        (JobManagerSizes, DEFAULT_JOB_MANAGER_MIB),
    ):
        assert model().container_mib in (default, default + 1)  # rounded up
        assert f"; {default} if no size is given" in str(model.model_fields["memory_mib"].description)
