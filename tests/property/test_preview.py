"""However large a preview, and whatever is in it: its comment fits, is whole, and shows no secret."""

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cli.preview.comment import LIMIT, comment
from cli.preview.events import Preview, Violation, parse

SECRET = "correct-horse-battery-staple"
_MARKED = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": SECRET}

_awkward = st.sampled_from(
    [
        "a",
        "``` ",
        "`````diff\n",
        "</details>",
        "<!-- x -->",
        "\n",
        "\r",
        "é",
        "🜁",
        "@all",
        "- [ ] ",
        "    ",
        "\u2028",
        "~~~\n",
    ]
)
texts = st.lists(_awkward, max_size=12).map("".join)
names = st.text(alphabet='abc.-/`"[] ', min_size=1, max_size=12)
leaves = st.none() | st.booleans() | st.integers(-5, 5) | texts | texts.map(lambda text: text * 40) | st.just(_MARKED)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4))
properties = st.dictionaries(names, values, max_size=5)
types = st.sampled_from(
    ["kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:PersistentVolumeClaim", "kubernetes:apps/v1:StatefulSet"]
)


@st.composite
def step_events(draw: st.DrawFn) -> dict[str, Any]:
    """One resource's event, with properties of any kind."""
    op = draw(st.sampled_from(["create", "update", "delete", "replace", "same"]))
    old = {"inputs": draw(properties), "outputs": draw(properties), "protect": draw(st.booleans())}
    new = {"inputs": draw(properties), "outputs": {}}
    kind = draw(types)
    metadata = {
        "op": op,
        "urn": f"urn:pulumi:dev::p::{kind}::{draw(names)}",
        "type": kind,
        "old": None if op == "create" else old,
        "new": None if op == "delete" else new,
        "keys": draw(st.lists(names, max_size=2)),
        "detailedDiff": {path: {"diffKind": "update"} for path in draw(st.lists(names, max_size=2))} or None,
    }
    return {"resourcePreEvent": {"metadata": metadata}}


@st.composite
def policy_events(draw: st.DrawFn) -> dict[str, Any]:
    """What a policy says."""
    level = draw(st.sampled_from(["mandatory", "advisory"]))
    return {"policyEvent": {"policyName": "rule", "enforcementLevel": level, "message": draw(texts), "resourceUrn": ""}}


@st.composite
def diagnostic_events(draw: st.DrawFn) -> dict[str, Any]:
    """A message, long ones too."""
    severity = draw(st.sampled_from(["error", "warning", "debug"]))
    return {"diagnosticEvent": {"severity": severity, "message": draw(texts) * 60}}


logs = st.lists(step_events() | policy_events() | diagnostic_events(), max_size=12)


def _whole(text: str) -> bool:
    """Whether each fence and fold that is opened is closed. Lines end as Markdown has it: \\n, \\r or both."""
    fence = ""
    folds = 0
    for line in text.replace("\r", "\n").split("\n"):
        bare = line.strip(" ")
        ticks = len(bare) - len(bare.lstrip("`"))
        if fence:
            fence = "" if bare == "`" * ticks and ticks >= len(fence) else fence
        elif ticks >= 3 and "`" not in bare[ticks:]:
            fence = "`" * ticks
        else:
            folds += bare.startswith("<details>")
            folds -= bare == "</details>"
    return not fence and not folds


@settings(max_examples=60)
@given(logs, st.integers(600, 8000))
def test_a_comment_fits_is_whole_and_shows_no_secret(events: list[dict[str, Any]], limit: int) -> None:
    text = comment(parse(map(json.dumps, events)), "dev", limit)
    assert len(text.encode()) <= limit
    assert _whole(text)
    assert SECRET not in text


@settings(max_examples=60)
@given(logs)
def test_terminal_output_is_complete_and_shows_no_secret(events: list[dict[str, Any]]) -> None:
    text = comment(parse(map(json.dumps, events)), "dev", limit=None)
    assert _whole(text)
    assert SECRET not in text


@settings(max_examples=30)
@given(st.integers(0, 400), texts.map(lambda text: (text or "x") * 100))
def test_a_comment_is_shorter_than_github_allows(count: int, message: str) -> None:
    violations = tuple(Violation(rule=f"rule-{n}", level="mandatory", message=message) for n in range(count))
    text = comment(Preview(violations=violations, result="failed"), "dev")
    assert len(text.encode()) <= LIMIT < 65_536
    shown = text.count("- **`rule-")
    left_out = re.search(r"(\d+) violations are left out", text)
    assert shown + (int(left_out[1]) if left_out else 0) == count
