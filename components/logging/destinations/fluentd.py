"""Sections of fluentd's configuration, and the parts of it that destinations share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from components.logging.files import variable

PLACE = "#{ENV['NAMESPACE']}/#{ENV['CLUSTER']}"
_TIMESTAMP = {"time_key": "@timestamp", "time_type": "string", "time_format": "%Y-%m-%dT%H:%M:%S.%LZ", "utc": True}


@dataclass(frozen=True)
class FluentdSection:
    """A section of the configuration: `<name argument>`, its parameters, and the sections in it."""

    name: str
    argument: str
    parameters: Mapping[str, object]
    sections: Sequence["FluentdSection"] = field(default=())

    def lines(self, depth: int = 0) -> list[str]:
        """Its text."""
        shift = "  " * depth
        words = " ".join(filter(None, (self.name, self.argument)))
        return [
            f"{shift}<{words}>",
            *(f"{shift}  {key} {_value(value)}" for key, value in self.parameters.items()),
            *(line for section in self.sections for line in section.lines(depth + 1)),
            f"{shift}</{self.name}>",
        ]


# Each event as one JSON document, with its time stamp in it.
DOCUMENTS = (FluentdSection("format", "", {"@type": "json"}), FluentdSection("inject", "", _TIMESTAMP))


@dataclass(frozen=True, kw_only=True)
class FluentdStore:
    """One destination: the parameters and sections of its plug-in, and what its buffer has of its own.

    `chunk_keys` tell parts of the buffer apart: with `time` those of one day (`timekey`) are in one, where paths have
    the date.
    """

    parameters: Mapping[str, object]
    buffer: Mapping[str, object]
    chunk_keys: str = ""
    sections: Sequence[FluentdSection] = DOCUMENTS


def secret(destination: str, key: str) -> str:
    """A key of a destination's Secret, as fluentd reads it from its environment."""
    return f"#{{ENV['{variable(destination, key)}']}}"


def _value(value: object) -> str:
    """A parameter's value. Text in double quotes takes Ruby in `#{}`; other text stands as it is."""
    match value:
        case bool():
            return str(value).lower()
        case str() if "#{" in value:
            return f'"{value}"'
        case _:
            return str(value)
