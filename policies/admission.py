"""The rules as ValidatingAdmissionPolicies: what the API server asks of whatever comes by another way than Pulumi."""

from collections.abc import Mapping

from components.isolation.cel import quoted
from policies.rules import Validation

WORKLOADS = ("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob")

# The pod's spec, and its containers, in each of WORKLOADS.
_SPEC = (
    "object.kind == 'Pod' ? object.spec : "
    "object.kind == 'CronJob' ? object.spec.jobTemplate.spec.template.spec : object.spec.template.spec"
)
_CONTAINERS = "variables.spec.containers + (has(variables.spec.initContainers) ? variables.spec.initContainers : [])"
_DEBUGGERS = " + (has(variables.spec.ephemeralContainers) ? variables.spec.ephemeralContainers : [])"
# Containers that go on: init containers do not, unless they are sidecars.
RUNNING = (
    "(variables.spec.containers + (has(variables.spec.initContainers) ? "
    "variables.spec.initContainers.filter(c, has(c.restartPolicy) && c.restartPolicy == 'Always') : []))"
)
SPEC: Mapping[str, str] = {"spec": _SPEC}
CONTAINERS: Mapping[str, str] = {**SPEC, "containers": _CONTAINERS}


def _containers(*, debuggers: bool) -> Mapping[str, str]:
    return {**SPEC, "containers": _CONTAINERS + _DEBUGGERS} if debuggers else CONTAINERS


def of_containers(
    at_fault: str,
    text: str,
    among: str = "variables.containers",
    *,
    debuggers: bool = False,
    every_pod: bool = False,
) -> Validation:
    """Containers of which `at_fault`, an expression over the container `c`, is true, are refused."""
    return Validation(
        kinds=WORKLOADS,
        variables=_containers(debuggers=debuggers),
        places=f"{among}.filter(c, {at_fault}).map(c, 'container ' + c.name)",
        text=text,
        debuggers=debuggers,
        every_pod=every_pod,
    )


def of_pods(
    at_fault: str, text: str, *, place: str = "pod", debuggers: bool = False, every_pod: bool = False
) -> Validation:
    """Pods are refused for which an expression over `variables.spec` is true."""
    return Validation(
        kinds=WORKLOADS,
        variables=_containers(debuggers=debuggers),
        places=f"{at_fault} ? ['{place}'] : []",
        text=text,
        debuggers=debuggers,
        every_pod=every_pod,
    )


def values(*faults: tuple[str, str]) -> str:
    """The places of what is at fault, each with its value: an expression that is true of it, and one for its text."""
    return " + ".join(f"({at_fault} ? [{text}] : [])" for at_fault, text in faults)


def listed(texts: tuple[str, ...]) -> str:
    """A list of texts, in CEL."""
    return "[" + ", ".join(quoted(text) for text in texts) + "]"
