"""Problems of settings, in the words of the stack file: key, value, bound and remedy."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from components.names import PROJECT
from components.secrets import mask
from components.settings import SectionError

# By pydantic's error types: value and bound, then the remedy. What the setting is for is added to it.
_TEXTS = {
    "greater_than": "{value} is not above {gt}: raise it",
    "greater_than_equal": "{value} is below {ge}, the least that is allowed: raise it",
    "less_than_equal": "{value} is above {le}, the most that is allowed: lower it",
    "literal_error": "{value} is not {expected}: use one of those",
    "missing": "is missing, and has no default: add it",
    "string_pattern_mismatch": "{value} does not match {pattern}: write it so",
    "string_too_short": "is empty: give at least one character",
    "too_short": "is empty: give at least one entry",
    **{
        kind: f"{{told}}: write {wanted}"
        for wanted, kinds in {
            "a list": ["tuple_type"],
            "a mapping": ["dict_type", "mapping_type", "model_attributes_type", "model_type"],
            "a number": ["float_type"],
            "a whole number": ["int_from_float", "int_type"],
            "text": ["string_type"],
            "true or false": ["bool_type"],
        }.items()
        for kind in kinds
    },
}


class SettingsError(ValueError):
    """Settings that cannot be built from: one line for each problem, with its key, the value, the bound, the remedy."""


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """One line for each problem, each with its key as in the stack file."""
    found = error.errors(include_url=False)
    return "\n".join(_line(model, details) for details in found if not _follows(model, details, found))


def wants_number(model: type[BaseModel], path: Sequence[str]) -> bool:
    """Return whether the setting at a path is a number."""
    *_, (_, _, annotation) = _walk(model, path)
    return any(_plain(annotation) is number for number in (int, float))


def _follows(model: type[BaseModel], details: ErrorDetails, found: Sequence[ErrorDetails]) -> bool:
    """Return whether a problem is only what another one leads to."""
    path = details["loc"]
    match details["type"]:
        case "too_short":  # entries that are wrong are not counted
            return any(_is_below(other["loc"], path) for other in found)
        case "missing":  # it is there, misspelt
            return any(
                other["type"] == "extra_forbidden"
                and other["loc"][:-1] == path[:-1]
                and _meant(model, other) == path[-1]
                for other in found
            )
        case _:
            return False


def _is_below(path: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    return len(path) > len(other) and path[: len(other)] == other


def _line(model: type[BaseModel], details: ErrorDetails) -> str:
    path = _path(details)
    context = details.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, SectionError):
        path.append(cause.key)
    key = f"{PROJECT}:{'.'.join(path)}"
    if isinstance(cause, ValueError):
        return f"{key}: {mask.masked(str(cause))}"
    *_, (parent, field, _) = _walk(model, path)
    given = details["input"]
    if details["type"] == "extra_forbidden":
        meant = _meant(model, details)
        remedy = f"did you mean {meant}?" if meant else _alternatives(parent)
        return f"{key}: no such setting (its value is {shown(given, *path)}): {remedy}"
    template = _TEXTS.get(details["type"], "{value}: {message}: correct it")
    value = shown(given, *path)
    told = f"is {value}" if isinstance(given, dict) else f"{value} is {_kind(given)}"
    text = template.format(value=value, told=told, message=details["msg"], **context)
    meaning = " ".join(field.description.split()).rstrip(".") if field and field.description else ""
    return f"{key}: {text}" + (f" ({meaning})" if meaning else "")


def _path(details: ErrorDetails) -> list[str]:
    return [str(part) for part in details["loc"] if part != "[key]"]


def _walk(
    model: type[BaseModel], path: Sequence[str]
) -> Iterator[tuple[type[BaseModel] | None, FieldInfo | None, object]]:
    """Each step down the path: the section that it starts from, if it is one, the field, and the type of its value."""
    annotation: object = model
    yield model, None, annotation
    for part in path:
        section = _section(annotation)
        field = _fields(section).get(part) if section else None
        if field:
            annotation = field.annotation
        else:
            annotation = next((item for item in reversed(get_args(_plain(annotation))) if item is not ...), None)
        yield section, field, annotation


def _section(annotation: object) -> type[BaseModel] | None:
    plain = _plain(annotation)
    return plain if isinstance(plain, type) and issubclass(plain, BaseModel) else None


def _plain(annotation: object) -> object:
    """A type without what is said about it, and without the None of a setting that is left out."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin in (Union, UnionType):
        others = [item for item in get_args(annotation) if item is not NoneType]
        return _plain(others[0]) if len(others) == 1 else annotation
    return annotation


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _meant(model: type[BaseModel], details: ErrorDetails) -> str | None:
    """The setting that a key which is none looks like."""
    *_, (parent, _, _) = _walk(model, _path(details))
    close = get_close_matches(str(details["loc"][-1]), sorted(_fields(parent)) if parent else [], n=1)
    return close[0] if close else None


def _alternatives(parent: type[BaseModel] | None) -> str:
    known = sorted(_fields(parent)) if parent else []
    return f"remove it, or use one of {', '.join(known)}" if known else "remove it"


def _kind(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case _:
            return "a list"


def shown(value: object, *path: str) -> str:
    """A value as a message shows it, masked if it is a secret by the last name that leads to it, or by its looks."""
    if isinstance(value, dict):
        return "a mapping of " + (", ".join(map(str, cast("dict[str, object]", value))) or "nothing")
    return mask.shown(next((part for part in reversed(path) if not part.isdecimal()), ""), value)
