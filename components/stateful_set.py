"""The Kubernetes objects that ZooKeeper and Kafka share: a StatefulSet whose members keep data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi_kubernetes as k8s

from components.base import Children, StorageArgs, claim_spec, pod_template, selector


@dataclass(frozen=True, kw_only=True)
class StatefulSetArgs:
    """The members of a set: what they run, and where their data lies.

    `files` are those of the ConfigMap, which the pods have as the volume `config`; `programs`, which are no texts, are
    in the volume `programs`. `checksum` is that of what must replace the pods when it changes. `ports` are those of a
    member by name that its peers use; `client_port` names the one that clients use. `container` mounts the volume
    `data`, a claim of `storage_mib` for each member.
    """

    count: int
    files: Mapping[str, str]
    checksum: str
    ports: Mapping[str, int]
    client_port: str
    container: k8s.core.v1.ContainerArgsDict
    user: int
    grace_seconds: int
    storage_mib: int
    storage: StorageArgs
    programs: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


def stateful_set(name: str, args: StatefulSetArgs, children: Children) -> None:
    """A StatefulSet, and all that it needs: an account, a ConfigMap, two Services, a disruption budget and claims."""
    account = children.service_account(name)
    mounted = [children.config_map(f"{name}-config", args.files)]
    volumes: list[k8s.core.v1.VolumeArgsDict] = [{"name": "config", "config_map": {"name": f"{name}-config"}}]
    if args.programs:
        mounted.append(children.config_map(f"{name}-programs", {}, binary=args.programs))
        volumes.append({"name": "programs", "config_map": {"name": f"{name}-programs"}})
    peers = children.service(f"{name}-headless", args.ports, headless=True)
    children.service(name, {args.client_port: args.ports[args.client_port]})
    children.disruption_budget(name)
    volume = claim_spec(args.storage_mib, "ReadWriteOnce", args.storage)
    claims = [
        children.claim(f"data-{name}-{member}", volume, protect=args.storage.protect) for member in range(args.count)
    ]
    k8s.apps.v1.StatefulSet(
        name,
        metadata=children.metadata(name),
        spec={
            "service_name": f"{name}-headless",
            "replicas": args.count,
            # One after the other would wait for ever: the first is ready only when there is a quorum.
            "pod_management_policy": "Parallel",
            "selector": {"match_labels": selector(children.labels)},
            "template": pod_template(
                children.labels,
                account=name,
                user=args.user,
                checksum=args.checksum,
                containers=[args.container],
                volumes=volumes,
                grace_seconds=args.grace_seconds,
            ),
            "volume_claim_templates": [
                {"metadata": {"name": "data", "labels": selector(children.labels)}, "spec": volume}
            ],
        },
        # The claims above are what counts; another size would replace the StatefulSet here.
        opts=children.options(
            depends_on=[account, *mounted, peers, *claims], ignore_changes=["spec.volumeClaimTemplates"]
        ),
    )
