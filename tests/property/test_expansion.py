"""Whatever a user writes reaches the process: Kubernetes puts variables into the text of manifests."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.base import Expanded, container
from tests.expansion import expand, started
from tests.unit import building

# What stands for a reference, an escape or nothing, in any order.
TEXT = st.lists(
    st.sampled_from(["$", "$$", "(", ")", "{", "}", "POD_IP", "é", "\U0001f600", "a"])
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)
).map("".join)
VARIABLES = {"POD_IP": "10.0.0.1", "A": "$(POD_IP)", "": "empty", "a": "b"}


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("$(A)", "1"),
        ("$(B)", "$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$", "$"),
        ("$", "$"),
        ("a$", "a$"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("$($(A))", "$($(A))"),
        ("${A}", "${A}"),
        ("$é", "$Ã\ufffd"),
    ],
)
def test_the_model_behaves_like_kubernetes(text: str, made: str) -> None:
    assert expand(text, {"A": "1"}) == made


@given(text=TEXT)
@example(text="$$é$$$($(POD_IP)$")
def test_a_text_reaches_the_process_as_it_is_written(text: str) -> None:
    made: Any = container({"name": "x", "command": [text], "args": [text], "env": [{"name": "X", "value": text}]})
    words, environment = started(made, VARIABLES)
    assert (words, environment["X"]) == ([text, text], text)


def test_a_text_to_be_expanded_is() -> None:
    made: Any = container({"name": "x", "args": [Expanded("at=$(POD_IP)"), "at=$(POD_IP)"]})
    assert started(made, VARIABLES)[0] == ["at=10.0.0.1", "at=$(POD_IP)"]


@settings(max_examples=15, deadline=None)
@given(arguments=st.lists(TEXT, min_size=1, max_size=4))
def test_a_jobs_arguments_reach_its_main_method(arguments: list[str]) -> None:
    own = [{"name": "OWN", "value": "at $(POD_IP)"}]
    recording = building.flink(arguments=arguments, pod={"env": own})
    (pod,) = [each.inputs for each in recording.all("Deployment") if each.name == "claims-jobmanager"]
    (process,) = pod["spec"]["template"]["spec"]["containers"]
    words, environment = started(process, {"POD_IP": "10.0.0.1", "POD_NAME": "claims-0"})
    assert words[words.index("--") + 1 :] == arguments
    assert "jobmanager.rpc.address=10.0.0.1" in words
    assert environment["OWN"] == "at 10.0.0.1"
