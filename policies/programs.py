"""The program that a container runs, recognised by its image and its command: the same patterns here and in CEL."""

import re
from dataclasses import dataclass

from components.isolation.cel import quoted
from policies.resources import Container
from policies.unknown import CannotJudgeError


@dataclass(frozen=True, kw_only=True)
class Program:
    """The marks of a program: its command line, or an image that starts it by itself.

    Patterns are of RE2, which is also Python's here.
    """

    name: str
    line: str
    image: str


_ROLE = "(standalone-job|jobmanager|taskmanager)"
_END = r"([\s;&|)\"']|$)"  # of a word, in a shell too
# Roles are what the image's entry point is called with, scripts of the distribution, or classes. Anywhere else the same
# words are names of hosts.
FLINK = Program(
    name="Flink",
    line=(
        rf"(^|(docker-entrypoint|start)\.sh[\s'\"]+){_ROLE}{_END}|(^|[/\s\"']){_ROLE}\.sh{_END}|"
        "TaskManagerRunner|ClusterEntry[pP]oint"
    ),
    image=r"(^|/)flink-(jobmanager|taskmanager)([:@]|$)",
)
ZOOKEEPER = Program(
    name="ZooKeeper",
    line=rf"zkServer\.sh|QuorumPeerMain|zookeeper_run\.sh|zookeeper-server-start(\.sh)?{_END}",
    image=r"(^|/)(cp-)?zookeeper([:@]|$)",
)
KAFKA = Program(
    name="Kafka",
    line=rf"kafka-server-start(\.sh)?{_END}|kafka\.Kafka{_END}|kafka_run\.sh",
    image=r"(^|/)((cp-)?kafka(-native)?|cp-server)([:@]|$)",
)
PROGRAMS = (FLINK, ZOOKEEPER, KAFKA)
# Start scripts of images that have one for whatever is in them.
_OF_IMAGE = r"/etc/(kafka|confluent)/docker/run|/opt/bitnami/scripts/"
_ANY = "|".join(f"({program.line})" for program in PROGRAMS)
# Images of these programs, whatever is added to their names, and their tools, which are none of them.
_HINT = r"(^|[/-])(flink|kafka|zookeeper|zk)([:@-]|$)"
_TOOL = r"(kafka-[a-z-]+|connect-[a-z-]+|zkCli|zkCleanup)(\.sh)?(\s|$)|(^|\s)(flink|sql-client\.sh)\s|nc -z"


def own_words(container: Container) -> tuple[str, ...]:
    """The words of the program itself: what follows a bare `--` behind it is its job's."""
    words = container.words
    for index, word in enumerate(words):
        if word == "--" and re.search(f"{_ANY}|{_OF_IMAGE}", " ".join(words[:index])):
            return words[:index]
    return words


def runs(container: Container, program: Program) -> bool:
    """Return whether a container runs a program."""
    line = " ".join(own_words(container))
    if line and not re.search(_OF_IMAGE, line):
        return re.search(program.line, line) is not None
    return re.search(program.image, container.image) is not None


def unrecognised(container: Container) -> str | None:
    """Return what a container starts that may be one of the programs, by its image, and cannot be recognised as one."""
    line = " ".join(own_words(container))
    hidden = line and re.search(_HINT, container.image) and not re.search(_TOOL, line)
    return line if hidden and program_of(container) is None else None


def surely_runs(container: Container, *programs: Program) -> bool:
    """Return whether a container is known to run one of these programs; False if that is not known, which the memory
    rules report."""
    try:
        return any(runs(container, program) for program in programs)
    except CannotJudgeError:
        return False


def program_of(container: Container) -> Program | None:
    """The program that a container runs, if it is one of those that the rules know."""
    return next((program for program in PROGRAMS if runs(container, program)), None)


# Command and arguments of the container `c`, in CEL.
CEL_WORDS = "((has(c.command) ? c.command : []) + (has(c.args) ? c.args : []))"


def cel_runs(*programs: Program) -> str:
    """Return the CEL expression that is true if the container `c` runs one of these programs.

    A variable that is named in a word is filled in if it is the whole of what the program is called with.
    """
    of_line = quoted("|".join(f"({program.line})" for program in programs))
    of_image = quoted("|".join(f"({program.image})" for program in programs))
    line = f"{CEL_WORDS}.join(' ')"
    own = f"({line}.split(' -- ')[0].matches({quoted(_ANY)}) ? {line}.split(' -- ')[0] : {line})"
    variable = (
        f"(has(c.env) && c.env.exists(e, has(e.value) && e.value.matches({of_line}) && "
        f"{line}.contains('$(' + e.name + ')')))"
    )
    return (
        f"({line} != '' && !{line}.matches({quoted(_OF_IMAGE)}) ? {own}.matches({of_line}) || {variable} : "
        f"has(c.image) && c.image.matches({of_image}))"
    )
