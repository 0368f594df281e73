"""Which program a container runs, told from its image and its command: the same patterns here and in CEL."""

import re
from dataclasses import dataclass

from components.cel import quoted
from policies.plain import CannotJudgeError
from policies.resources import Container


@dataclass(frozen=True, kw_only=True)
class Program:
    """How a program is recognised: by its command line, or by an image that starts it by itself.

    Patterns are of RE2, which is also Python's here.
    """

    name: str
    line: str
    image: str


_ROLE = "(standalone-job|jobmanager|taskmanager)"
# Roles are what the image's entry point is called with, scripts of the distribution, or classes. Anywhere else the same
# words are names of hosts.
FLINK = Program(
    name="Flink",
    line=(
        rf"(^|(docker-entrypoint|start)\.sh[\s'\"]+){_ROLE}(\s|$)|(^|[/\s]){_ROLE}\.sh(\s|$)|"
        "TaskManagerRunner|ClusterEntry[pP]oint"
    ),
    image=r"(^|/)flink-(jobmanager|taskmanager)([:@]|$)",
)
ZOOKEEPER = Program(name="ZooKeeper", line=r"zkServer\.sh|QuorumPeerMain", image=r"(^|/)(cp-)?zookeeper([:@]|$)")
KAFKA = Program(
    name="Kafka", line=r"kafka-server-start(\.sh)?|kafka\.Kafka(\s|$)", image=r"(^|/)(cp-)?kafka(-native)?([:@]|$)"
)
PROGRAMS = (FLINK, ZOOKEEPER, KAFKA)
# Start scripts of images that have one for whatever is in them.
_OF_IMAGE = r"/etc/(kafka|confluent)/docker/run|/opt/bitnami/scripts/"


def runs(container: Container, program: Program) -> bool:
    """Whether a container runs a program."""
    if container.init:
        return False
    line = " ".join(container.words)
    if line and not re.search(_OF_IMAGE, line):
        return re.search(program.line, line) is not None
    return re.search(program.image, container.image) is not None


def surely_runs(container: Container, *programs: Program) -> bool:
    """Whether a container runs one of these programs; not, if that is not known: the memory rules name such a one."""
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
    """In CEL: whether the container `c`, no init container, runs one of these programs."""
    of_line = quoted("|".join(f"({program.line})" for program in programs))
    of_image = quoted("|".join(f"({program.image})" for program in programs))
    line = f"{CEL_WORDS}.join(' ')"
    return (
        f"({line} != '' && !{line}.matches({quoted(_OF_IMAGE)}) ? {line}.matches({of_line}) : "
        f"has(c.image) && c.image.matches({of_image}))"
    )
