"""The configuration of a cluster as text. That Flink reads it so is for the oracle test to say."""

import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from components.flink.backends import state_backend
from components.flink.config import (
    FlinkConfigurationError,
    FlinkConfigurationSpec,
    S3Access,
    flink_configuration,
    render,
)
from components.flink.log4j import Layout, log4j_console
from components.flink.memory import FlinkMemoryError, JobManagerOptions, TaskManagerOptions
from components.flink.metrics import reporters
from components.ports import FLINK_SCOPES

SPEC = FlinkConfigurationSpec(
    namespace="dev",
    cluster="claims",
    zookeeper_quorum="zookeeper:2181",
    task_manager=TaskManagerOptions(process_mib=1728),
    job_manager=JobManagerOptions(process_mib=1600),
    native_memory_tracking=False,
    metrics=True,
    slots=2,
    max_parallelism=8,
    checkpoint_interval_seconds=10,
    heartbeat_interval_millis=250,
    heartbeat_timeout_millis=2500,
    ha_storage="file:///flink-data/ha",
    checkpoint_storage="file:///flink-data/checkpoints",
    savepoint_storage="file:///flink-data/savepoints",
    state_record="file:///flink-data/record",
    restore_from=None,
    s3=None,
    extra={},
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
USERS_KEYS = [
    "metrics.latency.interval",
    "s3.multiobjectdelete.enable",
    "rest.server.numThreads",
    "web.history",
    "fs.s3a.a_B",
    "jobstore.type",
]
KEY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)


@settings(deadline=None)  # the machine may be busy
@given(configuration=st.dictionaries(KEY, TEXT))
def test_every_value_reads_back_as_the_same_text(configuration: dict[str, str]) -> None:
    # PyYAML keeps a pair of escaped surrogates as two characters, Java's strings do not: encoded, they are the same.
    read: dict[str, str] = yaml.safe_load(render(configuration)) or {}
    assert {_utf16(key): _utf16(value) for key, value in read.items()} == {
        _utf16(key): _utf16(value) for key, value in configuration.items()
    }


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


@settings(deadline=None)  # the machine may be busy
@given(configuration=st.dictionaries(KEY, TEXT))
def test_the_text_depends_on_the_content_alone(configuration: dict[str, str]) -> None:
    assert render(configuration) == render(dict(reversed(configuration.items())))
    assert len(render(configuration).splitlines()) == len(configuration)
    assert render(configuration).isascii()


def test_rendered_lines_are_readable() -> None:
    assert render({"rest.port": "8081", "a b": "x"}) == '"a b": "x"\nrest.port: "8081"\n'


@settings(deadline=None)  # the machine may be busy
@given(extra=st.dictionaries(st.sampled_from(USERS_KEYS), TEXT))
def test_a_users_options_are_merged(extra: dict[str, str]) -> None:
    plain = flink_configuration(SPEC)
    assert flink_configuration(replace(SPEC, extra=extra)) == {**plain, **extra}


def test_a_user_may_set_options_that_nothing_else_relies_on() -> None:
    extra = {
        "high-availability.zookeeper.client.session-timeout": "20 s",
        "state.backend.type": "rocksdb",
        "restart-strategy.exponential-delay.max-backoff": "1 min",
    }
    assert flink_configuration(SPEC).keys() >= extra.keys()
    assert flink_configuration(replace(SPEC, extra=extra)).items() >= extra.items()


def test_a_users_jvm_options_stand_after_the_platforms() -> None:
    key = "env.java.opts.taskmanager"
    ours = flink_configuration(SPEC)[key]
    assert "-Xlog:gc*:file=/opt/flink/log/taskmanager.gc:" in ours
    assert flink_configuration(replace(SPEC, extra={key: "-XX:+UseZGC"}))[key] == f"{ours} -XX:+UseZGC"


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("taskmanager.memory.process.size", "taskManagers.memoryMib"),
        ("taskmanager.memory.managed.fraction", "taskManagers.memoryMib"),
        ("jobmanager.memory.heap.size", "jobManager.memoryMib"),
        ("state.backend.rocksdb.memory.managed", "beyond managed memory"),
        ("state.backend.rocksdb.memory.fixed-per-slot", "taskManagers.memory.managedFraction"),
        ("state.backend.rocksdb.memory.fixed-per-tm", "managedMib"),
        ("state.backend.forst.memory.managed", "beyond managed memory"),
        ("taskmanager.numberOfTaskSlots", "taskManagers.slots"),
        ("pipeline.max-parallelism", "maxParallelism"),
        ("execution.checkpointing.interval", "checkpointIntervalSeconds"),
        ("execution.checkpointing.dir", "leave it out"),
        ("state.checkpoints.dir", "leave it out"),
        ("env.java.opts.all", "env.java.opts.taskmanager"),
        ("execution.savepoint.path", "restoreFrom"),
        ("execution.state-recovery.path", "restoreFrom"),
        ("heartbeat.timeout", "failureDetection"),
        ("heartbeat.rpc-failure-threshold", "failureDetection"),
        ("high-availability.zookeeper.path.execution-plans", "set highAvailability"),
        ("platform.state-record", "state record"),
        ("execution.shutdown-on-application-finish", "state record"),
        ("execution.state-recovery.claim-mode", "state record"),
        ("io.tmp.dirs", "taskManagers.stateDirectory"),
        ("metrics.reporters", "metrics.enabled"),
        ("metrics.reporter.task.port", "metrics.enabled"),
        ("metrics.reporter.task.scope.variables.excludes", "metrics.enabled"),
        ("metrics.reporter.mine.factory.class", "metrics.enabled"),
        ("scheduler-mode", "reactive mode"),
        ("parallelism.default", "taskManagers.min"),
        ("rest.port", "network policies"),
        ("high-availability", "set highAvailability"),
        ("high-availability.cluster-id", "set highAvailability"),
        ("web.submit.enable", "no authentication"),
        ("restart-strategy", "restart-strategy.type"),
        ("Robert'); DROP", "name of an option"),
        ("true", "name of an option"),
        ("a.b\nc.d", "name of an option"),
    ],
)
def test_options_of_the_platform_are_refused(key: str, remedy: str) -> None:
    with pytest.raises(FlinkConfigurationError) as refusal:
        flink_configuration(replace(SPEC, extra={key: "42", "metrics.latency.interval": "0"}))
    message = str(refusal.value)
    assert remedy in message
    assert key in message or repr(key) in message
    assert "'42'" in message
    assert "metrics.latency" not in message
    assert "\n" not in message


@settings(deadline=None)  # the machine may be busy
@given(
    extra=st.dictionaries(
        st.one_of(
            st.from_regex(r"metrics\.[a-z]{1,9}([.-][a-zA-Z]{1,9}){0,3}", fullmatch=True),
            st.sampled_from(sorted(reporters(FLINK_SCOPES))),
            st.builds("metrics.reporter.{}.{}".format, st.sampled_from(["task", "mine"]), st.text(min_size=1)),
        ),
        st.just("x"),
        max_size=3,
    )
)
def test_no_option_of_a_user_sets_a_reporter_while_the_platforms_run(extra: dict[str, str]) -> None:
    try:
        configuration = flink_configuration(replace(SPEC, extra=extra))
    except FlinkConfigurationError:
        assert extra
        return
    of_reporters = {key: value for key, value in configuration.items() if key.startswith("metrics.reporter")}
    assert of_reporters == reporters(FLINK_SCOPES)


def test_reporters_are_the_users_where_the_platforms_do_not_run() -> None:
    own = {
        "metrics.reporters": "mine",
        "metrics.reporter.mine.factory.class": "org.apache.flink.metrics.statsd.StatsDReporterFactory",
        "metrics.reporter.task.port": "8125",
    }
    without = flink_configuration(replace(SPEC, metrics=False))
    assert not any(key.startswith("metrics.reporter") for key in without)
    assert flink_configuration(replace(SPEC, metrics=False, extra=own)) == without | own
    with pytest.raises(FlinkConfigurationError, match=r"rest\.port"):
        flink_configuration(replace(SPEC, metrics=False, extra={**own, "rest.port": "1"}))


def reporting(scope: str) -> list[str]:
    """The reporters of a scope, as Flink's DefaultMetricFilter reads their filters."""
    options = reporters(FLINK_SCOPES)

    def matches(key: str, default: str) -> bool:
        filters = options.get(key, default).split(";")
        return any(re.fullmatch(each.replace(".", r"\.").replace("*", ".*"), scope) for each in filters)

    return [
        name
        for name in FLINK_SCOPES
        if matches(f"metrics.reporter.{name}.filter.includes", "*")
        and not matches(f"metrics.reporter.{name}.filter.excludes", "")
    ]


@given(
    process=st.sampled_from(["jobmanager", "taskmanager"]),
    below=st.lists(st.sampled_from(["job", "task", "operator", "coordinator", "Status", "jobs"]), max_size=6),
)
def test_each_metric_is_reported_once(process: str, below: list[str]) -> None:
    assert len(reporting(".".join((process, *below)))) == 1


@pytest.mark.parametrize(
    ("scope", "reporter"),
    [
        ("jobmanager", "process"),
        ("jobmanager.Status.JVM.Memory.Heap", "process"),
        ("taskmanager.Status.JVM.CPU", "process"),
        ("taskmanager.Status.Shuffle.Netty", "process"),
        ("jobmanager.job", "job"),
        ("taskmanager.job", "job"),
        ("jobmanager.job.operator.coordinator.enumerator", "operator"),
        ("taskmanager.job.task", "task"),
        ("taskmanager.job.task.Shuffle.Netty.Input", "task"),
        ("taskmanager.job.task.operator", "operator"),
        ("taskmanager.job.task.operator.KafkaSourceReader.topic.partition", "operator"),
    ],
)
def test_each_scope_has_its_reporter(scope: str, reporter: str) -> None:
    assert reporting(scope) == [reporter]


def test_all_refusals_come_at_once() -> None:
    with pytest.raises(FlinkConfigurationError, match=r"rest\.port.*scheduler-mode"):
        flink_configuration(replace(SPEC, extra={"scheduler-mode": "", "rest.port": "1"}))


def test_every_option_that_follows_from_settings_does() -> None:
    plain = flink_configuration(SPEC)
    other = flink_configuration(
        FlinkConfigurationSpec(
            namespace="ops",
            cluster="orders",
            zookeeper_quorum="a:1,b:2",
            task_manager=TaskManagerOptions(
                task_heap_mib=1024, managed_mib=512, task_off_heap_mib=0, network_max_mib=96
            ),
            job_manager=JobManagerOptions(flink_mib=1400, off_heap_mib=200, jvm_overhead_fraction=0.2),
            native_memory_tracking=True,
            metrics=True,
            slots=4,
            max_parallelism=128,
            checkpoint_interval_seconds=60,
            heartbeat_interval_millis=2000,
            heartbeat_timeout_millis=8000,
            ha_storage="s3://ops/ha",
            checkpoint_storage="s3://ops/checkpoints",
            savepoint_storage="s3://ops/savepoints",
            state_record="s3://ops/record",
            restore_from="s3://ops/savepoints/savepoint-1",
            s3=S3Access(endpoint="http://minio:9000", path_style=True),
            extra={},
        )
    )
    assert plain.keys() - other.keys() == {"jobmanager.memory.process.size", "taskmanager.memory.process.size"}
    assert {key: value for key, value in other.items() if value != plain.get(key)} == {
        "env.java.opts.all": f"{plain['env.java.opts.all']} -XX:NativeMemoryTracking=summary",
        "jobmanager.rpc.address": "orders-jobmanager.ops.svc",
        "jobmanager.memory.flink.size": "1400m",
        "jobmanager.memory.off-heap.size": "200m",
        "jobmanager.memory.jvm-overhead.fraction": "0.2",
        "taskmanager.memory.task.heap.size": "1024m",
        "taskmanager.memory.managed.size": "512m",
        "taskmanager.memory.task.off-heap.size": "0m",
        "taskmanager.memory.network.max": "96m",
        "taskmanager.numberOfTaskSlots": "4",
        "high-availability.zookeeper.quorum": "a:1,b:2",
        "high-availability.cluster-id": "/orders",
        "high-availability.storageDir": "s3://ops/ha",
        "platform.state-record": "s3://ops/record",
        "platform.restore-from": "s3://ops/savepoints/savepoint-1",
        "s3.endpoint": "http://minio:9000",
        "s3.path.style.access": "true",
        "pipeline.max-parallelism": "128",
        "execution.checkpointing.interval": "60 s",
        "execution.checkpointing.dir": "s3://ops/checkpoints",
        "execution.checkpointing.savepoint-dir": "s3://ops/savepoints",
        "heartbeat.interval": "2000 ms",
        "heartbeat.timeout": "8000 ms",
    }


def test_leaders_are_elected_in_kubernetes_where_there_is_no_zookeeper() -> None:
    in_zookeeper, configuration = flink_configuration(SPEC), flink_configuration(replace(SPEC, zookeeper_quorum=None))
    assert configuration["platform.election"] == "kubernetes"
    assert configuration["high-availability.type"] == in_zookeeper["high-availability.type"]
    assert configuration["kubernetes.namespace"] == "dev"
    assert not any("zookeeper" in key for key in configuration)
    assert {key for key in in_zookeeper.keys() - configuration.keys() if "zookeeper" not in key} == set()


def test_s3_of_aws_needs_no_endpoint() -> None:
    configuration = flink_configuration(replace(SPEC, s3=S3Access(endpoint=None, path_style=False)))
    assert "s3.endpoint" not in configuration
    assert configuration["s3.path.style.access"] == "false"


def test_processes_too_small_for_flink_are_refused() -> None:
    with pytest.raises(FlinkMemoryError, match="TaskManager"):
        flink_configuration(replace(SPEC, task_manager=TaskManagerOptions(process_mib=600)))
    with pytest.raises(FlinkMemoryError, match="JobManager"):
        flink_configuration(replace(SPEC, job_manager=JobManagerOptions(process_mib=500)))


@pytest.mark.parametrize("backend", ["rocksdb", "forst"])
def test_a_backend_in_managed_memory_needs_some(backend: str) -> None:
    tuned = {"state.backend.rocksdb.memory.write-buffer-ratio": "0.4"}
    spec = replace(SPEC, extra={"state.backend.type": backend, **tuned})
    flink_configuration(spec)
    for none in (
        TaskManagerOptions(process_mib=1728, managed_fraction=0),
        TaskManagerOptions(task_heap_mib=512, managed_mib=0),
    ):
        flink_configuration(replace(SPEC, task_manager=none))
        with pytest.raises(FlinkConfigurationError, match=f"'{backend}' keeps state in managed memory.*managedMib"):
            flink_configuration(replace(spec, task_manager=none))


@pytest.mark.parametrize(
    ("value", "backend"),
    [
        *((name, "rocksdb") for name in ("rocksdb", "RocksDB", " ROCKSDB")),
        ("org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackendFactory", "rocksdb"),
        ("org.apache.flink.contrib.streaming.state.EmbeddedRocksDBStateBackendFactory", "rocksdb"),
        ("ForSt", "forst"),
        ("org.apache.flink.state.forst.ForStStateBackendFactory", "forst"),
        ("HashMap", "hashmap"),
        ("org.apache.flink.runtime.state.hashmap.HashMapStateBackendFactory", "hashmap"),
        ("com.example.MyFactory", "com.example.MyFactory"),
        ("rokcsdb", None),
        ("", None),
        ("org.apache.flink.state.rocksdb.", None),
    ],
)
def test_a_backend_is_known_by_all_its_names(value: str, backend: str | None) -> None:
    assert state_backend(value) == backend
    spec = replace(SPEC, extra={"state.backend.type": value})
    if backend is None:
        with pytest.raises(FlinkConfigurationError, match=r"is neither hashmap, rocksdb, forst nor the name of a"):
            flink_configuration(spec)
        return
    configuration = flink_configuration(spec)
    assert ("state.backend.rocksdb.metrics.block-cache-usage" in configuration) == (backend == "rocksdb")
    none = replace(spec, task_manager=TaskManagerOptions(process_mib=1728, managed_fraction=0))
    if backend in ("rocksdb", "forst"):
        with pytest.raises(FlinkConfigurationError, match="keeps state in managed memory"):
            flink_configuration(none)
    else:
        flink_configuration(none)


def test_jvm_options_that_the_process_could_not_have_are_refused() -> None:
    for key, value, told in (
        ("env.java.opts.taskmanager", "-Xmx9g", "Flink gives a TaskManager 448 MiB"),
        ("env.java.default-opts.jobmanager", "-Xmx9g", "Flink gives a JobManager 1024 MiB"),
        ("env.java.opts.jobmanager", "-Da=b&c", "has & in it"),
    ):
        with pytest.raises(FlinkConfigurationError, match=told) as caught:
            flink_configuration(replace(SPEC, extra={key: value}))
        assert f"Flink option {key}: " in str(caught.value)


def test_rocksdb_tells_how_full_its_cache_is_unless_the_user_wants_otherwise() -> None:
    usage = "state.backend.rocksdb.metrics.block-cache-usage"
    rocksdb = {"state.backend.type": "rocksdb"}
    assert usage not in flink_configuration(SPEC)
    assert flink_configuration(replace(SPEC, extra=rocksdb))[usage] == "true"
    assert flink_configuration(replace(SPEC, extra={**rocksdb, usage: "false"}))[usage] == "false"


def test_memory_tracking_leaves_a_users_java_options_alone() -> None:
    own = {"env.java.opts.taskmanager": "-XX:+UseZGC"}
    configuration = flink_configuration(replace(SPEC, native_memory_tracking=True, extra=own))
    assert configuration["env.java.opts.taskmanager"].endswith(" -XX:+UseZGC")
    assert configuration["env.java.opts.all"].endswith(" -XX:NativeMemoryTracking=summary")
    assert "NativeMemoryTracking" not in flink_configuration(SPEC)["env.java.opts.all"]


@pytest.mark.parametrize("layout", ["text", "json"])
def test_logs_roll_and_stay_below_160_mib(layout: Layout) -> None:
    lines = [line for line in log4j_console(layout).splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z.0-9]+ = \S.*", line) for line in lines)
    properties = dict(line.split(" = ", 1) for line in lines)
    assert len(properties) == len(lines)
    megabytes = int(properties["appender.rolling.policies.size.size"].removesuffix("MB"))
    rolled = int(properties["appender.rolling.strategy.delete.rolled.count.exceeds"])
    assert megabytes * (rolled + 1) <= 160


def test_loggers_outlast_the_tasks() -> None:
    assert "\nshutdownHook = disable\n" in log4j_console()
