"""The policies' configuration of a stack: levels from policies/config/, bounds from the stack file of the cluster.

An environment is declared once, below `environments` in the stack file of the cluster. Its name, its limits, its quota
and the directories of nodes that it admits are bounds of rules, and stand nowhere else.
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, cast

from components.isolation.settings import NamespaceSettings
from policies.pack import (
    PACK,
    RULES,
    Configuration,
    PolicyConfigError,
    configuration,
    configuration_file,
    configurations,
)
from stacks.declared import CLUSTER, STACK_FILES, environment_of, environments, listed
from stacks.settings import ClusterSettings, load_file

Bounds = Mapping[str, Mapping[str, Any]]
"""The bounds of rules, {id of the rule: {bound: value}}."""


def of_environment(name: str, namespace: NamespaceSettings | None) -> Bounds:
    """The bounds of rules in an environment.

    Without a namespace that the cluster's stack makes, the name alone is a bound, and all others have their defaults.
    """
    return _sourced({"environments": [name], **(namespace.model_dump(by_alias=True) if namespace else {})})


def of_cluster(names: Iterable[str]) -> Bounds:
    """The bounds of rules in a stack that makes the namespaces of environments."""
    return _sourced({"environments": list(names)})


def _sourced(said: Mapping[str, Any]) -> Bounds:
    """Each bound whose source is among what is said, with the value there."""
    found: dict[str, dict[str, Any]] = {}
    for rule in RULES:
        for name, setting in rule.settings.items():
            if setting.source and (value := _at(said, setting.source)):
                found.setdefault(rule.id, {})[name] = [*value] if setting.default == () else value
    return found


def _at(said: Mapping[str, Any], path: str) -> Any:
    """Return what is said at a path, such as `quota.memoryMib`; an empty mapping if nothing is."""
    return reduce(lambda value, key: value.get(key, {}), path.split("."), cast("dict[str, Any]", said))


def configured(stack: str, directory: Path = STACK_FILES) -> Configuration:
    """The levels and bounds of all rules in a stack.

    Raises SettingsError if the cluster's stack does not make the stack's environment, and PolicyConfigError for levels
    that cannot be read.
    """
    name, bounds = _bounds(stack, directory)
    _check_levels({stack, name, *environments(directory)}, directory)
    return configuration(name).with_bounds(bounds)


def _bounds(stack: str, directory: Path) -> tuple[str, Bounds]:
    """Return what the levels of a stack are called after, its environment or itself, and its bounds."""
    file = directory / f"Pulumi.{stack}.yaml"
    settings = load_file(file) if file.exists() or stack == CLUSTER else None
    if isinstance(settings, ClusterSettings):
        return stack, of_cluster(settings.environments)
    name, namespace = environment_of(stack, directory)
    return name, of_environment(name, namespace)


def _check_levels(known: set[str], directory: Path) -> None:
    """Raise PolicyConfigError for a file of levels that is of no environment: it would count nowhere."""
    known |= {file.name.split(".")[1] for file in directory.glob("Pulumi.*.yaml")}
    for file in configurations():
        if file.stem not in known:
            raise PolicyConfigError(
                f"{file}: {file.stem} is no environment (there are: {listed(known)}): rename the file, or delete it"
            )


def policy_options(stack: str) -> list[str]:
    """The options by which a Pulumi command runs the pack, which finds the bounds of the stack files itself.

    Raises what `configured` raises: what is wrong is told here, and not by the engine.
    """
    configured(stack)
    name, _ = _bounds(stack, STACK_FILES)
    levels = configuration_file(name)
    return ["--policy-pack", str(PACK), *(["--policy-pack-config", str(levels)] if levels else [])]
