"""The settings of an environment's namespace: what its pods may ask for, and what isolates it."""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from components.exact import Cidr, Exact, NodePath, ObjectName
from components.names import check_name
from components.settings import Cores, Memory, Namespace, Port, Section, SectionError, Storage

PeerName = Annotated[str, AfterValidator(check_name)]

_SYSTEM = "system-"  # what Kubernetes' own PriorityClasses begin with


def _own_class(name: str) -> str:
    if name.startswith(_SYSTEM):
        raise ValueError(f"{name!r} is for the cluster's own pods, which take the place of all others: name another")
    return name


# Kubernetes keeps ten old versions of a workload, the one that runs, and during an update the next one.
_VERSIONS = 12

Count = Annotated[int, Field(ge=1, le=10000)]
Disk = Annotated[int, Field(ge=16, le=64 * 1024 * 1024)]
Group = Annotated[
    str,
    Exact(
        r"(?!system:)[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*",
        "a group of your identity provider (streaming-developers; those with system: are Kubernetes' own)",
    ),
]
# Not `previewer`: the policy that holds it to dry runs knows it by the name of its account.
GroupRole = Literal["viewer", "developer", "operator", "deployer"]
PriorityClass = Annotated[ObjectName, AfterValidator(_own_class)]


class QuotaSettings(Section):
    """The most that all pods of a namespace may request together, and the most objects of each kind.

    All environments share the API server's store (etcd), whose own bound is 2 GiB unless it is raised. An object has
    1.5 MiB at most: with these defaults, those of one environment do not fill it.
    """

    cpu: Cores = 8.0
    """Sum of CPU requests, in cores."""
    memory_mib: Memory = 32768
    """Sum of memory limits (and so of requests), in MiB."""
    storage_mib: Storage = 262144
    """Sum of the sizes of all volume claims, in MiB."""
    ephemeral_storage_mib: Storage = 262144
    """Sum of what containers may write to the disks of nodes (limits of ephemeral-storage, and so requests), in
    MiB: emptyDir volumes, logs and the containers' own files."""
    pods: Count = 100
    """Number of pods that have not ended."""
    config_maps: Count = 100
    """Number of ConfigMaps. A Flink cluster has four, and more with highAvailability: kubernetes; Kubernetes makes one
    in each namespace."""
    secrets: Count = 50
    """Number of Secrets. The deployer's token is one."""
    services: Count = 50
    """Number of Services."""
    service_accounts: Count = 50
    """Number of accounts. Each part of an environment has one; Kubernetes makes one in each namespace, and the stack
    `cluster` up to six."""
    deployments: Count = 30
    """Number of Deployments. A Flink cluster has two."""
    stateful_sets: Count = 10
    """Number of StatefulSets."""
    jobs: Count = 20
    """Number of Jobs of Kubernetes, ended ones included."""
    volume_claims: Count = 100
    """Number of volume claims."""
    autoscalers: Count = 30
    """Number of HorizontalPodAutoscalers."""
    disruption_budgets: Count = 50
    """Number of PodDisruptionBudgets."""

    @property
    def counts(self) -> Mapping[str, int]:
        """The most objects of each kind, by Kubernetes' name for the quota of that kind."""
        return {
            "pods": self.pods,
            "count/configmaps": self.config_maps,
            "count/secrets": self.secrets,
            "count/services": self.services,
            "count/serviceaccounts": self.service_accounts,
            "count/deployments.apps": self.deployments,
            "count/replicasets.apps": _VERSIONS * self.deployments,
            "count/statefulsets.apps": self.stateful_sets,
            "count/controllerrevisions.apps": _VERSIONS * self.stateful_sets,
            "count/jobs.batch": self.jobs,
            "persistentvolumeclaims": self.volume_claims,
            "count/horizontalpodautoscalers.autoscaling": self.autoscalers,
            "count/poddisruptionbudgets.policy": self.disruption_budgets,
        }


class LimitSettings(Section):
    """The memory, CPU and disk of containers that name none, and the most that one container may ask for."""

    default_cpu: Cores = 0.1
    """CPU request of a container that names none, in cores."""
    default_memory_mib: Memory = 256
    """Memory limit and request of a container that names none, in MiB."""
    max_memory_mib: Memory = 16384
    """Largest memory limit of one container, in MiB."""
    default_ephemeral_storage_request_mib: Disk = 64
    """Disk of the node that is kept for a container that names none (ephemeral-storage), in MiB."""
    default_ephemeral_storage_mib: Disk = 1024
    """The most that a container that names no limit may write to the node's disk, in MiB. A pod that exceeds the sum
    of its containers is evicted. Kafka and ZooKeeper need room for their logs alone, of which the kubelet keeps 50 MiB
    unless it is told otherwise. Flink's containers name their limits: the sum of the bounds of their emptyDir
    volumes, and 256 MiB."""
    max_ephemeral_storage_mib: Disk = 16384
    """Largest limit of ephemeral-storage of one container, in MiB. A TaskManager has 5633 by default: 4096 for
    stateDirectory, the rest for temporary files and logs."""

    @model_validator(mode="after")
    def _default_below_maximum(self) -> Self:
        for low, high in (
            ("default_memory_mib", "max_memory_mib"),
            ("default_ephemeral_storage_request_mib", "default_ephemeral_storage_mib"),
            ("default_ephemeral_storage_mib", "max_ephemeral_storage_mib"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise SectionError(
                    to_camel(low),
                    f"{getattr(self, low)} is above {to_camel(high)}, {getattr(self, high)}: lower it, or raise that",
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
    it with a warning. With `warn`, the rules that protect the other environments from this one only warn, too."""
    priority_classes: tuple[PriorityClass, ...] = ()
    """PriorityClasses that pods may name. A pod of a higher class takes the place of pods of any environment, so by
    default there are none. If the cluster has a default class, which a pod gets that names none, list it."""
    host_paths: tuple[NodePath, ...] = ()
    """Directories of nodes; pods may mount them and what is below. The only level of Pod Security that admits any is
    `privileged`, which admits all else that is dangerous, too. So the namespace gets that level, and the rules for
    isolation of docs/policies.md refuse the rest."""
    data_protection: bool = True
    """Let Pulumi refuse to delete the namespace (and with it all that is in it), or what isolates it."""
    kubernetes_high_availability: bool = False
    """Make a service account for Flink clusters that elect their leader in Kubernetes (highAvailability: kubernetes).
    Pods of such clusters may write to all ConfigMaps of the namespace."""
    developer_exec: bool = False
    """Let the role `developer` run programs in pods (kubectl exec). A program in a pod has the pod's Secrets, its
    volumes and its rights."""
    groups: Mapping[GroupRole, Annotated[tuple[Group, ...], Field(min_length=1)]] = {}
    """Groups of your identity provider (OIDC) that have a role, by role: viewer, developer, operator or deployer.
    docs/isolation.md says what each role may do."""
