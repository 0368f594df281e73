"""Labels, options of children, volume claims and pod templates, as all components use them."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s

from components.names import PROJECT
from components.quantities import cores, mib

_LABEL = "app.kubernetes.io/"

# Pulumi makes up another owner of fields for each resource of a state; a creation that was interrupted, or a state that
# was lost, would leave objects that the next update may not touch.
# Fields that we write stay ours after a change by kubectl: otherwise the next update would end with a conflict.
FIELD_MANAGER = {"pulumi.com/patchFieldManager": PROJECT, "pulumi.com/patchForce": "true"}
# The provider would wait until a Service has endpoints, and ten seconds more; what is behind it is waited for anyhow.
# For a claim it would read the StorageClass, which is in no namespace, and a deployer has rights in its own only.
_SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}


# What a container writes beside its volumes: its output, of which the kubelet keeps 50 MiB (five files of 10 MiB; some
# distributions keep five times that), and the files of ConfigMaps.
OWN_DISK_MIB = 256
# What the scheduler keeps on the node for a container. Bounds are seldom reached, and are not kept: pods would fit
# nowhere on a small disk.
_KEPT_DISK_MIB = 64


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    """The StorageClass of volume claims (None: the cluster's default), and whether the claims are protected."""

    storage_class: str | None = None
    protect: bool = True


def labels(*, name: str, instance: str, version: str, component: str) -> dict[str, str]:
    """The labels that everything carries: what it is, of which instance and version, in which role."""
    return {
        f"{_LABEL}name": name,
        f"{_LABEL}instance": instance,
        f"{_LABEL}version": version,
        f"{_LABEL}component": component,
        f"{_LABEL}part-of": PROJECT,
        f"{_LABEL}managed-by": "pulumi",
    }


def selector(all_labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that tell one set of pods from another: selectors cannot be changed, so neither version nor owner."""
    return {f"{_LABEL}{key}": all_labels[f"{_LABEL}{key}"] for key in ("name", "instance", "component")}


@dataclass(frozen=True, kw_only=True)
class PodAdditions:
    """Parts of a pod that its own component does not make: from a user's settings, or from another component.

    This is the only way to add to a pod. A log sidecar, for example, is an `init_containers` entry (with
    `restartPolicy: Always`), its `volumes`, the `texts` of its ConfigMap, and the seconds that it needs to flush. Two
    additions are joined with `+`.
    """

    init_containers: tuple[k8s.core.v1.ContainerArgsDict, ...] = ()
    containers: tuple[k8s.core.v1.ContainerArgsDict, ...] = ()
    volumes: tuple[k8s.core.v1.VolumeArgsDict, ...] = ()
    mounts: tuple[k8s.core.v1.VolumeMountArgsDict, ...] = ()
    """Mounted into the main container."""
    env: tuple[k8s.core.v1.EnvVarArgsDict, ...] = ()
    """Environment variables of the main container."""
    spec: Mapping[str, object] = field(default_factory=dict[str, object])
    """Further fields of the pods' spec, such as a node selector."""
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Files of ConfigMaps, by name: pods are replaced when they change."""
    grace_seconds: int = 0
    """Added to the time that the main container takes to stop."""

    def __add__(self, other: "PodAdditions") -> "PodAdditions":
        return PodAdditions(
            init_containers=self.init_containers + other.init_containers,
            containers=self.containers + other.containers,
            volumes=self.volumes + other.volumes,
            mounts=self.mounts + other.mounts,
            env=self.env + other.env,
            spec={**self.spec, **other.spec},
            texts={**self.texts, **other.texts},
            grace_seconds=self.grace_seconds + other.grace_seconds,
        )


@dataclass(frozen=True, kw_only=True)
class Children:
    """Makes the children of a component that share a parent, a namespace and labels; all have fixed names.

    `protect` holds for those that do not say otherwise.
    """

    parent: pulumi.Resource
    namespace: str
    labels: Mapping[str, str]
    protect: bool = False

    def options(
        self,
        *,
        depends_on: Sequence[pulumi.Resource] = (),
        protect: bool | None = None,
        retain: bool = False,
        ignore_changes: Sequence[str] = (),
    ) -> pulumi.ResourceOptions:
        """The parent, and what this child needs itself; never what the component's caller gave."""
        return pulumi.ResourceOptions(
            parent=self.parent,
            depends_on=list(depends_on),
            protect=self.protect if protect is None else protect,
            retain_on_delete=retain,
            ignore_changes=list(ignore_changes),
        )

    def metadata(self, name: str, annotations: Mapping[str, str] | None = None) -> k8s.meta.v1.ObjectMetaArgsDict:
        """Name, namespace, labels, and the one name under which we own fields."""
        return {
            "namespace": self.namespace,
            "name": name,
            "labels": dict(self.labels),
            "annotations": {**FIELD_MANAGER, **(annotations or {})},
        }

    def service_account(self, name: str) -> k8s.core.v1.ServiceAccount:
        """An identity for pods, without rights or a token: nothing that we run talks to the API server."""
        return k8s.core.v1.ServiceAccount(
            name, metadata=self.metadata(name), automount_service_account_token=False, opts=self.options()
        )

    def config_map(
        self, name: str, data: Mapping[str, str], *, binary: Mapping[str, bytes] | None = None
    ) -> k8s.core.v1.ConfigMap:
        """Files to mount: texts, and others."""
        encoded = {file: base64.b64encode(content).decode() for file, content in (binary or {}).items()}
        return k8s.core.v1.ConfigMap(
            name,
            metadata=self.metadata(name),
            data=dict(data) or None,
            binary_data=encoded or None,
            opts=self.options(),
        )

    def service(
        self, name: str, ports: Mapping[str, int], *, headless: bool = False, before_ready: bool = False
    ) -> k8s.core.v1.Service:
        """A Service for ports of the pods, by their names; a headless one gives each pod a name of its own.

        The members of a set must find each other before they are ready: ready is who has a quorum. Others are reached
        `before_ready` where asked for.
        """
        spec: k8s.core.v1.ServiceSpecArgsDict = {
            "selector": selector(self.labels),
            "ports": [
                {"name": port_name, "port": port, "target_port": port_name, "protocol": "TCP"}
                for port_name, port in ports.items()
            ],
        }
        if headless:
            spec["cluster_ip"] = "None"
        if headless or before_ready:
            spec["publish_not_ready_addresses"] = True
        return k8s.core.v1.Service(name, metadata=self.metadata(name, _SKIP_AWAIT), spec=spec, opts=self.options())

    def claim(
        self,
        name: str,
        spec: k8s.core.v1.PersistentVolumeClaimSpecArgsDict,
        *,
        protect: bool = False,
        retain: bool = False,
    ) -> k8s.core.v1.PersistentVolumeClaim:
        """A claim that Pulumi knows and deletes with its stack; those that StatefulSets make, it does not.

        `protect` refuses to delete it, and with it whatever needs it; `retain` forgets it and leaves it where it is.
        Another class or access mode would replace it by an empty one, so both stay as they were made: asking for others
        is refused (components/continuity).
        """
        return k8s.core.v1.PersistentVolumeClaim(
            name,
            metadata=self.metadata(name, _SKIP_AWAIT),
            spec=spec,
            opts=self.options(
                protect=protect, retain=retain, ignore_changes=["spec.storageClassName", "spec.accessModes"]
            ),
        )

    def disruption_budget(self, name: str, *, unready_may_go: bool = False) -> k8s.policy.v1.PodDisruptionBudget:
        """Node drains take these pods one at a time. A minimum of available ones would block drains of a single one.

        `unready_may_go`: pods that are not ready keep no drain waiting, as nothing depends on them.
        """
        spec: k8s.policy.v1.PodDisruptionBudgetSpecArgsDict = {
            "max_unavailable": 1,
            "selector": {"match_labels": selector(self.labels)},
        }
        if unready_may_go:
            spec["unhealthy_pod_eviction_policy"] = "AlwaysAllow"
        return k8s.policy.v1.PodDisruptionBudget(name, metadata=self.metadata(name), spec=spec, opts=self.options())


def claim_spec(size_mib: int, access_mode: str, storage: StorageArgs) -> k8s.core.v1.PersistentVolumeClaimSpecArgsDict:
    """The spec of a claim of `size_mib`."""
    spec: k8s.core.v1.PersistentVolumeClaimSpecArgsDict = {
        "access_modes": [access_mode],
        "resources": {"requests": {"storage": mib(size_mib)}},
    }
    if storage.storage_class is not None:
        spec["storage_class_name"] = storage.storage_class
    return spec


def resources(
    memory_mib: int, cpu: float, cpu_limit: float | None = None, *, volumes_mib: int | None = None
) -> k8s.core.v1.ResourceRequirementsArgsDict:
    """Memory that is reserved and is the limit (MiB); CPU that is reserved, and its limit if there is one (cores).

    `volumes_mib` is the sum of the bounds of the emptyDir volumes that the container fills. It may write as much to the
    node's disk, and OWN_DISK_MIB of its own; without `volumes_mib`, the namespace's default holds. The kubelet evicts a
    pod that writes more than its containers may together, so a volume always reaches its own bound first.
    """
    requests, limits = {"cpu": cores(cpu), "memory": mib(memory_mib)}, {"memory": mib(memory_mib)}
    if cpu_limit is not None:
        limits["cpu"] = cores(cpu_limit)
    if volumes_mib is not None:
        requests["ephemeral-storage"] = mib(_KEPT_DISK_MIB)
        limits["ephemeral-storage"] = mib(volumes_mib + OWN_DISK_MIB)
    return {"requests": requests, "limits": limits}


class Expanded(str):
    """A text in which Kubernetes is to put the value of a variable in the place of `$(NAME)`."""

    __slots__ = ()


def container(spec: k8s.core.v1.ContainerArgsDict, *, read_only_root: bool = False) -> k8s.core.v1.ContainerArgsDict:
    """A container that Pod Security `restricted` admits, and whose end is told with the end of its log.

    Its command, arguments and variables reach the process as they are written here, unless they are Expanded.
    """
    security: k8s.core.v1.SecurityContextArgsDict = {
        "allow_privilege_escalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    if read_only_root:
        security["read_only_root_filesystem"] = True
    whole: dict[str, Any] = {
        "image_pull_policy": "IfNotPresent",
        "termination_message_policy": "FallbackToLogsOnError",
        "security_context": security,
        **spec,
    }
    for key in {"command", "args"} & whole.keys():
        whole[key] = [_as_written(word) for word in whole[key]]
    if "env" in whole:
        whole["env"] = [
            {**each, "value": _as_written(each["value"])} if "value" in each else each for each in whole["env"]
        ]
    return cast("k8s.core.v1.ContainerArgsDict", whole)


def _as_written(text: pulumi.Input[str]) -> pulumi.Input[str]:
    """Escaped: Kubernetes makes `$` of `$$` and a value of `$(NAME)`, and spoils what is not ASCII after a `$`."""
    if not isinstance(text, str) or isinstance(text, Expanded):
        return text
    return re.sub(r"\$\$+|\$(?=[(\u0080-\U0010ffff])", lambda found: found[0] * 2, text)


def pod_template(
    all_labels: Mapping[str, str],
    *,
    account: str,
    user: int,
    checksum: str,
    containers: Sequence[k8s.core.v1.ContainerArgsDict],
    init_containers: Sequence[k8s.core.v1.ContainerArgsDict] = (),
    volumes: Sequence[k8s.core.v1.VolumeArgsDict] = (),
    grace_seconds: int,
    more: Mapping[str, object] | None = None,
) -> k8s.core.v1.PodTemplateSpecArgsDict:
    """Pods that Pod Security `restricted` admits, run as `user` (uid, gid and group of the volumes), kept apart.

    `checksum` is that of what is mounted from ConfigMaps: pods are replaced when it changes. Pods of the same set go
    to different nodes and zones where there are some. `more` are further fields.
    """
    spec: k8s.core.v1.PodSpecArgsDict = {
        "service_account_name": account,
        "automount_service_account_token": False,
        # A variable for each Service of the namespace, such as KAFKA_PORT, which images take for a setting of theirs.
        "enable_service_links": False,
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": user,
            "run_as_group": user,
            "fs_group": user,
            "fs_group_change_policy": "OnRootMismatch",
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "affinity": {
            "pod_anti_affinity": {
                "preferred_during_scheduling_ignored_during_execution": [
                    {
                        "weight": weight,
                        "pod_affinity_term": {
                            "label_selector": {"match_labels": selector(all_labels)},
                            "topology_key": topology,
                        },
                    }
                    for topology, weight in (("kubernetes.io/hostname", 100), ("topology.kubernetes.io/zone", 50))
                ]
            }
        },
        "termination_grace_period_seconds": grace_seconds,
        "containers": list(containers),
    }
    if init_containers:
        spec["init_containers"] = list(init_containers)
    if volumes:
        spec["volumes"] = list(volumes)
    return {
        "metadata": {"labels": dict(all_labels), "annotations": {f"{PROJECT}/config-checksum": checksum}},
        "spec": cast("k8s.core.v1.PodSpecArgsDict", {**spec, **(more or {})}),
    }


def ports(numbers: Mapping[str, int]) -> list[k8s.core.v1.ContainerPortArgsDict]:
    """The named ports of a container."""
    return [{"name": name, "container_port": number, "protocol": "TCP"} for name, number in numbers.items()]


def checksum(texts: Mapping[str, str]) -> str:
    """A short hash over named texts."""
    content = "".join(f"{name}\0{texts[name]}\0" for name in sorted(texts))
    return hashlib.sha256(content.encode()).hexdigest()[:16]
