"""The policies' rules for the API server: those that it can judge, with each environment's levels and bounds."""

from collections.abc import Iterator, Mapping

from components.isolation.admission import AdmissionRule
from components.isolation.settings import NamespaceSettings
from policies.pack import RULES, configuration
from policies.rules import Level, Rule, Validation
from stacks.bounds import of_environment


def admission_rules(environments: Mapping[str, NamespaceSettings]) -> Iterator[AdmissionRule]:
    """One rule for all environments in which it says the same. A rule that is disabled holds nowhere."""
    for rule in RULES:
        groups: list[tuple[Validation, dict[str, str]]] = []
        for name, settings in sorted(environments.items()):
            configured = configuration(name).with_bounds(of_environment(name, settings))
            level = configured.level(rule)
            if isinstance(rule.admission, str) or (level is Level.DISABLED and not _alone(rule, settings)):
                continue
            validation = rule.admission(rule.bounds(configured.bounds(rule)))
            deny = level is Level.MANDATORY and settings.admission == "deny"
            action = "Deny" if deny or _alone(rule, settings) else "Warn"
            for same, actions in groups:
                if same == validation:
                    actions[name] = action
                    break
            else:
                groups.append((validation, {name: action}))
        for validation, actions in groups:
            yield AdmissionRule(
                name=rule.id if len(groups) == 1 else "-".join([rule.id, *actions]),
                id=rule.id,
                kinds=validation.kinds,
                variables=validation.variables,
                places=validation.places,
                text=f"{validation.text}; {rule.remedy}",
                actions=actions,
                debuggers=validation.debuggers,
                every_pod=validation.every_pod,
            )


def _alone(rule: Rule, settings: NamespaceSettings) -> bool:
    """Return whether the rule replaces one of Pod Security: then neither level nor mode lifts it."""
    return rule.subject == "isolation" and bool(settings.host_paths)
