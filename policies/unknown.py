"""Plain mappings and lists, in which a value that is not known yet is a value of its own.

Who needs such a value cannot judge, and says so; who does not, is not disturbed by it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from components.secrets.mask import shown


@dataclass(frozen=True)
class Unknown:
    """A value that the engine does not know at preview; `path` is where it stands."""

    path: str


class CannotJudgeError(Exception):
    """A rule needs what cannot be known, or is not part of the stack; the text says what."""


class UnreadableError(ValueError):
    """A value that is known and is none of its kind: it is wrong, whatever was meant. The text names it."""

    def __init__(self, name: str, value: object, kind: str) -> None:
        super().__init__(f"{name} = {shown(name, value)} is no {kind}")


def whole(name: str, value: Any, least: int = 0) -> int:
    """The whole number that a value is or says. Raises CannotJudgeError if it is unknown, else UnreadableError."""
    given = known(value)
    if isinstance(given, str) and re.fullmatch(r"[+-]?[0-9]{1,19}", given):
        given = int(given)
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise UnreadableError(name, value, f"whole number from {least}")
    return given


def known(value: Any) -> Any:
    """The value itself. Raises CannotJudgeError if it is unknown."""
    if isinstance(value, Unknown):
        raise CannotJudgeError(f"{value.path} is not known yet")
    return value


def part(value: Any, name: str) -> Any:
    """Return what stands under a name, None if nothing does; unknown where the mapping itself is."""
    if isinstance(value, Unknown):
        return value
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None


def field(value: Any, *path: str) -> Any:
    """The value at a path, None where a step is missing. Raises CannotJudgeError where one is unknown."""
    for name in path:
        if not isinstance(known(value), dict):
            return None
        value = cast("dict[str, Any]", value).get(name)
    return known(value)


def mapping(value: Any, *path: str) -> dict[str, Any]:
    """The mapping at a path, empty where there is none. Its values may be unknown."""
    found = field(value, *path)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def items(value: Any, *path: str) -> list[Any]:
    """The list at a path, empty where there is none. Its elements may be unknown."""
    found = field(value, *path)
    return cast("list[Any]", found) if isinstance(found, list) else []


def mappings_in(value: Any) -> Iterator[dict[str, Any]]:
    """All mappings in a plain value, at every depth, the outer ones first; unknown ones are passed over."""
    if isinstance(value, dict):
        inner = cast("dict[str, Any]", value)
        yield inner
        for item in inner.values():
            yield from mappings_in(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from mappings_in(item)
