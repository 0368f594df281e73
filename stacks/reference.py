"""Prints docs/settings.md, the reference of all settings: python -m stacks.reference. `make generate` writes it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from components.names import PROJECT
from stacks.settings import ClusterSettings, EnvironmentSettings

_HEAD = f"""\
# Settings

Each setting of a stack file, `stacks/Pulumi.<stack>.yaml`. The models generate this page: change a model, then run
`make generate`. All settings are below `config:` in the file, and those of the first level have the prefix
`{PROJECT}:`. The heading of each table is the path of its settings; `<name>` is a name of your choice.
A setting of the type *section* has a table of its own. Memory and storage are in MiB, CPU is in cores, and a time is in
the unit that its name ends with. The bounds of a list are those of each entry.

Some checks compare several settings with each other, such as the sizes of topics with the disks of the brokers. Their
messages name the setting, its value, the bound and the remedy. [Examples](../examples/stacks/README.md) are stack files
by intent. [flink-defaults.md](flink-defaults.md) and [logging.md](logging.md) say what defaults cost.

"""

_TITLES: Mapping[type[BaseModel], str] = {
    ClusterSettings: "The stack `cluster`",
    EnvironmentSettings: "The stack of an environment",
}
_WORDS: Mapping[object, str] = {
    bool: "true or false",
    float: "number",
    int: "whole number",
    str: "text",
    SecretStr: "secret text",
}
_OBJECT = "objects as in a manifest"
_LONGEST_DEFAULT = 60


@dataclass(frozen=True)
class _Value:
    """A type of a value: what it is called, its bounds, and the section that it holds, if it holds one."""

    word: str
    bounds: tuple[str, ...] = ()
    section: type[BaseModel] | None = None
    below: str = ""
    """The text for the entry's name in the path of the section."""


def text() -> str:
    """The whole page."""
    parts: list[str] = []
    for model, title in _TITLES.items():
        parts.append(f"## {title}\n")
        parts += _tables(model, "")
    return _HEAD + "\n".join(parts)


def _tables(model: type[BaseModel], path: str) -> Iterator[str]:
    """The table of a section, and after it the tables of all sections below it."""
    lines = [f"### `{path}`\n"] if path else []
    if model.__doc__:
        lines.append(_filled(model.__doc__) + "\n")
    lines += ["| option | type | default | bounds | meaning |", "|---|---|---|---|---|"]
    below: list[tuple[type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        value = _value(field.annotation, field.metadata)
        lines.append(f"| `{key}` | {value.word} | {_default(field)} | {_bounds(value)} | {_meaning(field, value)} |")
        if value.section:
            below.append((value.section, f"{path}.{key}{value.below}".removeprefix(".")))
    yield "\n".join(lines) + "\n"
    for section, deeper in below:
        yield from _tables(section, deeper)


def _value(annotation: object, metadata: Sequence[object] = ()) -> _Value:
    """Return what a type means to the author of a stack file. `metadata` is what the field adds to the type."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _value(args[0], (*args[1:], *metadata))
    if origin in (Union, UnionType):  # with None, which is what a setting is that is left out
        return _value(next(each for each in args if each is not NoneType), metadata)
    if origin is tuple:
        return _several("list", _value(args[0]), metadata, "[]")
    if isinstance(origin, type) and issubclass(origin, Mapping):
        names = tuple(f"names: {bound}" for bound in _value(args[0]).bounds)
        return _several("mapping", _value(args[1]), metadata, ".<name>", names)
    return _single(annotation, tuple(_in_words(metadata)))


def _single(annotation: object, bounds: tuple[str, ...]) -> _Value:
    """A value that is neither a list nor a mapping by name."""
    if get_origin(annotation) is Literal:
        return _Value(" or ".join(f"`{each}`" for each in get_args(annotation)), bounds)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _Value("section", bounds, annotation)
    return _Value(next((word for known, word in _WORDS.items() if known is annotation), _OBJECT), bounds)


def _several(word: str, entry: _Value, metadata: Sequence[object], below: str, bounds: tuple[str, ...] = ()) -> _Value:
    """A list or a mapping of entries."""
    bounds = (*bounds, *entry.bounds, *_in_words(metadata))
    if entry.word == _OBJECT:  # what Kubernetes' own types check
        return _Value(_OBJECT if word == "mapping" else f"list: {_OBJECT}", bounds)
    what = f"{word} of sections" if entry.section else f"{word} of {entry.word}"
    return _Value(what, bounds, entry.section, below if entry.section else "")


def _in_words(metadata: Sequence[object]) -> Iterator[str]:
    """The bounds in the metadata of a type. Where two of a kind are given, the narrower one counts."""
    flat = [part for each in metadata for part in (each.metadata if isinstance(each, FieldInfo) else [each])]
    least = [cast("float", each.ge) for each in flat if isinstance(each, Ge)]
    above = [cast("float", each.gt) for each in flat if isinstance(each, Gt)]
    most = [cast("float", each.le) for each in flat if isinstance(each, Le)]
    numbers = [f"from {max(least)}"] if least else []
    numbers += [f"above {max(above)}"] if above else []
    numbers += [f"to {min(most)}"] if most else []
    if numbers:
        yield " ".join(numbers)
    for each in flat:
        # A text that means something exact says what it is called; any other one has a pattern, if anything.
        called, longest, pattern = (getattr(each, name, None) for name in ("called", "longest", "pattern"))
        if called:
            yield f"{called}, at most {longest} characters" if longest else str(called)
        elif isinstance(pattern, str):
            yield f"matches `{pattern}`"
        if isinstance(each, MinLen):
            yield f"at least {each.min_length} of them"
        if isinstance(each, MaxLen):
            yield f"at most {each.max_length} characters"


def _bounds(value: _Value) -> str:
    return _cell("; ".join(dict.fromkeys(value.bounds))) or "-"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default: object = field.get_default(call_default_factory=True)
    if default is None or isinstance(default, BaseModel):
        return "-"
    written = json.dumps(_plain(default)).replace('"', "")
    if len(written) > _LONGEST_DEFAULT:
        raise ValueError(f"the default of {field.alias} is too long for a cell: {written}")
    return "none" if written in ("{}", "[]") else f"`{written}`"


def _plain(value: object) -> Any:
    """A default as it is written in a stack file, without what is a default itself."""
    if isinstance(value, BaseModel):
        given = value.model_dump(by_alias=True, exclude_defaults=True)
        return {key: _plain(each) for key, each in given.items()}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in cast("Mapping[str, object]", value).items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in cast("tuple[object, ...]", value)]
    return value


def _meaning(field: FieldInfo, value: _Value) -> str:
    """The description, or the first sentence about the section."""
    words = field.description or ""
    if not words and value.section:
        words = re.split(r"(?<=\.)\s", (value.section.__doc__ or "").strip())[0]
    return _cell(words) or "-"


def _cell(words: str) -> str:
    """Text for a cell of a table: one line, and no bar that would end the cell."""
    return _text(" ".join(words.split())).replace("|", "\\|")


def _filled(words: str) -> str:
    """A docstring as paragraphs of Markdown."""
    paragraphs = re.split(r"\n\s*\n", words.strip())
    return _text("\n\n".join("\n".join(line.strip() for line in each.splitlines()) for each in paragraphs))


def _text(words: str) -> str:
    """Words of a model as Markdown: pages of docs/ become links, and what is no tag does not look like one."""
    outside = re.split(r"(`[^`]*`)", re.sub(r"\bdocs/([\w-]+\.md)", r"[\1](\1)", words))
    return "".join(each if each.startswith("`") else each.replace("<", "&lt;") for each in outside)


if __name__ == "__main__":
    print(text(), end="")
