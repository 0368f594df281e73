"""What is wrong with settings, in the words of the one who wrote them: key, value, bound and remedy."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from components.names import PROJECT
from stacks.sections import SectionError

_SHOWN = 120  # characters of a value: enough to find it again

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
        kind: f"{{value}} is {{given}}: write {wanted}"
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


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """One line for each problem, each with its key as in the stack file."""
    return "\n".join(_line(model, details) for details in error.errors(include_url=False))


def _line(model: type[BaseModel], details: ErrorDetails) -> str:
    path = [str(part) for part in details["loc"] if part != "[key]"]
    context = details.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, SectionError):
        path.append(cause.key)
    key = f"{PROJECT}:{'.'.join(path)}"
    if isinstance(cause, ValueError):
        return f"{key}: {cause}"
    *_, (parent, field) = _walk(model, path)
    given = details["input"]
    if details["type"] == "extra_forbidden":
        return f"{key}: no such setting (its value is {_shown(given)}): {_alternatives(parent, path[-1])}"
    template = _TEXTS.get(details["type"], "{value}: {message}: correct it")
    text = template.format(value=_shown(given), given=_kind(given), message=details["msg"], **context)
    meaning = " ".join(field.description.split()).rstrip(".") if field and field.description else ""
    return f"{key}: {text}" + (f" ({meaning})" if meaning else "")


def _walk(model: type[BaseModel], path: list[str]) -> Iterator[tuple[type[BaseModel] | None, FieldInfo | None]]:
    """Each step down the path: the section that it starts from, if it is one, and the field that it leads to."""
    annotation: object = model
    yield model, None
    for part in path:
        section = _section(annotation)
        field = _fields(section).get(part) if section else None
        yield section, field
        if field:
            annotation = field.annotation
        else:
            annotation = next((item for item in reversed(get_args(_plain(annotation))) if item is not ...), None)


def _section(annotation: object) -> type[BaseModel] | None:
    plain = _plain(annotation)
    return plain if isinstance(plain, type) and issubclass(plain, BaseModel) else None


def _plain(annotation: object) -> object:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _alternatives(parent: type[BaseModel] | None, key: str) -> str:
    known = sorted(_fields(parent)) if parent else []
    close = get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"remove it, or use one of {', '.join(known)}"


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
            return "a mapping" if isinstance(value, Mapping) else "a list"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping of " + (", ".join(map(str, cast("dict[str, object]", value))) or "nothing")
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
