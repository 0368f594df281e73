"""All rules, and the configuration of each environment: levels, and bounds where they differ from the defaults."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies import availability, delivery, headroom, hygiene, isolation, memory, rescale
from policies.resources import Stack
from policies.rules import Finding, Level, Rule

RULES: tuple[Rule, ...] = (
    *memory.RULES,
    *headroom.RULES,
    *rescale.RULES,
    *delivery.RULES,
    *availability.RULES,
    *isolation.RULES,
    *hygiene.RULES,
)

_FILES = Path(__file__).parent / "config"
_LEVEL = "enforcementLevel"  # Pulumi's key


class PolicyConfigError(ValueError):
    """A configuration that names a rule, a level or a bound that there is not."""


@dataclass(frozen=True)
class Configuration:
    """What an environment says of the rules, in the form that Pulumi reads: a level, or a mapping with bounds."""

    said: Mapping[str, Any]

    def level(self, rule: Rule) -> Level:
        """The level of a rule here."""
        said = self.said.get(rule.id, self.said.get("all", {}))
        level = said if isinstance(said, str) else said.get(_LEVEL, self.said.get("all", rule.level))
        return Level(level)

    def bounds(self, rule: Rule) -> Mapping[str, Any]:
        """What is said of a rule's bounds here."""
        said = self.said.get(rule.id, {})
        return {} if isinstance(said, str) else {key: value for key, value in said.items() if key != _LEVEL}


def configuration_file(environment: str) -> Path | None:
    """The file with the configuration of an environment, if it has one."""
    path = _FILES / f"{environment}.json"
    return path if path.exists() else None


def policy_options(environment: str) -> list[str]:
    """What makes a Pulumi command run the pack, with an environment's levels and bounds."""
    configured = configuration_file(environment)
    options = ["--policy-pack", str(Path(__file__).parent)]
    return [*options, "--policy-pack-config", str(configured)] if configured else options


def configuration(environment: str) -> Configuration:
    """The configuration of an environment; without a file all rules hold with their defaults.

    Raises PolicyConfigError for what no rule knows.
    """
    path = configuration_file(environment)
    said: dict[str, Any] = json.loads(path.read_text()) if path else {}
    known = {rule.id: rule for rule in RULES}
    for name, value in said.items():
        rule = known.get(name)
        bounds: dict[str, Any] = {_LEVEL: value} if isinstance(value, str) else value
        level = bounds.get(_LEVEL, Level.MANDATORY)
        if level not in list(Level):
            raise PolicyConfigError(f"{path}: {name}: {level!r} is no level: use one of {', '.join(Level)}")
        if rule is None and name != "all":
            raise PolicyConfigError(f"{path}: {name}: there is no such rule: docs/policies.md lists them")
        strangers = set(bounds) - {_LEVEL} - set(rule.settings if rule else ())
        if strangers:
            raise PolicyConfigError(f"{path}: {name}: it has no bound {', '.join(sorted(strangers))}")
    return Configuration(said)


def judge(stack: Stack, configured: Configuration) -> list[Finding]:
    """Everything that all rules that are not disabled find in a stack."""
    return [
        finding
        for rule in RULES
        if configured.level(rule) is not Level.DISABLED
        for finding in rule.judge(stack, configured.bounds(rule))
    ]
