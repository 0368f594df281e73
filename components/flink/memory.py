"""The process memory model of Flink 2.3: how the memory of a process is divided, to the byte.

Flink derives heap, direct and metaspace limits of a JVM from one of three: the size of the process, which is also the
memory limit of the container; total Flink memory, to which metaspace and JVM overhead are added; or the parts that the
job needs. Managed memory and JVM overhead have no JVM flag: only the container's limit holds them.

Sizes go in as MiB, as in settings, and come out in bytes, because Flink rounds in bytes. The numbers are the defaults
of the options named beside them; `tests/integration/test_flink_memory_oracle.py` compares with Flink's own code.
"""

import math
import struct
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction

MIB = 1024 * 1024

# Flink would take less. Stacks of threads, code cache, the collector's tables and what native libraries allocate do not
# shrink with the process; with less the kernel kills it under load instead of Flink refusing it at the start.
_LEAST_JVM_OVERHEAD_MIB = 192

DEFAULT_TASK_MANAGER_MIB, DEFAULT_JOB_MANAGER_MIB = 1728, 1600  # the process, as in Flink's own configuration

_LARGEST_MIB = 1 << 24  # 16 TiB, as in settings: where the search for the smallest size ends


class FlinkMemoryError(ValueError):
    """Flink would refuse to start with these sizes; `field` is the field of the options at fault."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, kw_only=True)
class TaskManagerOptions:
    """The memory options that a user gives for a TaskManager (`taskmanager.memory.*`), in MiB; None if not given.

    Exactly one of `process_mib`, `flink_mib` and `task_heap_mib` is given, the last with `managed_mib`. `managed_mib`
    replaces `managed_fraction`. The defaults are Flink's, except for task off-heap memory: 0 in Flink, room for the
    buffers of Kafka clients here.
    """

    process_mib: int | None = None  # process.size
    flink_mib: int | None = None  # flink.size
    task_heap_mib: int | None = None  # task.heap.size
    managed_mib: int | None = None  # managed.size
    managed_fraction: float = 0.4  # managed.fraction, of total Flink memory
    task_off_heap_mib: int = 64  # task.off-heap.size
    framework_heap_mib: int = 128  # framework.heap.size
    framework_off_heap_mib: int = 128  # framework.off-heap.size
    network_fraction: float = 0.1  # network.fraction, of total Flink memory
    network_min_mib: int = 64  # network.min
    network_max_mib: int | None = None  # network.max
    jvm_metaspace_mib: int = 256  # jvm-metaspace.size
    jvm_overhead_fraction: float = 0.1  # jvm-overhead.fraction, of the process
    jvm_overhead_min_mib: int = _LEAST_JVM_OVERHEAD_MIB  # jvm-overhead.min
    jvm_overhead_max_mib: int = 1024  # jvm-overhead.max


@dataclass(frozen=True, kw_only=True)
class JobManagerOptions:
    """The memory options that a user gives for a JobManager (`jobmanager.memory.*`), in MiB; None if not given.

    Exactly one of `process_mib`, `flink_mib` and `heap_mib` is given. The defaults are Flink's.
    """

    process_mib: int | None = None  # process.size
    flink_mib: int | None = None  # flink.size
    heap_mib: int | None = None  # heap.size
    off_heap_mib: int = 128  # off-heap.size
    jvm_metaspace_mib: int = 256  # jvm-metaspace.size
    jvm_overhead_fraction: float = 0.1  # jvm-overhead.fraction, of the process
    jvm_overhead_min_mib: int = _LEAST_JVM_OVERHEAD_MIB  # jvm-overhead.min
    jvm_overhead_max_mib: int = 1024  # jvm-overhead.max


_NAMES = {  # of Flink, after taskmanager.memory. or jobmanager.memory.
    "process_mib": "process.size",
    "flink_mib": "flink.size",
    "task_heap_mib": "task.heap.size",
    "heap_mib": "heap.size",
    "managed_mib": "managed.size",
    "managed_fraction": "managed.fraction",
    "task_off_heap_mib": "task.off-heap.size",
    "off_heap_mib": "off-heap.size",
    "framework_heap_mib": "framework.heap.size",
    "framework_off_heap_mib": "framework.off-heap.size",
    "network_fraction": "network.fraction",
    "network_min_mib": "network.min",
    "network_max_mib": "network.max",
    "jvm_metaspace_mib": "jvm-metaspace.size",
    "jvm_overhead_fraction": "jvm-overhead.fraction",
    "jvm_overhead_min_mib": "jvm-overhead.min",
    "jvm_overhead_max_mib": "jvm-overhead.max",
}
_NOT_FLINKS_DEFAULT = "task_off_heap_mib"


class _Process:
    """The parts that both processes have: Flink's own memory, and what a JVM needs beside it."""

    jvm_metaspace: int
    jvm_overhead: int

    @property
    def flink(self) -> int:
        """Total Flink memory: what `*.memory.flink.size` would be."""
        raise NotImplementedError

    @property
    def process(self) -> int:
        """Total process memory: what `*.memory.process.size` would be."""
        return self.flink + self.jvm_metaspace + self.jvm_overhead

    @property
    def container_mib(self) -> int:
        """The memory limit of the container: the process, in whole MiB. What is rounded up is left free."""
        return math.ceil(self.process / MIB)


@dataclass(frozen=True, kw_only=True)
class TaskManagerMemory(_Process):
    """The parts of a TaskManager's memory, in bytes, by Flink's names (`taskmanager.memory.*`)."""

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
        return self.jvm_heap + self.max_direct + self.managed


@dataclass(frozen=True, kw_only=True)
class JobManagerMemory(_Process):
    """The parts of a JobManager's memory, in bytes, by Flink's names (`jobmanager.memory.*`)."""

    jvm_heap: int  # -Xmx and -Xms
    off_heap: int  # no JVM flag, unless jobmanager.memory.enable-jvm-direct-memory-limit is true
    jvm_metaspace: int
    jvm_overhead: int

    @property
    def flink(self) -> int:
        return self.jvm_heap + self.off_heap


def task_manager_memory(options: TaskManagerOptions) -> TaskManagerMemory:
    """Divide the memory of a TaskManager as Flink does.

    Raises FlinkMemoryError where Flink would refuse: not exactly one way to size it, a bound that contradicts another,
    or a size into which the parts of fixed size do not fit. JVM overhead below Flink's default minimum is refused too.
    """
    _check_one_way(options, "task_heap_mib")
    if options.task_heap_mib is not None and options.managed_mib is None:
        raise FlinkMemoryError("managed_mib", "is missing: the size of the task heap needs it beside it; 0 is a size")
    if options.framework_heap_mib == 0:
        raise FlinkMemoryError("framework_heap_mib", "0 is no heap to start with: raise it, the default is 128")
    _check(options)
    if options.task_heap_mib is not None:
        return _add_up_task_manager(options)
    memory = _divide_task_manager(options, _given(options))
    if memory.task_heap < 0:

        def fits(mib: int) -> bool:
            return _divide_task_manager(options, mib).task_heap >= 0

        # As long as the network has its minimum, more memory means more heap. Above, only if the two fractions leave a
        # part of it, or once the network has its maximum.
        minimum = options.network_min_mib * MIB
        turn = bisect_left(
            range(_LARGEST_MIB), True, key=lambda mib: _divide_task_manager(options, mib).network > minimum
        )
        raise _too_small("TaskManager", options, asdict(memory), "task_heap", _smallest(fits, turn))
    return memory


def job_manager_memory(options: JobManagerOptions) -> JobManagerMemory:
    """Divide the memory of a JobManager as Flink does.

    Raises FlinkMemoryError like task_manager_memory. (Flink only warns below 128 MiB of heap.)
    """
    _check_one_way(options, "heap_mib")
    if options.heap_mib == 0:
        raise FlinkMemoryError("heap_mib", "0 is no heap to start with: raise it, Flink advises 128 or more")
    _check(options)
    if options.heap_mib is not None:
        flink = (options.heap_mib + options.off_heap_mib) * MIB
        return _job_manager_parts(options, flink, _overhead_beside(options, flink))
    memory = _divide_job_manager(options, _given(options))
    if memory.jvm_heap <= 0:
        smallest = _smallest(lambda mib: _divide_job_manager(options, mib).jvm_heap > 0)
        raise _too_small("JobManager", options, asdict(memory), "jvm_heap", smallest)
    return memory


def flink_options(options: TaskManagerOptions | JobManagerOptions) -> dict[str, str]:
    """The options as Flink is told them, less what is its default anyway: it derives the same parts from them."""
    process = "taskmanager" if isinstance(options, TaskManagerOptions) else "jobmanager"
    told = {
        field.name: value
        for field in fields(options)
        if (value := getattr(options, field.name)) != field.default or field.name == _NOT_FLINKS_DEFAULT
    }
    return {
        f"{process}.memory.{_NAMES[name]}": f"{value}m" if name.endswith("_mib") else str(value)
        for name, value in told.items()
    }


def option_names(process: type[TaskManagerOptions | JobManagerOptions]) -> dict[str, str]:
    """Flink's names of the options of a process, such as `taskmanager.memory.process.size`, by field."""
    prefix = "taskmanager" if process is TaskManagerOptions else "jobmanager"
    return {field.name: f"{prefix}.memory.{_NAMES[field.name]}" for field in fields(process)}


def _check_one_way(options: TaskManagerOptions | JobManagerOptions, parts: str) -> None:
    ways = {name: getattr(options, name) for name in ("process_mib", "flink_mib", parts)}
    given = {name: size for name, size in ways.items() if size is not None}
    if len(given) != 1:
        text = " and ".join(f"{_NAMES[name]} of {size} MiB" for name, size in given.items()) or "no size"
        names = ", ".join(_NAMES[name] for name in ways)
        raise FlinkMemoryError([*given, "process_mib"][0], f"{text} is given: give exactly one of {names}")


def _check(options: TaskManagerOptions | JobManagerOptions) -> None:
    """Each option on its own, and bounds beside each other."""
    values: Mapping[str, int | float | None] = asdict(options)
    for name, value in values.items():
        if value is None or (name == "managed_fraction" and values["managed_mib"] is not None):
            continue
        if name.endswith("_mib") and value < 0:
            raise FlinkMemoryError(name, f"{value} MiB ({_NAMES[name]}) must be 0 or more: raise it")
        if name.endswith("_fraction") and not (value >= 0 and _as_flink_reads(value) < 1):
            raise FlinkMemoryError(name, f"{value} ({_NAMES[name]}) must be 0 or more and below 1")
    if options.jvm_overhead_min_mib < _LEAST_JVM_OVERHEAD_MIB:
        raise FlinkMemoryError(
            "jvm_overhead_min_mib",
            f"{options.jvm_overhead_min_mib} MiB is below {_LEAST_JVM_OVERHEAD_MIB}, which a JVM needs beside what "
            "Flink counts: raise it, or leave it out",
        )
    for part in ("network", "jvm_overhead"):
        low, high = values.get(f"{part}_min_mib"), values.get(f"{part}_max_mib")
        if low is not None and high is not None and low > high:
            name = f"{part}_max_mib"
            raise FlinkMemoryError(name, f"{high} MiB ({_NAMES[name]}) is below the minimum, {low}: raise it")


def _given(options: TaskManagerOptions | JobManagerOptions) -> int:
    mib = options.process_mib if options.flink_mib is None else options.flink_mib
    assert mib is not None
    return mib


def _add_up_task_manager(options: TaskManagerOptions) -> TaskManagerMemory:
    """Add up a TaskManager from the parts that the job needs: first the network's share, then the process."""
    assert options.task_heap_mib is not None
    assert options.managed_mib is not None
    heaps = options.framework_heap_mib + options.task_heap_mib
    others = (heaps + options.framework_off_heap_mib + options.task_off_heap_mib + options.managed_mib) * MIB
    network = _network(options, _share(others, _inverse(options.network_fraction)))
    flink = others + network
    return _task_manager_parts(options, flink, options.managed_mib * MIB, network, _overhead_beside(options, flink))


def _divide_task_manager(options: TaskManagerOptions, mib: int) -> TaskManagerMemory:
    """The division of a process or of total Flink memory, unchecked: what does not fit makes the task heap negative."""
    flink, overhead = _flink_and_overhead(options, mib)
    if options.managed_mib is None:
        managed = _share(max(flink, 0), _as_flink_reads(options.managed_fraction))
    else:
        managed = options.managed_mib * MIB
    network = _network(options, _share(max(flink, 0), _as_flink_reads(options.network_fraction)))
    return _task_manager_parts(options, flink, managed, network, overhead)


def _task_manager_parts(
    options: TaskManagerOptions, flink: int, managed: int, network: int, overhead: int
) -> TaskManagerMemory:
    framework_heap, framework_off_heap = options.framework_heap_mib * MIB, options.framework_off_heap_mib * MIB
    task_off_heap = options.task_off_heap_mib * MIB
    return TaskManagerMemory(
        framework_heap=framework_heap,
        framework_off_heap=framework_off_heap,
        task_heap=flink - framework_heap - framework_off_heap - task_off_heap - managed - network,
        task_off_heap=task_off_heap,
        network=network,
        managed=managed,
        jvm_metaspace=options.jvm_metaspace_mib * MIB,
        jvm_overhead=overhead,
    )


def _divide_job_manager(options: JobManagerOptions, mib: int) -> JobManagerMemory:
    """The division of a process or of total Flink memory, unchecked: the heap is zero or less where it does not fit."""
    return _job_manager_parts(options, *_flink_and_overhead(options, mib))


def _job_manager_parts(options: JobManagerOptions, flink: int, overhead: int) -> JobManagerMemory:
    off_heap = options.off_heap_mib * MIB
    return JobManagerMemory(
        jvm_heap=flink - off_heap,
        off_heap=off_heap,
        jvm_metaspace=options.jvm_metaspace_mib * MIB,
        jvm_overhead=overhead,
    )


def _flink_and_overhead(options: TaskManagerOptions | JobManagerOptions, mib: int) -> tuple[int, int]:
    """Total Flink memory and JVM overhead, where `mib` is the size of that of the two totals that is given."""
    if options.flink_mib is not None:
        return mib * MIB, _overhead_beside(options, mib * MIB)
    overhead = _overhead(options, _share(mib * MIB, _as_flink_reads(options.jvm_overhead_fraction)))
    return mib * MIB - options.jvm_metaspace_mib * MIB - overhead, overhead


def _overhead_beside(options: TaskManagerOptions | JobManagerOptions, flink: int) -> int:
    """JVM overhead beside total Flink memory, so that it is its fraction of the whole."""
    rest = flink + options.jvm_metaspace_mib * MIB
    return _overhead(options, _share(rest, _inverse(options.jvm_overhead_fraction)))


def _overhead(options: TaskManagerOptions | JobManagerOptions, share: int) -> int:
    return min(options.jvm_overhead_max_mib * MIB, max(options.jvm_overhead_min_mib * MIB, share))


def _network(options: TaskManagerOptions, share: int) -> int:
    size = max(options.network_min_mib * MIB, share)
    return size if options.network_max_mib is None else min(options.network_max_mib * MIB, size)


def _as_flink_reads(fraction: float) -> float:
    """Flink keeps fractions as 32-bit floats."""
    return struct.unpack("f", struct.pack("f", fraction))[0]


def _inverse(fraction: float) -> float:
    """The fraction of the rest that makes the fraction of the whole."""
    read = _as_flink_reads(fraction)
    return read / (1 - read)


def _share(size: int, fraction: float) -> int:
    """A fraction of a size, cut to whole bytes. Flink multiplies with the decimal form of the double."""
    return int(size * Fraction(repr(fraction)))


def _smallest(fits: Callable[[int], bool], turn: int = 0) -> int | None:
    """The smallest size in MiB that fits, if there is one.

    Up to `turn` more memory never makes a fitting division unfit; nor does it above, if none up to there fits.
    """
    found = bisect_left(range(turn), True, key=fits)
    if found == turn and not fits(turn):
        found += bisect_left(range(turn, _LARGEST_MIB), True, key=fits)
    return found if found < _LARGEST_MIB else None


def _too_small(
    process: str,
    options: TaskManagerOptions | JobManagerOptions,
    parts: Mapping[str, int],
    rest: str,
    smallest: int | None,
) -> FlinkMemoryError:
    """The refusal with its arithmetic: what the parts of `parts` but `rest` leave of the given size."""
    counted = dict(parts)
    if options.flink_mib is not None:
        del counted["jvm_metaspace"], counted["jvm_overhead"]
    given = _given(options)
    total = f"{given} MiB" if options.flink_mib is None else f"{given} MiB of total Flink memory"
    taken = " - ".join(f"{size / MIB:.1f} {name}" for name, size in counted.items() if name != rest)
    if smallest is None:
        remedy = "no size works: lower the fixed sizes, or managed.fraction and network.fraction"
    else:
        remedy = f"the smallest that works is {smallest} MiB"
    return FlinkMemoryError(
        "process_mib" if options.flink_mib is None else "flink_mib",
        f"a {process} of {total} is too small for Flink: {given} - {taken} leaves "
        f"{parts[rest] / MIB:.1f} MiB of {rest}; {remedy}",
    )
