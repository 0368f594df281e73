"""The definition of a rule: data and a pure function, from which the pack, the API server's policies, docs and tests
are made."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeVar, cast

from policies.resources import Stack
from policies.unknown import CannotJudgeError, UnreadableError

# What a value of another shape than is expected leads to: a violation, never the end of all rules.
_WRONG = (ValueError, TypeError, AttributeError, LookupError)

Bound = int | float | bool | str | tuple[str, ...]


class Level(StrEnum):
    """The effect of a violation: it stops the update, it is reported, or it is not looked for. The words are
    Pulumi's."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Setting:
    """A bound of a rule that the configuration of an environment can set; the default's type is that of its values."""

    default: Bound
    description: str
    source: str = ""
    """The place in the stack `cluster` that has the bound, if no configuration may repeat it: a path below an
    environment, such as `quota.memoryMib`, or `environments` for the names themselves."""

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its values."""
        match self.default:
            case bool():
                kind: dict[str, Any] = {"type": "boolean"}
            case int():
                kind = {"type": "integer", "minimum": 0}
            case float():
                kind = {"type": "number", "minimum": 0}
            case str():
                kind = {"type": "string"}
            case _:
                kind = {"type": "array", "items": {"type": "string"}}
        default = list(self.default) if isinstance(self.default, tuple) else self.default
        return {**kind, "description": self.description, "default": default}

    def check(self, name: str, value: object) -> None:
        """Raise UnreadableError for a value of another type; numbers are floats where they come from the engine."""
        match self.default:
            case bool():
                fits, kind = isinstance(value, bool), "true or false"
            case int():
                fits = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value) >= 0
                kind = "whole number from 0"
            case float():
                fits, kind = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0, "number"
            case str():
                fits, kind = isinstance(value, str), "text"
            case _:
                fits = isinstance(value, list | tuple) and all(
                    isinstance(each, str) for each in cast("Iterable[object]", value)
                )
                kind = "list of texts"
        if not fits:
            raise UnreadableError(name, cast("object", value), kind)


class Subject(Protocol):
    """An object that a rule checks."""

    @property
    def urn(self) -> str:
        """URN of the resource to report the violation on."""
        ...

    @property
    def where(self) -> str:
        """Its place, in the words of Kubernetes."""
        ...


@dataclass(frozen=True)
class Bounds:
    """The values of a rule's settings: those of an environment's configuration, else the defaults."""

    values: Mapping[str, Bound]

    def number(self, name: str) -> int:
        """A whole number."""
        return int(cast("int", self.values[name]))

    def share(self, name: str) -> float:
        """A number."""
        return float(cast("float", self.values[name]))

    def flag(self, name: str) -> bool:
        """Yes or no."""
        return bool(self.values[name])

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(cast("Iterable[str]", self.values[name]))


class Note(str):
    """A text that a check yields for what cannot be judged yet. It is no violation, and the check's other findings
    stay."""


_T = TypeVar("_T")


def apart(subjects: Iterable[_T], check: Callable[[_T], Iterable[str]]) -> Iterator[str]:
    """Yield what a check says of each subject: one that is not known yet hides nothing of the others."""
    for subject in subjects:
        try:
            yield from check(subject)
        except CannotJudgeError as error:
            yield Note(error)
        except ValueError as error:
            yield str(error)


def each_of(*checks: Callable[[], Iterable[str]]) -> Iterator[str]:
    """Return what several checks say: a value that one of them cannot read hides nothing of the others."""
    return apart(checks, lambda check: check())


@dataclass(frozen=True)
class Finding:
    """A finding of a rule at a resource. `open` findings are no violations: they could not be judged."""

    rule: str
    urn: str
    text: str
    open: bool = False


@dataclass(frozen=True, kw_only=True)
class Validation:
    """A rule for the API server, in CEL. Each of `variables` may use those before it."""

    kinds: tuple[str, ...]
    """The kinds of objects that it judges."""
    variables: Mapping[str, str]
    """Expressions by name."""
    places: str
    """An expression: the names of what is at fault, in a list that is empty for what passes."""
    text: str
    """The violation, in words; the rule's remedy follows in the message."""
    debuggers: bool = False
    """True if containers are judged, too, that are added to a running pod (`kubectl debug`)."""
    every_pod: bool = False
    """True if pods that a controller makes from a template are judged, too."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`check` yields what is wrong with a subject, with the figures; `remedy` follows in the message.

    `scope` is what the rule has to see: one object, or all of a stack. `admission` makes the rule for the API server,
    or says why the API server cannot judge it.
    """

    id: str
    subject: str
    description: str  # what goes wrong without it
    remedy: str
    scope: Literal["object", "stack"]
    subjects: Callable[[Stack], Iterable[Any]]
    check: Callable[[Any, Bounds], Iterator[str]]
    admission: Callable[[Bounds], Validation] | str
    settings: Mapping[str, Setting]
    level: Level = Level.MANDATORY

    def bounds(self, configured: Mapping[str, Any]) -> Bounds:
        """The bounds under a configuration of this rule. Raises UnreadableError for one of another type."""
        for name, setting in self.settings.items():
            if name in configured:
                setting.check(name, configured[name])
        return Bounds({name: configured.get(name, setting.default) for name, setting in self.settings.items()})

    def judge(self, stack: Stack, configured: Mapping[str, Any]) -> list[Finding]:
        """Return everything that the rule finds in a stack, and what it could not judge."""
        found: list[Finding] = []
        try:
            bounds = self.bounds(configured)
            for subject in self.subjects(stack):
                found.extend(self._judge(subject, bounds))
        # Which of the resources it is for is not known.
        except CannotJudgeError as error:
            found.append(Finding(self.id, "", f"some of it cannot be judged at preview: {error}", open=True))
        except _WRONG as error:
            found.append(Finding(self.id, "", f"cannot be read: {error}; {self.remedy}"))
        return found

    def _judge(self, subject: Subject, bounds: Bounds) -> Iterator[Finding]:
        try:
            for text in self.check(subject, bounds):
                yield self._open(subject, text) if isinstance(text, Note) else self._violation(subject, text)
        except CannotJudgeError as error:
            yield self._open(subject, error)
        except ValueError as error:  # known, and no number where a number belongs
            yield self._violation(subject, error)
        except _WRONG as error:  # a mapping, a list or nothing at all where a value belongs
            yield self._violation(subject, f"cannot be read: {error}")

    def _violation(self, subject: Subject, text: object) -> Finding:
        return Finding(self.id, subject.urn, f"{subject.where}: {text}; {self.remedy}")

    def _open(self, subject: Subject, text: object) -> Finding:
        return Finding(self.id, subject.urn, f"{subject.where}: cannot be judged at preview: {text}", open=True)


def rule(
    *,
    id: str,  # noqa: A002  what it is called everywhere
    description: str,
    remedy: str,
    subjects: Callable[[Stack], Iterable[Any]],
    check: Callable[[Any, Bounds], Iterator[str]],
    admission: Callable[[Bounds], Validation] | str,
    scope: Literal["object", "stack"] = "object",
    settings: Mapping[str, Setting] | None = None,
) -> Rule:
    """A rule of the module that `check` is in."""
    return Rule(
        id=id,
        subject=check.__module__.rpartition(".")[2],
        description=description,
        remedy=remedy,
        scope=scope,
        subjects=subjects,
        check=check,
        admission=admission,
        settings=settings or {},
    )


def figure(number: float) -> str:
    """A number in a message: whole, or with one decimal."""
    return str(int(number)) if number == int(number) else f"{number:.1f}"


def listed(names: Sequence[str]) -> str:
    """Names in one line."""
    return ", ".join(names) or "none"
