"""The memory model's own laws. That it is Flink's is for tests/integration/test_flink_memory_oracle.py to say."""

import re
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.flink.memory import MIB, FlinkMemoryError, job_manager_memory, task_manager_memory

PROCESS_MIB = st.integers(-100, 3000) | st.integers(0, 4_000_000)
OFF_HEAP_MIB = st.integers(0, 2000)


@settings(deadline=None)  # the machine may be busy
@given(process_mib=PROCESS_MIB, off_heap_mib=OFF_HEAP_MIB)
def test_task_manager_parts_fill_the_process(process_mib: int, off_heap_mib: int) -> None:
    try:
        memory = task_manager_memory(process_mib, task_off_heap_mib=off_heap_mib)
    except FlinkMemoryError:
        return
    assert memory.process == process_mib * MIB
    assert min(asdict(memory).values()) >= 0
    assert 192 * MIB <= memory.jvm_overhead <= 1024 * MIB
    assert memory.jvm_heap + memory.max_direct + memory.managed + memory.jvm_metaspace < memory.process


@settings(deadline=None)  # the machine may be busy
@given(process_mib=PROCESS_MIB)
def test_job_manager_parts_fill_the_process(process_mib: int) -> None:
    try:
        memory = job_manager_memory(process_mib)
    except FlinkMemoryError:
        return
    assert memory.process == process_mib * MIB
    assert memory.jvm_heap > 0


@settings(deadline=None)  # the machine may be busy
@given(process_mib=st.integers(-100, 1088), off_heap_mib=st.integers(64, 2000))
def test_a_refusal_names_the_smallest_task_manager(process_mib: int, off_heap_mib: int) -> None:
    with pytest.raises(FlinkMemoryError) as refusal:
        task_manager_memory(process_mib, task_off_heap_mib=off_heap_mib)
    smallest = _smallest(refusal.value)
    task_manager_memory(smallest, task_off_heap_mib=off_heap_mib)
    with pytest.raises(FlinkMemoryError):
        task_manager_memory(smallest - 1, task_off_heap_mib=off_heap_mib)


@settings(deadline=None)  # the machine may be busy
@given(process_mib=st.integers(-100, 576))
def test_a_refusal_names_the_smallest_job_manager(process_mib: int) -> None:
    with pytest.raises(FlinkMemoryError) as refusal:
        job_manager_memory(process_mib)
    assert _smallest(refusal.value) == 577
    assert job_manager_memory(577).jvm_heap == MIB


def _smallest(refusal: FlinkMemoryError) -> int:
    found = re.search(r"the smallest that works is (\d+) MiB$", str(refusal))
    assert found
    return int(found[1])


@settings(deadline=None)  # the machine may be busy
@given(process_mib=st.integers(1500, 100_000), more_mib=st.integers(1, 100_000))
def test_more_memory_makes_no_part_smaller(process_mib: int, more_mib: int) -> None:
    less = asdict(task_manager_memory(process_mib))
    more = asdict(task_manager_memory(process_mib + more_mib))
    assert all(less[name] <= more[name] for name in less)


def test_documented_sizes() -> None:
    """The figures that Flink's documentation gives for its defaults, where 0.1 and 0.4 are not exact in bytes."""
    task_manager = task_manager_memory(1728, task_off_heap_mib=0)
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
    assert job_manager_memory(1600).jvm_heap == 1024 * MIB


def test_a_refusal_shows_the_arithmetic() -> None:
    with pytest.raises(FlinkMemoryError) as refusal:
        task_manager_memory(600)
    assert str(refusal.value) == (
        "a TaskManager of 600 MiB is too small for Flink: 600 - 128.0 framework_heap - 128.0 framework_off_heap - "
        "64.0 task_off_heap - 64.0 network - 60.8 managed - 256.0 jvm_metaspace - 192.0 jvm_overhead leaves "
        "-292.8 MiB of task_heap; the smallest that works is 1089 MiB"
    )
    with pytest.raises(FlinkMemoryError, match="-1 MiB of task off-heap memory: must be 0 or more"):
        task_manager_memory(1728, task_off_heap_mib=-1)
