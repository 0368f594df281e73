"""The status of a platform: what runs, how it scales, how to reach it, and what should run and does not."""

from collections.abc import Mapping

from cli import health, job
from cli.figures import Figures, figures
from cli.kube import Kube, field
from cli.platform import Target, broken_parts, drift, orphans, workspace
from cli.prove import STACK, kube
from cli.waiting import listing
from components.monitoring.panels import CPU, LAG, RECORDS
from console.progress import LocalError, say
from stacks.settings import EnvironmentSettings

_FIGURES_SECONDS = 3.0


def show(target: Target, *, compare: bool = True) -> None:
    """Print it all; with `compare` also what differs from what was applied. Raises LocalError with what does not run,
    and what helps."""
    at, settings = kube(target)
    if broken := broken_parts(target):
        parts = "".join(f"\n  {part.strip()}" for part in broken)
        raise LocalError(f"the local node {target.name} does not run: make up{target.words} starts it{parts}")
    lost = orphans(target)
    for each in lost:
        say(f"  the local node: {each}")
    say(f"\n  namespace {at.namespace}")
    measured = _figures(at, settings)
    for name in settings.flink.clusters:
        say(f"    Flink {name:<20} {job.look(at, name).text}")
        say(f"    {'':<26} {autoscaler_state(at, name)}")
        if settings.monitoring.enabled:
            say(f"    {'':<26} metrics: {measured.get(name, 'not there yet')}")
    brokers = field(at.get("statefulset", "kafka"), "status", "readyReplicas", default=0)
    members = field(at.get("statefulset", "zookeeper"), "status", "readyReplicas", default=0)
    say(f"    Kafka {brokers}/{settings.kafka.brokers} brokers ready, ZooKeeper {members}/{settings.zookeeper.members}")
    say(f"    topics: {', '.join(sorted(settings.topics))}")
    if compare:
        _differences(target)
    if faults := health.faults(at, settings):
        raise LocalError(f"not everything runs that should:\n{listing(faults)}")
    if lost:
        raise LocalError(f"processes outlive their pods, and may write to the same volumes: {'; '.join(lost)}")
    first = next(iter(settings.flink.clusters), None)
    more = target.words
    if first:
        say(
            f"\n  Flink UI:    kubectl -n {at.namespace} port-forward svc/{first}-jobmanager 8081,"
            " then http://127.0.0.1:8081"
        )
    say(f"""\
  kubectl:     eval "$(make -s kubeconfig{more} STACK={STACK})"   (STACK=cluster: the administrator's)
  by hand:     eval "$(make -s env{more})"                  pulumi and kubectl as make uses them
  what next:   edit stacks/Pulumi.{STACK}.yaml, make preview{more} STACK={STACK}, make up{more}""")


def _figures(at: Kube, settings: EnvironmentSettings) -> Mapping[str, str]:
    """The newest figures of each Flink cluster that has any. A Prometheus that does not answer is no fault here."""
    if not settings.monitoring.enabled:
        return {}
    try:
        with figures(at, settings, _FIGURES_SECONDS) as found:
            return figures_of(found)
    except LocalError:
        return {}


def figures_of(found: Figures) -> dict[str, str]:
    """The figures of each Flink cluster, in words."""
    records, lag, cpu = (found.now(panel) for panel in (RECORDS, LAG, CPU))
    return {
        name: f"{sum(records[name]):,.0f} records/s, {sum(lag[name]):,.0f} wait, "
        f"{sum(cpu[name]) / len(cpu[name]):.2f} cores of each TaskManager"
        for name in records.keys() & lag.keys() & cpu.keys()
    }


def _differences(target: Target) -> None:
    _, found = drift(target, workspace(target), STACK)
    for name in found.lost_claims:
        say(f"    deleted outside of Pulumi, with its data: {name}")
    for change in (*found.changes, *(f"{name} is gone" for name in found.missing)):
        say(f"    changed outside of Pulumi: {change}; make up{target.words} resets it")
    for each in found.foreign:
        say(f"    added outside of Pulumi: {each}")


def autoscaler_state(at: Kube, name: str) -> str:
    """TaskManagers now/min/max and the HPA's metric."""
    hpa = at.get("hpa", f"{name}-taskmanager")
    if not hpa:
        return "no autoscaler"
    source = field(hpa["spec"]["metrics"][0], "containerResource")
    current = None
    for metric in field(hpa, "status", "currentMetrics", default=[]):
        current = field(metric, "containerResource", "current", "averageUtilization")
    return (
        f"TaskManagers {field(hpa, 'status', 'currentReplicas', default=0)} now, "
        f"{hpa['spec']['minReplicas']} min, {hpa['spec']['maxReplicas']} max; "
        f"{source['name']} {'unknown' if current is None else f'{current}%'} of "
        f"{source['target']['averageUtilization']}% target"
    )
