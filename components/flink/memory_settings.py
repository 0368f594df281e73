"""The settings of a Flink process's memory: three ways to say its size, and what is divided how.

The terms are Flink's (`taskmanager.memory.*`, `jobmanager.memory.*`), the defaults those of components/flink/memory.py.
"""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from components.flink.memory import (
    DEFAULT_JOB_MANAGER_MIB,
    DEFAULT_TASK_MANAGER_MIB,
    FlinkMemoryError,
    JobManagerMemory,
    JobManagerOptions,
    TaskManagerMemory,
    TaskManagerOptions,
    job_manager_memory,
    task_manager_memory,
)
from components.settings import Memory, Section, SectionError, three_decimals

_LARGEST = 16 * 1024 * 1024
_NAMES = {"process_mib": "memoryMib", "flink_mib": "flinkMemoryMib", "task_off_heap_mib": "offHeapMib"}


_Part = Annotated[int, Field(ge=0, le=_LARGEST)]
_Some = Annotated[int, Field(ge=1, le=_LARGEST)]
_Fraction = Annotated[float, Field(ge=0, le=0.999), AfterValidator(three_decimals("is finer than a thousandth: "))]


class JobManagerMemorySettings(Section):
    """The division of a JobManager's memory; by default as Flink does it."""

    jvm_metaspace_mib: _Some = JobManagerOptions.jvm_metaspace_mib
    """Classes, in MiB: -XX:MaxMetaspaceSize (jvm-metaspace.size)."""
    jvm_overhead_fraction: _Fraction = JobManagerOptions.jvm_overhead_fraction
    """Memory of the JVM beside heap and classes, as a fraction of the process (jvm-overhead.fraction)."""
    jvm_overhead_min_mib: _Part = JobManagerOptions.jvm_overhead_min_mib
    """The least memory of the JVM beside heap and classes, in MiB; not below Flink's own 192 (jvm-overhead.min)."""
    jvm_overhead_max_mib: _Part = JobManagerOptions.jvm_overhead_max_mib
    """The most memory of the JVM beside heap and classes, in MiB (jvm-overhead.max)."""


class TaskManagerMemorySettings(JobManagerMemorySettings):
    """The division of a TaskManager's memory; by default as Flink does it."""

    managed_fraction: _Fraction = TaskManagerOptions.managed_fraction
    """Managed memory as a fraction of total Flink memory, unless managedMib is given (managed.fraction)."""
    network_fraction: _Fraction = TaskManagerOptions.network_fraction
    """Network buffers as a fraction of total Flink memory (network.fraction)."""
    network_min_mib: _Some = TaskManagerOptions.network_min_mib
    """The least memory for network buffers, in MiB (network.min)."""
    network_max_mib: _Some | None = TaskManagerOptions.network_max_mib
    """The most memory for network buffers, in MiB; by default there is no bound (network.max)."""
    framework_heap_mib: _Some = TaskManagerOptions.framework_heap_mib
    """Heap of Flink itself, in MiB (framework.heap.size)."""
    framework_off_heap_mib: _Part = TaskManagerOptions.framework_off_heap_mib
    """Direct and native memory of Flink itself, in MiB (framework.off-heap.size)."""


class TaskManagerSizes(Section):
    """The memory of a TaskManager: one of `memoryMib`, `flinkMemoryMib`, and `taskHeapMib` with `managedMib`."""

    memory_mib: Memory | None = None
    """Memory limit, in MiB, divided as Flink does (taskmanager.memory.process.size); 1728 if no size is given."""
    flink_memory_mib: Memory | None = None
    """Total Flink memory, in MiB: metaspace and JVM overhead come on top (taskmanager.memory.flink.size)."""
    task_heap_mib: _Part | None = None
    """Heap for what runs in tasks, in MiB: everything else comes on top (taskmanager.memory.task.heap.size)."""
    managed_mib: _Part | None = None
    """Managed memory of all slots, in MiB, instead of memory.managedFraction (taskmanager.memory.managed.size)."""
    off_heap_mib: _Part = TaskManagerOptions.task_off_heap_mib
    """Direct memory for what runs in tasks, in MiB (taskmanager.memory.task.off-heap.size)."""
    memory: TaskManagerMemorySettings = TaskManagerMemorySettings()

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.managed_mib is not None and "managed_fraction" in self.memory.model_fields_set:
            raise SectionError(
                "managedMib",
                f"{self.managed_mib} is given beside memory.managedFraction, {self.memory.managed_fraction}: "
                "give one of the two",
            )
        try:
            _ = self.division
        except FlinkMemoryError as error:
            raise _at(error) from None
        return self

    @property
    def options(self) -> TaskManagerOptions:
        """The settings as Flink's memory options."""
        unsized = self.memory_mib is None and self.flink_memory_mib is None and self.task_heap_mib is None
        return TaskManagerOptions(
            process_mib=DEFAULT_TASK_MANAGER_MIB if unsized else self.memory_mib,
            flink_mib=self.flink_memory_mib,
            task_heap_mib=self.task_heap_mib,
            managed_mib=self.managed_mib,
            task_off_heap_mib=self.off_heap_mib,
            **self.memory.model_dump(),
        )

    @property
    def division(self) -> TaskManagerMemory:
        """Return what Flink makes of them."""
        return task_manager_memory(self.options)

    @property
    def container_mib(self) -> int:
        """The memory limit of the container, in MiB."""
        return self.division.container_mib


class JobManagerSizes(Section):
    """The memory of a JobManager: one of `memoryMib`, `flinkMemoryMib` and `heapMib`."""

    memory_mib: Memory | None = None
    """Memory limit, in MiB, divided as Flink does (jobmanager.memory.process.size); 1600 if no size is given."""
    flink_memory_mib: Memory | None = None
    """Total Flink memory, in MiB: metaspace and JVM overhead come on top (jobmanager.memory.flink.size)."""
    heap_mib: _Some | None = None
    """Heap, in MiB: everything else comes on top (jobmanager.memory.heap.size)."""
    off_heap_mib: _Part = JobManagerOptions.off_heap_mib
    """Direct and native memory, in MiB (jobmanager.memory.off-heap.size)."""
    memory: JobManagerMemorySettings = JobManagerMemorySettings()

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        try:
            _ = self.division
        except FlinkMemoryError as error:
            raise _at(error) from None
        return self

    @property
    def options(self) -> JobManagerOptions:
        """The settings as Flink's memory options."""
        unsized = self.memory_mib is None and self.flink_memory_mib is None and self.heap_mib is None
        return JobManagerOptions(
            process_mib=DEFAULT_JOB_MANAGER_MIB if unsized else self.memory_mib,
            flink_mib=self.flink_memory_mib,
            heap_mib=self.heap_mib,
            off_heap_mib=self.off_heap_mib,
            **self.memory.model_dump(),
        )

    @property
    def division(self) -> JobManagerMemory:
        """Return what Flink makes of them."""
        return job_manager_memory(self.options)

    @property
    def container_mib(self) -> int:
        """The memory limit of the container, in MiB."""
        return self.division.container_mib


def _at(error: FlinkMemoryError) -> SectionError:
    """The refusal, with the field at fault as it is called in settings."""
    if error.field in TaskManagerMemorySettings.model_fields:
        return SectionError(f"memory.{to_camel(error.field)}", str(error))
    return SectionError(_NAMES.get(error.field, to_camel(error.field)), str(error))
