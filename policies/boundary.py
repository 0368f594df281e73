"""Rules for what an environment must not do to the others: take their traffic, their place, their disk or rights."""

from collections.abc import Iterator, Mapping
from typing import Any

from components.isolation.roles import ROLES
from components.isolation.settings import LimitSettings
from components.names import DEPLOYER_TOKEN
from policies.admission import CONTAINERS, SPEC, WORKLOADS, of_containers, values
from policies.admission import listed as cel_list
from policies.resources import MIB, Container, KubeObject, Pod, quantity
from policies.rules import Bounds, Setting, Validation, apart, each_of, figure, listed, rule
from policies.unknown import field, items, mapping

_INSIDE = "ClusterIP"


def _inside(service: KubeObject, _: Bounds) -> Iterator[str]:
    spec = mapping(service.body, "spec")

    def kind() -> Iterator[str]:
        if (found := field(spec, "type") or _INSIDE) != _INSIDE:
            yield f"spec.type is {found}"

    def addresses() -> Iterator[str]:
        if found := field(spec, "externalIPs"):
            texts = [each if isinstance(each, str) else "an address" for each in items(spec, "externalIPs")]
            yield f"spec.externalIPs is {listed(texts) if texts else found}"

    def selector() -> Iterator[str]:
        if not field(spec, "selector"):
            yield "spec.selector is not set"

    yield from each_of(kind, addresses, selector)


SERVICE = rule(
    id="service-inside",
    description=(
        "A Service with addresses of its own takes what anybody in the cluster sends there, up to the API server's "
        "traffic. Others open the environment to the outside, or lead out of it under a name inside."
    ),
    remedy=f"use type: {_INSIDE} with a selector of the environment's own pods, and no externalIPs",
    subjects=lambda stack: stack.of_kind("Service"),
    check=_inside,
    admission=lambda _: Validation(
        kinds=("Service",),
        variables={},
        places=values(
            (f"has(object.spec.type) && object.spec.type != '{_INSIDE}'", "'spec.type is ' + object.spec.type"),
            (
                "has(object.spec.externalIPs) && size(object.spec.externalIPs) > 0",
                "'spec.externalIPs is ' + object.spec.externalIPs.join(', ')",
            ),
            ("!has(object.spec.selector) || size(object.spec.selector) == 0", "'spec.selector is not set'"),
        ),
        text="a Service of an environment leads to pods of its own, and to nothing else",
    ),
)


def _priority(pod: Pod, bounds: Bounds) -> Iterator[str]:
    allowed, found = bounds.texts("priorityClasses"), field(pod.spec, "priorityClassName")
    if found and found not in allowed:
        yield f"priorityClassName is {found}, and {listed(allowed)} is allowed (priorityClasses)"


PRIORITY = rule(
    id="priority-allowed",
    description=(
        "On a full cluster the scheduler takes pods away for one of a higher priority, and under memory or disk "
        "pressure the kubelet takes lower ones first: those of the other environments."
    ),
    remedy="leave priorityClassName out, or have the class added to the environment's priorityClasses",
    subjects=lambda stack: stack.pods,
    check=_priority,
    settings={
        "priorityClasses": Setting((), "PriorityClasses that pods may name, none of them system-...", "priorityClasses")
    },
    admission=lambda bounds: Validation(
        kinds=WORKLOADS,
        variables=SPEC,
        places=values(
            (
                "has(variables.spec.priorityClassName) && variables.spec.priorityClassName != '' && "
                f"!(variables.spec.priorityClassName in {cel_list(bounds.texts('priorityClasses'))})",
                "'priorityClassName is ' + variables.spec.priorityClassName",
            )
        ),
        text=f"allowed: {listed(bounds.texts('priorityClasses'))}",
    ),
)


def _secrets(of: Mapping[str, Any] | Container) -> Iterator[str]:
    """The names of the Secrets that a volume or a container reads."""
    if isinstance(of, Container):
        yield from (field(each, "valueFrom", "secretKeyRef", "name") for each in items(of.body, "env"))
        yield from (field(each, "secretRef", "name") for each in items(of.body, "envFrom"))
    else:
        yield field(of, "secret", "secretName")
        yield from (field(each, "secret", "name") for each in items(of, "projected", "sources"))


def _deployer(pod: Pod, _: Bounds) -> Iterator[str]:
    def account(key: str) -> Iterator[str]:
        if (name := field(pod.spec, key)) in ROLES:
            yield f"{key} is {name}"

    def volume(each: Any) -> Iterator[str]:
        if DEPLOYER_TOKEN in _secrets(mapping(each)):
            yield f"volume {field(each, 'name')} has the Secret {DEPLOYER_TOKEN}"

    def container(each: Container) -> Iterator[str]:
        if DEPLOYER_TOKEN in _secrets(each):
            yield f"container {each.name} has the Secret {DEPLOYER_TOKEN}"

    yield from apart(("serviceAccountName", "serviceAccount"), account)
    yield from apart(items(pod.spec, "volumes"), volume)
    yield from apart(pod.containers, container)


def _is(path: str, value: str) -> str:
    """The CEL expression that a field is there and has this value; `path` begins with a variable."""
    steps = path.split(".")
    there = (f"has({'.'.join(steps[: count + 1])})" for count in range(1, len(steps)))
    return " && ".join((*there, f"{path} == '{value}'"))


_SPEC, _ALL, _ROLES = "variables.spec", "variables.containers", cel_list(tuple(ROLES))
ACCOUNT = rule(
    id="pod-not-deployer",
    description=(
        "A pod with the deployer's token, or with that of another role, may do what the role may, for whoever reaches "
        "that pod, and goes on after the token of the team has been changed."
    ),
    remedy="use an account of its own for the pod, without the rights of a role",
    subjects=lambda stack: stack.pods,
    check=_deployer,
    admission=lambda _: Validation(
        kinds=WORKLOADS,
        variables={**CONTAINERS},
        places=values(
            (
                f"has({_SPEC}.serviceAccountName) && {_SPEC}.serviceAccountName in {_ROLES}",
                f"'serviceAccountName is ' + {_SPEC}.serviceAccountName",
            ),
            (
                f"!(has({_SPEC}.serviceAccountName) && {_SPEC}.serviceAccountName in {_ROLES}) && "
                f"has({_SPEC}.serviceAccount) && {_SPEC}.serviceAccount in {_ROLES}",
                f"'serviceAccountName is ' + {_SPEC}.serviceAccount",
            ),
        )
        + f" + (has({_SPEC}.volumes) ? {_SPEC}.volumes.filter(v, ({_is('v.secret.secretName', DEPLOYER_TOKEN)}) || "
        f"(has(v.projected) && has(v.projected.sources) && v.projected.sources.exists(p, "
        f"{_is('p.secret.name', DEPLOYER_TOKEN)}))).map(v, 'volume ' + v.name) : []) + {_ALL}.filter(c, "
        f"(has(c.env) && c.env.exists(e, {_is('e.valueFrom.secretKeyRef.name', DEPLOYER_TOKEN)})) || "
        f"(has(c.envFrom) && c.envFrom.exists(e, {_is('e.secretRef.name', DEPLOYER_TOKEN)})))"
        ".map(c, 'container ' + c.name)",
        text=f"the accounts {listed(tuple(ROLES))} and the Secret {DEPLOYER_TOKEN} are not for pods",
        every_pod=True,
    ),
)

_DISK = "ephemeral-storage"


def _disk(container: Container, bounds: Bounds) -> Iterator[str]:
    text, most = field(container.body, "resources", "limits", _DISK), bounds.number("maxMib")
    limit = 0 if text is None else quantity(f"resources.limits.{_DISK}", text) / MIB
    if limit > most:
        yield f"the limit of {_DISK} is {figure(limit)} MiB, above {most} MiB (maxMib)"


DISK = rule(
    id="container-disk-limit",
    description=(
        "A container that may write more to the node's disk than the namespace admits is refused by its LimitRange, "
        "when its pod is made."
    ),
    remedy=(
        "lower the limit, for Flink the sizes of emptyDir volumes (taskManagers.stateDirectory.sizeMib), or have the "
        "bound of the environment raised (limits.maxEphemeralStorageMib of the stack cluster)"
    ),
    subjects=lambda stack: stack.containers,
    check=_disk,
    settings={
        "maxMib": Setting(
            LimitSettings().max_ephemeral_storage_mib,
            f"largest limit of {_DISK} of one container, in MiB",
            "limits.maxEphemeralStorageMib",
        )
    },
    admission=lambda bounds: of_containers(
        f"has(c.resources) && has(c.resources.limits) && '{_DISK}' in c.resources.limits && "
        f"quantity(c.resources.limits['{_DISK}']).isGreaterThan(quantity('{bounds.number('maxMib')}Mi'))",
        f"the limit of {_DISK} is above {bounds.number('maxMib')} MiB",
    ),
)

RULES = (SERVICE, PRIORITY, ACCOUNT, DISK)
