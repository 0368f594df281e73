"""The namespace of an environment, and everything that keeps it apart from the others."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components.base import FIELD_MANAGER, Children, labels
from components.isolation.network import CLOSED, api_server, policies
from components.isolation.restraints import restrain
from components.isolation.roles import ROLES, Rule
from components.isolation.settings import NamespaceSettings, Peer
from components.names import DEPLOYER, DEPLOYER_TOKEN, LEADER_ACCOUNT, PROJECT, check_name
from components.quantities import cores, mib, thousands

_VERSION = "1"  # of what isolates a namespace: images, which others take their version from, there are none
_RBAC = "rbac.authorization.k8s.io"
# Flink replaces the ConfigMaps that it leads by (update), and watches those that others lead by.
_LEADER_RULES = (Rule("", ("configmaps",), ("get", "list", "watch", "create", "patch", "delete", "update")),)


@dataclass(frozen=True, kw_only=True)
class IsolatedNamespaceArgs:
    """`server` is the API server's address that goes into the deployer's kubeconfig."""

    server: str
    settings: NamespaceSettings


class IsolatedNamespace(pulumi.ComponentResource):
    """A namespace with Pod Security `restricted`, quota, default limits, and no traffic but its own.

    Each role is a service account that may do something in it, and nothing elsewhere; its deployer may do what an
    environment stack does. Raises ValueError for a name that is no DNS label.
    """

    namespace: str
    """The namespace's name."""
    kubeconfig: pulumi.Output[str]
    """The deployer's kubeconfig (YAML), a secret. Its token does not expire; deleting the account revokes it, and all
    others of the account."""

    def __init__(self, name: str, args: IsolatedNamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_name(name)
        super().__init__("streaming:isolation:IsolatedNamespace", name, None, opts)
        all_labels = labels(name="environment", instance=name, version=_VERSION, component="isolation")
        # All of it: a protected namespace must not lose what isolates it either.
        protect = args.settings.data_protection
        children = Children(parent=self, namespace=name, labels=all_labels, protect=protect)
        modes = ("enforce", "warn", "audit")
        # Every stricter standard forbids directories of nodes; admission policies refuse what else it would.
        security = "privileged" if args.settings.host_paths else "restricted"
        namespace = k8s.core.v1.Namespace(
            name,
            metadata={
                "name": name,
                "labels": all_labels | {f"pod-security.kubernetes.io/{mode}": security for mode in modes},
                "annotations": FIELD_MANAGER,
            },
            opts=children.options(),
        )
        first = self._leader(name, children, namespace) if args.settings.kubernetes_high_availability else []
        self._network(name, args, children, namespace)
        self.namespace = name
        roles = self._roles(name, args.settings, children, namespace)
        token = self._token(name, children, roles[DEPLOYER])
        self.kubeconfig = pulumi.Output.secret(token.data.apply(lambda data: kubeconfig(name, args.server, data)))
        # A new quota refuses objects of the kinds that it counts until they have been counted.
        others = [made for role, both in roles.items() if role != DEPLOYER for made in both]
        self._limit(name, args.settings, children, [namespace, *first, token, *others])
        self.register_outputs({"namespace": self.namespace, "kubeconfig": self.kubeconfig})

    @staticmethod
    def _network(name: str, args: IsolatedNamespaceArgs, children: Children, namespace: k8s.core.v1.Namespace) -> None:
        settings, api = args.settings.network, list[Peer]()
        if args.settings.kubernetes_high_availability:
            found = api_server(args.server)
            api.append(found if settings.api_server is None else Peer(cidr=settings.api_server, ports=found.ports))
        made: list[pulumi.Resource] = [namespace]
        fixed = {policy for policy, _ in policies({}, {}, ())}
        for policy, spec in policies(settings.ingress, settings.egress, api):
            needs = list(made) if policy in CLOSED else [namespace]
            # What settings name may be taken out again. The rest must not leave a protected environment open.
            options = children.options(depends_on=needs, protect=None if policy in fixed else False)
            made.append(
                k8s.networking.v1.NetworkPolicy(
                    f"{name}-{policy}", metadata=children.metadata(policy), spec=spec, opts=options
                )
            )

    @staticmethod
    def _limit(name: str, settings: NamespaceSettings, children: Children, after: Sequence[pulumi.Resource]) -> None:
        quota, limits = settings.quota, settings.limits
        k8s.core.v1.ResourceQuota(
            f"{name}-quota",
            metadata=children.metadata("quota"),
            spec={
                "hard": {
                    "requests.cpu": cores(quota.cpu),
                    "requests.memory": mib(quota.memory_mib),
                    "limits.memory": mib(quota.memory_mib),
                    "requests.storage": mib(quota.storage_mib),
                    # No limits.cpu: it would force a limit on Kafka and ZooKeeper, which may use what CPU is free.
                    "requests.ephemeral-storage": mib(quota.ephemeral_storage_mib),
                    "limits.ephemeral-storage": mib(quota.ephemeral_storage_mib),
                    **{kind: thousands(count) for kind, count in quota.counts.items()},
                    # Nothing in an environment is reached from outside the cluster.
                    "services.loadbalancers": "0",
                    "services.nodeports": "0",
                }
            },
            opts=children.options(depends_on=after),
        )
        k8s.core.v1.LimitRange(
            f"{name}-limits",
            metadata=children.metadata("limits"),
            spec={
                "limits": [
                    {
                        "type": "Container",
                        "default": {
                            "memory": mib(limits.default_memory_mib),
                            "ephemeral-storage": mib(limits.default_ephemeral_storage_mib),
                        },
                        "default_request": {
                            "cpu": cores(limits.default_cpu),
                            "memory": mib(limits.default_memory_mib),
                            "ephemeral-storage": mib(limits.default_ephemeral_storage_request_mib),
                        },
                        "max": {
                            "memory": mib(limits.max_memory_mib),
                            "ephemeral-storage": mib(limits.max_ephemeral_storage_mib),
                        },
                    }
                ]
            },
            opts=children.options(depends_on=after),
        )

    @staticmethod
    def _leader(name: str, children: Children, namespace: k8s.core.v1.Namespace) -> list[pulumi.Resource]:
        """The account of Flink pods that elect their leader in ConfigMaps; to all, as a role cannot tell them apart."""
        return IsolatedNamespace._account(name, LEADER_ACCOUNT, _LEADER_RULES, children, namespace)

    @staticmethod
    def _roles(
        name: str, settings: NamespaceSettings, children: Children, namespace: k8s.core.v1.Namespace
    ) -> Mapping[str, list[pulumi.Resource]]:
        """The account and the binding of each role."""
        held = restrain(name, children, namespace)
        made: dict[str, list[pulumi.Resource]] = {}
        for role, each in ROLES.items():
            made[role] = IsolatedNamespace._account(
                name,
                role,
                each.granted(developer_exec=settings.developer_exec),
                children,
                namespace,
                groups=[group for bound, groups in settings.groups.items() if bound == role for group in groups],
                after=held,
            )
        return made

    @staticmethod
    def _token(name: str, children: Children, needs: Sequence[pulumi.Resource]) -> k8s.core.v1.Secret:
        """The Secret with the deployer's token."""
        # Kubernetes fills it in; it would delete it at once if the account were not there.
        return k8s.core.v1.Secret(
            f"{name}-{DEPLOYER_TOKEN}",
            metadata=children.metadata(DEPLOYER_TOKEN, {"kubernetes.io/service-account.name": DEPLOYER}),
            type="kubernetes.io/service-account-token",
            opts=children.options(depends_on=needs),
        )

    @staticmethod
    def _account(
        name: str,
        account_name: str,
        rules: Sequence[Rule],
        children: Children,
        namespace: k8s.core.v1.Namespace,
        *,
        groups: Sequence[str] = (),
        after: Sequence[pulumi.Resource] = (),
    ) -> list[pulumi.Resource]:
        """An account that may do something in the namespace, and groups of people that may do the same."""
        account = k8s.core.v1.ServiceAccount(
            f"{name}-{account_name}",
            metadata=children.metadata(account_name),
            automount_service_account_token=False,
            opts=children.options(depends_on=[namespace]),
        )
        role = k8s.rbac.v1.Role(
            f"{name}-{account_name}",
            metadata=children.metadata(account_name),
            rules=[
                {"api_groups": [rule.group], "resources": list(rule.resources), "verbs": list(rule.verbs)}
                for rule in rules
            ],
            opts=children.options(depends_on=[namespace]),
        )
        binding = k8s.rbac.v1.RoleBinding(
            f"{name}-{account_name}",
            metadata=children.metadata(account_name),
            role_ref={"api_group": _RBAC, "kind": "Role", "name": account_name},
            subjects=[
                {"kind": "ServiceAccount", "name": account_name, "namespace": name},
                *({"api_group": _RBAC, "kind": "Group", "name": group} for group in groups),
            ],
            opts=children.options(depends_on=[account, role, *after]),
        )
        return [account, binding]


def kubeconfig(namespace: str, server: str, data: Mapping[str, str]) -> str:
    """The text of a kubeconfig from the data of a service account token's Secret (values in base64)."""
    user = f"{DEPLOYER}-{namespace}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": PROJECT, "cluster": {"server": server, "certificate-authority-data": data["ca.crt"]}}],
        "users": [{"name": user, "user": {"token": base64.b64decode(data["token"]).decode()}}],
        "contexts": [{"name": user, "context": {"cluster": PROJECT, "namespace": namespace, "user": user}}],
        "current-context": user,
    }
    return yaml.safe_dump(document, sort_keys=False)
