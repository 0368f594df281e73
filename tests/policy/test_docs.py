"""docs/policies.md is made from the rules."""

from policies.docs import text
from policies.pack import RULES
from stacks.settings import ROOT


def test_the_table_is_current() -> None:
    assert (ROOT / "docs" / "policies.md").read_text() == text(), "run: python -m policies.docs > docs/policies.md"


def test_every_rule_is_there_with_its_id_first() -> None:
    lines = text().splitlines()
    for rule in RULES:
        assert sum(line.startswith(f"| `{rule.id}` | {rule.description} |") for line in lines) == 1, rule.id
    assert len({rule.id for rule in RULES}) == len(RULES)
