"""The differences of a resource, property by property."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, cast

from cli.preview.events import Step
from components.secrets.mask import MASK

CREATED_DEPTH = 2  # how far the properties of something new are taken apart
CONTEXT_LINES = 2  # around a change in a text


class Absent(Enum):
    """The value of a property that is not there: null is a value."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
Path = tuple[str, ...]
_SEGMENT = re.compile(r"\[\"((?:[^\"\\]|\\.)*)\"\]|\[(\d+)\]|([^.\[\]]+)")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One property with its value before and after, as they may be shown."""

    path: Path
    old: Any = ABSENT
    new: Any = ABSENT
    replaces: bool = False  # this is why the resource is replaced
    unsure: bool = False  # secrets on both sides: the engine does not report whether they differ

    @property
    def where(self) -> str:
        """The path as people write it: `spec.containers[kafka].image`, `data["zoo.cfg"]`."""
        return "".join(self.path).removeprefix(".")


def changes(step: Step) -> list[Change]:
    """The properties that differ, in the order of the program; for a drift, those of the live object."""
    if step.op == "create":
        return [Change(path=path, new=value) for path, value in _opened((), step.new, CREATED_DEPTH)]
    if step.op == "drifted" and step.old == step.new and not step.paths:
        return list(_walk((), step.old_outputs, step.new_outputs))
    found = {each.path: each for each in _walk((), step.old, step.new)}
    reasons: list[Path] = [(f".{key}",) for key in step.keys]
    for text, kind in step.paths.items():
        path = parse_path(text, step.old or step.old_outputs, step.new)
        if kind.endswith("-replace"):
            reasons.append(path)
        if not any(_related(path, known) for known in found):
            # Not a change of the program: the live object has drifted, or both values are secrets.
            old = _lookup(path, step.old)
            old = old if old == MASK else _lookup(path, step.old_outputs)
            found[path] = Change(path=path, old=old, new=_lookup(path, step.new))
    if not step.paths:
        found |= {
            path: Change(path=path, old=MASK, new=MASK, unsure=True)
            for path in _secrets((), step.new)
            if _lookup(path, step.old) == MASK
        }
    return [replace(each, replaces=any(_related(path, reason) for reason in reasons)) for path, each in found.items()]


def parse_path(text: str, *roots: Any) -> Path:
    """A path as the engine writes it (`spec.containers[0].image`), with the names of named list elements."""
    path: Path = ()
    values = list(roots)
    for quoted, index, key in _SEGMENT.findall(text):
        if index:
            elements = [_element(value, int(index)) for value in values]
            names = [name for value, each in zip(values, elements, strict=True) if (name := _name_in(value, each))]
            path = (*path, f"[{names[0] if names else index}]")
            values = elements
        else:
            name = quoted.replace('\\"', '"') if quoted else key
            path = (*path, segment(name))
            values = [cast("dict[str, Any]", v).get(name, ABSENT) if isinstance(v, dict) else ABSENT for v in values]
    return path


def segment(key: str) -> str:
    """A key as a part of a path."""
    return f".{key}" if re.fullmatch(r"[\w/-]+", key) else f"[{json.dumps(key, ensure_ascii=False)}]"


def text_diff(old: str, new: str, limit: int) -> tuple[list[str], int]:
    """A unified diff of two texts, without its header, and how many lines beyond `limit` were left out."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=CONTEXT_LINES)
    kept = [line for line in lines if not line.startswith(("--- ", "+++ "))]
    return kept[:limit], max(0, len(kept) - limit)


def _walk(path: Path, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast("dict[str, Any]", old), cast("dict[str, Any]", new)
        for key in dict.fromkeys([*before, *after]):
            yield from _walk((*path, segment(key)), before.get(key, ABSENT), after.get(key, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        before, after = _by_name(cast("list[Any]", old)), _by_name(cast("list[Any]", new))
        if list(before) != list(after) and set(before) == set(after):
            yield Change(path=path, old=list(before), new=list(after))  # another order
        for key in dict.fromkeys([*before, *after]):
            yield from _walk((*path, f"[{key}]"), before.get(key, ABSENT), after.get(key, ABSENT))
    elif old != new or isinstance(old, bool) != isinstance(new, bool):  # 0 is not false
        yield Change(path=path, old=old, new=new)


def _secrets(path: Path, value: Any) -> Iterator[Path]:
    if value == MASK:
        yield path
    elif isinstance(value, dict):
        for key, each in cast("dict[str, Any]", value).items():
            yield from _secrets((*path, segment(key)), each)
    elif isinstance(value, list):
        for key, each in _by_name(cast("list[Any]", value)).items():
            yield from _secrets((*path, f"[{key}]"), each)


def _opened(path: Path, value: Any, depth: int) -> Iterator[tuple[Path, Any]]:
    if not depth or not isinstance(value, dict):
        yield path, value
        return
    for key, each in cast("dict[str, Any]", value).items():
        yield from _opened((*path, segment(key)), each, depth - 1)


def names_of(values: list[Any]) -> list[str] | None:
    """The names of a list's elements, where each has one of its own: containers, volumes, ports, variables."""
    names = [cast("dict[str, Any]", each).get("name") if isinstance(each, dict) else None for each in values]
    texts = [name for name in names if isinstance(name, str)]
    return texts if len(texts) == len(values) == len(set(texts)) else None


def _by_name(values: list[Any]) -> dict[str, Any]:
    names = names_of(values) or [str(index) for index in range(len(values))]
    return dict(zip(names, values, strict=True))


def _element(value: Any, index: int) -> Any:
    values = cast("list[Any]", value) if isinstance(value, list) else []
    return values[index] if index < len(values) else ABSENT


def _name_in(value: Any, element: Any) -> str | None:
    if element is ABSENT or not names_of(cast("list[Any]", value)):
        return None
    return cast("dict[str, str]", element)["name"]


def _lookup(path: Path, root: Mapping[str, Any]) -> Any:
    value: Any = root
    for part in path:
        if isinstance(value, dict):
            children = {segment(key): each for key, each in cast("dict[str, Any]", value).items()}
        elif isinstance(value, list):
            children = {f"[{key}]": each for key, each in _by_name(cast("list[Any]", value)).items()}
        else:
            # A secret as a whole hides what is in it.
            return MASK if value == MASK else ABSENT
        value = children.get(part, ABSENT)
    return value


def _related(one: Path, other: Path) -> bool:
    """Return whether one path leads to the other."""
    return one[: len(other)] == other[: len(one)]
