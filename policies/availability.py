"""Rules for what must keep running when a node is drained, a process hangs, or a member of an ensemble is lost."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from policies.admission import CONTAINERS, RUNNING, of_containers
from policies.kafka import KafkaBrokers, kafkas
from policies.programs import PROGRAMS, ZOOKEEPER, cel_runs, program_of, surely_runs
from policies.resources import Container, KubeObject, Pod, Stack, selects
from policies.rules import Bounds, Setting, Validation, rule
from policies.scaling import replicas_at_most
from policies.unknown import CannotJudgeError, UnreadableError, field, items, mapping, whole

_RUNNING = ("Deployment", "StatefulSet", "DaemonSet")
_SETS = ("Deployment", "StatefulSet")


@dataclass(frozen=True, kw_only=True)
class _Ensemble:
    """A workload whose pods elect a leader."""

    pod: Pod
    what: str
    numbers: Callable[[], Iterable[int]]
    """Numbers of members, wherever one is given. A number that is not known yet does not affect the others."""

    @property
    def urn(self) -> str:
        return self.pod.urn

    @property
    def where(self) -> str:
        return self.pod.where


def _ensembles(stack: Stack) -> Iterator[_Ensemble]:
    for container in stack.containers:
        if surely_runs(container, ZOOKEEPER) and container.pod.owner.kind in _SETS:
            numbers = partial(_members, stack, container.pod.owner)
            yield _Ensemble(pod=container.pod, what="members of ZooKeeper", numbers=numbers)
    for brokers in kafkas(stack):
        yield _Ensemble(pod=brokers.container.pod, what="controllers of Kafka", numbers=partial(_voters, brokers))


def _members(stack: Stack, owner: KubeObject) -> set[int]:
    return {replicas_at_most(stack, owner)}


def _voters(brokers: KafkaBrokers) -> set[int]:
    return {
        len(properties["controller.quorum.voters"].split(","))
        for properties in brokers.files.values()
        if "controller.quorum.voters" in properties
    }


def _odd(ensemble: _Ensemble, bounds: Bounds) -> Iterator[str]:
    least = bounds.number("minMembers")
    for members in ensemble.numbers():
        if members % 2 == 0:
            yield f"{members} {ensemble.what} survive no more failures than {max(members - 1, 0)}"
        elif members < least and ensemble.what.endswith("ZooKeeper"):
            yield f"{members} {ensemble.what}, below {least} (minMembers)"


ODD = rule(
    id="ensemble-odd",
    description=(
        "An even ensemble needs one member more for a majority than the odd one below it, so it survives no more "
        "losses."
    ),
    remedy="use an odd number, such as 3",
    subjects=_ensembles,
    check=_odd,
    scope="stack",
    settings={"minMembers": Setting(1, "least members of a ZooKeeper ensemble")},
    admission=lambda bounds: Validation(
        kinds=("StatefulSet",),
        variables=CONTAINERS,
        places=(
            f"variables.spec.containers.exists(c, {cel_runs(ZOOKEEPER)}) && "
            f"(object.spec.replicas % 2 == 0 || object.spec.replicas < {bounds.number('minMembers')}) "
            "? [string(object.spec.replicas) + ' members'] : []"
        ),
        text=f"an ensemble of an even number, or of fewer than {bounds.number('minMembers')}",
    ),
)


@dataclass(frozen=True, kw_only=True)
class _Replicated:
    """A set of pods that run one of the programs that the rules know, and may be several."""

    pod: Pod
    stack: Stack

    @property
    def urn(self) -> str:
        return self.pod.urn

    @property
    def where(self) -> str:
        return self.pod.where

    @property
    def count(self) -> int:
        return replicas_at_most(self.stack, self.pod.owner)

    @property
    def budgets(self) -> list[KubeObject]:
        """The disruption budgets that select the pods."""
        return [
            budget
            for budget in self.stack.of_kind("PodDisruptionBudget")
            if budget.namespace == self.pod.owner.namespace
            and selects(field(budget.body, "spec", "selector"), self.pod.labels)
        ]


def _replicated(stack: Stack) -> Iterator[_Replicated]:
    for pod in stack.pods:
        if pod.owner.kind in _SETS and any(surely_runs(each, *PROGRAMS) for each in pod.containers):
            yield _Replicated(pod=pod, stack=stack)


def _number(name: str, value: Any, count: int) -> int:
    """A number of pods, or a percentage of them, rounded up as Kubernetes does."""
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,3}%", value):
            raise UnreadableError(name, value, "number of pods, and no percentage of them")
        return math.ceil(count * int(value[:-1]) / 100)
    return whole(name, value)


def _budget(pods: _Replicated, _: Bounds) -> Iterator[str]:
    count, budgets = pods.count, pods.budgets
    if not budgets and count > 1:
        yield f"no PodDisruptionBudget selects these {count} pods"
    if len(budgets) > 1:
        yield f"{len(budgets)} PodDisruptionBudgets select these pods, and Kubernetes evicts none of them"
    for budget in budgets:
        unavailable, available = (field(budget.body, "spec", name) for name in ("maxUnavailable", "minAvailable"))
        given = f"maxUnavailable {unavailable}" if unavailable is not None else f"minAvailable {available}"
        allowed = (
            count - _number("minAvailable", available or 0, count)
            if unavailable is None
            else _number("maxUnavailable", unavailable, count)
        )
        if allowed < 1:
            yield f"{budget.where} with {given} allows no eviction of {count} pods: the node can never be drained"
        elif allowed >= count > 1:
            yield f"{budget.where} with {given} allows all {count} pods to be evicted at once"


BUDGET = rule(
    id="disruption-budget",
    description=(
        "A node that is drained loses all of its pods at once. Without a budget these may be a quorum, or all "
        "TaskManagers. With a budget that allows no disruption, the drain never ends."
    ),
    remedy="add one PodDisruptionBudget with maxUnavailable: 1",
    subjects=_replicated,
    check=_budget,
    scope="stack",
    admission="budget, pods and their number are three objects",
)


def _spread(pods: _Replicated, _: Bounds) -> Iterator[str]:
    spec = pods.pod.spec
    if (
        pods.count > 1
        and not mapping(spec, "affinity", "podAntiAffinity")
        and not items(spec, "topologySpreadConstraints")
    ):
        yield f"{pods.count} pods with neither affinity.podAntiAffinity nor topologySpreadConstraints"


SPREAD = rule(
    id="pods-apart",
    description="The scheduler may put all members of a set on one node, and that node takes all of them with it.",
    remedy="prefer other nodes with affinity.podAntiAffinity (topologyKey kubernetes.io/hostname)",
    subjects=_replicated,
    check=_spread,
    scope="stack",
    admission=lambda _: Validation(
        kinds=_SETS,
        variables=CONTAINERS,
        places=(
            f"object.spec.replicas > 1 && variables.spec.containers.exists(c, {cel_runs(*PROGRAMS)}) && "
            "!(has(variables.spec.affinity) && has(variables.spec.affinity.podAntiAffinity)) && "
            "!has(variables.spec.topologySpreadConstraints) ? ['pods'] : []"
        ),
        text="several of them with neither affinity.podAntiAffinity nor topologySpreadConstraints",
    ),
)


def _long_running(stack: Stack) -> Iterator[Container]:
    for container in stack.containers:
        if container.pod.owner.kind in _RUNNING and (not container.init or _goes_on(container)):
            yield container


def _goes_on(container: Container) -> bool:
    """Return whether it is a native sidecar; True if that is not known, which other rules report."""
    try:
        return container.sidecar
    except CannotJudgeError:
        return True


def _probed(container: Container, _: Bounds) -> Iterator[str]:
    missing = [name for name in ("readinessProbe", "livenessProbe") if not mapping(container.body, name)]
    if missing and program_of(container):
        yield f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"


PROBED = rule(
    id="container-probed",
    description=(
        "Without a readiness probe an update goes on to the next pod, and clients connect, before the process is ready "
        "to serve. Without a liveness probe a process that hangs is never restarted."
    ),
    remedy="set both, with a startupProbe where the start takes long",
    subjects=_long_running,
    check=_probed,
    admission=lambda _: of_containers(
        f"object.kind in ['Deployment', 'StatefulSet', 'DaemonSet'] && {cel_runs(*PROGRAMS)} && "
        "(!has(c.readinessProbe) || !has(c.livenessProbe))",
        "readinessProbe or livenessProbe is not set",
        among=RUNNING,
    ),
)

RULES = (ODD, BUDGET, SPREAD, PROBED)
