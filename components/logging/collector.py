"""The configuration of an OpenTelemetry Collector that ships log files, as YAML.

Each destination has a pipeline of its own, from the files on: one that cannot be reached holds no other up. Its queue
is on disk and bounded. When it is full, its reader waits, so that the log files themselves are a queue too, until they
are rolled away.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from components.logging.files import GC_EVENT, GC_START, JSON_FIELDS, ORIGIN, TEXT_EVENT, TEXT_START, LogFiles, variable
from components.logging.settings import DestinationSettings, LoggingSettings

METRICS_PORT = 8888
_MIB = 1024 * 1024
_STORAGE = "file_storage"
_TEXT = "text_encoding"  # documents as JSON lines
_DATE = "date"  # of an event, for paths
_DATED = {"type": "add", "field": f"resource.{_DATE}", "value": 'EXPR(body["@timestamp"][0:10])'}
# Bytes of an event; a longer one is cut into several. Bytes that are no text become three each, and an event must fit
# into a batch, or the collector drops what is left of the batch with it. As JSON, in which a control character takes
# six bytes, it must fit into what Kafka's producer sends at once.
_LARGEST_EVENT = 256 * 1024
_RETRY = {"enabled": True, "initial_interval": "1s", "max_interval": "30s", "max_elapsed_time": 0}
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
            f"filelog/{name}-{kind}": _receiver(kind, paths, settings.layout, dated=destination.volume is not None)
            for kind, paths in kinds.items()
            if paths
        }
        exporter = f"{_EXPORTERS[destination.kind]}/{name}"
        receivers |= read
        exporters[exporter] = _exporter(name, destination, settings, kafka=kafka, volumes=volumes)
        pipelines[f"logs/{name}"] = {"receivers": list(read), "exporters": [exporter]}
    document = {
        "extensions": {
            _STORAGE: {
                "directory": state,
                # The file of a queue never shrinks by itself.
                "compaction": {"on_start": True, "on_rebound": True, "directory": state, "cleanup_on_start": True},
            },
            _TEXT: {"encoding": "utf8"},
        },
        "receivers": receivers,
        "exporters": exporters,
        "service": {
            "extensions": [_STORAGE, _TEXT],
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


_EXPORTERS = {"kafka": "kafka", "s3": "awss3", "elasticsearch": "elasticsearch", "volume": "file"}


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
        "storage": _STORAGE,
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


def _exporter(
    name: str, destination: DestinationSettings, settings: LoggingSettings, *, kafka: str, volumes: Mapping[str, str]
) -> dict[str, Any]:
    def queue(seconds: float) -> dict[str, Any]:
        """Sent when 1 MiB has come together, or after so many seconds. One sender, so that events stay in order."""
        return {
            "enabled": True,
            "storage": _STORAGE,
            "sizer": "bytes",
            "queue_size": settings.buffer_mib * _MIB,
            "num_consumers": 1,
            "block_on_overflow": True,
            "batch": {"flush_timeout": f"{seconds}s", "sizer": "bytes", "min_size": _MIB // 2, "max_size": _MIB},
        }

    if destination.kafka is not None:
        at = destination.kafka
        exporter: dict[str, Any] = {
            "brokers": (at.bootstrap_servers or kafka).split(","),
            "logs": {"topic": at.topic, "encoding": "raw"},
            "partition_logs_by_resource_attributes": True,
            "producer": {"required_acks": -1, "compression": "lz4", "max_message_bytes": 2 * _MIB},
            "retry_on_failure": _RETRY,
            "sending_queue": queue(0.2),
        }
        if at.tls:
            exporter["tls"] = {"insecure": False}
        if at.sasl is not None:
            exporter["auth"] = {
                "sasl": {
                    "mechanism": at.sasl,
                    "username": _secret(name, "username"),
                    "password": _secret(name, "password"),
                }
            }
        return exporter
    if destination.s3 is not None:
        bucket = destination.s3
        uploader: dict[str, Any] = {
            "region": bucket.region,
            "s3_bucket": bucket.bucket,
            "s3_prefix": f"{bucket.prefix}/${{env:NAMESPACE}}/${{env:CLUSTER}}",
            "s3_partition_format": "%Y/%m/%d",
            "s3_partition_timezone": "UTC",
            "file_prefix": "${env:POD}-",
            "unique_key_func_name": "uuidv7",
            "compression": "gzip",
            "retry_max_attempts": 0,  # for ever
        }
        if bucket.endpoint is not None:
            uploader |= {"endpoint": bucket.endpoint, "s3_force_path_style": True}
        return {"s3uploader": uploader, "marshaler": "body", "timeout": "0s", "sending_queue": _large(queue(60))}
    if destination.elasticsearch is not None:
        search = destination.elasticsearch
        exporter = {
            "endpoints": list(search.urls),
            "logs_index": search.index,
            "mapping": {"mode": "bodymap"},
            "retry": {"enabled": True, "max_retries": 0, "initial_interval": "1s", "max_interval": "30s"},
            "sending_queue": queue(1),
        }
        if search.secret is not None:
            exporter |= {"user": _secret(name, "username"), "password": _secret(name, "password")}
        return exporter
    assert destination.volume is not None, destination.kind
    # Written through, without a queue: a volume that is full or away makes the reader wait.
    return {
        "path": f"{volumes[name]}/{destination.volume.path}/${{env:NAMESPACE}}/${{env:CLUSTER}}/*/${{env:POD}}.log",
        "group_by": {"enabled": True, "resource_attribute": _DATE},
        "create_directory": True,
        "encoding": _TEXT,
    }


def _large(queue: dict[str, Any]) -> dict[str, Any]:
    """Few large objects instead of many small ones."""
    return {**queue, "batch": {**queue["batch"], "min_size": 8 * _MIB, "max_size": 16 * _MIB}}


def _secret(destination: str, key: str) -> str:
    return f"${{env:{variable(destination, key)}}}"
