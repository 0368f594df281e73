"""The settings of an environment's namespace: what its pods may ask for, and what isolates it."""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from components.exact import Cidr, NodePath
from components.names import check_name
from components.settings import Cores, Memory, Namespace, Port, Section, SectionError, Storage

PeerName = Annotated[str, AfterValidator(check_name)]


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


class Peer(Section):
    """Something outside of the environment: a range of addresses, or all pods of a namespace, and TCP ports."""

    cidr: Cidr | None = None
    """Range of addresses, such as 10.1.2.0/24 or, for a service without fixed ones, 0.0.0.0/0."""
    namespace: Namespace | None = None
    """Namespace of this cluster, instead of cidr."""
    ports: Annotated[tuple[Port, ...], Field(min_length=1, max_length=100)]
    """TCP ports: of the peer where pods connect to it, else of the environment's pods."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.cidr is None) == (self.namespace is None):
            raise SectionError("cidr", "write either cidr or namespace")
        try:
            ipaddress.ip_network(self.cidr or "0.0.0.0/0")
        except ValueError as error:
            raise SectionError("cidr", f"{error}: write the first address of the range, such as 10.1.2.0/24") from None
        return self


class NetworkSettings(Section):
    """The traffic of an environment with what is outside of it. Without an entry there is none but to DNS; what the
    platform's own pods need from each other is let through in any case (docs/isolation.md)."""

    ingress: Mapping[PeerName, Peer] = {}
    """Peers that may connect to pods of the environment, by a name of your choice: an Ingress controller, say."""
    egress: Mapping[PeerName, Peer] = {}
    """Peers that pods of the environment may connect to, by a name of your choice: S3, or where logs go."""
    api_server: Cidr | None = None
    """Range in which Flink's pods reach the API server, if they elect their leader there. By default the address in
    `server`, or any address where that is a name."""


class NamespaceSettings(Section):
    """One environment: a namespace, and what isolates it."""

    quota: QuotaSettings = QuotaSettings()
    limits: LimitSettings = LimitSettings()
    network: NetworkSettings = NetworkSettings()
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
