"""The policy pack. `pulumi preview --policy-pack policies` runs it.

Bounds that a stack file has are read there, by the name of the stack. Levels are told by `--policy-pack-config`.
"""

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policies.engine import Judge
from policies.pack import RULES
from policies.rules import Rule
from stacks.bounds import configured

JUDGE = Judge(cache(configured))


def policy(rule: Rule) -> Policy:
    """A rule, as the SDK wants it."""

    def resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
        JUDGE.resource(rule, args, report)

    def stack(args: StackValidationArgs, report: ReportViolation) -> None:
        JUDGE.stack(rule, args, report)

    schema: Mapping[str, dict[str, Any]] = {
        name: setting.schema for name, setting in rule.settings.items() if not setting.source
    }
    options: dict[str, Any] = {
        "name": rule.id,
        "description": rule.description,
        "enforcement_level": EnforcementLevel(rule.level.value),
        "config_schema": PolicyConfigSchema(dict(schema)) if schema else None,
        "remediation_steps": rule.remedy,
    }
    if rule.scope == "object":
        return ResourceValidationPolicy(validate=resource, **options)
    return StackValidationPolicy(validate=stack, **options)


if __name__ == "__main__":
    PolicyPack("streaming-platform", [policy(rule) for rule in RULES])
