"""Flink's own code as the oracle for the memory model and for the text of config.yaml.

The code comes out of the image that the platform runs.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.flink.config import (
    FlinkConfigurationError,
    FlinkConfigurationSpec,
    flink_configuration,
    render,
)
from components.flink.memory import (
    FlinkMemoryError,
    JobManagerOptions,
    TaskManagerOptions,
    flink_options,
    job_manager_memory,
    task_manager_memory,
)
from tests import flink_memory
from tests.integration.oracle import Oracle, Refused, decode, encode, running
from versions import FLINK_IMAGE

SPEC = FlinkConfigurationSpec(
    namespace="dev",
    cluster="claims",
    zookeeper_quorum="zookeeper:2181",
    task_manager=TaskManagerOptions(process_mib=1728),
    job_manager=JobManagerOptions(process_mib=1600),
    metrics=True,
    native_memory_tracking=False,
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

# Options that Flink hands on unread: to state-record/, and to the reporters, by the name of each.
OURS = ("platform.", "metrics.reporter.")
# Everything that UTF-8 can hold; surrogates cannot be written. YAML's keys end at 1024 characters, escapes included.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
KEY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)


class FlinkOracle(Oracle):
    """A JVM that answers what Flink makes of a config.yaml (see FlinkOracle.java)."""

    def ask(self, command: str, yaml: str) -> str:
        """What Flink answers. Raises Refused."""
        return self.request(f"{command} {encode(yaml)}")

    def parameters(self, command: str, options: Mapping[str, str]) -> dict[str, int]:
        """The sizes that BashJavaUtils derives, in bytes, by JVM flag or name of option. Raises Refused."""
        sizes: dict[str, int] = {}
        for line in self.ask(command, render(options)).splitlines():
            for word in line.removeprefix("BASH_JAVA_UTILS_EXEC_RESULT:").split():
                if word.startswith(("-Xmx", "-Xms")):
                    sizes[word[:4]] = int(word[4:])
                elif "=" in word and (value := word.split("=")[1].removesuffix("b")).isdigit():
                    sizes[word.split("=")[0]] = int(value)
        return sizes


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkOracle]:
    jars = re.compile(r"opt/flink/(lib/flink-dist-[\d.]+\.jar|bin/bash-java-utils\.jar)")
    source = Path(__file__).parent / "FlinkOracle.java"
    with running(source, FLINK_IMAGE, jars, tmp_path_factory.mktemp("flink")) as process:
        yield FlinkOracle(process)


def _derived(
    oracle: FlinkOracle, command: str, options: TaskManagerOptions | JobManagerOptions
) -> dict[str, int] | None:
    """What Flink derives, in bytes; None if it refuses."""
    try:
        return oracle.parameters(command, flink_options(options))
    except Refused as refusal:
        if "memory" not in str(refusal).lower():
            raise
        return None


@settings(max_examples=1500, deadline=None)
@given(options=flink_memory.task_managers())
def test_task_manager_memory_is_flinks(oracle: FlinkOracle, options: TaskManagerOptions) -> None:
    try:
        memory = task_manager_memory(options)
    except FlinkMemoryError:
        assert _derived(oracle, "GET_TM_RESOURCE_PARAMS", options) is None
        return
    sizes = _derived(oracle, "GET_TM_RESOURCE_PARAMS", options)
    assert sizes
    sizes.pop("taskmanager.numberOfTaskSlots")
    assert sizes == {
        "-Xmx": memory.jvm_heap,
        "-Xms": memory.jvm_heap,
        "-XX:MaxDirectMemorySize": memory.max_direct,
        "-XX:MaxMetaspaceSize": memory.jvm_metaspace,
        "taskmanager.memory.framework.heap.size": memory.framework_heap,
        "taskmanager.memory.framework.off-heap.size": memory.framework_off_heap,
        "taskmanager.memory.task.heap.size": memory.task_heap,
        "taskmanager.memory.task.off-heap.size": memory.task_off_heap,
        "taskmanager.memory.network.min": memory.network,
        "taskmanager.memory.network.max": memory.network,
        "taskmanager.memory.managed.size": memory.managed,
        "taskmanager.memory.jvm-metaspace.size": memory.jvm_metaspace,
        "taskmanager.memory.jvm-overhead.min": memory.jvm_overhead,
        "taskmanager.memory.jvm-overhead.max": memory.jvm_overhead,
    }


@settings(max_examples=750, deadline=None)
@given(options=flink_memory.job_managers())
def test_job_manager_memory_is_flinks(oracle: FlinkOracle, options: JobManagerOptions) -> None:
    try:
        memory = job_manager_memory(options)
    except FlinkMemoryError:
        assert _derived(oracle, "GET_JM_RESOURCE_PARAMS", options) is None
        return
    assert _derived(oracle, "GET_JM_RESOURCE_PARAMS", options) == {
        "-Xmx": memory.jvm_heap,
        "-Xms": memory.jvm_heap,
        "-XX:MaxMetaspaceSize": memory.jvm_metaspace,
        "jobmanager.memory.heap.size": memory.jvm_heap,
        "jobmanager.memory.off-heap.size": memory.off_heap,
        "jobmanager.memory.jvm-metaspace.size": memory.jvm_metaspace,
        "jobmanager.memory.jvm-overhead.min": memory.jvm_overhead,
        "jobmanager.memory.jvm-overhead.max": memory.jvm_overhead,
    }


def test_where_the_model_is_stricter_than_flink(oracle: FlinkOracle) -> None:
    """What Flink would start with: an overhead that the kernel kills, a heap of 0, which is no limit, two sizes."""
    for refused in (
        TaskManagerOptions(process_mib=1728, jvm_overhead_min_mib=191),
        TaskManagerOptions(task_heap_mib=0, managed_mib=0, framework_heap_mib=0),
        TaskManagerOptions(process_mib=2048, flink_mib=1536),
    ):
        assert _derived(oracle, "GET_TM_RESOURCE_PARAMS", refused)
        with pytest.raises(FlinkMemoryError):
            task_manager_memory(refused)
    heapless = JobManagerOptions(heap_mib=0)
    assert _derived(oracle, "GET_JM_RESOURCE_PARAMS", heapless)
    with pytest.raises(FlinkMemoryError):
        job_manager_memory(heapless)


def _read(oracle: FlinkOracle, configuration: Mapping[str, str]) -> dict[str, str]:
    lines = [line.split(" ") for line in oracle.ask("read", render(configuration)).splitlines()]
    return {decode(key): decode(value) for key, value in lines}


@settings(max_examples=300, deadline=None)
@given(configuration=st.dictionaries(KEY, TEXT))
def test_flink_reads_any_text_back(oracle: FlinkOracle, configuration: dict[str, str]) -> None:
    assert _read(oracle, configuration) == configuration


def test_flink_reads_values_that_look_like_something_else(oracle: FlinkOracle) -> None:
    values = [
        "",
        " ",
        "0.10",
        "007",
        "1e3",
        "yes",
        "null",
        "~",
        "a: b",
        "#x",
        "- x",
        "[1]",
        "{a: b}",
        "'x'",
        '"x"',
        "x\ny",
    ]
    values += [
        "\\n",
        "\x00\x1b\x7f\x85\xa0\u2028\ufeff\ufffe",
        "😀",
        "%d",
        "&a",
        "*a",
        "!!int 3",
        "---",
        "@",
        "`",
        "\ttab",
    ]
    configuration = {f"key.number-{number}": value for number, value in enumerate(values)}
    assert _read(oracle, configuration) == configuration


def test_flink_knows_each_option_and_its_older_names_are_refused(oracle: FlinkOracle) -> None:
    configuration = flink_configuration(replace(SPEC, extra={"state.backend.type": "rocksdb"}))
    assert _read(oracle, configuration) == configuration
    configuration = {key: value for key, value in configuration.items() if not key.startswith(OURS)}
    described = [line.split() for line in oracle.ask("options", render(configuration)).splitlines()]
    assert sorted(key for key, *_ in described) == sorted(configuration)
    older = {name for _, *names in described for name in names} - set(configuration)
    assert older
    accepted: list[str] = []
    for name in older:
        with suppress(FlinkConfigurationError):
            flink_configuration(replace(SPEC, extra={name: "x"}))
            accepted.append(name)
    assert not accepted, "an older name of an option that the platform sets would be lost silently"
