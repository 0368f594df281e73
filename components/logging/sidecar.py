"""The log sidecar: what any pod gets so that its log files outlive it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.base import Children, PodAdditions, container, labels, resources
from components.logging.collector import FEATURE_GATES, METRICS_PORT, collector_configuration
from components.logging.destinations.base import Agent, Destination
from components.logging.files import ORIGIN, SCRIPTS, LogFiles, variable
from components.logging.fluentd import fluentd_configuration, positions_script
from components.logging.settings import LAST_CPU, LAST_MIB, LoggingSettings
from components.names import check_name, image_version
from components.quantities import mib

NAME = "logs"
_CONFIG_DIR = "/etc/logs"
_STATE_DIR = "/var/lib/logs"
_VOLUMES_DIR = "/mnt"
_FIELDS = {
    "namespace": "metadata.namespace",
    "cluster": "metadata.labels['app.kubernetes.io/instance']",
    "component": "metadata.labels['app.kubernetes.io/component']",
    "pod": "metadata.name",
}
# Beside the queues: positions, and files of which parts are free until they are compacted.
_STATE_MIB = 32


@dataclass(frozen=True, kw_only=True)
class LogSidecarArgs:
    """`image` is the agent's, `kafka` is `host:port` of the stack's own, `files` are those of the main container.

    `container` is the main container's name; by default it is the same as the pod's label `component`. `shell` is an
    image that has bash, such as the main container's own.
    """

    namespace: str
    image: str
    shell: str
    kafka: str
    files: LogFiles
    settings: LoggingSettings
    container: str | None = None


class LogSidecar(pulumi.ComponentResource):
    """A ConfigMap, and the additions for pods: the agent as a native sidecar, which starts first and stops last.

    The main container's files are on the volume `files.volume` of the pod. Raises ValueError for a name that is too
    long.
    """

    config: str
    """The ConfigMap with the agent's configuration."""
    additions: PodAdditions
    """The additions that make pods ship their logs."""

    def __init__(self, name: str, args: LogSidecarArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_name(name)
        settings = args.settings
        super().__init__("streaming:logging:LogSidecar", name, None, opts)
        all_labels = labels(name=NAME, instance=name, version=image_version(args.image), component="sidecar")
        children = Children(parent=self, namespace=args.namespace, labels=all_labels)
        texts = _texts(args)
        children.config_map(name, texts)
        self.config = name
        collects = settings.agent == "opentelemetryCollector"
        self.additions = PodAdditions(
            init_containers=(_agent(args), *([_last(args)] if collects else [])),
            volumes=(
                {"name": "logs-config", "config_map": {"name": name}},
                {"name": "logs-state", "empty_dir": {"size_limit": mib(state_mib(settings))}},
                *_claims(settings),
            ),
            texts={f"{name}/{file}": text for file, text in texts.items()},
            grace_seconds=settings.flush_seconds,
        )
        self.register_outputs({"config": self.config})


def state_mib(settings: LoggingSettings) -> int:
    """Bound of the volume for positions and queues, in MiB.

    Twice the queues: a file in which parts were freed is compacted into a second one.
    """
    return 2 * settings.buffer_mib * len(settings.destinations) + _STATE_MIB


def _texts(args: LogSidecarArgs) -> dict[str, str]:
    """The files of the ConfigMap."""
    settings = args.settings
    volumes = {name: f"{_VOLUMES_DIR}/{name}" for name, each in settings.destinations.items() if each.chosen.claim_name}
    if settings.agent == "fluentd":
        text = fluentd_configuration(settings, args.files, kafka=args.kafka, state=_STATE_DIR, volumes=volumes)
        return {"fluent.conf": text, "positions.rb": positions_script(args.files, _STATE_DIR)}
    text = collector_configuration(settings, args.files, kafka=args.kafka, state=_STATE_DIR, volumes=volumes)
    return {"collector.yaml": text, "last.sh": (SCRIPTS / "last.sh").read_text()}


def _agent(args: LogSidecarArgs) -> k8s.core.v1.ContainerArgsDict:
    settings = args.settings
    spec: k8s.core.v1.ContainerArgsDict = {
        "name": NAME,
        "image": args.image,
        "restart_policy": "Always",
        "env": _env(args),
        "resources": resources(settings.sidecar_mib, settings.cpu, settings.cpu_limit, volumes_mib=state_mib(settings)),
        "volume_mounts": [
            {"name": "logs-config", "mount_path": _CONFIG_DIR, "read_only": True},
            {"name": "logs-state", "mount_path": _STATE_DIR},
            {"name": args.files.volume, "mount_path": args.files.directory, "read_only": True},
            *(
                {"name": f"logs-to-{name}", "mount_path": f"{_VOLUMES_DIR}/{name}"}
                for name, each in settings.destinations.items()
                if each.chosen.claim_name
            ),
        ],
    }
    if settings.agent == "fluentd":
        # Ruby keeps temporary files in a directory that not everyone may write to. One process: a supervisor would
        # only start again what the kubelet starts again.
        run = f"fluentd --no-supervisor -r {_CONFIG_DIR}/positions.rb -c {_CONFIG_DIR}/fluent.conf"
        spec["command"] = ["sh", "-c", f"mkdir -p {_STATE_DIR}/tmp && exec {run}"]
    else:
        gates = ",".join(FEATURE_GATES)
        spec["args"] = [f"--config={_CONFIG_DIR}/collector.yaml", f"--feature-gates={gates}"]
    return container(spec, read_only_root=True)


def _env(args: LogSidecarArgs) -> list[k8s.core.v1.EnvVarArgsDict]:
    """Return where events come from, and the keys of Secrets."""
    settings = args.settings
    fields = {"container": _FIELDS["component"], **_FIELDS}
    variables: list[k8s.core.v1.EnvVarArgsDict] = [
        {"name": name.upper(), "value_from": {"field_ref": {"field_path": fields[name]}}}
        for name in ORIGIN
        if name != "container" or args.container is None
    ]
    if args.container is not None:
        variables.append({"name": "CONTAINER", "value": args.container})
    if settings.agent == "fluentd":
        variables.append({"name": "TMPDIR", "value": f"{_STATE_DIR}/tmp"})
    else:
        # The collector's memory is collected in time; the rest is for what is not on its heap.
        variables.append({"name": "GOMEMLIMIT", "value": f"{settings.sidecar_mib * 3 // 4}MiB"})
    for name, destination in settings.destinations.items():
        variables += _keys(name, destination.chosen, settings.agent)
    return variables


def _keys(name: str, destination: Destination, agent: Agent) -> list[k8s.core.v1.EnvVarArgsDict]:
    if (secret := destination.secret_name) is None:
        return []
    names: Mapping[str, str] = destination.collector_variables if agent == "opentelemetryCollector" else {}
    return [
        {
            "name": names.get(key, variable(name, key)),
            "value_from": {"secret_key_ref": {"name": secret, "key": key}},
        }
        for key in destination.secret_keys
    ]


def _last(args: LogSidecarArgs) -> k8s.core.v1.ContainerArgsDict:
    """A sidecar that is started after the collector, and so stopped before it."""
    return container(
        {
            "name": f"{NAME}-last",
            "image": args.shell,
            "restart_policy": "Always",
            "command": ["bash", f"{_CONFIG_DIR}/last.sh"],
            "env": [
                {"name": "FLUSH_SECONDS", "value": str(args.settings.flush_seconds)},
                {"name": "METRICS", "value": f"127.0.0.1:{METRICS_PORT}"},
            ],
            "resources": resources(LAST_MIB, LAST_CPU, 0.1, volumes_mib=0),
            "volume_mounts": [{"name": "logs-config", "mount_path": _CONFIG_DIR, "read_only": True}],
        },
        read_only_root=True,
    )


def _claims(settings: LoggingSettings) -> list[k8s.core.v1.VolumeArgsDict]:
    return [
        {"name": f"logs-to-{name}", "persistent_volume_claim": {"claim_name": claim}}
        for name, each in settings.destinations.items()
        if (claim := each.chosen.claim_name) is not None
    ]
