"""The mask over secrets, in texts and in properties."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from components.secrets.looks import MASK, is_secret
from components.secrets.texts import secrets_in

__all__ = ["MASK", "mask", "masked", "named", "secret_names", "shown"]

_SHOWN = 120  # characters of a value in a message: enough to find it again


def masked(text: str) -> str:
    """A text with what looks like a secret in it masked."""
    parts: list[str] = []
    at = 0
    for span in secrets_in(text):
        parts += [text[at : span.start], MASK]
        at = span.end
    return "".join([*parts, text[at:]])


def mask(value: Any, name: str = "", *, secret: bool = False) -> Any:
    """A value of any shape as it may be shown, under its name; `secret` if it is data of a Kubernetes Secret."""
    match value:
        case dict():
            return _mapping(cast("dict[str, Any]", value), secret=secret)
        case list() | tuple():
            return _list(list(cast("list[Any]", value)), name, secret=secret)
        case str():
            return MASK if is_secret(name, value) else masked(value)
        case int() | float() if is_secret(name, value):
            return MASK
        case _:
            return value


def _mapping(value: Mapping[str, Any], *, secret: bool) -> dict[str, Any]:
    secret = secret or value.get("kind") in ("Secret", "SecretList", "SecretPatch")
    shown = {key: mask(each, str(key), secret=secret) for key, each in value.items()}
    for name in ("binaryData", *(("data", "stringData") if secret else ())):
        if isinstance(shown.get(name), dict):
            shown[name] = dict.fromkeys(cast("dict[str, Any]", shown[name]), MASK)
        elif isinstance(shown.get(name), str):
            shown[name] = MASK
    # An environment variable: what it is called says what it holds, whatever the key of that is.
    called = [each for key, each in value.items() if key != "value" and isinstance(each, str)]
    given = value.get("value")
    if isinstance(given, str | int | float) and any(is_secret(each, given) for each in called):
        shown["value"] = MASK
    return shown


def _list(values: list[Any], name: str, *, secret: bool) -> list[Any]:
    """A list; of arguments, an option's value may be the next one."""
    return [mask(each, own, secret=secret) for own, each in named(values, name)]


def named(values: Sequence[Any], name: str = "") -> Iterator[tuple[str, Any]]:
    """Words of a command line, each under its own name: that of the option before it, of which it is the value."""
    for before, each in zip([None, *values], values, strict=False):
        option = isinstance(before, str) and before.startswith("-") and not re.search(r"[=\s]", before)
        takes = option and not (isinstance(each, str) and each.startswith("-"))
        yield (str(before).lstrip("-") if takes else name), each


def secret_names(name: str, value: object) -> list[str]:
    """Return the names of the secrets in a value, and nothing else of them."""
    return [name] if is_secret(name, value) else list(dict.fromkeys(span.name for span in secrets_in(str(value))))


def shown(name: str, value: object) -> str:
    """A value in a message, masked and not too long, as Python writes it."""
    text = repr(mask(value, name))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
