"""Classes with plain annotations, made from the settings models: Pulumi's SDK reads in them what a component takes.

The SDK knows texts, numbers, booleans, lists, mappings and classes of these. It knows no unions, no bounds and no
aliases. So each model has a class beside it with its name, whose keys are those of stack files: what arrives is what
the model reads, and the model checks it.
"""

import json
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import pulumi
from pulumi.errors import InputPropertiesError
from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from components.settings import Section, SectionError

Model = TypeVar("Model", bound=Section)

MODELS: dict[str, type[Section]] = {}
"""The models that have a class, by name."""


@cache
def typed(model: type[Section]) -> type:
    """The input class of a model."""
    keys = {
        field.alias or name: _plain(field.annotation) if field.is_required() else _plain(field.annotation) | None
        for name, field in model.model_fields.items()
        if field.annotation is not NoneType  # a key of another model that is none here
    }
    MODELS[model.__name__] = model
    return type(model.__name__, (), {"__annotations__": keys, "__doc__": model.__doc__, "__module__": __name__})


def read(model: type[Model], given: Mapping[str, Any]) -> Model:
    """The settings in what the engine hands over. Raises InputPropertiesError with each problem."""
    if late := [key for key, value in given.items() if _is_late(value)]:
        raise refused(
            dict.fromkeys(late, "is not known before the update: give a plain value, no output of a resource")
        )
    try:
        return model.model_validate_json(json.dumps(_whole(given)))
    except ValidationError as error:
        raise refused(dict(map(_told, error.errors()))) from None


def refused(problems: Mapping[str, str]) -> InputPropertiesError:
    """The error for inputs that are wrong, {key: problem}, which the engine shows without a traceback."""
    told = [f"{key}: {problem}" if key else problem for key, problem in problems.items()]
    return InputPropertiesError(
        "; ".join(told), [{"property_path": key, "reason": problem} for key, problem in problems.items()]
    )


def _told(problem: ErrorDetails) -> tuple[str, str]:
    """The key that a problem is about, and the problem."""
    raised = problem.get("ctx", {}).get("error")
    below = [raised.key] if isinstance(raised, SectionError) else []
    return ".".join([*map(str, problem["loc"]), *below]), str(raised or problem["msg"])


def described(schema: str, takes: Mapping[str, type[Section]]) -> str:
    """A schema with what the models say of each key; `takes` are those of the components, by name."""
    document: dict[str, Any] = json.loads(schema)
    for token, definition in document["types"].items():
        _describe(definition["properties"], MODELS[token.rpartition(":")[2]])
    for token, definition in document["resources"].items():
        _describe(definition["inputProperties"], takes[token.rpartition(":")[2]])
    return json.dumps(document)


def _describe(properties: dict[str, dict[str, Any]], model: type[Section]) -> None:
    for name, field in model.model_fields.items():
        if field.description and field.annotation is not NoneType:
            properties[field.alias or name]["description"] = " ".join(field.description.split())


def _plain(annotation: Any) -> Any:
    """An annotation of a model without what the SDK does not know."""
    origin, parts = get_origin(annotation), get_args(annotation)
    plain: Any = annotation
    if origin is Annotated:
        plain = _plain(parts[0])
    elif origin is Literal:
        plain = str
    elif origin in (Union, UnionType):
        (some,) = [_plain(part) for part in parts if part is not NoneType]
        plain = some | None
    elif origin is tuple:
        plain = list[_plain(parts[0])]
    elif origin is Mapping:
        plain = dict[str, _plain(parts[1])]
    elif annotation is JsonValue:
        plain = Any
    elif isinstance(annotation, type) and issubclass(annotation, Section):
        plain = typed(annotation)
    return plain


def _is_late(value: object) -> bool:
    """Return whether there is an output of a resource in a value, at any depth."""
    if isinstance(value, Mapping):
        return any(_is_late(each) for each in cast("Mapping[str, object]", value).values())
    if isinstance(value, list):
        return any(_is_late(each) for each in cast("list[object]", value))
    return isinstance(value, pulumi.Output)


def _whole(value: object) -> object:
    """Numbers that are whole as such: all are floats on their way through the engine."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: _whole(each) for key, each in cast("dict[str, object]", value).items()}
        case list():
            return [_whole(each) for each in cast("list[object]", value)]
        case _:
            return value
