"""Options of the JVM, as a user writes them: whether they reach it, and whether the sizes in them fit Flink's memory.

What Flink's own scripts do with them decides: they read the value up to a `#`, cut a double quote off its ends, and
give it to the shell, once to evaluate and once to split at blanks. Only what comes out as it went in is accepted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from components.flink.memory import MIB, JobManagerMemory, TaskManagerMemory

# Variables that the JVM itself or its launcher reads.
VARIABLES = ("_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")

_REMEDY = "leave it out, and size the process by its memory settings"

Memory = TaskManagerMemory | JobManagerMemory
Kind = Literal["heap", "part of the heap", "direct", "metaspace", "overhead"]

# By how they begin; in bytes, but for the last, which counts KiB.
_SIZES: dict[str, Kind] = {
    "-Xmx": "heap",
    "-mx": "heap",
    "-XX:MaxHeapSize=": "heap",
    "-Xms": "part of the heap",
    "-ms": "part of the heap",
    "-XX:InitialHeapSize=": "part of the heap",
    "-XX:MinHeapSize=": "part of the heap",
    "-XX:SoftMaxHeapSize=": "part of the heap",
    "-Xmn": "part of the heap",
    "-XX:NewSize=": "part of the heap",
    "-XX:MaxNewSize=": "part of the heap",
    "-XX:MaxDirectMemorySize=": "direct",
    "-XX:MaxMetaspaceSize=": "metaspace",
    "-XX:ReservedCodeCacheSize=": "overhead",
    "-Xss": "overhead",
    "-ss": "overhead",
    "-XX:ThreadStackSize=": "overhead",
}
_IN_KIB = "-XX:ThreadStackSize="
_SIZE = re.compile(r"(0[xX][0-9a-fA-F]+|[0-9]+)([kKmMgGtT]?)")
_UNITS = "kmgt"
# Files of further options: their content is not known before the process runs.
_FILES = ("@", "-XX:Flags=", "-XX:VMOptionsFile=")

# What the shell, twice, sed and YAML leave as it is. A pattern (*, ?, [) finds no file, as it begins with a dash.
_CHANGED = re.compile(r"[^A-Za-z0-9_.,:/=+@%^!*?~\[\]-]")
_NAMES = {"\t": "a tab", "\n": "a line break", "\0": "NUL"}
# Options whose value is the next word.
_TAKES_NEXT = re.compile(r"--[a-z-]+|-(p|cp|classpath)")


class JavaOptionsError(ValueError):
    """Options that would not reach the JVM as they are written, or whose sizes cannot be read."""


@dataclass(frozen=True, kw_only=True)
class JavaSize:
    """A size among the options, in bytes: `option` as it is written, `kind` is which memory it bounds."""

    option: str
    kind: Kind
    size: int


def passed_on(text: str) -> tuple[str, ...]:
    """The options in a value of `env.java.opts.*`.

    Raises JavaOptionsError if the scripts that start Flink would not hand each of them on as it is written.
    """
    words = tuple(filter(None, text.split(" ")))
    for before, word in zip(("", *words), words, strict=False):
        if found := _CHANGED.search(word):
            remedy = "write the variable's value" if found[0] == "$" else "leave it out, or write it in another way"
            raise JavaOptionsError(
                f"{word!r} has {_NAMES.get(found[0], found[0])} in it, which the scripts that start Flink do not hand "
                f"on as it is written: {remedy}"
            )
        if word[0] not in "-@" and (not _TAKES_NEXT.fullmatch(before) or set(word) & set("*?[~")):
            raise JavaOptionsError(f"{word!r} is no option, and the JVM would not start: options begin with a dash")
    return words


def in_variable(text: str) -> tuple[str, ...]:
    """The options in one of VARIABLES: the JVM splits them at blanks, and takes quotes away.

    Raises JavaOptionsError for a quote without an end.
    """
    words = [""]
    quote = ""
    for character in text:
        if character == quote:
            quote = ""
        elif quote or not (character in "\"'" or character.isspace()):
            words[-1] += character
        elif character in "\"'":
            quote = character
        else:
            words.append("")
    if quote:
        raise JavaOptionsError(f"{words[-1]!r} has a quote ({quote}) without an end: add it")
    return tuple(filter(None, words))


def sizes(words: Sequence[str]) -> Iterator[JavaSize]:
    """All sizes among options. Raises JavaOptionsError for one that the JVM could not read, or that is in a file."""
    for word in words:
        if word.startswith(_FILES):
            raise JavaOptionsError(
                f"{word!r} names a file of further options, which cannot be checked: write them here"
            )
        start = next((start for start in _SIZES if word.startswith(start)), None)
        if start is None:
            continue
        found = _SIZE.fullmatch(word.removeprefix(start))
        if found is None:
            raise JavaOptionsError(f"{word!r} is no size that a JVM reads: write one such as {start}512m")
        number = int(found[1], 16 if found[1][:2] in ("0x", "0X") else 10)
        power = _UNITS.index(found[2].lower()) + 1 if found[2] else 0
        yield JavaSize(option=word, kind=_SIZES[start], size=number * 1024 ** (power + (start == _IN_KIB)))


def contradictions(words: Sequence[str], memory: Memory) -> Iterator[str]:
    """Yield what sizes among the options say against the memory of a process, with the arithmetic.

    Raises JavaOptionsError like `sizes`.
    """
    whose = "a TaskManager" if isinstance(memory, TaskManagerMemory) else "a JobManager"
    for given in sizes(words):
        bound, sum_, exact = _bound(given.kind, memory)
        without_bound = given.size == 0 and given.kind not in ("part of the heap", "overhead")
        # Flink's own sizes are no whole MiB, and users do not write them to the byte.
        if abs(given.size - bound) < MIB or (given.size < bound and not exact and not without_bound):
            continue
        if without_bound:
            effect = "0 means no bound"
        elif given.size > bound:
            effect = (
                f"the limit of {memory.container_mib} MiB holds {_mib(bound)} of it, and not "
                f"{_mib(given.size - bound)} more"
            )
        else:
            effect = f"{_mib(bound - given.size)} of it could not be used"
        yield f"{given.option} is {_mib(given.size)}, where Flink gives {whose} {_mib(bound)} ({sum_}): {effect}"


def refusals(options: Mapping[str, str], task_manager: TaskManagerMemory, job_manager: JobManagerMemory) -> list[str]:
    """Return what is wrong with the JVM options among Flink's: not handed on as written, or at odds with the memory."""
    processes: dict[str, list[Memory]] = {
        "all": [task_manager, job_manager],
        "jobmanager": [job_manager],
        "taskmanager": [task_manager],
    }
    refused: list[str] = []
    for key, value in sorted(options.items()):
        if not key.startswith(("env.java.opts.", "env.java.default-opts.")):
            continue
        try:
            words = passed_on(value)
            told = [
                text for memory in processes.get(key.rpartition(".")[2], []) for text in contradictions(words, memory)
            ]
            refused += [f"Flink option {key}: {text}; {_REMEDY}" for text in told]
        except JavaOptionsError as error:
            refused.append(f"Flink option {key}: {error}")
    return refused


def variable_refusals(
    name: str, value: str, task_manager: TaskManagerMemory, job_manager: JobManagerMemory
) -> Iterator[str]:
    """Yield what is wrong with one of VARIABLES, which the pods of both roles get."""
    try:
        words = in_variable(value)
        for memory in (task_manager, job_manager):
            for text in contradictions(words, memory):
                yield f"variable {name}: {text}; {_REMEDY}"
    except JavaOptionsError as error:
        yield f"variable {name}: {error}"


def _bound(kind: Kind, memory: Memory) -> tuple[int, str, bool]:
    """Return the bound of one kind of memory, the sum that it comes from, and whether less of it is wrong, too.

    Flink sets heap and direct memory itself, and relies on both: with less the JVM or the network does not start.
    """
    match kind, memory:
        case (("heap" | "part of the heap"), TaskManagerMemory()):
            parts = f"heap: {_mib(memory.framework_heap)} for Flink and {_mib(memory.task_heap)} for tasks"
            return memory.jvm_heap, parts, kind == "heap"
        case (("heap" | "part of the heap"), _):
            return memory.jvm_heap, "heap", kind == "heap"
        case "direct", TaskManagerMemory():
            parts = (
                f"direct memory: {_mib(memory.framework_off_heap)} for Flink, {_mib(memory.task_off_heap)} for tasks "
                f"and {_mib(memory.network)} for the network"
            )
            return memory.max_direct, parts, True
        case "direct", JobManagerMemory():
            return memory.off_heap, "off-heap memory", False
        case "metaspace", _:
            return memory.jvm_metaspace, "metaspace", False
        case _:
            return memory.jvm_overhead, "JVM overhead, of which stacks and compiled code are parts", False


def _mib(size: int) -> str:
    return f"{round(size / MIB, 1):g} MiB"
