"""Reading stack files, so that a file means the same to us and to Pulumi.

Pulumi reads YAML 1.2 with some of 1.1 and with dates; other tools read 1.1. `on`, `012`, `1e3`, `12:30` or a date are
not the same to all of them, and what arrives would not be what was written. Such a word is refused: in quotes it is
text.
"""

# PyYAML's stubs leave out most types:
# pyright: reportUnknownMemberType=false

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml
from yaml.resolver import Resolver

from stacks.problems import SettingsError, shown

_PLAIN = "plain"  # the tag that a word without quotes has until it is understood
_TEXT = Resolver.DEFAULT_SCALAR_TAG
_COLLECTIONS = (Resolver.DEFAULT_MAPPING_TAG, Resolver.DEFAULT_SEQUENCE_TAG)
_MERGE = "<<"
_MOST_VALUES = 100_000  # aliases of aliases multiply

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_INTEGERS = range(-(2**63), 2**63)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_SMALL, _LARGE = 1e-4, 1e16  # between them Python and Go show a number alike, without an exponent

_YAML_1_1 = Resolver()
_TEXT_IN_1_1 = (_TEXT, "tag:yaml.org,2002:value")  # the second one is `=`, which no reader interprets
# What Pulumi's reader takes for a number, once underscores are out of it, and for a time.
_NUMBER = re.compile(
    r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][-+]?[01]+|0[oO][-+]?[0-7]+|(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)"
)
_TIME = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?", re.DOTALL)


class Written(float):
    """A number that is written otherwise than it is shown, such as 1.10: good as a number, but not as text."""

    text: str

    def __new__(cls, text: str) -> "Written":
        made = super().__new__(cls, text)
        made.text = text
        return made


class UnclearError(ValueError):
    """A word that is not the same to every reader of YAML, and what to write instead."""

    def __init__(self, word: str, where: str) -> None:
        remedy = "put it in quotes"
        if word.isalpha():
            remedy += ", or write true or false"
        elif any(map(str.isdigit, word)) and ":" not in word and not _TIME.fullmatch(word):
            remedy += ", or write a number in plain decimal digits"
        super().__init__(f"{shown(word)}{where} is not the same to every reader of YAML: {remedy}")


def read_file(path: Path) -> dict[str, Any]:
    """A stack file as it is: keys are text, and each value is the same to every reader.

    Raises SettingsError with one line for each place where that is not so.
    """
    try:
        return _Document(path).read()
    except SettingsError:
        raise
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}: name an existing stack file") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path}: line {line} is not UTF-8: save the file in that encoding") from None
    except RecursionError:
        raise SettingsError(f"{path}: is nested too deeply: write less") from None
    except (ValueError, OverflowError):
        raise SettingsError(f"{path}: is not YAML: a \\U escape in it is no character: correct it") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{path}: is not YAML{where}: {error.problem or error.context}: correct it") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is not YAML: {' '.join(str(error).split())}: correct it") from None


def numbers(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Written]]:
    """Each number of a document that is written otherwise than it is shown, with its path."""
    if isinstance(value, Written):
        yield path, value
    elif isinstance(value, dict):
        for key, below in cast("dict[str, object]", value).items():
            yield from numbers(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(cast("list[object]", value)):
            yield from numbers(below, (*path, str(index)))


def understood(word: str, where: str = "") -> object:
    """Return the value that every reader takes an unquoted word for. Raises UnclearError, with the place, if readers
    differ."""
    if word in ("", "~", "null"):
        return None
    if word in ("true", "false"):
        return word == "true"
    if _INTEGER.fullmatch(word) and int(word) in _INTEGERS:
        return int(word)
    if _DECIMAL.fullmatch(word) and abs(number := float(word)) < _LARGE:
        as_shown = repr(number) == word and not number.is_integer() and abs(number) >= _SMALL
        return number if as_shown else Written(word)
    is_text = _YAML_1_1.resolve(yaml.ScalarNode, word, (True, False)) in _TEXT_IN_1_1
    is_number = word[0] != "_" and _NUMBER.fullmatch(word.replace("_", ""))
    if not is_text or is_number or _TIME.fullmatch(word):
        raise UnclearError(word, where)
    return word


class _Loader(yaml.SafeLoader):
    """YAML as nodes: which words are more than text is not decided here."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return cast("str", super().resolve(kind, value, implicit))

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        event = cast("yaml.ScalarEvent", self.peek_event())
        node = super().compose_scalar_node(anchor)
        if event.tag == "!":  # "this is text" to Pulumi, and nothing at all to PyYAML
            node.tag = event.tag
        return node


class _Document:
    """A file on its way from nodes to values, and what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problems: list[str] = []
        self._around: list[yaml.Node] = []  # what the node that is read is inside of
        self._count = 0

    def read(self) -> dict[str, Any]:
        root = cast("yaml.Node | None", yaml.compose(self._path.read_text(encoding="utf-8-sig"), _Loader))
        values = None if root is None else self._value(root, ())
        if self._problems:
            raise SettingsError("\n".join(dict.fromkeys(self._problems)))
        return cast("dict[str, Any]", values) if isinstance(values, dict) else {}

    def _problem(self, path: tuple[str, ...], text: str) -> None:
        key = ".".join(path[1:] if path[:1] == ("config",) else path)
        self._problems.append(f"{key or self._path}: {text}")

    def _value(self, node: yaml.Node, path: tuple[str, ...]) -> object:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise SettingsError(f"{self._path}: has more than {_MOST_VALUES} values: its aliases multiply: use fewer")
        if any(node is outer for outer in self._around):
            self._problem(path, f"what begins in {_line(node)} contains itself: write it out")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in _COLLECTIONS:
            self._problem(path, f"{node.tag} in {_line(node)} is no tag that is taken: leave it out")
        self._around.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            return [self._value(item, (*path, str(n))) for n, item in enumerate(_items(node))]
        finally:
            self._around.pop()

    def _scalar(self, node: yaml.ScalarNode, path: tuple[str, ...]) -> object:
        text = str(node.value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._problem(path, f"{_line(node)} has half a character (\\ud800 to \\udfff): write the whole one")
            return ""
        if node.tag == _PLAIN:
            try:
                return understood(text, f" in {_line(node)}")
            except UnclearError as error:
                self._problem(path, str(error))
        elif node.tag != _TEXT:
            self._problem(path, f"{node.tag} in {_line(node)} is no tag that is taken: leave it out")
        return text

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, object]:
        made: dict[str, object] = {}
        merged: dict[str, object] = {}
        seen: set[str] = set()
        for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            is_merge = key.tag == _PLAIN and key.value == _MERGE
            name = _MERGE if is_merge else self._key(key, path)
            below = (*path, name)
            if name in seen:
                self._problem(below, f"stands twice, again in {_line(key)}: put what is below it in one place")
            seen.add(name)
            if is_merge:
                merged = self._merged(value, path)
            else:
                made[name] = self._value(value, below)
        return merged | made

    def _merged(self, node: yaml.Node, path: tuple[str, ...]) -> dict[str, object]:
        """Return what a merge key (`<<`) adds: of several mappings the first one that has a key counts."""
        nodes = _items(node) if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, object] = {}
        for each in nodes:
            if isinstance(each, yaml.MappingNode):
                merged = cast("dict[str, object]", self._value(each, path) or {}) | merged
            else:
                self._problem(path, f"{_MERGE} in {_line(each)} takes a mapping or a list of mappings: give it one")
        return merged

    def _key(self, key: yaml.Node, path: tuple[str, ...]) -> str:
        if not isinstance(key, yaml.ScalarNode):
            self._problem(path, f"a list or a mapping is a key in {_line(key)}: write text")
            return ""
        name = str(key.value)
        value = self._scalar(key, (*path, name))
        if value is None or isinstance(value, float):  # which Go shows with an exponent earlier
            self._problem((*path, name), str(UnclearError(name, f" in {_line(key)}")))
        return name


def _items(node: yaml.Node) -> list[yaml.Node]:
    return cast("list[yaml.Node]", node.value)


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
