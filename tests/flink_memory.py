"""Sizes of Flink processes for property tests: all the ways to give one, with every option that can be overridden.

Some fit, some do not. Left out is only what the model refuses and Flink would take: a heap or a framework heap of 0,
JVM overhead with a minimum below 192 MiB, two ways at once.
"""

from typing import Any

from hypothesis import strategies as st

from components.flink.memory import JobManagerOptions, TaskManagerOptions

_SIZE = st.integers(-10, 20_000) | st.integers(300, 2000) | st.integers(0, 1_000_000)
_PART = st.integers(0, 300) | st.integers(-2, 3000)
_SOME = st.integers(1, 300) | st.integers(1, 3000)
_FRACTION = st.integers(0, 999).map(lambda n: n / 1000) | st.sampled_from([0.0, 0.1, 0.4, 0.5, 1.0, 1.5, -0.1])

_JVM: dict[str, st.SearchStrategy[Any]] = {
    "jvm_metaspace_mib": _PART,
    "jvm_overhead_fraction": _FRACTION,
    "jvm_overhead_min_mib": st.integers(192, 600),
    "jvm_overhead_max_mib": st.integers(150, 3000) | st.integers(192, 100_000),
}
_TASK_MANAGER = {
    **_JVM,
    "managed_fraction": _FRACTION,
    "task_off_heap_mib": _PART,
    "framework_heap_mib": _SOME,
    "framework_off_heap_mib": _PART,
    "network_fraction": _FRACTION,
    "network_min_mib": _PART,
    "network_max_mib": st.none() | _PART | st.integers(0, 100_000),
}
_JOB_MANAGER = {**_JVM, "off_heap_mib": _PART}


@st.composite
def _given(
    draw: st.DrawFn, ways: list[dict[str, st.SearchStrategy[Any]]], others: dict[str, st.SearchStrategy[Any]]
) -> dict[str, Any]:
    """One way, and a few of the other options: with all of them drawn, hardly any size would fit."""
    few = draw(st.lists(st.sampled_from(sorted(others)), max_size=4, unique=True))
    return {
        **{name: draw(others[name]) for name in few},
        **{name: draw(values) for name, values in draw(st.sampled_from(ways)).items()},
    }


def task_managers() -> st.SearchStrategy[TaskManagerOptions]:
    """Of TaskManagers."""
    ways = [
        {"process_mib": _SIZE},
        {"process_mib": _SIZE, "managed_mib": _PART},
        {"flink_mib": _SIZE},
        {"flink_mib": _SIZE, "managed_mib": _PART},
        {"task_heap_mib": _SIZE, "managed_mib": _SIZE},
    ]
    return _given(ways, _TASK_MANAGER).map(lambda given: TaskManagerOptions(**given))


def job_managers() -> st.SearchStrategy[JobManagerOptions]:
    """Of JobManagers."""
    ways = [{"process_mib": _SIZE}, {"flink_mib": _SIZE}, {"heap_mib": _SOME | st.integers(1, 1_000_000)}]
    return _given(ways, _JOB_MANAGER).map(lambda given: JobManagerOptions(**given))
