"""Drift: changes that applying our objects again would undo, and objects and fields that we never wrote."""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from cli.kube import field
from components.names import PROJECT

Ask = Callable[..., str]  # kubectl: words, and `stdin`

_APPLY = ("apply", "--server-side", "--force-conflicts", f"--field-manager={PROJECT}", "-f", "-")
_CLAIM = "PersistentVolumeClaim"
# Written by the API server at each change, or by controllers.
_BOOKKEEPING = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
# Managers of fields that are theirs, such as the volume's name in a claim.
_CONTROLLERS = ("kube-", "cloud-controller-manager", "csi-")
_CONTENT = ("spec", "data", "binaryData", "rules", "subjects", "roleRef", "webhooks")
# Where it is not ours, the autoscaler's; that it leaves 0 alone is told with the health of things.
_REPLICAS = ("spec", "replicas")
# The time of a restart of pods. It changes nothing in how they run.
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_SECRET_KEY, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"  # of Pulumi's state
_SHOWN = 60


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


_ABSENT: Any = _Absent()


@dataclass(frozen=True, kw_only=True)
class Change:
    """One field of ours that has another value on the cluster, or is not there."""

    where: str  # such as `StatefulSet kafka`
    path: str
    live: Any
    ours: Any
    manager: str

    def __str__(self) -> str:
        values = f": {self.live} -> {self.ours}" if _short(self.live) and _short(self.ours) else ""
        return f"{self.where} {self.path}{values}{f' (changed by {self.manager})' if self.manager else ''}"


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A field of an object of ours that was added outside of Pulumi."""

    where: str
    path: str
    manager: str
    command: str  # takes it away

    def __str__(self) -> str:
        return f"{self.where} {self.path} (added by {self.manager}); remove it: {self.command}"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """All that differs between what a stack applied last and the cluster."""

    changes: tuple[Change, ...] = ()
    missing: tuple[str, ...] = ()
    lost_claims: tuple[str, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    to_apply: tuple[Mapping[str, Any], ...] = ()


def objects(deployment: Mapping[str, Any]) -> list[tuple[dict[str, Any], list[str]]]:
    """The Kubernetes objects in a stack's exported state, as they were applied, each with what Pulumi ignores of it."""
    return [
        (_revealed(resource["inputs"]), list(resource.get("ignoreChanges", [])))
        for resource in field(deployment, "deployment", "resources", default=[])
        if str(resource["type"]).startswith("kubernetes:")
        and resource.get("custom")
        and not (resource.get("external") or resource.get("delete"))
    ]


def _revealed(value: Any) -> Any:
    """A value with Pulumi's secrets in the clear."""
    if isinstance(value, dict):
        known = cast("dict[str, Any]", value)
        if known.get(_SECRET_KEY) == _SECRET:
            return _revealed(json.loads(known["plaintext"]))
        return {key: _revealed(each) for key, each in known.items()}
    if isinstance(value, list):
        return [_revealed(each) for each in cast("list[Any]", value)]
    return value


def find(ask: Ask, ours: Sequence[tuple[Mapping[str, Any], Sequence[str]]]) -> Drift:
    """Compare a stack's objects with the cluster; changes nothing."""
    if not ours:
        return Drift()
    text = _list([each for each, _ in ours])
    live = _by_name(ask("get", "-f", "-", "--ignore-not-found", "--show-managed-fields", "-o", "json", stdin=text))
    there = [each for each, _ in ours if _name(each) in live]
    applied = _by_name(ask(*_APPLY, "--dry-run=server", "-o", "json", stdin=_list(there))) if there else {}
    changes: list[Change] = []
    foreign: list[Foreign] = []
    to_apply: list[Mapping[str, Any]] = []
    for each, ignored in ours:
        name = _name(each)
        if name not in live:
            continue
        managers = _managed(live[name])
        found = list(_differences(live[name], applied[name], managers))
        left_alone = any(change.path.startswith(tuple(ignored)) for change in found)
        if found and not left_alone:
            changes += found
            to_apply.append(each)
        changed = tuple(change.path for change in found)
        foreign += [
            entry
            for entry in _added(live[name], managers)
            if not entry.path.startswith(tuple(ignored)) and not _related(entry.path, changed)
        ]
    missing = [each for each, _ in ours if _name(each) not in live]
    return Drift(
        changes=tuple(changes),
        missing=tuple(_title(each) for each in missing if each["kind"] != _CLAIM),
        lost_claims=tuple(_title(each) for each in missing if each["kind"] == _CLAIM),
        foreign=tuple(foreign),
        to_apply=(*to_apply, *(each for each in missing if each["kind"] != _CLAIM)),
    )


def reset(ask: Ask, drift: Drift) -> None:
    """Apply again what differs, whatever owns the fields now. A missing claim is not recreated: it held data."""
    if drift.to_apply:
        ask(*_APPLY, stdin=_list(drift.to_apply))


def _list(items: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})


def _by_name(text: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    document: dict[str, Any] = json.loads(text) if text.strip() else {"items": []}
    items: list[dict[str, Any]] = document.get("items", [document])
    return {_name(each): each for each in items}


def _name(each: Mapping[str, Any]) -> tuple[str, str, str]:
    return each["kind"], field(each, "metadata", "namespace", default=""), each["metadata"]["name"]


def _title(each: Mapping[str, Any]) -> str:
    return f"{each['kind']} {each['metadata']['name']}"


def _short(value: Any) -> bool:
    return not isinstance(value, dict | list) and len(str(value)) <= _SHOWN and "\n" not in str(value)


def _related(path: str, others: Sequence[str]) -> bool:
    return any(path.startswith(other) or other.startswith(path) for other in others)


def _differences(
    live: Mapping[str, Any], applied: Mapping[str, Any], managers: Mapping[tuple[str | int, ...], str]
) -> Iterator[Change]:
    """Yield what an apply would change in an object."""
    hidden = live["kind"] == "Secret"
    for pointer, before, after in _walk((), live, applied):
        if pointer[0] == "status" or (pointer[0] == "metadata" and pointer[1] in _BOOKKEEPING):
            continue
        others = {name for owned, name in managers.items() if owned[: len(pointer)] == pointer and name != PROJECT}
        yield Change(
            where=_title(live),
            path=_shown(pointer, live, applied),
            live="a secret" if hidden else before,
            ours="another" if hidden else after,
            manager=", ".join(sorted(others)),
        )


def _walk(path: tuple[str | int, ...], live: Any, applied: Any) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    if isinstance(live, dict) and isinstance(applied, dict):
        before, after = cast("dict[str, Any]", live), cast("dict[str, Any]", applied)
        for key in {**before, **after}:
            yield from _walk((*path, key), before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif (pairs := _pairs(live, applied)) is not None:
        for n, (before, after) in enumerate(pairs):
            yield from _walk((*path, n), before, after)
    elif live != applied:
        yield path, live, applied


def _pairs(live: Any, applied: Any) -> list[tuple[Any, Any]] | None:
    """The elements of two lists of one length; None for anything else."""
    if not isinstance(live, list) or not isinstance(applied, list):
        return None
    before, after = cast("list[Any]", live), cast("list[Any]", applied)
    return list(zip(before, after, strict=True)) if len(before) == len(after) else None


def _shown(pointer: Sequence[str | int], *documents: Mapping[str, Any]) -> str:
    """A path as people write it: `spec.containers[kafka].image`."""
    text = ""
    values: list[Any] = list(documents)
    for step in pointer:
        values = [_child(value, step) for value in values]
        if isinstance(step, int):
            names = [field(value, "name") for value in values if field(value, "name")]
            text += f"[{names[0] if names else step}]"
        else:
            text += f".{step}" if step.isidentifier() else f"[{json.dumps(step)}]"
    return text.removeprefix(".")


def _child(value: Any, step: str | int) -> Any:
    try:
        return value[step]
    except (KeyError, IndexError, TypeError):
        return None


def _managed(live: Mapping[str, Any]) -> dict[tuple[str | int, ...], str]:
    """Yield the owner of each field of an object, status and scale left out. Fields that we own too count as ours."""
    found: dict[tuple[str | int, ...], str] = {}
    entries = sorted(field(live, "metadata", "managedFields", default=[]), key=lambda e: e.get("manager") == PROJECT)
    for entry in entries:
        if not entry.get("subresource"):
            for pointer in _owned((), entry.get("fieldsV1", {}), live):
                found[pointer] = str(entry.get("manager", ""))
    return found


def _owned(path: tuple[str | int, ...], fields: Mapping[str, Any], value: Any) -> Iterator[tuple[str | int, ...]]:
    """Paths of the leaves of an entry of managedFields, and of the list elements and mappings that it made."""
    if path and (not fields or "." in fields):
        yield path
    for key, below in fields.items():
        kind, _, rest = key.partition(":")
        if kind == "f":
            yield from _owned((*path, rest), below, _child(value, rest))
        elif kind in ("k", "v") and isinstance(value, list):
            elements = cast("list[Any]", value)
            wanted = json.loads(rest)
            for n, element in enumerate(elements):
                same = element == wanted if kind == "v" else all(field(element, k) == v for k, v in wanted.items())
                if same:
                    yield from _owned((*path, n), below, element)


def _added(live: Mapping[str, Any], managers: Mapping[tuple[str | int, ...], str]) -> Iterator[Foreign]:
    """Fields that are neither ours nor a controller's."""
    told: list[tuple[str | int, ...]] = []
    for pointer, manager in sorted(managers.items(), key=lambda item: len(item[0])):
        ours = manager == PROJECT or manager.startswith(_CONTROLLERS)
        if ours or pointer[0] not in _CONTENT or pointer == _REPLICAS or pointer[-1] == _RESTARTED:
            continue
        inner = [other for other, by in managers.items() if other[: len(pointer)] == pointer and by == PROJECT]
        if inner or any(pointer[: len(outer)] == outer for outer in told):
            continue  # a mapping that holds fields of ours, or a part of what was told
        told.append(pointer)
        yield Foreign(where=_title(live), path=_shown(pointer, live), manager=manager, command=_removal(live, pointer))


def _removal(live: Mapping[str, Any], pointer: Sequence[str | int]) -> str:
    path = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in pointer)
    value: Any = live
    for step in pointer:
        value = _child(value, step)
    name = field(value, "name")  # not the value, which may be a secret
    # Refuses the patch where the list has changed meanwhile, and the index leads elsewhere.
    check = [{"op": "test", "path": f"{path}/name", "value": name}] if name else []
    patch = json.dumps([*check, {"op": "remove", "path": path}])
    kind, title = live["kind"].lower(), live["metadata"]["name"]
    namespace = field(live, "metadata", "namespace")
    return f"kubectl {f'-n {namespace} ' if namespace else ''}patch {kind} {title} --type json -p {shlex.quote(patch)}"
