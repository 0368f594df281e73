"""The settings of an environment's namespace: what its pods may ask for, and what isolates it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.exact import NodePath
from components.settings import Cores, Memory, Section, SectionError, Storage


class QuotaSettings(Section):
    """The most that all pods of a namespace may request together."""

    cpu: Cores = 8.0
    """Sum of CPU requests, in cores."""
    memory_mib: Memory = 32768
    """Sum of memory limits (and so of requests), in MiB."""
    storage_mib: Storage = 262144
    """Sum of the sizes of all volume claims, in MiB."""
    pods: Annotated[int, Field(ge=1, le=10000)] = 100
    """Number of pods that have not ended."""


class LimitSettings(Section):
    """The memory and CPU of containers that name none, and the most that one container may ask for."""

    default_cpu: Cores = 0.1
    """CPU request of a container that names none, in cores."""
    default_memory_mib: Memory = 256
    """Memory limit and request of a container that names none, in MiB."""
    max_memory_mib: Memory = 16384
    """Largest memory limit of one container, in MiB."""

    @model_validator(mode="after")
    def _default_below_maximum(self) -> Self:
        if self.default_memory_mib > self.max_memory_mib:
            raise SectionError(
                "defaultMemoryMib",
                f"{self.default_memory_mib} is above maxMemoryMib, {self.max_memory_mib}: lower it, or raise that",
            )
        return self


class NamespaceSettings(Section):
    """One environment: a namespace, and what isolates it."""

    quota: QuotaSettings = QuotaSettings()
    limits: LimitSettings = LimitSettings()
    admission: Literal["deny", "warn"] = "deny"
    """Action of the API server on an object that breaks a rule of docs/policies.md: `deny` refuses it, `warn` admits
    it with a warning."""
    host_paths: tuple[NodePath, ...] = ()
    """Directories of nodes; pods may mount them and what is below. The only level of Pod Security that admits any is
    `privileged`, which admits all else that is dangerous, too. So the namespace gets that level, and the rules for
    isolation of docs/policies.md refuse the rest."""
    data_protection: bool = True
    """Let Pulumi refuse to delete the namespace (and with it all that is in it), or what isolates it."""
    kubernetes_high_availability: bool = False
    """Make a service account for Flink clusters that elect their leader in Kubernetes (highAvailability: kubernetes).
    Pods of such clusters may write to all ConfigMaps of the namespace."""
