"""The configuration of a fluentd that ships log files, as text.

Each destination has a buffer of its own, in files, of bounded size. When it is full, its oldest part is dropped:
reading never stops, so that no other destination waits.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from components.logging.files import (
    GC_EVENT,
    GC_START,
    ORIGIN,
    SCRIPTS,
    TEXT_EVENT,
    TEXT_START,
    LogFiles,
    variable,
)
from components.logging.settings import (
    DestinationSettings,
    ForwardDestination,
    HdfsDestination,
    KafkaDestination,
    LoggingSettings,
    S3Destination,
    SearchDestination,
    VolumeDestination,
)

_LABEL = "@LOGS"  # apart from what fluentd says of itself
_PLACE = "#{ENV['NAMESPACE']}/#{ENV['CLUSTER']}"
# Of an event; another container's may lack the zone, which then is UTC as everywhere in the platform.
_TIME_FORMATS = ("%Y-%m-%dT%H:%M:%S.%L%z", "%Y-%m-%d %H:%M:%S,%L", "%Y-%m-%d %H:%M:%S.%L", "%Y-%m-%dT%H:%M:%S.%L")
_TIMESTAMP = {"time_key": "@timestamp", "time_type": "string", "time_format": "%Y-%m-%dT%H:%M:%S.%LZ", "utc": True}


@dataclass(frozen=True)
class Section:
    """A section of the configuration: `<name argument>`, its parameters, and the sections in it."""

    name: str
    argument: str
    parameters: Mapping[str, object]
    sections: Sequence["Section"] = field(default=())

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


def fluentd_configuration(
    settings: LoggingSettings, files: LogFiles, *, kafka: str, state: str, volumes: Mapping[str, str]
) -> str:
    """The text of fluent.conf; the arguments are those of `collector_configuration`."""
    stores = [
        _store(name, each, settings, kafka=kafka, state=state, volume=volumes.get(name, ""))
        for name, each in settings.destinations.items()
    ]
    # One that fails must not keep an event from the next.
    copy = Section(
        "match",
        "**",
        {"@type": "copy"},
        [*(replace(each, argument="ignore_error") for each in stores[:-1]), stores[-1]],
    )
    sections = [
        Section("system", "", {"log_level": "warn"}),
        *(
            _tail(tag, _oldest_first(files, patterns), state, start, event)
            for tag, patterns, start, event in _sources(files)
        ),
        Section("label", _LABEL, {}, [*([_documents()] if settings.layout == "json" else []), _fields(), copy]),
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
    """Of each kind of file that there is: its tag, its patterns, how an event starts, and what it looks like."""
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


def _value(value: object) -> str:
    """A parameter's value. Text in double quotes takes Ruby in `#{}`; other text stands as it is."""
    match value:
        case bool():
            return str(value).lower()
        case str() if "#{" in value:
            return f'"{value}"'
        case _:
            return str(value)


def _tail(tag: str, paths: Sequence[str], state: str, start: str, event: str) -> Section:
    """Read files from where it was left; a rolled one to its end, under its new name, also after a restart."""
    event = event.replace("(?P<", "(?<").removeprefix("^")
    return Section(
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
            # Known by what they are on the disk, not by name: a rolled file is read on, not anew.
            "follow_inodes": True,
            # Longer than the second after which in_tail looks at a file by itself: if this finds the new name of a
            # rolled file before that one was read to its end, both read the rest. Shorter than `rotate_wait`: a file
            # that is gone is held open, and so keeps its inode, until its position is forgotten.
            "refresh_interval": "3s",
            "rotate_wait": "5s",
            # The last event of a file is complete when nothing was added for so long.
            "multiline_flush_interval": "1s",
            # What stands before the first event of a file is one, too.
            "emit_unmatched_lines": True,
        },
        [
            Section(
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


def _documents() -> Section:
    """Flink's JSON layout: what an event consists of takes the place of its text."""
    return Section(
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
            Section(
                "parse",
                "",
                {"@type": "json", "time_key": "@timestamp", "time_type": "string", "time_format": "%iso8601"},
            )
        ],
    )


def _fields() -> Section:
    return Section(
        "filter",
        "**",
        {"@type": "record_transformer", "enable_ruby": True, "remove_keys": "unmatched_line"},
        [
            Section(
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
) -> Section:
    """One destination: the parameters of its plug-in, and its buffer."""
    keys = ""  # of the buffer's parts: those of one day in one, where paths have the date
    own: dict[str, object] = {}  # of the buffer
    sections: list[Section] = []
    match destination.chosen:
        case KafkaDestination() as at:
            parameters = _kafka(name, at, kafka)
            own = {"chunk_limit_size": "1m", "flush_interval": "1s"}
        case S3Destination() as bucket:
            parameters, keys = _s3(name, bucket), "time"
            own = {"timekey": "1d", "chunk_limit_size": "16m", "flush_interval": "60s"}
        case HdfsDestination() as at:
            parameters, keys = _hdfs(at), "time"
            own = {"timekey": "1h", "chunk_limit_size": "8m", "flush_interval": "10s"}
        case SearchDestination() as search:
            parameters = _search(name, destination.kind, search)
            own = {"chunk_limit_size": "4m", "flush_interval": "1s"}
        case ForwardDestination() as at:
            parameters = {"@type": "forward", "require_ack_response": True}
            own = {"chunk_limit_size": "1m", "flush_interval": "1s"}
            sections = _forward(name, at)
            if at.tls:
                parameters |= {"transport": "tls"}
        case VolumeDestination() as at:
            path = f"{volume}/{at.path}/{_PLACE}/%Y-%m-%d/#{{ENV['POD']}}"
            parameters, keys = {"@type": "file", "path": path, "append": True}, "time"
            own = {"timekey": "1d", "chunk_limit_size": "8m", "flush_interval": "1s"}
    if not isinstance(destination.chosen, SearchDestination | ForwardDestination):
        sections = [Section("format", "", {"@type": "json"}), Section("inject", "", _TIMESTAMP)]
    buffer: dict[str, object] = {
        "@type": "file",
        "path": f"{state}/buffers/{name}",
        "total_limit_size": f"{settings.buffer_mib}m",
        **({"timekey_use_utc": True} if keys else {}),
        "flush_mode": "interval",
        **own,
        "flush_at_shutdown": True,
        "retry_type": "exponential_backoff",
        "retry_wait": "1s",
        "retry_max_interval": "30s",
        "retry_forever": True,
        "overflow_action": "drop_oldest_chunk",
    }
    return Section("store", "", {"@id": name, **parameters}, [*sections, Section("buffer", keys, buffer)])


def _secret(destination: str, key: str) -> str:
    return f"#{{ENV['{variable(destination, key)}']}}"


def _kafka(name: str, at: KafkaDestination, kafka: str) -> dict[str, object]:
    parameters: dict[str, object] = {
        "@type": "kafka2",
        "brokers": at.bootstrap_servers or kafka,
        "default_topic": at.topic,
        "message_key_key": "pod",
        "partition_key_key": "pod",
        "required_acks": -1,
        "compression_codec": "gzip",
    }
    if at.tls:
        parameters["ssl_ca_certs_from_system"] = True
    if at.sasl is not None:
        parameters |= {"username": _secret(name, "username"), "password": _secret(name, "password")}
        parameters["sasl_over_ssl"] = at.tls
        if at.sasl != "PLAIN":
            parameters["scram_mechanism"] = at.sasl.removeprefix("SCRAM-").replace("-", "").lower()
    return parameters


def _s3(name: str, bucket: S3Destination) -> dict[str, object]:
    parameters: dict[str, object] = {
        "@type": "s3",
        "s3_bucket": bucket.bucket,
        "s3_region": bucket.region,
        "path": f"{bucket.prefix}/{_PLACE}/%Y/%m/%d/",
        # The same name when a part is sent again: repetitions take the place of what they repeat.
        "s3_object_key_format": "%{path}#{ENV['POD']}-%{hex_random}.%{file_extension}",
        "hex_random_length": 16,
        "store_as": "gzip",
        "check_bucket": False,
        "check_object": False,
    }
    if bucket.endpoint is not None:
        parameters |= {"s3_endpoint": bucket.endpoint, "force_path_style": True}
    if bucket.secret is not None:
        parameters |= {
            "aws_key_id": _secret(name, "access-key-id"),
            "aws_sec_key": _secret(name, "secret-access-key"),
        }
    return parameters


def _hdfs(at: HdfsDestination) -> dict[str, object]:
    parameters: dict[str, object] = {
        "@type": "webhdfs",
        "host": at.host,
        "port": at.port,
        "username": at.user,
        "path": f"/{at.path}/{_PLACE}/%Y-%m-%d/#{{ENV['POD']}}.%H.log",
        "ignore_start_check_error": True,
    }
    return parameters | ({"ssl": True, "ssl_verify_mode": "peer"} if at.tls else {})


def _search(name: str, kind: str, search: SearchDestination) -> dict[str, object]:
    parameters: dict[str, object] = {
        "@type": kind,
        "hosts": ",".join(search.urls),
        "index_name": search.index,
        "include_timestamp": True,
        # Both indices and data streams take it.
        "write_operation": "create",
        "suppress_type_name": True,
        "reconnect_on_error": True,
        "reload_on_failure": True,
        "reload_connections": False,
        **(
            {"verify_es_version_at_startup": False, "default_elasticsearch_version": 8}
            if kind == "elasticsearch"
            else {}
        ),
    }
    if search.secret is not None:
        parameters |= {"user": _secret(name, "username"), "password": _secret(name, "password")}
    return parameters


def _forward(name: str, at: ForwardDestination) -> list[Section]:
    sections = [Section("server", "", {"host": at.host, "port": at.port})]
    if at.secret is not None:
        keys = {"self_hostname": "#{ENV['POD']}", "shared_key": _secret(name, "shared-key")}
        sections.append(Section("security", "", keys))
    return sections
