"""Memory beside the heap: whether what a JVM takes fits into its container's limit."""

import re
from collections.abc import Iterator
from dataclasses import replace

from components.flink.backends import MANAGED_BACKENDS
from components.flink.memory import (
    MIB,
    FlinkMemoryError,
    JobManagerOptions,
    TaskManagerOptions,
    job_manager_memory,
    task_manager_memory,
)
from policies.flink import FlinkProcess, first_heap_mib, flink_processes, last_heap_mib
from policies.programs import KAFKA, ZOOKEEPER, Program, program_of, surely_runs
from policies.resources import Container
from policies.rules import Bounds, Setting, figure, rule
from policies.unknown import CannotJudgeError, known, whole

_JOINED = "the sizes are in the configuration that the pod mounts, which is another object"
_LEAST_OVERHEAD = TaskManagerOptions(process_mib=0).jvm_overhead_min_mib  # Flink's default, as in the memory model


def _options(process: FlinkProcess) -> TaskManagerOptions | JobManagerOptions:
    """The options, with JVM overhead in Flink's range: that it is outside is another rule's to say."""
    options = process.memory_options
    return replace(
        options,
        jvm_overhead_min_mib=max(_LEAST_OVERHEAD, options.jvm_overhead_min_mib),
        jvm_overhead_max_mib=max(_LEAST_OVERHEAD, options.jvm_overhead_min_mib, options.jvm_overhead_max_mib),
    )


def _holds_process(process: FlinkProcess, _: Bounds) -> Iterator[str]:
    limit = process.container.memory_mib("limits")
    try:
        options = _options(process)
        memory = (
            task_manager_memory(options) if isinstance(options, TaskManagerOptions) else job_manager_memory(options)
        )
    except FlinkMemoryError as error:
        yield f"Flink would refuse to start: {error}"
        return
    if limit is None or process.container.sized_by_flink:
        return
    parts = {"heap": memory.jvm_heap / MIB, "metaspace": memory.jvm_metaspace / MIB}
    parts["JVM overhead"] = memory.jvm_overhead / MIB
    parts["direct and managed memory"] = memory.process / MIB - sum(parts.values())
    heap, first = process.own_heap_mib, first_heap_mib(process.java_options)
    if first is not None and first > (parts["heap"] if heap is None else heap):
        yield f"-Xms{figure(first)}m is above the largest heap, {figure(parts['heap'] if heap is None else heap)} MiB"
    if heap is not None:
        parts["heap"] = heap
    total = sum(parts.values())
    if total > limit:
        source = (
            "the process size that Flink derives" if heap is None else f"what -Xmx{figure(heap)}m makes of the process"
        )
        sum_of = " + ".join(f"{figure(size)} {name}" for name, size in parts.items())
        yield f"the memory limit is {figure(limit)} MiB, below {source}, {figure(total)} MiB ({sum_of})"


HOLDS_PROCESS = rule(
    id="flink-limit-holds-process",
    description=(
        "Flink sizes its JVM from the configuration, whatever the container's limit is. With a smaller limit the "
        "kernel kills the process under load, again and again."
    ),
    remedy="raise the limit to the size of the process, or lower the sizes (taskmanager.memory.*, jobmanager.memory.*)",
    subjects=flink_processes,
    check=_holds_process,
    scope="stack",
    admission=_JOINED,
)


def _task_off_heap(process: FlinkProcess, bounds: Bounds) -> Iterator[str]:
    least = bounds.number("minMib")
    options = process.memory_options
    if isinstance(options, TaskManagerOptions) and options.task_off_heap_mib < least:
        yield f"taskmanager.memory.task.off-heap.size is {options.task_off_heap_mib} MiB, below {least} MiB (minMib)"


TASK_OFF_HEAP = rule(
    id="flink-task-off-heap",
    description=(
        "By default Flink counts no direct memory for user code. Buffers of Kafka clients then take the network's, "
        "and the job fails with OutOfMemoryError: Direct buffer memory."
    ),
    remedy="set taskmanager.memory.task.off-heap.size to the bound (minMib) or more",
    subjects=lambda stack: (process for process in flink_processes(stack) if process.is_task_manager),
    check=_task_off_heap,
    scope="stack",
    settings={
        "minMib": Setting(
            TaskManagerOptions.task_off_heap_mib, "smallest taskmanager.memory.task.off-heap.size, in MiB"
        )
    },
    admission=_JOINED,
)


def _overhead(process: FlinkProcess, _: Bounds) -> Iterator[str]:
    options = process.memory_options
    least, most = options.jvm_overhead_min_mib, options.jvm_overhead_max_mib
    if least < _LEAST_OVERHEAD:
        yield f"jvm-overhead.min is {least} MiB, below Flink's {_LEAST_OVERHEAD} MiB"
    if most < max(least, _LEAST_OVERHEAD):
        yield f"jvm-overhead.max is {most} MiB, below the minimum of {max(least, _LEAST_OVERHEAD)} MiB"


OVERHEAD = rule(
    id="flink-jvm-overhead",
    description=(
        "Thread stacks, code cache, the garbage collector and native libraries take memory that no flag of the JVM "
        "bounds and that does not shrink with the process. Where less is kept for them than Flink keeps by default, "
        "the kernel kills the process."
    ),
    remedy="leave jvm-overhead.min and jvm-overhead.max out, or set both to 192m or more",
    subjects=flink_processes,
    check=_overhead,
    scope="stack",
    admission=_JOINED,
)


def _rocksdb(process: FlinkProcess, _: Bounds) -> Iterator[str]:
    configuration = process.configuration
    given = configuration.get("state.backend.type", configuration.get("state.backend", "")).lower()
    # By its name, or that of its factory's class.
    backend = next((name for name in MANAGED_BACKENDS if name in given), None)
    if backend is None:
        return
    memory = f"state.backend.{backend}.memory"
    if configuration.get(f"{memory}.managed", "true").lower() != "true":
        yield f"{memory}.managed is {configuration[f'{memory}.managed']}"
    for key in (f"{memory}.fixed-per-slot", f"{memory}.fixed-per-tm"):
        if key in configuration:
            yield f"{key} is {configuration[key]}, which is not part of the process size"
    options = process.memory_options
    if isinstance(options, TaskManagerOptions):
        managed = options.managed_mib if options.managed_mib is not None else options.managed_fraction
        if managed == 0:
            yield f"{backend} is to keep state in managed memory, and there is none"


ROCKSDB = rule(
    id="flink-rocksdb-bounded",
    description=(
        "RocksDB and ForSt allocate outside the JVM. They are bounded only inside managed memory. Anywhere else their "
        "memory grows until the kernel kills the TaskManager."
    ),
    remedy="leave state.backend.*.memory.managed, .fixed-per-slot and .fixed-per-tm out, and size managed memory "
    "(taskmanager.memory.managed.fraction or managed.size)",
    subjects=lambda stack: (process for process in flink_processes(stack) if process.is_task_manager),
    check=_rocksdb,
    scope="stack",
    admission=_JOINED,
)

# The default heap of the programs' own scripts, in MiB.
_DEFAULT_HEAP_MIB = {ZOOKEEPER: 1000.0, KAFKA: 1024.0}
_HEAP_VARIABLES = {
    ZOOKEEPER: ("JVMFLAGS", "SERVER_JVMFLAGS", "KAFKA_HEAP_OPTS"),
    KAFKA: ("KAFKA_HEAP_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_OPTS"),
}
_STRONGEST, _WEAKEST = "_JAVA_OPTIONS", ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")  # beside a command line


_HEAP_OF_VARIABLE = re.compile(r"-Xmx(?:\$\{?(\w+)\}?|\$\((\w+)\))")


def heap_mib(container: Container, program: Program) -> float:
    """The heap of ZooKeeper or Kafka: from the command, else from variables, else what its scripts take.

    Raises CannotJudgeError if it is in another object.
    """
    env, elsewhere = container.env, container.env_elsewhere

    def text(name: str) -> str:
        if name in elsewhere:
            raise CannotJudgeError(f"the value of variable {name} is in another object")
        return str(known(env.get(name)) or "")

    limit = container.memory_mib("limits")
    command = _HEAP_OF_VARIABLE.sub(lambda found: f"-Xmx{text(found[1] or found[2])}", " ".join(container.words))
    found = last_heap_mib(text(_STRONGEST), limit)
    if found is None:
        found = last_heap_mib(command, limit)
    if found is None:
        found = last_heap_mib(" ".join(map(text, _HEAP_VARIABLES[program])))
    if found is None:
        # For the others, the scripts give an -Xmx of their own, which takes precedence over a share.
        found = last_heap_mib(text("KAFKA_HEAP_OPTS"), limit)
    if found is None and program is ZOOKEEPER and text("ZK_SERVER_HEAP"):
        found = float(whole("ZK_SERVER_HEAP", text("ZK_SERVER_HEAP"), 1))
    if found is None and container.words and " ".join(container.words).startswith("java "):
        found = last_heap_mib(" ".join(map(text, _WEAKEST)), limit)
    if found is None and container.env_from:
        raise CannotJudgeError("the heap may be in the objects of envFrom")
    return _DEFAULT_HEAP_MIB[program] if found is None else found


def _jvm_heap(container: Container, bounds: Bounds) -> Iterator[str]:
    program, limit = program_of(container), container.memory_mib("limits")
    if program not in _DEFAULT_HEAP_MIB or limit is None:
        return
    heap, share, least = heap_mib(container, program), bounds.share("maxHeapShare"), bounds.number("minRestMib")
    most = min(limit * share, limit - least)
    if heap > most:
        yield (
            f"the heap of {program.name} is {figure(heap)} MiB of a limit of {figure(limit)} MiB; at most "
            f"{figure(max(most, 0))} MiB leave "
            f"{1 - share:.0%} (maxHeapShare {share:g}) and {least} MiB (minRestMib) for the rest of the JVM"
        )


JVM_HEAP = rule(
    id="jvm-heap-leaves-room",
    description=(
        "A JVM takes metaspace, threads, code and direct buffers beside its heap, and Kafka lives from the page cache. "
        "A heap that fills the limit gets ZooKeeper or Kafka killed by the kernel."
    ),
    remedy="lower the heap (KAFKA_HEAP_OPTS, ZK_SERVER_HEAP, -Xmx), or raise the limit",
    subjects=lambda stack: (each for each in stack.containers if surely_runs(each, ZOOKEEPER, KAFKA)),
    check=_jvm_heap,
    settings={
        "maxHeapShare": Setting(0.6, "largest share of the limit that may be heap"),
        "minRestMib": Setting(96, "least memory beside the heap, in MiB"),
    },
    admission="the heap is in scripts and variables that refer to each other, which CEL cannot follow",
)

RULES = (HOLDS_PROCESS, TASK_OFF_HEAP, OVERHEAD, ROCKSDB, JVM_HEAP)
