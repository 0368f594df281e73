"""The engine's events, one JSON object per line (`pulumi ... --event-log <file>`), as typed records.

Their shape is `apitype.EngineEvent` of Pulumi's SDK. The engine blinds secrets before it writes them: what is left of
one is a marked object, which becomes MASK here, at the one place where values enter. What is not marked is masked by
its looks (components/secrets).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from components.names import PROJECT
from components.secrets.mask import MASK, mask, masked

Properties = Mapping[str, Any]

UNKNOWN = "[known after it is applied]"
# Marks of special values in Pulumi's properties: `SigKey`, `SecretSig` and `UnknownStringValue` of its SDK.
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
_COMPUTED = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_COLORS = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
# What the engine says of its own end, beside the error that brought it about.
_CONSEQUENCE = re.compile(r"(?i)^(preview failed|.*context canceled|an unhandled error occurred: program exited.*)$")
_SILENT = ("same", "read", "read-replacement", "discard", "discard-replaced", "remove-pending-replace")
REPLACEMENTS = frozenset({"replace", "create-replacement", "delete-replaced"})
DRIFTS = {"update": "drifted", "delete": "gone"}  # what a refresh finds
MANDATORY = frozenset({"mandatory", "remediate"})

_OF_RESOURCES = ("resourcePreEvent", "resOutputsEvent")
_FACTS_OF_STATE = ("parent", "protect", "retainOnDelete", "provider")


@dataclass(frozen=True, kw_only=True)
class Step:
    """An operation on one resource: `create`, `update`, `replace`, `delete` and so on, with its properties."""

    op: str
    urn: str
    type: str
    old: Properties = field(default_factory=dict[str, Any])
    old_outputs: Properties = field(default_factory=dict[str, Any])
    new: Properties = field(default_factory=dict[str, Any])
    new_outputs: Properties = field(default_factory=dict[str, Any])
    paths: Mapping[str, str] = field(default_factory=dict[str, str])  # {property path: kind}, where the provider tells
    keys: tuple[str, ...] = ()  # properties that force a replacement
    protected: bool = False  # in the state: the engine refuses to delete it
    retained: bool = False  # forgotten, not deleted

    @property
    def name(self) -> str:
        """The name in the program."""
        return self.urn.rsplit("::", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A policy's message about a resource, or about the whole stack if `urn` is empty."""

    rule: str
    level: str
    message: str
    urn: str = ""

    @property
    def mandatory(self) -> bool:
        """Return whether the engine refuses to go on."""
        return self.level in MANDATORY


@dataclass(frozen=True, kw_only=True)
class Preview:
    """All that an event log tells."""

    steps: tuple[Step, ...] = ()
    violations: tuple[Violation, ...] = ()
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    same: int = 0  # resources that do not change
    state_differs: bool = False
    """True if an update would change the state alone: a protection, an owner, or an output of the stack."""
    config: Mapping[str, str] = field(default_factory=dict[str, str])
    result: str = ""  # `succeeded`, `failed`, `canceled`; empty: the engine did not come to its end

    @property
    def changes_nothing(self) -> bool:
        """True if an update would change neither a resource nor the state."""
        return self.result == "succeeded" and not self.steps and not self.state_differs


def parse(lines: Iterable[str]) -> Preview:
    """Read an event log. A line that is cut off, because the engine was killed, ends it."""
    events = list(_events(lines))

    def bodies(wanted: str) -> list[dict[str, Any]]:
        return [body for kind, body in events if kind == wanted]

    said = [(each["severity"], plain(each["message"])) for each in bodies("diagnosticEvent")]
    said += [("error", plain(each["error"])) for each in bodies("errorEvent")]
    errors = dict.fromkeys(message for severity, message in said if severity == "error")
    causes = tuple(message for message in errors if not _CONSEQUENCE.match(message))
    summary = next(iter(bodies("summaryEvent")), cast("dict[str, Any]", {}))
    counts = cast("dict[str, int]", summary.get("resourceChanges") or {})
    violations = tuple(dict.fromkeys(_violation(each) for each in bodies("policyEvent")))
    explained = causes or any(violation.mandatory for violation in violations)
    return Preview(
        steps=tuple(_steps(events).values()),
        violations=violations,
        errors=causes if explained else tuple(errors),
        warnings=tuple(dict.fromkeys(message for severity, message in said if severity == "warning")),
        same=counts.get("same", 0),
        state_differs=any(_state_differs(kind, body["metadata"]) for kind, body in events if kind in _OF_RESOURCES),
        config=next((each["config"] for each in bodies("preludeEvent")), cast("dict[str, str]", {})),
        result=summary.get("result", ""),
    )


def _state_differs(kind: str, metadata: Mapping[str, Any]) -> bool:
    """Return whether what the state has of an unchanged resource would change."""
    old = cast("dict[str, Any]", metadata.get("old") or {})
    new = cast("dict[str, Any]", metadata.get("new") or {})
    if metadata["op"] != "same" or not old or not new:
        return False
    # The stack's outputs are known at its end.
    ended = kind == "resOutputsEvent" and metadata["type"] == "pulumi:pulumi:Stack"
    facts = (*_FACTS_OF_STATE, "outputs") if ended else _FACTS_OF_STATE
    return any((old.get(fact) or None) != (new.get(fact) or None) for fact in facts)


def _events(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each event's kind and body."""
    for line in lines:
        try:
            event = cast("dict[str, Any]", json.loads(line))
        except json.JSONDecodeError:
            return
        yield from ((kind, body) for kind, body in event.items() if kind.endswith("Event"))


def _steps(events: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Step]:
    """Return what happens to each resource, by its URN."""
    steps: dict[str, Step] = {}
    refreshed: set[str] = set()
    for kind, body in events:
        if kind not in (*_OF_RESOURCES, "resOpFailedEvent"):
            continue
        step = _step(body["metadata"])
        if step.op == "refresh":
            refreshed.add(step.urn)  # what it finds is told when it is done
            continue
        if kind == "resOutputsEvent":
            if step.urn not in refreshed:
                continue  # the same again
            step = replace(step, op=DRIFTS.get(step.op, step.op))
        if _told(step):
            steps[step.urn] = _joined(steps.get(step.urn), step)
    return steps


def plain(message: str) -> str:
    """A message without the engine's colour tags, and without what looks like a secret."""
    return masked(_COLORS.sub("", message).strip())


def protects_data(preview: Preview) -> bool:
    """Return whether the settings of an environment protect its data, which is the default (see stacks/models.py).

    In the stack `cluster` all that is to be kept is marked as protected in the state.
    """
    own = preview.config.get(f"{PROJECT}:dataProtection")
    return preview.config.get(f"{PROJECT}:kind") != "cluster" and own != "false"


def _told(step: Step) -> bool:
    """Return whether a step is shown: it changes something, and not the engine's own default providers."""
    default = step.type.startswith("pulumi:providers:") and step.name.startswith("default")
    return step.op not in _SILENT and not default


def _joined(known: Step | None, step: Step) -> Step:
    """A replacement is told in three steps. The first has both sides; only deletions tell what the state holds."""
    if known is None or {known.op, step.op} - REPLACEMENTS:
        return step
    best = max(known, step, key=lambda each: (bool(each.old), bool(each.new), bool(each.paths)))
    return Step(
        op="replace",
        urn=step.urn,
        type=step.type,
        old=best.old,
        old_outputs=best.old_outputs,
        new=best.new,
        new_outputs=best.new_outputs,
        paths={**known.paths, **step.paths},
        keys=tuple(dict.fromkeys(known.keys + step.keys)),
        protected=known.protected or step.protected,
        retained=known.retained or step.retained,
    )


def _step(metadata: dict[str, Any]) -> Step:
    old = cast("dict[str, Any]", metadata.get("old") or {})
    new = cast("dict[str, Any]", metadata.get("new") or {})
    details = cast("dict[str, dict[str, str]]", metadata.get("detailedDiff") or {})
    # Kubernetes' own, whether marked or not, and lists and patches of them.
    hidden = str(metadata["type"]).rsplit(":", 1)[-1] in ("Secret", "SecretList", "SecretPatch")
    return Step(
        op="replace" if metadata["op"] in REPLACEMENTS else metadata["op"],
        urn=metadata["urn"],
        type=metadata["type"],
        old=_shown(old.get("inputs"), hidden=hidden),
        old_outputs=_shown(old.get("outputs"), hidden=hidden),
        new=_shown(new.get("inputs"), hidden=hidden),
        new_outputs=_shown(new.get("outputs"), hidden=hidden),
        paths={path: each["diffKind"] for path, each in details.items()},
        keys=tuple(metadata.get("keys") or ()),
        protected=bool(old.get("protect")),
        retained=bool(old.get("retainOnDelete")),
    )


def _violation(event: dict[str, Any]) -> Violation:
    return Violation(
        rule=event["policyName"],
        level=event["enforcementLevel"],
        message=plain(event["message"]),
        urn=event.get("resourceUrn") or "",
    )


def _shown(properties: Any, *, hidden: bool) -> Properties:
    """Properties as they may be shown: secrets masked, unknown values named, what is the SDK's own left out."""
    return mask(_unmarked(properties or {}), secret=hidden)


def _unmarked(value: Any) -> Any:
    """A value without the engine's marks."""
    match value:
        case {"4dabf18193072939515e22adb298388d": mark}:
            return MASK if mark == _SECRET else "[file]"
        case dict():
            inner = cast("dict[str, Any]", value)
            return {key: _unmarked(each) for key, each in inner.items() if not key.startswith("__")}
        case list():
            return [_unmarked(each) for each in cast("list[Any]", value)]
        case _:
            return UNKNOWN if value == _COMPUTED else value
