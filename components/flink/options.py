"""Reads a Flink configuration that this project did not write: its options, and the memory options in it.

The other way round is `components.flink.config` and `flink_options`.
"""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

import yaml

from components.flink.memory import MIB, FlinkMemoryError, JobManagerOptions, TaskManagerOptions, option_names

# Flink's defaults where ours differ.
_TASK_MANAGER = {"task_off_heap_mib": 0}

_UNITS = ("b", "k", "m", "g", "t")  # each 1024 of the one before
_SIZE = re.compile(r"(\d+)\s*(|b|bytes|k|kb|kibibytes|m|mb|mebibytes|g|gb|gibibytes|t|tb|tebibytes)")
_DURATION = re.compile(r"(\d+)\s*([a-zµ]*)")
_MILLIS = {
    "": 1.0,
    **dict.fromkeys(("d", "day", "days"), 86_400_000.0),
    **dict.fromkeys(("h", "hour", "hours"), 3_600_000.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60_000.0),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1000.0),
    **dict.fromkeys(("ms", "milli", "millis", "millisecond", "milliseconds"), 1.0),
    **dict.fromkeys(("µs", "micro", "micros", "microsecond", "microseconds"), 1e-3),
    **dict.fromkeys(("ns", "nano", "nanos", "nanosecond", "nanoseconds"), 1e-6),
}


@lru_cache(maxsize=64)  # all processes of a cluster mount the same file
def options_of(text: str) -> Mapping[str, str]:
    """The options in a config.yaml (nested or flat keys) or flink-conf.yaml, by their full names; none in no YAML."""
    try:
        document: object = yaml.safe_load(text)
    except yaml.YAMLError:
        # What Flink itself does with flink-conf.yaml: a key, a colon and a blank, and the rest of the line.
        document = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and line[:1] != "#")
    return MappingProxyType(dict(_flat("", document)))


def _flat(prefix: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        nested = cast("dict[Any, object]", value)
        return [pair for key, item in nested.items() for pair in _flat(f"{prefix}.{key}" if prefix else str(key), item)]
    if isinstance(value, list):
        return [(prefix, ";".join(map(str, cast("list[object]", value))))]
    if value is None or not prefix:
        return []
    return [(prefix, str(value).lower() if isinstance(value, bool) else str(value).strip())]


def size_mib(text: str) -> int | None:
    """A size as Flink reads it (`1728m`, `2 gb`; bytes without a unit), in MiB, rounded up; None if it is none."""
    found = _SIZE.fullmatch(text.strip().lower())
    return math.ceil(int(found[1]) * 1024 ** _UNITS.index(found[2][:1] or "b") / MIB) if found else None


def millis(text: str) -> float | None:
    """A duration as Flink reads it (`500 ms`, `10 s`; milliseconds without a unit), in milliseconds, else None."""
    found = _DURATION.fullmatch(text.strip().lower())
    return int(found[1]) * _MILLIS[found[2]] if found and found[2] in _MILLIS else None


def task_manager_options(configuration: Mapping[str, str]) -> TaskManagerOptions:
    """The memory options of TaskManagers. Raises FlinkMemoryError for a value that is no size or number."""
    return TaskManagerOptions(**{**_TASK_MANAGER, **_memory(TaskManagerOptions, configuration)})


def job_manager_options(configuration: Mapping[str, str]) -> JobManagerOptions:
    """The memory options of JobManagers. Raises FlinkMemoryError for a value that is no size or number."""
    return JobManagerOptions(**_memory(JobManagerOptions, configuration))


def _memory(process: type[TaskManagerOptions | JobManagerOptions], configuration: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, int | float] = {}
    for field, name in option_names(process).items():
        if name not in configuration:
            continue
        text = configuration[name]
        try:
            value = size_mib(text) if field.endswith("_mib") else float(text)
        except ValueError:
            value = None
        if value is None:
            kind = "size: write one such as 512m" if field.endswith("_mib") else "fraction: write one such as 0.1"
            raise FlinkMemoryError(field, f"{name} = {text!r} is no {kind}")
        given[field] = value
    return given
