"""What Kubernetes makes of `$(NAME)` in commands, arguments and variables, byte for byte.

A model of k8s.io/kubernetes/third_party/forked/golang/expansion, with what the kubelet gives it.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def expand(text: str, variables: Mapping[str, str]) -> str:
    """The text with variables put in. A name that is not known stays as it stands."""
    given, made, cursor = text.encode(), bytearray(), 0
    while cursor < len(given):
        rest = given[cursor + 1 :]
        if given[cursor : cursor + 1] != b"$" or not rest:
            made += given[cursor : cursor + 1]
            cursor += 1
        elif rest[:1] == b"$":
            made += b"$"
            cursor += 2
        elif rest[:1] == b"(":
            name, closed, _ = rest[1:].partition(b")")
            known = variables.get(name.decode(errors="surrogateescape"))
            whole = b"$(" + name + b")"
            made += (whole if known is None else known.encode()) if closed else b"$("
            cursor += len(whole) if closed else 2
        else:
            # The byte after the operator is taken for a character.
            made += b"$" + chr(rest[0]).encode()
            cursor += 2
    return made.decode(errors="replace")


def started(container: Mapping[str, Any], fields: Mapping[str, str] | None = None) -> tuple[list[str], dict[str, str]]:
    """The words and the environment of a container as recorded; `fields` are values that come from elsewhere."""
    environment: dict[str, str] = dict(fields or {})
    for each in container.get("env", []):
        if "value" in each:
            environment[each["name"]] = expand(each["value"], environment)
    words: Sequence[str] = [*container.get("command", []), *container.get("args", [])]
    return [expand(word, environment) for word in words], environment
