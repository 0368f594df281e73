"""Which program a container runs, told from its image and its command: the same patterns here and in CEL."""

import re
from dataclasses import dataclass

from policies.admission import quoted
from policies.plain import CannotJudgeError
from policies.resources import Container


@dataclass(frozen=True, kw_only=True)
class Program:
    """How a program is recognised: by a word of its command or arguments, or by an image that starts it by itself.

    Patterns are of RE2, which is also Python's here.
    """

    name: str
    word: str
    image: str


# Roles are arguments of the image's entry point, scripts of the distribution, or classes.
FLINK = Program(
    name="Flink",
    word=r"(^|[/\s])(standalone-job|jobmanager|taskmanager)(\.sh)?(\s|$)|TaskManagerRunner|ClusterEntry[pP]oint",
    image=r"(^|/)flink-(jobmanager|taskmanager)([:@]|$)",
)
ZOOKEEPER = Program(name="ZooKeeper", word=r"zkServer\.sh|QuorumPeerMain", image=r"(^|/)(cp-)?zookeeper([:@]|$)")
KAFKA = Program(
    name="Kafka", word=r"kafka-server-start(\.sh)?|kafka\.Kafka(\s|$)", image=r"(^|/)(cp-)?kafka(-native)?([:@]|$)"
)
PROGRAMS = (FLINK, ZOOKEEPER, KAFKA)


def runs(container: Container, program: Program) -> bool:
    """Whether a container runs a program."""
    if container.init:
        return False
    if container.words:
        return any(re.search(program.word, word) for word in container.words)
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


def cel_runs(*programs: Program) -> str:
    """In CEL: whether the container `c`, no init container, runs one of these programs."""
    word = quoted("|".join(f"({program.word})" for program in programs))
    image = quoted("|".join(f"({program.image})" for program in programs))
    words = "((has(c.command) ? c.command : []) + (has(c.args) ? c.args : []))"
    return f"(size({words}) > 0 ? {words}.exists(w, w.matches({word})) : has(c.image) && c.image.matches({image}))"
