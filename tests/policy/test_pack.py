"""Every rule on good and bad stacks: refused with the expected rule, and no other."""

import pytest

from policies.pack import RULES, Configuration, judge
from policies.resources import Stack
from policies.rules import Finding
from tests.policy.examples import BAD, Bad, changed, good, stack

_REMEDIES = {rule.id: rule.remedy for rule in RULES}
DEV = Configuration({"container-memory-limit": {"maxMib": 4096}, "namespace-memory-limit": {"maxMib": 20480}})


def violations(of: Stack) -> list[Finding]:
    return [finding for finding in judge(of, DEV) if not finding.open]


def test_nothing_is_wrong_with_the_good_stack_and_all_of_it_is_judged() -> None:
    assert judge(stack(good()), DEV) == []


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_stack_is_refused_with_the_expected_rule_and_no_other(bad: Bad) -> None:
    documents, _ = changed(bad)
    found = violations(stack(documents))
    assert {finding.rule for finding in found} == {bad.rule}, [finding.text for finding in found]
    assert all(_REMEDIES[bad.rule] in finding.text for finding in found)


def test_every_rule_has_a_bad_example() -> None:
    assert {rule.id for rule in RULES} - {bad.rule for bad in BAD} == {"manifests-visible"}
