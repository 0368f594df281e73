"""The configuration of a fluentd that ships log files, as text.

Each destination has a buffer of its own, in files, of bounded size. When it is full, its oldest part is dropped:
reading never stops, so that no other destination waits.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from components.logging.destinations.base import Place
from components.logging.destinations.fluentd import FluentdSection
from components.logging.files import (
    GC_EVENT,
    GC_START,
    ORIGIN,
    SCRIPTS,
    TEXT_EVENT,
    TEXT_START,
    LogFiles,
)
from components.logging.settings import DestinationSettings, LoggingSettings

_LABEL = "@LOGS"  # apart from what fluentd says of itself
# Of an event; another container's may lack the zone, which then is UTC as everywhere in the platform.
_TIME_FORMATS = ("%Y-%m-%dT%H:%M:%S.%L%z", "%Y-%m-%d %H:%M:%S,%L", "%Y-%m-%d %H:%M:%S.%L", "%Y-%m-%dT%H:%M:%S.%L")


def fluentd_configuration(
    settings: LoggingSettings, files: LogFiles, *, kafka: str, state: str, volumes: Mapping[str, str]
) -> str:
    """The text of fluent.conf; the arguments are those of `collector_configuration`."""
    stores = [
        _store(name, each, settings, kafka=kafka, state=state, volume=volumes.get(name, ""))
        for name, each in settings.destinations.items()
    ]
    # One that fails must not keep an event from the next.
    copy = FluentdSection(
        "match",
        "**",
        {"@type": "copy"},
        [*(replace(each, argument="ignore_error") for each in stores[:-1]), stores[-1]],
    )
    sections = [
        FluentdSection("system", "", {"log_level": "warn"}),
        *(
            _tail(tag, _oldest_first(files, patterns), state, start, event)
            for tag, patterns, start, event in _sources(files)
        ),
        FluentdSection("label", _LABEL, {}, [*([_documents()] if settings.layout == "json" else []), _fields(), copy]),
    ]
    return "\n".join(line for section in sections for line in [*section.lines(), ""])


def positions_script(files: LogFiles, state: str) -> str:
    """Ruby that fluentd has to load (`-r`), so that it goes on where a killed one was."""
    calls = [
        f"settle({json.dumps(_positions(tag, state))}, {json.dumps(files.paths(patterns))}, /{start}/)"
        for tag, patterns, start, _ in _sources(files)
    ]
    return "\n".join([(SCRIPTS / "positions.rb").read_text(), *calls, ""])


def _sources(files: LogFiles) -> list[tuple[str, Sequence[str], str, str]]:
    """Return a source for each kind of file: its tag, its patterns, how an event starts, and how it is parsed."""
    text = ("text", files.texts, TEXT_START, TEXT_EVENT)
    return [text, ("gc", files.gcs, GC_START, GC_EVENT)] if files.gcs else [text]


def _oldest_first(files: LogFiles, patterns: Sequence[str]) -> list[str]:
    """Patterns of paths. in_tail reads what it finds in this order, one file after the other: the oldest first.

    It sorts what one pattern finds as text, `.10` before `.9`, so that each length has its own.
    """
    rolled = [f"{pattern}.{'?' * digits}" for digits in range(1, 5) for pattern in patterns]
    return [*(f"{files.directory}/{each}" for each in rolled), *files.paths(patterns)]


def _positions(tag: str, state: str) -> str:
    return f"{state}/{tag}.pos"


def _tail(tag: str, paths: Sequence[str], state: str, start: str, event: str) -> FluentdSection:
    """Read files from where it was left; a rolled one to its end, under its new name, also after a restart."""
    event = event.replace("(?P<", "(?<").removeprefix("^")
    return FluentdSection(
        "source",
        "",
        {
            "@type": "tail",
            "@id": tag,
            "tag": tag,
            "@label": _LABEL,
            "path": ",".join(paths),
            "path_key": "file",
            "pos_file": _positions(tag, state),
            "read_from_head": True,
            # Files are known by their inode, not by their name: a rolled file is read on, not read again.
            "follow_inodes": True,
            # Longer than the second after which in_tail looks at a file by itself: if this finds the new name of a
            # rolled file before that one was read to its end, both read the rest. Shorter than `rotate_wait`: a file
            # that is gone is held open, and so keeps its inode, until its position is forgotten.
            "refresh_interval": "3s",
            "rotate_wait": "5s",
            # The last event of a file is complete when nothing was added for this time.
            "multiline_flush_interval": "1s",
            # What stands before the first event of a file is one, too.
            "emit_unmatched_lines": True,
        },
        [
            FluentdSection(
                "parse",
                "",
                {
                    "@type": "multiline",
                    "format_firstline": f"/{start}/",
                    # What an event begins with is looked at, and the whole text kept.
                    "format1": f"/^(?:(?={_with_zone(event)})|)(?<message>.*)/",
                    "time_type": "mixed",
                    "time_format": _TIME_FORMATS[0],
                    "time_format_fallbacks": json.dumps(_TIME_FORMATS[1:]),
                    "utc": True,
                },
            )
        ],
    )


def _with_zone(event: str) -> str:
    """Time and zone in one group, `time`."""
    return event.replace(")(?<zone>", "(?:").replace(")?\\s+", ")?)\\s+").replace(")?\\](?", ")?)\\](?")


def _documents() -> FluentdSection:
    """Flink's JSON layout: what an event consists of takes the place of its text."""
    return FluentdSection(
        "filter",
        "text",
        {
            "@type": "parser",
            "key_name": "message",
            "reserve_data": True,
            "remove_key_name_field": True,
            "emit_invalid_record_to_error": False,
        },
        [
            FluentdSection(
                "parse",
                "",
                {"@type": "json", "time_key": "@timestamp", "time_type": "string", "time_format": "%iso8601"},
            )
        ],
    )


def _fields() -> FluentdSection:
    return FluentdSection(
        "filter",
        "**",
        {"@type": "record_transformer", "enable_ruby": True, "remove_keys": "unmatched_line"},
        [
            FluentdSection(
                "record",
                "",
                {
                    "message": "${record['message'] || record['unmatched_line']}",
                    "level": "${(record['level'] || '').upcase}",
                    "file": "${File.basename(record['file'])}",
                    **{name: f"#{{ENV['{name.upper()}']}}" for name in ORIGIN},
                },
            )
        ],
    )


def _store(
    name: str, destination: DestinationSettings, settings: LoggingSettings, *, kafka: str, state: str, volume: str
) -> FluentdSection:
    """One destination: its plug-in, and its buffer."""
    at = Place(name=name, kind=destination.kind, kafka=kafka, volume=volume, buffer_mib=settings.buffer_mib)
    store = destination.chosen.store(at)
    buffer: dict[str, object] = {
        "@type": "file",
        "path": f"{state}/buffers/{name}",
        "total_limit_size": f"{settings.buffer_mib}m",
        **({"timekey_use_utc": True} if store.chunk_keys else {}),
        "flush_mode": "interval",
        **store.buffer,
        "flush_at_shutdown": True,
        "retry_type": "exponential_backoff",
        "retry_wait": "1s",
        "retry_max_interval": "30s",
        "retry_forever": True,
        "overflow_action": "drop_oldest_chunk",
    }
    sections = [*store.sections, FluentdSection("buffer", store.chunk_keys, buffer)]
    return FluentdSection("store", "", {"@id": name, **store.parameters}, sections)
