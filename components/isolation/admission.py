"""Admission policies for the platform's namespaces: rules that the API server checks on every request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.base import FIELD_MANAGER, labels
from components.isolation.cel import quoted
from components.names import PROJECT

_VERSION = "1"  # images, which others take their version from, there are none
_PART_OF = "app.kubernetes.io/part-of"

# API group, version and resource of the kinds that rules judge.
RESOURCES: Mapping[str, tuple[str, str, str]] = {
    "Pod": ("", "v1", "pods"),
    "ReplicationController": ("", "v1", "replicationcontrollers"),
    "ConfigMap": ("", "v1", "configmaps"),
    "Service": ("", "v1", "services"),
    "Deployment": ("apps", "v1", "deployments"),
    "StatefulSet": ("apps", "v1", "statefulsets"),
    "DaemonSet": ("apps", "v1", "daemonsets"),
    "ReplicaSet": ("apps", "v1", "replicasets"),
    "Job": ("batch", "v1", "jobs"),
    "CronJob": ("batch", "v1", "cronjobs"),
}

# An object that was there before the rule must stay deletable and scalable: only what changes it is judged.
_CHANGED = "request.operation == 'CREATE' || !has(object.spec) || object.spec != oldObject.spec"
# An object that one of Kubernetes' own controllers makes from a template was judged when the template was written: a
# later rule must not stop the next pod of a running workload. The requester's name proves this; an object's own
# ownerReferences do not.
_NOT_MADE = (
    "!request.userInfo.username.matches('^system:(kube-controller-manager|serviceaccount:kube-system:"
    "(deployment|replicaset|statefulset|daemon-set|job|cronjob|replication)-controller)$')"
)
# Rules that replace Pod Security check every pod, as it does, and so does one that guards what a new pod would get.
_NOT_MADE_BUT_PODS = f"object.kind == 'Pod' || {_NOT_MADE}"
# What is being deleted must be able to go. What a finalizer keeps still works, a Service for example: where there is a
# spec, its change is judged all the same.
_NOT_LEAVING = "has(object.spec) || !has(object.metadata.deletionTimestamp)"


@dataclass(frozen=True, kw_only=True)
class AdmissionRule:
    """One rule for some namespaces, in CEL: `places` is an expression for what is at fault, empty for what passes.

    `text` says what is wrong and what to do, `actions` what a violation does by namespace: Deny or Warn. With
    `debuggers`, containers that are put into a pod that runs are judged, too; with `every_pod`, pods that a controller
    makes from a template.
    """

    name: str
    id: str
    kinds: Sequence[str]
    variables: Mapping[str, str]
    places: str
    text: str
    actions: Mapping[str, str]
    debuggers: bool = False
    every_pod: bool = False


class AdmissionRules(pulumi.ComponentResource):
    """A policy for each rule and its bounds, and a binding of it to the namespaces that it holds in."""

    def __init__(self, name: str, rules: Sequence[AdmissionRule], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streaming:admission:AdmissionRules", name, None, opts)
        for rule in rules:
            self._rule(rule)
        self.register_outputs({})

    def _rule(self, rule: AdmissionRule) -> None:
        name = f"{rule.name}.{PROJECT}"
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {
            "name": name,
            "labels": labels(name="admission", instance=rule.id, version=_VERSION, component="isolation"),
            "annotations": FIELD_MANAGER,
        }
        policy = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            name,
            metadata=metadata,
            spec={
                # What cannot be judged, because an expression fails, is not admitted.
                "failure_policy": "Fail",
                "match_constraints": {"resource_rules": _resource_rules(rule.kinds, debuggers=rule.debuggers)},
                "match_conditions": [
                    {"name": "changed", "expression": _CHANGED},
                    {
                        "name": "not-made-by-a-controller",
                        "expression": _NOT_MADE_BUT_PODS if rule.every_pod else _NOT_MADE,
                    },
                    {"name": "not-leaving", "expression": _NOT_LEAVING},
                ],
                "variables": [
                    *({"name": each, "expression": expression} for each, expression in rule.variables.items()),
                    {"name": "places", "expression": rule.places},
                ],
                "validations": [
                    {
                        "expression": "size(variables.places) == 0",
                        "message_expression": (
                            f"'[{rule.id}] ' + variables.places.join(', ') + {quoted(': ' + rule.text)}"
                        ),
                        "reason": "Invalid",
                    }
                ],
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        for action in sorted(set(rule.actions.values())):
            namespaces = [namespace for namespace, each in rule.actions.items() if each == action]
            self._binding(policy, name, action, namespaces, metadata)

    def _binding(
        self,
        policy: k8s.admissionregistration.v1.ValidatingAdmissionPolicy,
        name: str,
        action: str,
        namespaces: Sequence[str],
        metadata: k8s.meta.v1.ObjectMetaArgsDict,
    ) -> None:
        binding = f"{action.lower()}.{name}"
        in_them: k8s.meta.v1.LabelSelectorRequirementArgsDict = {
            "key": "kubernetes.io/metadata.name",
            "operator": "In",
            "values": list(namespaces),
        }
        k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            binding,
            metadata={**metadata, "name": binding},
            spec={
                "policy_name": name,
                "validation_actions": [action],
                "match_resources": {
                    "namespace_selector": {"match_labels": {_PART_OF: PROJECT}, "match_expressions": [in_them]}
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )


def _resource_rules(
    kinds: Sequence[str], *, debuggers: bool
) -> list[k8s.admissionregistration.v1.NamedRuleWithOperationsArgsDict]:
    """Return which requests are judged: one rule for each API group and version."""
    found: dict[tuple[str, str], list[str]] = {}
    for kind in kinds:
        group, version, resource = RESOURCES[kind]
        found.setdefault((group, version), []).append(resource)
        if kind == "Pod" and debuggers:
            found[group, version].append(f"{resource}/ephemeralcontainers")
    return [
        {"api_groups": [group], "api_versions": [version], "operations": ["CREATE", "UPDATE"], "resources": resources}
        for (group, version), resources in found.items()
    ]
