"""The configuration of an OpenTelemetry Collector that ships log files, as YAML.

Each destination has a pipeline of its own, from the files on: one that cannot be reached holds no other up. Its queue
is on disk and bounded. When it is full, its reader waits, so that the log files themselves are a queue too, until they
are rolled away.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from components.logging.destinations.base import Place
from components.logging.destinations.collector import DATE, STORAGE, TEXT_ENCODING
from components.logging.files import GC_EVENT, GC_START, JSON_FIELDS, ORIGIN, TEXT_EVENT, TEXT_START, LogFiles
from components.logging.settings import EXPORTERS, LoggingSettings

METRICS_PORT = 8888
_DATED = {"type": "add", "field": f"resource.{DATE}", "value": 'EXPR(body["@timestamp"][0:10])'}
# Bytes of an event; a longer one is cut into several. Bytes that are no text become three each, and an event must fit
# into a batch, or the collector drops what is left of the batch with it. As JSON, in which a control character takes
# six bytes, it must fit into what Kafka's producer sends at once.
_LARGEST_EVENT = 256 * 1024
# A command line must name it: without, an event that was read may be lost in memory when the collector is killed.
FEATURE_GATES = ("stanza.synchronousLogEmitter",)


def collector_configuration(
    settings: LoggingSettings, files: LogFiles, *, kafka: str, state: str, volumes: Mapping[str, str]
) -> str:
    """The text of the collector's configuration file.

    `kafka` is `host:port` of the stack's own, `state` a directory for positions and queues, `volumes` says where the
    volumes of destinations are mounted.
    """
    kinds = {"text": files.paths(files.texts), "gc": files.paths(files.gcs)}
    receivers: dict[str, Any] = {}
    exporters: dict[str, Any] = {}
    pipelines: dict[str, Any] = {}
    for name, destination in settings.destinations.items():
        read = {
            f"filelog/{name}-{kind}": _receiver(kind, paths, settings.layout, dated=destination.chosen.dated)
            for kind, paths in kinds.items()
            if paths
        }
        exporter = f"{EXPORTERS[destination.kind]}/{name}"
        receivers |= read
        at = Place(
            name=name,
            kind=destination.kind,
            kafka=kafka,
            volume=volumes.get(name, ""),
            buffer_mib=settings.buffer_mib,
        )
        exporters[exporter] = destination.chosen.exporter(at)
        pipelines[f"logs/{name}"] = {"receivers": list(read), "exporters": [exporter]}
    document = {
        "extensions": {
            STORAGE: {
                "directory": state,
                # The file of a queue never shrinks by itself.
                "compaction": {"on_start": True, "on_rebound": True, "directory": state, "cleanup_on_start": True},
            },
            TEXT_ENCODING: {"encoding": "utf8"},
        },
        "receivers": receivers,
        "exporters": exporters,
        "service": {
            "extensions": [STORAGE, TEXT_ENCODING],
            "pipelines": pipelines,
            "telemetry": {
                "logs": {"level": "warn"},
                "metrics": {
                    "readers": [{"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": METRICS_PORT}}}}]
                },
            },
        },
    }
    return yaml.safe_dump(document, sort_keys=False, width=1000)


def _receiver(kind: str, paths: Sequence[str], layout: str, *, dated: bool) -> dict[str, Any]:
    start, event = (TEXT_START, TEXT_EVENT) if kind == "text" else (GC_START, GC_EVENT)
    parse: dict[str, Any] = {
        "type": "regex_parser",
        "regex": event,
        "on_error": "send_quiet",  # a line without a time stamp is an event all the same
    }
    compose: dict[str, Any] = {"type": "add", "field": "body", "value": _expression(_TEXT_FIELDS)}
    operators = [parse, compose]
    if kind == "text" and layout == "json":
        is_json = 'body startsWith "{"'
        operators = [
            {"type": "json_parser", "parse_to": "attributes.event", "if": is_json, "on_error": "send_quiet"},
            {**parse, "if": f"not ({is_json})"},
            {**compose, "if": "attributes.event == nil"},
            {"type": "add", "field": "body", "value": _expression(_JSON_EVENT), "if": "attributes.event != nil"},
        ]
    return {
        "include": list(paths),
        "start_at": "beginning",
        "storage": STORAGE,
        "poll_interval": "200ms",
        "multiline": {"line_start_pattern": start},
        "max_log_size": _LARGEST_EVENT,
        # A rolled file that is gone from the volume is given up with what is still unread; kept open, it would still
        # take its place.
        "retry_on_failure": {"enabled": True, "max_elapsed_time": 0},
        "resource": {"pod": "${env:POD}"},
        "operators": [*operators, _CUT, *([_DATED] if dated else []), {"type": "remove", "field": "attributes"}],
    }


# In the language of the collector's expressions.
_NOW = 'now().UTC().Format("2006-01-02T15:04:05.000Z07:00")'
_SEEN = 'replace(replace(attributes.time, " ", "T"), ",", ".")'
_ZONE = (
    '((attributes.zone ?? "") == "" ? "Z" : len(attributes.zone) == 5 ? '
    'attributes.zone[0:3] + ":" + attributes.zone[3:5] : attributes.zone)'
)
_TEXT_FIELDS = {
    "@timestamp": f"(attributes.time == nil ? {_NOW} : {_SEEN} + {_ZONE})",
    "level": 'upper(attributes.level ?? "")',
    "message": "body",
}
# A part of an event that was cut. White space at its end is gone, and a character takes four bytes at most.
_CUT = {
    "type": "add",
    "field": "body.cut",
    "value": True,
    "if": f"len(body.message ?? '') >= {_LARGEST_EVENT // 4} and "
    f"len(toBase64(body.message)) >= {(_LARGEST_EVENT - 64) * 4 // 3}",
}
_JSON_EVENT = {name: f'attributes.event["{name}"]' for name in JSON_FIELDS}


def _expression(fields: Mapping[str, str]) -> str:
    """One document from one expression: an operator for each field would cost several times as much."""
    origin = {name: json.dumps(f"${{env:{name.upper()}}}") for name in ORIGIN}
    every = {**fields, **origin, "file": 'attributes["log.file.name"]'}
    return "EXPR({" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in every.items()) + "})"
