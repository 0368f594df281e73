"""The policy pack: every rule, mandatory. `pulumi preview --policy-pack policies` runs it."""

import sys
from pathlib import Path

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policies.memory import RULES
from policies.rules import Rule


def policy(rule: Rule) -> ResourceValidationPolicy:
    """A rule, as the SDK wants it."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for violation in rule.judge(args.resource_type, args.props):
            report(violation, None)

    return ResourceValidationPolicy(name=rule.id, description=rule.description, validate=validate)


if __name__ == "__main__":
    PolicyPack("streaming-platform", [policy(rule) for rule in RULES], EnforcementLevel.MANDATORY)
