"""A check whether an existing cluster can carry the platform: one table, before anything is created."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.kube import field
from cli.room import Finding, capacity, least_capacity, usable
from console.paths import private, write
from console.progress import LocalError, run, say, warn
from local.images.registry import REGISTRY
from local.images.registry import silence as registry_silence
from stacks.settings import EnvironmentSettings

OLDEST_MINOR = 30  # HPA on ContainerResource metrics is stable since Kubernetes 1.30
RIGHTS = (
    ("create", "namespaces"),
    ("create", "roles.rbac.authorization.k8s.io"),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
    ("create", "resourcequotas"),
    ("create", "limitranges"),
    ("patch", "namespaces"),
    ("create", "networkpolicies.networking.k8s.io"),
    ("create", "serviceaccounts"),
    ("create", "secrets"),
)
# DaemonSets of network plug-ins that enforce NetworkPolicy; another may do so too, hence "unknown" and not "no".
POLICY_AGENTS = ("calico-node", "cilium", "antrea-agent", "kube-router", "weave-net", "canal", "kube-network-policies")


def single_context(kubectl: Path, context: str, directory: Path) -> tuple[Path, str]:
    """Write a kubeconfig of our own (0600) with just one context of the user's; return it and its API server's address.

    Raises LocalError that names the contexts there are.
    """
    view = [kubectl, "config", "view"]  # of KUBECONFIG, which may be several files, or of ~/.kube/config
    names = [entry["name"] for entry in field(json.loads(run([*view, "-o", "json"])), "contexts", default=[])]
    if context not in names:
        raise LocalError(f"CONTEXT={context}: no such context; there are: {', '.join(sorted(names)) or 'none'}")
    text = run([*view, "--context", context, "--minify", "--flatten", "--raw", "-o", "json"])
    path = private(directory) / "admin.kubeconfig"
    write(path, text)
    return path, str(json.loads(text)["clusters"][0]["cluster"]["server"])


def check(kubectl: Path, kubeconfig: Path, settings: EnvironmentSettings) -> None:
    """Print the table. Raises LocalError with the remedies when anything failed."""
    context = run([kubectl, "--kubeconfig", kubeconfig, "config", "current-context"]).strip()
    ask = _asking(kubectl, kubeconfig)

    def items(*words: str) -> list[dict[str, Any]]:
        return json.loads(ask("get", *words, "-o", "json"))["items"]

    findings = [
        _guard("API server", lambda: api_version(json.loads(ask("version", "-o", "json")))),
        _guard("rights", lambda: rights(ask)),
        _guard("storage class", lambda: storage(items("storageclasses"), items("nodes"), settings)),
        _guard("metrics API", lambda: metrics(items("apiservices"))),
        _guard("capacity", lambda: capacity(items("nodes"), items("pods", "-A"), settings)),
        _guard("images", lambda: registry(settings)),
        _guard("network policies", lambda: policies(items("daemonsets", "-A"))),
    ]
    say(f"  preflight of {context}:")
    for finding in findings:
        say(f"    {finding.subject:<18} {finding.verdict:<8} {finding.text}")
    _refuse(f"{context} cannot carry the platform, nothing was created", findings)


def check_change(kubectl: Path, kubeconfig: Path, settings: EnvironmentSettings) -> None:
    """Say what will have to wait where a cluster that carries the platform has no room for these settings."""
    ask = _asking(kubectl, kubeconfig)

    def items(*words: str) -> list[dict[str, Any]]:
        return json.loads(ask("get", *words, "-o", "json"))["items"]

    finding = _guard("capacity", lambda: least_capacity(items("nodes"), items("pods", "-A"), settings))
    if finding.verdict == "warning":
        warn(f"{finding.subject}: {finding.text}")
    _refuse(f"{settings.environment} cannot be changed like this, nothing was changed", [finding])


def _asking(kubectl: Path, kubeconfig: Path) -> Callable[..., str]:
    return lambda *words: run([kubectl, "--kubeconfig", kubeconfig, "--request-timeout=10s", *words])


def _refuse(what: str, findings: Sequence[Finding]) -> None:
    if failed := [finding for finding in findings if finding.verdict == "failed"]:
        raise LocalError("\n".join([f"{what}:", *(f"  {each.subject}: {each.text}" for each in failed)]))


def _guard(subject: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except (LocalError, ValueError) as error:
        return Finding(subject, "failed", str(error).splitlines()[-1])


def api_version(version: Mapping[str, Any]) -> Finding:
    """Kubernetes 1.30 or later."""
    told = version["serverVersion"]
    minor = int("".join(c for c in told["minor"] if c.isdigit()))
    if (int(told["major"]), minor) < (1, OLDEST_MINOR):
        return Finding("API server", "failed", f"{told['gitVersion']}; 1.{OLDEST_MINOR} or later is needed: upgrade it")
    return Finding("API server", "ok", told["gitVersion"])


def rights(ask: Callable[..., str]) -> Finding:
    """The administrator's rights that the stack `cluster` uses."""
    missing: list[str] = []
    for verb, resource in RIGHTS:
        try:
            ask("auth", "can-i", verb, resource, "-A")
        except LocalError:
            missing.append(f"{verb} {resource}")
    if missing:
        return Finding("rights", "failed", f"missing: {', '.join(missing)}; use a context of an administrator")
    return Finding("rights", "ok", "an administrator's")


def storage(
    classes: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]], settings: EnvironmentSettings
) -> Finding:
    """A storage class there is, and an access mode that fits the number of nodes."""
    default = "storageclass.kubernetes.io/is-default-class"
    names = [str(c["metadata"]["name"]) for c in classes]
    wanted = settings.storage.class_name
    defaults = [str(c["metadata"]["name"]) for c in classes if field(c, "metadata", "annotations", default) == "true"]
    if wanted and wanted not in names:
        there = ", ".join(names) or "none"
        return Finding("storage class", "failed", f"storage.class {wanted} is not there; there are: {there}")
    if not wanted and not defaults:
        return Finding("storage class", "failed", "no default: set storage.class, or mark one as the default")
    schedulable = usable(nodes)
    mode = settings.storage.access_mode
    on_volumes = [name for name, each in settings.flink.clusters.items() if each.s3 is None]
    if len(schedulable) > 1 and mode != "ReadWriteMany" and on_volumes:
        return Finding(
            "storage class",
            "failed",
            f"storage.accessMode is {mode} on {len(schedulable)} nodes, where Flink's checkpoints and HA files must be "
            "reachable from each: set storage.accessMode to ReadWriteMany with a class that has it (NFS, CephFS, EFS)",
        )
    return Finding("storage class", "ok", f"{wanted or defaults[0]}, {mode}, {len(schedulable)} schedulable node(s)")


def metrics(services: Sequence[Mapping[str, Any]]) -> Finding:
    """The resource metrics API, without which the autoscaler is blind."""
    for service in services:
        if service["metadata"]["name"] == "v1beta1.metrics.k8s.io":
            for condition in field(service, "status", "conditions", default=[]):
                if condition["type"] == "Available" and condition["status"] == "True":
                    return Finding("metrics API", "ok", "available")
            return Finding("metrics API", "failed", "registered but not available: look at metrics-server")
    return Finding("metrics API", "failed", "not there, and the autoscaler needs it: install metrics-server")


def ships_logs(settings: EnvironmentSettings) -> bool:
    """Return whether any pod has a log sidecar."""
    return settings.logging.enabled and bool(settings.flink.clusters)


def builds_fluentd(settings: EnvironmentSettings) -> bool:
    """Return whether the sidecars run the image of our own recipe."""
    return ships_logs(settings) and settings.logging.agent == "fluentd" and settings.logging.image is None


def registry(settings: EnvironmentSettings) -> Finding:
    """A registry for the images of our own, where a Flink cluster has any."""
    own = [name for name, cluster in settings.flink.clusters.items() if cluster.jar]
    if not own and not builds_fluentd(settings):
        return Finding("images", "ok", "none to be built; the cluster pulls them itself")
    named = f"Flink cluster {', '.join(own)} runs a jar" if own else "logging.agent is fluentd"
    named += ", whose image"
    if not settings.images.registry:
        return Finding("images", "failed", f"{named} must come from a registry: set images.registry, or give an image")
    if os.geteuid() != 0:
        return Finding("images", "failed", f"{named} is built with buildah as root: be root, or give an image")
    host = settings.images.registry.split("/")[0]
    url = f"https://{host}/v2/" if host != "docker.io" and ("." in host or ":" in host) else REGISTRY
    if silence := registry_silence(url):
        return Finding("images", "failed", f"{named} goes to images.registry: {silence}")
    return Finding(
        "images", "ok", f"own ones go to {settings.images.registry}; the cluster pulls the public ones itself"
    )


def policies(daemon_sets: Sequence[Mapping[str, Any]]) -> Finding:
    """Return whether a known network plug-in enforces NetworkPolicy. Without one, namespaces are not isolated on the
    network."""
    names = [str(d["metadata"]["name"]) for d in daemon_sets]
    found = [name for name in names if name.startswith(POLICY_AGENTS)]
    if found:
        return Finding("network policies", "ok", f"enforced by {found[0]}")
    return Finding(
        "network policies",
        "warning",
        "no agent that is known to enforce them: environments are not apart on the network",
    )
