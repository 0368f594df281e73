"""Kubernetes objects in settings, written as in a manifest: held against the types of Pulumi's SDK.

Whatever passes here the SDK takes. The types are loaded when there is an object to look at: that takes a second.
"""

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, cast, get_args, get_origin

from components.secrets.looks import MASK, is_secret
from components.settings import SectionError

_KINDS: dict[type, str] = {str: "text", int: "a whole number", bool: "true or false"}


def manifest(kind: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Return a validator for an object of core/v1 such as `Volume`, whose keys and values are those of its type."""

    def check(given: Mapping[str, Any]) -> Mapping[str, Any]:
        for path, text in _problems(_type(kind), given, ""):
            if path == "value" and is_secret(str(given.get("name")), given.get("value")):  # a number, say
                raise SectionError(path, text.replace(json.dumps(given["value"]), MASK))
            raise SectionError(path, text)
        return given

    return check


def _problems(wanted: Any, given: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield where a value is not of the type that is wanted there, and what to do."""
    if wanted is Any:
        return
    if given is None:
        yield path, "is empty: give it a value, or leave it out"
    elif wanted in _KINDS:
        # A boolean is a number to Python.
        if type(given) is not wanted:
            yield path, f"{_shown(given)}: write {_KINDS[wanted]}{_hint(wanted, given)}"
    elif get_origin(wanted) is not None:
        yield from _of_collection(wanted, given, path)
    elif not isinstance(given, Mapping):
        yield path, f"{_shown(given)}: write a mapping of {', '.join(_fields(wanted)[0])}"
    else:
        yield from _of_object(wanted, cast("Mapping[str, Any]", given), path)


def _of_collection(wanted: Any, given: Any, path: str) -> Iterator[tuple[str, str]]:
    (*names, item) = get_args(wanted)
    entries: Iterable[tuple[object, Any]]
    if names and isinstance(given, Mapping):
        entries = cast("Mapping[str, Any]", given).items()
    elif not names and isinstance(given, list | tuple):
        entries = enumerate(cast("Sequence[Any]", given))
    else:
        yield path, f"{_shown(given)}: write {'a mapping' if names else 'a list'}"
        return
    for key, each in entries:
        yield from _problems(_plain(item), each, _below(path, key))


def _of_object(wanted: type, given: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    types, needed = _fields(wanted)
    for key, each in given.items():
        if key in types:
            yield from _problems(types[key], each, _below(path, key))
        else:
            close = get_close_matches(key.replace("_", ""), types, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"use one of {', '.join(sorted(types))}"
            yield _below(path, key), f"is no key that Kubernetes knows here: {remedy}"
    for key in needed:
        if key not in given:
            yield _below(path, key), f"is missing: add it; it is {_KINDS.get(types[key], 'an object')}"


@cache
def _type(kind: str) -> type:
    import pulumi_kubernetes as k8s

    return getattr(k8s.core.v1, f"{kind}Args")


@cache
def _fields(wanted: type) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The types of an object's values by their keys in a manifest, and which keys it needs."""
    # There is no public way to ask for what the generated code declares.
    from pulumi import _types  # pyright: ignore[reportPrivateUsage]

    names = _types.input_type_py_to_pulumi_names(wanted)
    parameters = inspect.signature(wanted.__init__).parameters
    needed = [names[name] for name, each in parameters.items() if name in names and each.default is each.empty]
    return {key: _plain(each) for key, each in _types.input_type_types(wanted).items()}, tuple(needed)


def _plain(annotation: Any) -> Any:
    """A type without the Awaitable and the Output that may stand for it."""
    from pulumi import _types  # pyright: ignore[reportPrivateUsage]

    return _types.unwrap_type(annotation)


def _below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _shown(given: object) -> str:
    match given:
        case Mapping():
            return "is a mapping"
        case list() | tuple():
            return "is a list"
        case _:
            return f"{json.dumps(given)} is {_KINDS.get(type(given), 'a number')}"


def _hint(wanted: type, given: object) -> str:
    return ", in quotes" if wanted is str and isinstance(given, bool | int | float) else ""
