"""The process memory model of Flink 2.3: how a process size is divided, to the byte.

Flink derives heap, direct and metaspace limits of a JVM from one number, the size of the process
(`taskmanager.memory.process.size`, `jobmanager.memory.process.size`), which is also the memory limit of the container.
Managed memory and JVM overhead have no JVM flag: only the container's limit holds them.

Sizes go in as MiB, as in settings, and come out in bytes, because Flink rounds in bytes. The numbers are the defaults
of the options named beside them; `tests/integration/test_flink_memory_oracle.py` compares with Flink's own code.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction

MIB = 1024 * 1024

# Flink keeps fractions as 32-bit floats and multiplies with the decimal form of the float as a double.
_TENTH = Fraction("0.10000000149011612")
_FOUR_TENTHS = Fraction("0.4000000059604645")

_JVM_METASPACE = 256 * MIB  # taskmanager|jobmanager.memory.jvm-metaspace.size
_JVM_OVERHEAD_FRACTION = _TENTH  # ....memory.jvm-overhead.fraction
_JVM_OVERHEAD_MIN = 192 * MIB  # ....memory.jvm-overhead.min
_JVM_OVERHEAD_MAX = 1024 * MIB  # ....memory.jvm-overhead.max

_FRAMEWORK_HEAP = 128 * MIB  # taskmanager.memory.framework.heap.size
_FRAMEWORK_OFF_HEAP = 128 * MIB  # taskmanager.memory.framework.off-heap.size
_MANAGED_FRACTION = _FOUR_TENTHS  # taskmanager.memory.managed.fraction
_NETWORK_FRACTION = _TENTH  # taskmanager.memory.network.fraction
_NETWORK_MIN = 64 * MIB  # taskmanager.memory.network.min; there is no upper bound by default

_JOB_MANAGER_OFF_HEAP = 128 * MIB  # jobmanager.memory.off-heap.size

_LARGEST_MIB = 1 << 32  # 4 PiB: where the search for the smallest process size ends


class FlinkMemoryError(ValueError):
    """Flink would refuse to start with these sizes."""


@dataclass(frozen=True, kw_only=True)
class TaskManagerMemory:
    """What the memory of a TaskManager is divided into, in bytes, with Flink's names (`taskmanager.memory.*`)."""

    framework_heap: int
    framework_off_heap: int
    task_heap: int
    task_off_heap: int
    network: int
    managed: int
    jvm_metaspace: int
    jvm_overhead: int

    @property
    def jvm_heap(self) -> int:
        """-Xmx and -Xms."""
        return self.framework_heap + self.task_heap

    @property
    def max_direct(self) -> int:
        """-XX:MaxDirectMemorySize."""
        return self.framework_off_heap + self.task_off_heap + self.network

    @property
    def flink(self) -> int:
        """Total Flink memory: what `taskmanager.memory.flink.size` would be."""
        return self.jvm_heap + self.max_direct + self.managed

    @property
    def process(self) -> int:
        """Total process memory: the memory limit of the container."""
        return self.flink + self.jvm_metaspace + self.jvm_overhead


@dataclass(frozen=True, kw_only=True)
class JobManagerMemory:
    """What the memory of a JobManager is divided into, in bytes, with Flink's names (`jobmanager.memory.*`)."""

    jvm_heap: int  # -Xmx and -Xms
    off_heap: int  # no JVM flag, unless jobmanager.memory.enable-jvm-direct-memory-limit is true
    jvm_metaspace: int
    jvm_overhead: int

    @property
    def flink(self) -> int:
        """Total Flink memory: what `jobmanager.memory.flink.size` would be."""
        return self.jvm_heap + self.off_heap

    @property
    def process(self) -> int:
        """Total process memory: the memory limit of the container."""
        return self.flink + self.jvm_metaspace + self.jvm_overhead


def task_manager_memory(process_mib: int, *, task_off_heap_mib: int = 64) -> TaskManagerMemory:
    """Divide the memory of a TaskManager as Flink does from `taskmanager.memory.process.size`.

    `task_off_heap_mib` is `taskmanager.memory.task.off-heap.size`, direct memory for what runs in tasks; Flink's
    default is 0, ours leaves room for the buffers of Kafka clients.

    Raises FlinkMemoryError where Flink would refuse: the parts of fixed size do not fit into the process size.
    """
    if task_off_heap_mib < 0:
        raise FlinkMemoryError(f"{task_off_heap_mib} MiB of task off-heap memory: must be 0 or more")
    memory = _divide_task_manager(process_mib, task_off_heap_mib)
    if memory.task_heap < 0:
        minimum = _smallest(lambda mib: _divide_task_manager(mib, task_off_heap_mib).task_heap >= 0)
        raise FlinkMemoryError(_too_small("TaskManager", process_mib, minimum, asdict(memory), "task_heap"))
    return memory


def job_manager_memory(process_mib: int) -> JobManagerMemory:
    """Divide the memory of a JobManager as Flink does from `jobmanager.memory.process.size`.

    Raises FlinkMemoryError where Flink would refuse: nothing is left for the heap. (Flink warns below 128 MiB of heap.)
    """
    memory = _divide_job_manager(process_mib)
    if memory.jvm_heap <= 0:
        minimum = _smallest(lambda mib: _divide_job_manager(mib).jvm_heap > 0)
        raise FlinkMemoryError(_too_small("JobManager", process_mib, minimum, asdict(memory), "jvm_heap"))
    return memory


def _divide_task_manager(process_mib: int, task_off_heap_mib: int) -> TaskManagerMemory:
    """The division without its check: the task heap is negative where the rest does not fit."""
    process = process_mib * MIB
    task_off_heap = task_off_heap_mib * MIB
    overhead = _jvm_overhead(process)
    flink = process - _JVM_METASPACE - overhead
    managed = _share(max(flink, 0), _MANAGED_FRACTION)
    network = max(_NETWORK_MIN, _share(flink, _NETWORK_FRACTION))
    return TaskManagerMemory(
        framework_heap=_FRAMEWORK_HEAP,
        framework_off_heap=_FRAMEWORK_OFF_HEAP,
        task_heap=flink - _FRAMEWORK_HEAP - _FRAMEWORK_OFF_HEAP - task_off_heap - managed - network,
        task_off_heap=task_off_heap,
        network=network,
        managed=managed,
        jvm_metaspace=_JVM_METASPACE,
        jvm_overhead=overhead,
    )


def _divide_job_manager(process_mib: int) -> JobManagerMemory:
    """The division without its check: the heap is zero or negative where the rest does not fit."""
    process = process_mib * MIB
    overhead = _jvm_overhead(process)
    return JobManagerMemory(
        jvm_heap=process - _JVM_METASPACE - overhead - _JOB_MANAGER_OFF_HEAP,
        off_heap=_JOB_MANAGER_OFF_HEAP,
        jvm_metaspace=_JVM_METASPACE,
        jvm_overhead=overhead,
    )


def _jvm_overhead(process: int) -> int:
    return min(_JVM_OVERHEAD_MAX, max(_JVM_OVERHEAD_MIN, _share(process, _JVM_OVERHEAD_FRACTION)))


def _share(size: int, fraction: Fraction) -> int:
    """A fraction of a size, cut to whole bytes."""
    return int(size * fraction)


def _smallest(fits: Callable[[int], bool]) -> int:
    """The smallest process size in MiB that fits; more memory never makes a fitting division unfit."""
    return bisect_left(range(_LARGEST_MIB), True, key=fits)


def _too_small(process: str, process_mib: int, minimum_mib: int, parts: dict[str, int], rest: str) -> str:
    taken = " - ".join(f"{size / MIB:.1f} {name}" for name, size in parts.items() if name != rest)
    return (
        f"a {process} of {process_mib} MiB is too small for Flink: {process_mib} - {taken} leaves "
        f"{parts[rest] / MIB:.1f} MiB of {rest}; the smallest that works is {minimum_mib} MiB"
    )
