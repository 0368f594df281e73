"""What a rule is: data and a pure function, so that the pack, the API server's policies, docs and tests share it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeVar, cast

from policies.plain import CannotJudgeError
from policies.resources import Stack

Bound = int | float | bool | str | tuple[str, ...]


class Level(StrEnum):
    """What a violation does: stops the update, is told, or is not looked for. The words are Pulumi's."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Setting:
    """A bound of a rule that the configuration of an environment can set; the default's type is that of its values."""

    default: Bound
    description: str

    @property
    def schema(self) -> dict[str, Any]:
        """Of its values, in JSON schema."""
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


class Subject(Protocol):
    """What a rule looks at, one after the other."""

    @property
    def urn(self) -> str:
        """Of the resource that a violation is told of."""
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
    """What a check yields for what cannot be judged yet: no violation. What it finds beside that, it yields too."""


_T = TypeVar("_T")


def apart(subjects: Iterable[_T], check: Callable[[_T], Iterable[str]]) -> Iterator[str]:
    """What a check says of each subject: one that is not known yet hides nothing of the others."""
    for subject in subjects:
        try:
            yield from check(subject)
        except CannotJudgeError as error:
            yield Note(error)


@dataclass(frozen=True)
class Finding:
    """What a rule found at a resource. `open` findings are no violations: they could not be judged."""

    rule: str
    urn: str
    text: str
    open: bool = False


@dataclass(frozen=True, kw_only=True)
class Validation:
    """A rule for the API server, in CEL. Each of `variables` may use those before it."""

    kinds: tuple[str, ...]
    """Which kinds it judges."""
    variables: Mapping[str, str]
    """Expressions by name."""
    places: str
    """An expression: the names of what is at fault, in a list that is empty for what passes."""
    text: str
    """What is wrong; the rule's remedy follows in the message."""
    debuggers: bool = False
    """Whether containers are judged, too, that are put into a pod that runs (`kubectl debug`)."""


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
        """The bounds under a configuration of this rule."""
        return Bounds({name: configured.get(name, setting.default) for name, setting in self.settings.items()})

    def judge(self, stack: Stack, configured: Mapping[str, Any]) -> list[Finding]:
        """Everything that the rule finds in a stack, and what it could not judge."""
        bounds = self.bounds(configured)
        found: list[Finding] = []
        try:
            for subject in self.subjects(stack):
                found.extend(self._judge(subject, bounds))
        except (CannotJudgeError, ValueError) as error:  # which of the resources it is for is not known
            found.append(Finding(self.id, "", f"some of it cannot be judged at preview: {error}", open=True))
        return found

    def _judge(self, subject: Subject, bounds: Bounds) -> Iterator[Finding]:
        try:
            for text in self.check(subject, bounds):
                yield self._open(subject, text) if isinstance(text, Note) else self._violation(subject, text)
        except (CannotJudgeError, ValueError) as error:  # unknown, or no number where a number belongs
            yield self._open(subject, error)

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
