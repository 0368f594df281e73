"""A preview as Markdown: what is refused first, then what is lost, then what changes, then what is new.

GitHub refuses comments longer than 65,536 characters. LIMIT holds for UTF-8 bytes, which are never fewer. What does not
fit is left out in whole blocks, so that no fence or fold stays open, and counted.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cli.preview.diff import ABSENT, Absent, Change, changes, text_diff
from cli.preview.events import DRIFTS, Preview, Step, Violation, protects_data

LIMIT = 65_000  # and the commit
SHARE = 0.6  # of the room that is left, which a section may fill before the ones after it
LINES = 80  # of one text's diff
PROPERTIES = 60  # of one resource
LINE = 1_000  # characters of a line that changes
VALUE = 240  # characters of one value
MESSAGE = 2_000  # characters of one message

# Resources whose deletion loses data that cannot be recreated, or stops what serves it.
DATA_TYPES = re.compile(
    r":(PersistentVolumeClaim|PersistentVolume|StatefulSet|Namespace|Topic|RandomId|RandomPassword|RandomBytes)$"
)
LOSING = ("delete", "replace")
VERBS = {
    "delete": "to delete",
    "replace": "to replace",
    "drifted": "drifted",
    "gone": "gone",
    "update": "to update",
    "create": "to create",
}


@dataclass(frozen=True)
class Block:
    """A piece of the comment that stands as a whole, in its short form, or not at all."""

    full: str
    short: str


@dataclass(frozen=True)
class CommentSection:
    """Blocks below one heading; in a fold, if there is a summary for it."""

    heading: str
    blocks: Sequence[Block]
    what: str  # they are called, where some are left out
    folded: bool = False


def holds_data(step: Step) -> bool:
    """Return whether data goes with a resource that is deleted or replaced."""
    return bool(DATA_TYPES.search(step.type)) and step.op in LOSING and not step.retained


def unlifted(preview: Preview) -> list[Step]:
    """Deletions and replacements of data whose protection was not lifted: in the state, or in the stack's settings."""
    kept = protects_data(preview)
    return [step for step in preview.steps if step.op in LOSING and (step.protected or (kept and holds_data(step)))]


def refusals(preview: Preview) -> list[str]:
    """Return why this change must not be applied, or that a cluster differs from its stack; empty if all is well."""
    reasons: list[str] = []
    if count := sum(violation.mandatory for violation in preview.violations):
        reasons.append(_count(count, "mandatory policy violation"))
    if lost := unlifted(preview):
        reasons.append(f"{_count(len(lost), 'deletion or replacement', 'deletions or replacements')} of protected data")
    if count := sum(step.op in DRIFTS.values() for step in preview.steps):
        reasons.append(f"{_count(count, 'resource')} of the cluster not as the stack left them")
    if preview.result != "succeeded" and not reasons:
        reasons.append("the engine failed")
    return reasons


def marker(stack: str) -> str:
    """The hidden line by which the comment of a stack is found again."""
    return f"<!-- preview of stack {stack} -->"


def comment(preview: Preview, stack: str, limit: int | None = LIMIT, what: str = "Preview") -> str:
    """The whole comment, at most `limit` bytes of UTF-8 if there is one; without one, for a terminal, no marker."""
    refused = refusals(preview)
    head = [marker(stack)] if limit else []
    head.append(f"### {what} of {code(stack)}: {summary(preview)}")
    if refused:
        head.append(f"**{'Refused' if what == 'Preview' else 'Found'}**: {', '.join(refused)}.")
    return _fit("\n\n".join(head), _sections(preview), limit)


def failed(stack: str) -> str:
    """Return the comment for a preview that could not run."""
    title = f"### Preview of {code(stack)}: it did not run"
    return f"{marker(stack)}\n\n{title}\n\nThe output of the check says what is missing.\n"


def summary(preview: Preview) -> str:
    """The counts, in one line."""
    counts = Counter(step.op for step in preview.steps)
    order = dict.fromkeys([op for op in (*VERBS, *counts) if counts[op]])
    told = [f"{counts[op]} {VERBS.get(op, f'to {op}')}" for op in order]
    if preview.result != "succeeded" and not told:
        return "failed"
    return ", ".join([*(told or ["no changes"]), *([f"{preview.same} unchanged"] if preview.same else [])])


def _sections(preview: Preview) -> list[CommentSection]:
    held = {step.urn for step in unlifted(preview)}
    data = held | {step.urn for step in preview.steps if holds_data(step)}
    steps = sorted(preview.steps, key=lambda step: (step.urn not in data, step.urn))  # the engine's order varies
    lost = [step for step in steps if step.op in LOSING]
    created = [step for step in steps if step.op == "create"]
    changed = [step for step in steps if step.op not in (*LOSING, "create")]
    violations = sorted(preview.violations, key=lambda violation: not violation.mandatory)
    sections = [
        CommentSection("Errors", [_message(text) for text in preview.errors], "errors"),
        CommentSection("Policy violations", [_violation(each) for each in violations], "violations"),
        CommentSection(
            "Deleted or replaced",
            [
                _resource(step, bold=step.urn in data, note=_note(step, step.urn in data, step.urn in held))
                for step in lost
            ],
            "deletions or replacements",
        ),
        CommentSection("Changed", [_resource(step) for step in changed], "changes"),
        CommentSection("Warnings", [_message(text) for text in preview.warnings], "warnings"),
        CommentSection("Created", [_resource(step, inside=True) for step in created], "creations", folded=True),
    ]
    # Violations come before everything but a failure that they do not explain.
    if any(violation.mandatory for violation in violations):
        sections[:2] = reversed(sections[:2])
    return [section for section in sections if section.blocks]


def _note(step: Step, data: bool, held: bool) -> str:
    if not data:
        return " (forgotten, and left where it is)" if step.retained else ""
    # The claims of our StatefulSets are resources of their own.
    loss = "all its pods stop" if step.type.endswith(":StatefulSet") else "its data is lost"
    if not held:
        return f" — {loss}; protection was lifted"
    return f" — {loss}, and it is protected: keep it, or first apply `dataProtection: false` on its own to lift that"


def _fit(head: str, sections: Sequence[CommentSection], limit: int | None) -> str:
    parts = [head]
    room = limit - _size(head) - 1 if limit else None
    for index, section in enumerate(sections):
        last = index == len(sections) - 1
        if room is not None:
            room -= 2  # the blank line before it
        share = None if room is None else room if last else int(room * SHARE)
        text = _section(section, share)
        parts.append(text)
        if room is not None:
            room -= _size(text)
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(section: CommentSection, room: int | None) -> str:
    """A section in at most `room` bytes: blocks whole while they fit, then short, then only counted."""
    title = f"{section.heading} ({len(section.blocks)})"
    start = f"<details><summary>{title}</summary>" if section.folded else f"#### {title}"
    end = "</details>" if section.folded else ""
    whole = "\n\n".join(filter(None, [start, *(block.full for block in section.blocks), end]))
    if room is None or _size(whole) <= room:
        return whole
    count = len(section.blocks)
    used = _size("\n\n".join([start, _left_out(section.what, count, count), end])) + 2
    kept: list[str] = []
    shortened = 0
    for block in section.blocks:
        for text in (block.full, block.short):
            if used + _size(text) + 2 <= room:
                kept.append(text)
                used += _size(text) + 2
                shortened += text != block.full
                break
    note = _left_out(section.what, shortened, count - len(kept))
    return "\n\n".join(filter(None, [start, *kept, note, end])) if used <= room else ""


def _left_out(what: str, shortened: int, missing: int) -> str:
    told = [f"{shortened} {what} are told in short"] if shortened else []
    told += [f"{missing} {what} are left out"] if missing else []
    return f"_{' and '.join(told)}: a comment has no room for more. `make preview` shows all._"


def _resource(step: Step, *, bold: bool = False, note: str = "", inside: bool = False) -> Block:
    kind = "Provider" if step.type.startswith("pulumi:providers:") else step.type.rsplit(":", 1)[-1]
    title = f"{step.op} {code(f'{kind} {step.name}')}"
    title = f"- {f'**{title}**' if bold else title}{note}"
    if step.op == "delete":
        return Block(title, title)
    found = [change for change in changes(step) if not (step.op == "create" and _usual(change))]
    rows = [row for change in found[:PROPERTIES] for row in _rows(change, bare=inside)]
    if len(found) > PROPERTIES:
        rows.append(f"  - … and {len(found) - PROPERTIES} more properties")
    return Block("\n".join([title, *rows]), title)


def _usual(change: Change) -> bool:
    """Return whether a property is one that every Kubernetes object has, which is left out for a new object."""
    return change.path[:1] in ((".apiVersion",), (".kind",)) or change.path[:2] in (
        (".metadata", ".labels"),
        (".metadata", ".annotations"),
    )


def _rows(change: Change, *, bare: bool) -> list[str]:
    """The lines of a list item: one for a value, a fenced diff for a text of several lines."""
    where = code(change.where) + (" (**forces the replacement**)" if change.replaces else "")
    old, new = change.old, change.new
    texts = [value for value in (old, new) if isinstance(value, str)]
    if bare and texts and "\n" in texts[0]:
        return [f"  - {where}: a text of {_count(len(texts[0].splitlines()), 'line')}"]
    if texts and any("\n" in text for text in texts) and all(v is ABSENT or isinstance(v, str) for v in (old, new)):
        lines, more = text_diff(_text(old), _text(new), LINES)
        lines = [_cut(line, VALUE if line.startswith(" ") else LINE) for line in lines]
        if more:
            lines.append(f"… {more} lines more")
        fence = _fence("\n".join(lines))
        return [f"  - {where}:", *(f"    {line}" for line in [f"{fence}diff", *lines, fence])]
    return [f"  - {where}{_told(change, bare=bare)}"]


def _told(change: Change, *, bare: bool) -> str:
    """Return what follows a property's name."""
    match change.old, change.new:
        case Absent.ABSENT, Absent.ABSENT:  # the engine names it, and shows it on neither side
            told = ", changed"
        case Absent.ABSENT, new:
            told = f": {_value(new)}" if bare else f": added {_value(new)}"
        case old, Absent.ABSENT:
            told = f": {_value(old)} removed"
        case old, new if old == new:  # both are secrets, or become known later
            told = f": {_value(new)}, {'perhaps changed' if change.unsure else 'changed'}"
        case old, new:
            told = f": {_value(old)} → {_value(new)}"
    return told


def _violation(violation: Violation) -> Block:
    at = f" on {code(_named(violation.urn))}" if violation.urn else ""
    title = f"- **{code(violation.rule)}** ({violation.level}){at}"
    return Block("\n".join([title, *_quoted(violation.message)]), title)


def _message(text: str) -> Block:
    lines = _fenced(_cut(text, MESSAGE))
    return Block(lines, _fenced(_cut(text.splitlines()[0] if text else "", VALUE)))


def _quoted(text: str) -> list[str]:
    return [f"  {line}" for line in _fenced(_cut(text, MESSAGE)).splitlines()]


def _fenced(text: str) -> str:
    fence = _fence(text)
    return f"{fence}text\n{text}\n{fence}"


def _named(urn: str) -> str:
    """`Deployment claims`, from its URN."""
    types, name = urn.split("::")[-2:]
    return f"{types.rsplit(':', 1)[-1]} {name}"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return code(_cut(text, VALUE))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def code(text: str) -> str:
    """Text that Markdown leaves alone: no mention, link or tag in it has an effect."""
    flat = " ".join(text.splitlines()) or " "
    ticks = _fence(flat, least=1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def _fence(text: str, least: int = 3) -> str:
    """More backticks than the text has in a row."""
    return "`" * max(least, 1 + max((len(run) for run in re.findall("`+", text)), default=0))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]} … {len(text) - length} characters more"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _size(text: str) -> int:
    return len(text.encode())
