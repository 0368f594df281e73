"""Limits of roles that their rules cannot express: admission policies for the requests of an environment's accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components.base import FIELD_MANAGER, Children
from components.isolation.cel import quoted
from components.isolation.roles import PREVIEWER
from components.names import PROJECT

_NAMESPACE = "kubernetes.io/metadata.name"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"  # what `kubectl rollout restart` writes into a pod template
_KEPT_BY_SERVER = ("generation", "managedFields", "resourceVersion")

Operations = k8s.admissionregistration.v1.NamedRuleWithOperationsArgsDict


@dataclass(frozen=True, kw_only=True)
class Restraint:
    """One policy: of the requests in `operations` those that `condition` selects must pass `holds` (both in CEL).

    It is for one environment: in its namespace alone, or, for a restraint that is `everywhere`, wherever the account
    that `condition` names sends a request.
    """

    id: str
    operations: Operations
    condition: str
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    holds: str
    text: str
    everywhere: bool = False


def _same(new: str, old: str, but: Sequence[str]) -> str:
    """The CEL expression that two mappings are equal but for the values of some keys."""
    others = f"k in [{', '.join(map(quoted, but))}]"
    return f"{new}.all(k, {others} || (k in {old} && {new}[k] == {old}[k])) && {old}.all(k, {others} || k in {new})"


def _pair(name: str, path: str) -> Mapping[str, str]:
    """The variables for a mapping of the object, and for that of the object as it was; one without it has none."""
    return {
        variable: f"dyn(has({root}.{path}) ? {root}.{path} : {{}})"
        for variable, root in ((name, "object"), (f"old_{name}", "oldObject"))
    }


def restraints(environment: str) -> Sequence[Restraint]:
    """The restraints of an environment's accounts."""
    return (
        Restraint(
            id="dry-run-only",
            # Connections (port-forwards) are neither of these.
            operations={
                "api_groups": ["*"],
                "api_versions": ["*"],
                "operations": ["CREATE", "UPDATE", "DELETE"],
                "resources": ["*/*"],
            },
            condition=f"request.userInfo.username == 'system:serviceaccount:{environment}:{PREVIEWER}'",
            holds="has(request.dryRun) && request.dryRun",
            text=f"the account {PREVIEWER} may only try changes (kubectl --dry-run=server); the deployer makes them",
            everywhere=True,
        ),
        Restraint(
            id="restart-only",
            operations={
                "api_groups": ["apps"],
                "api_versions": ["*"],
                "operations": ["UPDATE"],
                "resources": ["deployments", "statefulsets"],
            },
            # People with a role through a group are recognised by their rights: deployers may create, and controllers
            # may update.
            condition=(
                "!authorizer.requestResource.check('create').allowed() && "
                "!authorizer.requestResource.check('update').allowed()"
            ),
            variables={
                **_pair("labels", "metadata"),
                **_pair("spec", "spec"),
                **_pair("template", "spec.template"),
                **_pair("pod", "spec.template.metadata"),
                **_pair("notes", "spec.template.metadata.annotations"),
            },
            holds=" && ".join(
                f"({_same(f'variables.{name}', f'variables.old_{name}', but)})"
                for name, but in (
                    ("labels", _KEPT_BY_SERVER),
                    ("spec", ("template",)),
                    ("template", ("metadata",)),
                    ("pod", ("annotations",)),
                    ("notes", (_RESTARTED,)),
                )
            ),
            text=(
                "this role may restart a workload (kubectl rollout restart), and change nothing else of it; the "
                "deployer changes it, by the environment's stack"
            ),
        ),
    )


def restrain(environment: str, children: Children, after: pulumi.Resource) -> list[pulumi.Resource]:
    """Create the policies of an environment; return what must be there before its roles are bound."""
    made: list[pulumi.Resource] = []
    for each in restraints(environment):
        name, resource = f"{each.id}-{environment}.{PROJECT}", f"{environment}-{each.id}"
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {
            "name": name,
            "labels": dict(children.labels),
            "annotations": FIELD_MANAGER,
        }
        policy = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            resource,
            metadata=metadata,
            spec={
                # What cannot be judged, because an expression fails, is not admitted.
                "failure_policy": "Fail",
                "match_constraints": {"resource_rules": [each.operations]},
                "match_conditions": [{"name": "restrained", "expression": each.condition}],
                "variables": [{"name": key, "expression": value} for key, value in each.variables.items()],
                "validations": [
                    {"expression": each.holds, "message": f"[{each.id}] {each.text}", "reason": "Forbidden"}
                ],
            },
            opts=children.options(depends_on=[after]),
        )
        spec: k8s.admissionregistration.v1.ValidatingAdmissionPolicyBindingSpecArgsDict = {
            "policy_name": name,
            "validation_actions": ["Deny"],
        }
        if not each.everywhere:
            spec["match_resources"] = {"namespace_selector": {"match_labels": {_NAMESPACE: environment}}}
        made.append(
            k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
                resource, metadata=metadata, spec=spec, opts=children.options(depends_on=[policy])
            )
        )
    return made
