"""Secrets in a text that is YAML or JSON, read by its parser, whatever the style of its scalars is."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import yaml

from components.secrets.looks import SAID, is_secret, names_secret

_Spans = Iterator[tuple[int, int, str]]
_BLANKS = 3  # in a key: one with more is a sentence, and no name
_MOST = 1_000_000  # characters; what is longer is judged by its lines alone


def in_document(text: str, names_in: Callable[[str], list[tuple[str, str]]]) -> _Spans:
    """Secrets in a document, as start, end and name; none if it is no document.

    `names_in` finds names and secrets in a text within it.
    """
    if len(text) > _MOST or not any(sign in text for sign in (": ", ":\n", ":\r", "{", "- ")):
        return
    try:
        compose = cast("Callable[..., Iterator[Any]]", yaml.compose_all)  # pyright: ignore[reportUnknownMemberType]
        nodes = list(compose(text, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    seen: set[int] = set()
    for node in nodes:
        yield from _Walk(text, names_in, seen).node(node, "")


class _Walk:
    """Goes through the nodes of a document."""

    def __init__(self, text: str, names_in: Callable[[str], list[tuple[str, str]]], seen: set[int]) -> None:
        self._text = text
        self._names_in = names_in
        self._seen = seen  # an alias refers to a node that was seen

    def node(self, node: Any, name: str) -> _Spans:
        """Secrets below a node that stands under a name."""
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        match node:
            case yaml.MappingNode():
                yield from self._mapping(cast("Any", node).value)
            case yaml.SequenceNode():
                yield from self._sequence(cast("Any", node).value, name)
            case yaml.ScalarNode():
                yield from self._scalar(node, name)
            case _:
                return

    def _mapping(self, pairs: list[tuple[Any, Any]]) -> _Spans:
        named = {str(key.value): value for key, value in pairs if isinstance(key, yaml.ScalarNode)}
        given = named.get("value")
        for key, value in named.items():
            called = str(value.value) if isinstance(value, yaml.ScalarNode) else ""
            if isinstance(given, yaml.ScalarNode) and key != "value" and names_secret(called):
                yield from self._scalar(given, called)
            yield from self.node(value, key if key.count(" ") < _BLANKS else "")

    def _sequence(self, nodes: list[Any], name: str) -> _Spans:
        option = ""
        for node in nodes:
            word = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
            yield from self.node(node, option if option and not word.startswith("-") else name)
            option = word.lstrip("-") if word.startswith("-") and "=" not in word and " " not in word else ""

    def _scalar(self, node: Any, name: str) -> _Spans:
        start, end = node.start_mark.index, node.end_mark.index
        value = str(node.value)
        if is_secret(name, value) and (node.style or not SAID.match(value)):
            yield (*_inner(self._text, start, end), name)
            return
        source = self._text[start:end]
        for found, secret in self._names_in(value) if value != source else ():
            at = source.find(secret)
            if at < 0:
                yield start, end, found
            while at >= 0:
                yield start + at, start + at + len(secret), found
                at = source.find(secret, at + len(secret))


def _inner(text: str, start: int, end: int) -> tuple[int, int]:
    """A scalar without its quotes, or the lines below its block indicator."""
    if text[start : start + 1] in ('"', "'"):
        return start + 1, end - 1
    if text[start : start + 1] in ("|", ">"):
        line = text.find("\n", start, end)
        start = end if line < 0 else line + 1
        start += len(text[start:end]) - len(text[start:end].lstrip())
    return start, start + len(text[start:end].rstrip())
