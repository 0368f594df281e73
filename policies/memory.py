"""Memory of containers: what each may take, what is kept for it, and what a namespace takes in all."""

from collections.abc import Iterator
from dataclasses import dataclass

from policies.admission import of_containers
from policies.programs import PROGRAMS, cel_runs, program_of
from policies.resources import Container, Pod, Stack
from policies.rules import Bounds, Setting, apart, figure, rule
from policies.scaling import replicas_at_most


def _sized(stack: Stack) -> Iterator[Container]:
    return (container for container in stack.containers if not container.sized_by_flink)


def _bounded(container: Container, bounds: Bounds) -> Iterator[str]:
    least = bounds.number("minMib")

    def kind(name: str) -> Iterator[str]:
        size = container.memory_mib(name)
        if size is None:
            yield f"resources.{name}.memory is not set"
        elif size == 0:
            yield f"resources.{name}.memory is 0, which means that there is none"
        elif size < least:
            yield f"resources.{name}.memory is {size:.3g} MiB, below {least} MiB (minMib), with which nothing starts"

    yield from apart(("requests", "limits"), kind)


BOUNDED = rule(
    id="container-memory-bounded",
    description="A container without a memory request and limit takes its neighbours' memory, and is killed for it.",
    remedy="set request and limit to what the process needs at most",
    subjects=_sized,
    check=_bounded,
    settings={"minMib": Setting(4, "least memory request and limit of one container, in MiB")},
    admission=lambda bounds: of_containers(
        "!has(c.resources) || "
        + " || ".join(
            f"!has(c.resources.{kind}) || !('memory' in c.resources.{kind}) || "
            f"quantity(c.resources.{kind}.memory).isLessThan(quantity('{bounds.number('minMib')}Mi'))"
            for kind in ("requests", "limits")
        ),
        f"resources.requests.memory or resources.limits.memory is not set, or below {bounds.number('minMib')} MiB",
    ),
)


def _guaranteed(container: Container, _: Bounds) -> Iterator[str]:
    program = program_of(container)
    request, limit = container.memory_mib("requests"), container.memory_mib("limits")
    if program and request is not None and limit is not None and request != limit:
        yield f"{program.name} with a memory request of {figure(request)} MiB and a limit of {figure(limit)} MiB"


GUARANTEED = rule(
    id="memory-request-is-limit",
    description=(
        "A JVM takes all memory that it was sized for. With a smaller request the node promises it to others too, "
        "and when they come the kernel kills Flink, ZooKeeper or Kafka although it kept its limit."
    ),
    remedy="set the request to the limit",
    subjects=_sized,
    check=_guaranteed,
    admission=lambda _: of_containers(
        f"{cel_runs(*PROGRAMS)} && has(c.resources) && has(c.resources.requests) && has(c.resources.limits) && "
        "'memory' in c.resources.requests && 'memory' in c.resources.limits && "
        "quantity(c.resources.requests.memory).compareTo(quantity(c.resources.limits.memory)) != 0",
        "the memory request is not the limit",
    ),
)


def _within(container: Container, bounds: Bounds) -> Iterator[str]:
    limit, most = container.memory_mib("limits"), bounds.number("maxMib")
    if limit is not None and limit > most:
        yield f"the memory limit is {figure(limit)} MiB, above {most} MiB (maxMib)"


CONTAINER = rule(
    id="container-memory-limit",
    description="A container larger than the namespace admits is refused by its LimitRange, when its pod is made.",
    remedy="lower the limit, or have the bound of the environment raised (limits.maxMemoryMib of the stack cluster)",
    subjects=_sized,
    check=_within,
    settings={"maxMib": Setting(16384, "largest memory limit of one container, in MiB", "limits.maxMemoryMib")},
    admission=lambda bounds: of_containers(
        "has(c.resources) && has(c.resources.limits) && 'memory' in c.resources.limits && "
        f"quantity(c.resources.limits.memory).isGreaterThan(quantity('{bounds.number('maxMib')}Mi'))",
        f"the memory limit is above {bounds.number('maxMib')} MiB",
    ),
)


@dataclass(frozen=True, kw_only=True)
class _Namespace:
    """All pods of a namespace."""

    name: str
    pods: tuple[Pod, ...]
    stack: Stack

    @property
    def urn(self) -> str:
        return ""

    @property
    def where(self) -> str:
        return f"namespace {self.name or 'of the provider'}"


def _namespaces(stack: Stack) -> Iterator[_Namespace]:
    found: dict[str, list[Pod]] = {}
    for pod in stack.pods:
        if pod.owner.kind != "ConfigMap":
            found.setdefault(pod.owner.namespace, []).append(pod)
    return (_Namespace(name=name, pods=tuple(pods), stack=stack) for name, pods in found.items())


def _pod_mib(pod: Pod) -> float:
    """Return what a pod may take: its containers and sidecars together, or an init container that is larger."""
    main, first = 0.0, 0.0
    for container in pod.containers:
        limit = container.memory_mib("limits") or 0.0
        if container.init and not container.sidecar:
            first = max(first, limit)
        else:
            main += limit
    return max(main, first)


def _namespace_within(namespace: _Namespace, bounds: Bounds) -> Iterator[str]:
    sizes = [(replicas_at_most(namespace.stack, pod.owner), _pod_mib(pod), pod.owner.name) for pod in namespace.pods]
    total, most = sum(count * size for count, size, _ in sizes), bounds.number("maxMib")
    if total > most:
        largest = sorted(sizes, key=lambda each: -each[0] * each[1])[:3]
        shown = ", ".join(f"{name} {count} x {figure(size)}" for count, size, name in largest)
        yield f"pods may take {figure(total)} MiB, above {most} MiB (maxMib); the largest: {shown}"


NAMESPACE = rule(
    id="namespace-memory-limit",
    description=(
        "When pods ask for more memory than the namespace's quota, some are not made: the last ones that the "
        "autoscaler wants, or those that an update makes before it removes the old ones."
    ),
    remedy="lower limits or replicas, or have the quota raised (quota.memoryMib of the stack cluster)",
    subjects=_namespaces,
    check=_namespace_within,
    scope="stack",
    settings={
        "maxMib": Setting(
            65536, "sum of the memory limits of all pods, autoscalers at their maximum, in MiB", "quota.memoryMib"
        )
    },
    admission="a sum over many objects: the namespace's ResourceQuota refuses pods beyond it",
)

RULES = (BOUNDED, GUARANTEED, CONTAINER, NAMESPACE)
