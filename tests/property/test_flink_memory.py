"""The memory model's own laws. That it is Flink's is for tests/integration/test_flink_memory_oracle.py to say."""

import re
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.flink.memory import (
    MIB,
    FlinkMemoryError,
    JobManagerMemory,
    JobManagerOptions,
    TaskManagerMemory,
    TaskManagerOptions,
    flink_options,
    job_manager_memory,
    task_manager_memory,
)
from tests import flink_memory

Options = TaskManagerOptions | JobManagerOptions


def _divide(options: Options) -> TaskManagerMemory | JobManagerMemory:
    return task_manager_memory(options) if isinstance(options, TaskManagerOptions) else job_manager_memory(options)


@settings(deadline=None, max_examples=500)  # the machine may be busy
@given(options=flink_memory.task_managers() | flink_memory.job_managers())
def test_parts_fill_the_size_that_was_given(options: Options) -> None:
    try:
        memory = _divide(options)
    except FlinkMemoryError:
        return
    if options.process_mib is not None:
        assert memory.process == options.process_mib * MIB
    if options.flink_mib is not None:
        assert memory.flink == options.flink_mib * MIB
    parts = asdict(memory)
    assert sum(parts.values()) == memory.process
    assert min(parts.values()) >= 0
    assert memory.jvm_heap > 0
    assert 192 <= options.jvm_overhead_min_mib <= memory.jvm_overhead / MIB <= options.jvm_overhead_max_mib


@settings(deadline=None, max_examples=500)  # the machine may be busy
@given(options=flink_memory.task_managers() | flink_memory.job_managers())
def test_the_container_holds_the_process_and_is_less_than_a_mebibyte_larger(options: Options) -> None:
    try:
        memory = _divide(options)
    except FlinkMemoryError:
        return
    assert 0 <= memory.container_mib * MIB - memory.process < MIB


@settings(deadline=None, max_examples=500)  # the machine may be busy
@given(options=flink_memory.task_managers())
def test_a_job_gets_the_memory_it_asked_for(options: TaskManagerOptions) -> None:
    try:
        memory = task_manager_memory(options)
    except FlinkMemoryError:
        return
    given = {
        name: value * MIB for name, value in asdict(options).items() if name.endswith("_mib") and value is not None
    }
    for name, size in asdict(memory).items():
        assert size == given.get(f"{name}_mib", size), name
    assert memory.network >= options.network_min_mib * MIB
    assert options.network_max_mib is None or memory.network <= options.network_max_mib * MIB


@settings(deadline=None, max_examples=500)  # the machine may be busy
@given(options=flink_memory.task_managers() | flink_memory.job_managers())
def test_a_refusal_names_a_field_and_the_smallest_size_that_works(options: Options) -> None:
    try:
        _divide(options)
    except FlinkMemoryError as error:
        refusal = error
    else:
        return
    assert getattr(options, refusal.field) is not None
    assert "\n" not in str(refusal)
    found = re.search(r"the smallest that works is (\d+) MiB$", str(refusal))
    if found:
        smallest = int(found[1])
        _divide(replace(options, **{refusal.field: smallest}))
        for less in {0, smallest // 2, smallest - 1}:
            with pytest.raises(FlinkMemoryError, match="too small"):
                _divide(replace(options, **{refusal.field: less}))


@settings(deadline=None)  # the machine may be busy
@given(process_mib=st.integers(1500, 100_000), more_mib=st.integers(1, 100_000))
def test_more_memory_makes_no_part_smaller(process_mib: int, more_mib: int) -> None:
    less = asdict(task_manager_memory(TaskManagerOptions(process_mib=process_mib)))
    more = asdict(task_manager_memory(TaskManagerOptions(process_mib=process_mib + more_mib)))
    assert all(less[name] <= more[name] for name in less)


@settings(deadline=None, max_examples=500)  # the machine may be busy
@given(options=flink_memory.task_managers())
def test_its_own_parts_make_the_same_process_again(options: TaskManagerOptions) -> None:
    """Whole parts of one way, given as another: nothing but what the fractions were taken of can differ."""
    try:
        memory = task_manager_memory(options)
    except FlinkMemoryError:
        return
    if memory.flink % MIB == 0 and memory.process % MIB == 0:
        bounds = {
            "jvm_overhead_min_mib": memory.jvm_overhead // MIB,
            "jvm_overhead_max_mib": memory.jvm_overhead // MIB,
        }
        unsized = replace(options, process_mib=None, flink_mib=None, task_heap_mib=None)
        by_flink = replace(unsized, flink_mib=memory.flink // MIB, **bounds)
        by_process = replace(unsized, process_mib=memory.process // MIB, **bounds)
        if options.task_heap_mib is None:
            assert task_manager_memory(by_flink) == task_manager_memory(by_process) == memory


def test_documented_sizes() -> None:
    """The figures that Flink's documentation gives for its defaults, where 0.1 and 0.4 are not exact in bytes."""
    task_manager = task_manager_memory(TaskManagerOptions(process_mib=1728, task_off_heap_mib=0))
    assert {name: round(size / MIB, 3) for name, size in asdict(task_manager).items()} == {
        "framework_heap": 128,
        "framework_off_heap": 128,
        "task_heap": 384,
        "task_off_heap": 0,
        "network": 128,
        "managed": 512,
        "jvm_metaspace": 256,
        "jvm_overhead": 192,
    }
    assert task_manager.managed == 512 * MIB + 8  # 0.4 as a 32-bit float is a little more than 0.4
    assert job_manager_memory(JobManagerOptions(process_mib=1600)).jvm_heap == 1024 * MIB


def test_the_default_process_given_in_the_other_ways() -> None:
    """1728 MiB are 1280 MiB of total Flink memory; from 384 MiB of task heap the network gets a tenth of the whole."""
    given = TaskManagerOptions(flink_mib=1280, task_off_heap_mib=0)
    assert task_manager_memory(given) == task_manager_memory(TaskManagerOptions(process_mib=1728, task_off_heap_mib=0))
    parts = task_manager_memory(TaskManagerOptions(task_heap_mib=384, managed_mib=512, task_off_heap_mib=0))
    assert round(parts.network / MIB, 3) == 128
    assert parts.container_mib == 1729, "a few bytes of the network more than 1728"
    assert job_manager_memory(JobManagerOptions(heap_mib=1024)).process == 1600 * MIB
    assert job_manager_memory(JobManagerOptions(flink_mib=1152)).process == 1600 * MIB


def test_flink_gets_the_given_sizes_and_those_that_differ_from_its_defaults() -> None:
    assert flink_options(TaskManagerOptions(process_mib=1728)) == {
        "taskmanager.memory.process.size": "1728m",
        "taskmanager.memory.task.off-heap.size": "64m",
    }
    assert flink_options(JobManagerOptions(heap_mib=512, jvm_overhead_fraction=0.25)) == {
        "jobmanager.memory.heap.size": "512m",
        "jobmanager.memory.jvm-overhead.fraction": "0.25",
    }


def test_a_refusal_shows_the_arithmetic() -> None:
    with pytest.raises(FlinkMemoryError) as refusal:
        task_manager_memory(TaskManagerOptions(process_mib=600))
    assert str(refusal.value) == (
        "a TaskManager of 600 MiB is too small for Flink: 600 - 128.0 framework_heap - 128.0 framework_off_heap - "
        "64.0 task_off_heap - 64.0 network - 60.8 managed - 256.0 jvm_metaspace - 192.0 jvm_overhead leaves "
        "-292.8 MiB of task_heap; the smallest that works is 1089 MiB"
    )
    with pytest.raises(FlinkMemoryError) as refusal:
        job_manager_memory(JobManagerOptions(flink_mib=100))
    assert str(refusal.value) == (
        "a JobManager of 100 MiB of total Flink memory is too small for Flink: 100 - 128.0 off_heap leaves -28.0 MiB "
        "of jvm_heap; the smallest that works is 129 MiB"
    )


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        (
            TaskManagerOptions(),
            "process_mib",
            "no size is given: give exactly one of process.size, flink.size, task.hea",
        ),
        (
            TaskManagerOptions(process_mib=1728, flink_mib=1280),
            "process_mib",
            "process.size of 1728 MiB and flink.size o",
        ),
        (
            JobManagerOptions(flink_mib=1280, heap_mib=512),
            "flink_mib",
            "flink.size of 1280 MiB and heap.size of 512 MiB",
        ),
        (TaskManagerOptions(task_heap_mib=512), "managed_mib", "is missing: the size of the task heap needs it"),
        (JobManagerOptions(heap_mib=0), "heap_mib", "0 is no heap to start with: raise it"),
        (TaskManagerOptions(process_mib=1728, framework_heap_mib=0), "framework_heap_mib", "0 is no heap"),
        (
            TaskManagerOptions(process_mib=1728, task_off_heap_mib=-1),
            "task_off_heap_mib",
            "-1 MiB (task.off-heap.size)",
        ),
        (
            TaskManagerOptions(process_mib=1728, managed_fraction=1),
            "managed_fraction",
            "1 (managed.fraction) must be 0 o",
        ),
        (
            JobManagerOptions(process_mib=1728, jvm_overhead_fraction=-0.1),
            "jvm_overhead_fraction",
            "-0.1 (jvm-overhead",
        ),
        (JobManagerOptions(process_mib=1728, jvm_overhead_min_mib=64), "jvm_overhead_min_mib", "64 MiB is below 192"),
        (
            TaskManagerOptions(process_mib=1728, jvm_overhead_max_mib=100),
            "jvm_overhead_max_mib",
            "100 MiB (jvm-overhead.max) is below the minimum, 192: raise it",
        ),
        (
            TaskManagerOptions(process_mib=1728, network_max_mib=32),
            "network_max_mib",
            "32 MiB (network.max) is below the minimum, 64: raise it",
        ),
        (
            TaskManagerOptions(process_mib=1728, managed_fraction=0.95, network_fraction=0.5),
            "process_mib",
            "no size works: lower the fixed sizes, or managed.fraction and network.fraction",
        ),
    ],
)
def test_refusals_name_the_mistake(options: Options, field: str, words: str) -> None:
    with pytest.raises(FlinkMemoryError, match=re.escape(words)) as refusal:
        _divide(options)
    assert refusal.value.field == field
