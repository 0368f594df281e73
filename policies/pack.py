"""All rules, and the configuration of each environment: levels, and bounds that the stack files do not have."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from policies import availability, boundary, delivery, headroom, hygiene, isolation, memory, rescale
from policies.resources import Stack
from policies.rules import Finding, Level, Rule, Setting
from policies.unknown import UnreadableError

RULES: tuple[Rule, ...] = (
    *memory.RULES,
    *headroom.RULES,
    *rescale.RULES,
    *delivery.RULES,
    *availability.RULES,
    *isolation.RULES,
    *boundary.RULES,
    *hygiene.RULES,
)

PACK = Path(__file__).parent
_FILES = PACK / "config"
_LEVEL = "enforcementLevel"  # Pulumi's key


class PolicyConfigError(ValueError):
    """A configuration that names a rule, a level or a bound that there is not."""


@dataclass(frozen=True)
class Configuration:
    """The levels and bounds of an environment's rules, in the form that Pulumi reads: a level, or a mapping with
    bounds."""

    overrides: Mapping[str, Any]
    """Levels and bounds that differ from the defaults, by id of rule; `all` is for every rule."""

    def level(self, rule: Rule) -> Level:
        """The level of a rule here."""
        for said in (self.overrides.get(rule.id, {}), self.overrides.get("all", {})):
            if level := said if isinstance(said, str) else said.get(_LEVEL):
                return Level(level)
        return rule.level

    def bounds(self, rule: Rule) -> Mapping[str, Any]:
        """Return what is said of a rule's bounds here."""
        said = self.overrides.get(rule.id, {})
        return {} if isinstance(said, str) else {key: value for key, value in said.items() if key != _LEVEL}

    def with_bounds(self, bounds: Mapping[str, Mapping[str, Any]]) -> "Configuration":
        """The same levels with other bounds, {id of the rule: {bound: value}}."""
        merged = dict(self.overrides)
        for name, values in bounds.items():
            said = merged.get(name, {})
            merged[name] = {**({_LEVEL: said} if isinstance(said, str) else said), **values}
        return Configuration(merged)


def configurations() -> list[Path]:
    """The files with levels, each called after an environment."""
    return sorted(_FILES.glob("*.json"))


def configuration_file(environment: str) -> Path | None:
    """The file with the levels of an environment, if it has one."""
    path = _FILES / f"{environment}.json"
    return path if path.exists() else None


def configuration(environment: str) -> Configuration:
    """Return the levels of an environment's file, and the bounds that no stack file has; nothing without a file.

    Raises PolicyConfigError for a name that no rule knows.
    """
    path = configuration_file(environment)
    said = _read(path) if path else {}
    known = {rule.id: rule for rule in RULES}
    for name, value in said.items():
        rule = known.get(name)
        bounds: Any = {_LEVEL: value} if isinstance(value, str) else value
        if not isinstance(bounds, dict):
            raise PolicyConfigError(
                f"{path}: {name}: {value!r} is neither a level nor a mapping with bounds: write one"
            )
        bounds = cast("dict[str, Any]", bounds)
        level = bounds.get(_LEVEL, Level.MANDATORY)
        if level not in list(Level):
            raise PolicyConfigError(f"{path}: {name}: {level!r} is no level: use one of {', '.join(Level)}")
        if rule is None and name != "all":
            raise PolicyConfigError(f"{path}: {name}: there is no such rule: docs/policies.md lists them")
        settings: Mapping[str, Setting] = rule.settings if rule else {}
        for key in bounds.keys() & settings.keys():
            if source := settings[key].source:
                raise PolicyConfigError(
                    f"{path}: {name}: {key} is in the stack file of the cluster ({source}): set it there, and take it "
                    "out here"
                )
        strangers = set(bounds) - {_LEVEL} - set(settings)
        if strangers:
            known_bounds = ", ".join(key for key, each in settings.items() if not each.source) or "none"
            raise PolicyConfigError(
                f"{path}: {name}: it has no bound {', '.join(sorted(strangers))}: its bounds are {known_bounds}"
            )
        for key, setting in settings.items():
            try:
                if key in bounds:
                    setting.check(key, bounds[key])
            except UnreadableError as error:
                raise PolicyConfigError(f"{path}: {name}: {error}: {setting.description}") from None
    return Configuration(said)


def _read(path: Path) -> dict[str, Any]:
    try:
        said: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PolicyConfigError(f"{path}: is not JSON: {error}: correct it") from None
    if not isinstance(said, dict):
        raise PolicyConfigError(f"{path}: is not a mapping of rules: write the ids of rules, with a level or bounds")
    return cast("dict[str, Any]", said)


def judge(stack: Stack, configured: Configuration) -> list[Finding]:
    """Return everything that all rules that are not disabled find in a stack."""
    return [
        finding
        for rule in RULES
        if configured.level(rule) is not Level.DISABLED
        for finding in rule.judge(stack, configured.bounds(rule))
    ]
