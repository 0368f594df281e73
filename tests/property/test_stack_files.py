"""Words in stack files: each is refused, or is the same to every reader."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from stacks.files import UnclearError, Written, read_file, understood
from stacks.problems import SettingsError

# Words, and what `pulumi config --json` (3.246.0) makes of them without quotes.
PULUMI: dict[str, object] = json.loads((Path(__file__).parent / "words.json").read_text(encoding="utf-8"))

PARTS = [
    *"0123456789+-._:eExXoObBTtZz,~=<#%yYnNé",
    *(
        "true",
        "false",
        "null",
        "on",
        "off",
        "yes",
        "no",
        ".inf",
        ".nan",
        "2026-01-02",
        "12:30",
        "T10:00:00Z",
        "0x",
        "0o",
    ),
    *("0b", "e10", "E+3", "00", "1.", "9223372036854775", " ", "a"),
]
WORDS = st.one_of(
    st.sampled_from(sorted(PULUMI)),
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("".join),
    st.text(min_size=1, max_size=8),
)


def _node(word: str) -> yaml.Node:
    """What PyYAML makes of a word that stands in a list, before it looks at what it means."""
    return cast("list[yaml.Node]", cast(Any, yaml.compose(f"- {word}\n")).value)[0]  # pyright: ignore


def is_plain(word: str) -> bool:
    """Whether a word stands for itself where it is written without quotes."""
    try:
        node = _node(word)
    except (yaml.YAMLError, ValueError):
        return False
    return isinstance(node, yaml.ScalarNode) and node.value == word and node.style is None


def _same(ours: object, theirs: object) -> bool:
    if isinstance(ours, Written):  # a number to us, and refused where text is asked for
        return isinstance(theirs, int | float) and float(ours) == theirs
    return type(ours) is type(theirs) and ours == theirs


@pytest.mark.parametrize("word", sorted(PULUMI))
def test_a_word_is_refused_or_the_same_to_pulumi(word: str) -> None:
    try:
        ours = understood(word)
    except UnclearError:
        return
    assert _same(ours, PULUMI[word])


def test_no_more_words_are_refused_than_have_to_be() -> None:
    text = {word for word in PULUMI if PULUMI[word] == word and _node(word).tag == "tag:yaml.org,2002:str"}
    assert {word for word in text if not _taken(word)} == {"2026-01-02 x", "1e400", "1e1000"}  # nearly what others are


def _taken(word: str) -> bool:
    try:
        understood(word)
    except UnclearError:
        return False
    return True


@given(WORDS)
def test_a_word_is_refused_or_the_same_to_readers_of_yaml_1_1(word: str) -> None:
    assume(is_plain(word) and word != "=")  # of which PyYAML makes an error
    assume(_taken(word))
    assert _same(understood(word), yaml.safe_load(f"- {word}\n")[0])


@given(word=WORDS)
def test_text_that_a_program_writes_arrives(word: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "Pulumi.dev.yaml"
    assume(word.isprintable())
    file.write_text(json.dumps({"config": {word: [word, {"a": word}]}}, ensure_ascii=False), encoding="utf-8")
    assert read_file(file) == {"config": {word: [word, {"a": word}]}}
    file.write_text(yaml.safe_dump({"config": [word]}, allow_unicode=True), encoding="utf-8")
    try:
        read = read_file(file)
    except SettingsError:
        return
    assert read == {"config": [word]}


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_arrives_as_it_is_written_or_is_known_to_be_written_otherwise(number: float) -> None:
    word = repr(number)
    assume(_taken(word))
    read = understood(word)
    assert isinstance(read, int | float)
    assert math.isclose(read, number, rel_tol=0)
    assert isinstance(read, Written) or str(read) == word


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_file_is_a_traceback(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "Pulumi.dev.yaml"
    file.write_bytes(content)
    with suppress(SettingsError):
        read_file(file)
