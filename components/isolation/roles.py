"""The roles of an environment: who may do what in its namespace, and nothing elsewhere. Plain data, without Pulumi."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.names import DEPLOYER

PREVIEWER = "previewer"  # its account is held to dry runs, by its name

_READ = ("get", "list", "watch")
_APPLY = (*_READ, "create", "patch")  # server-side apply is a patch, and a create where there was nothing
_WRITE = (*_APPLY, "delete")
_CONNECT = ("get", "create")  # a web socket is opened with GET, the older SPDY with POST
_EXEC = "pods/exec"


@dataclass(frozen=True)
class Rule:
    """Verbs on resources of one API group; the empty group is Kubernetes' core."""

    group: str
    resources: Sequence[str]
    verbs: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Role:
    """All that one role may do, and why there is such a role.

    `exec_where_allowed` adds the right to run programs in pods where the environment has `developerExec`.
    """

    why: str
    rules: Sequence[Rule]
    exec_where_allowed: bool = False

    def granted(self, *, developer_exec: bool) -> Sequence[Rule]:
        """The rules in an environment that has `developerExec`, or has not."""
        return (*self.rules, *_EXECUTE) if self.exec_where_allowed and developer_exec else self.rules


def _managed(verbs: Sequence[str]) -> Sequence[Rule]:
    """Verbs on the objects that the stack of an environment is made of. The quota counts them."""
    return (
        Rule("", ("configmaps", "persistentvolumeclaims", "serviceaccounts", "services"), verbs),
        Rule("apps", ("deployments", "statefulsets"), verbs),
        Rule("autoscaling", ("horizontalpodautoscalers",), verbs),
        Rule("policy", ("poddisruptionbudgets",), verbs),
    )


# Pulumi waits for workloads by watching what they own, and shows the events of what does not come up.
_MADE = (
    Rule("", ("events", "pods"), _READ),
    Rule("apps", ("replicasets",), _READ),
    Rule("", ("pods/log",), ("get",)),
)
_EXECUTE = (Rule("", (_EXEC,), _CONNECT),)
_FORWARD = (Rule("", ("pods/portforward",), _CONNECT),)
_VIEW = (*_managed(_READ), *_MADE, Rule("metrics.k8s.io", ("pods",), ("get", "list")))
_DEVELOP = (
    *_VIEW,
    # A restart is a patch. What else a patch could change is refused by the admission policy in restraints.py.
    Rule("apps", ("deployments", "statefulsets"), ("patch",)),
    Rule("", ("pods",), ("delete",)),
    *_FORWARD,
)

# Neither Secrets, nor roles, nor anything outside the namespace: the integration tests ask the API server for all else.
ROLES: Mapping[str, Role] = {
    "viewer": Role(why="looks at what runs, and reads its logs", rules=_VIEW),
    "developer": Role(
        why="looks after jobs: restarts workloads, deletes pods, connects to ports of pods",
        rules=_DEVELOP,
        exec_where_allowed=True,
    ),
    "operator": Role(
        why="helps in an emergency: runs programs in pods, scales workloads, evicts pods",
        rules=(
            *_DEVELOP,
            *_EXECUTE,
            Rule("apps", ("deployments/scale", "statefulsets/scale"), ("get", "patch")),
            Rule("", ("pods/eviction",), ("create",)),
        ),
    ),
    DEPLOYER: Role(
        why="applies the environment's stack",
        # Topics are managed through a port-forward to the brokers; people look into pods.
        rules=(*_managed(_WRITE), *_MADE, Rule("", (_EXEC, "pods/portforward"), _CONNECT)),
    ),
    PREVIEWER: Role(
        why="previews the environment's stack: every request that would change something must be a dry run",
        # Topics are read through a port-forward to the brokers.
        rules=(*_managed(_APPLY), *_MADE, *_FORWARD),
    ),
}


def rights(rules: Sequence[Rule]) -> Mapping[tuple[str, str], frozenset[str]]:
    """The verbs of rules by API group and resource."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for rule in rules:
        for resource in rule.resources:
            key = rule.group, resource
            found[key] = found.get(key, frozenset()) | frozenset(rule.verbs)
    return found
