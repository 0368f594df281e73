"""The environments that the stack file of the cluster declares, and the stacks that belong to them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from components.isolation.settings import NamespaceSettings
from components.names import PROJECT
from stacks.settings import ROOT, ClusterSettings, EnvironmentSettings, Settings, SettingsError, load_file

STACK_FILES = ROOT / "stacks"
CLUSTER = "cluster"


def environments(directory: Path = STACK_FILES, cluster: str = CLUSTER) -> Mapping[str, NamespaceSettings]:
    """The environments that a stack of the cluster makes, by name; none without its file."""
    file = directory / f"Pulumi.{cluster}.yaml"
    loaded = load_file(file) if file.exists() else None
    return loaded.environments if isinstance(loaded, ClusterSettings) else {}


def environment_of(stack: str, directory: Path = STACK_FILES) -> tuple[str, NamespaceSettings | None]:
    """The environment of a stack, and what the cluster's stack makes for it. Raises SettingsError if it makes nothing.

    It need not make anything where the stack has a kubeconfig of its own, or gets it from another project: then None.
    A stack without a file is that of the environment with its name.
    """
    file = directory / f"Pulumi.{stack}.yaml"
    settings: Settings | None = load_file(file) if file.exists() else None
    if isinstance(settings, ClusterSettings):
        raise SettingsError(f"{PROJECT}:kind: {file.name} is of the cluster, and has no environment of its own")
    name = settings.environment if settings else stack
    project, cluster = settings.cluster_stack.split("/")[1:] if settings else (PROJECT, CLUSTER)
    known: Mapping[str, NamespaceSettings] = environments(directory, cluster) if project == PROJECT else {}
    if name in known or (settings and (settings.kubeconfig is not None or project != PROJECT)):
        return name, known.get(name)
    lacks = f"{PROJECT}:environments in Pulumi.{cluster}.yaml has no {name} (it has: {listed(known)})"
    if settings is None:
        raise SettingsError(f"stack {stack}: there is no {file.name}, and {lacks}: add both, or correct the name")
    raise SettingsError(
        f"{PROJECT}:environment: {name!r} in {file.name} is no environment of the cluster: {lacks}. Add {name} there "
        "and apply that stack, or correct the name"
    )


def check(stack: str, directory: Path = STACK_FILES) -> None:
    """Raise SettingsError for a stack file that is refused, or whose environment the cluster's stack does not make."""
    if not isinstance(load_file(directory / f"Pulumi.{stack}.yaml"), ClusterSettings):
        environment_of(stack, directory)


def without_stack(directory: Path = STACK_FILES) -> list[str]:
    """The environments that a stack of the cluster makes, and in which no stack file puts anything."""
    loaded: list[Settings] = [load_file(file) for file in sorted(directory.glob("Pulumi.*.yaml"))]
    used = {each.environment for each in loaded if isinstance(each, EnvironmentSettings)}
    made = [name for each in loaded if isinstance(each, ClusterSettings) for name in each.environments]
    return [name for name in made if name not in used]


def listed(names: Iterable[str]) -> str:
    """Names for a message."""
    return ", ".join(sorted(names)) or "none"
