"""The stacks that a change of files affects, found from what the program imports, so that no list can go stale."""

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import cast

from console.progress import LocalError
from stacks.settings import read_file

BUILDERS = {"cluster": "stacks/cluster.py", "environment": "stacks/environment.py"}  # kind of stack -> what builds it
PROGRAM = "__main__.py"
# What runs from the change in each preview beside the program, with all that these import: tools, jars, the preflight.
# Not what judges it: rules and comment come from the commit that it goes into.
BESIDE = ("cli/preview/prepare.py", "cli/preview/preflight.py")
EVERYWHERE = (
    "Makefile",
    "Pulumi.yaml",
    "requirements.txt",
    "cli/preview/__main__.py",
    "local/modules/pulumi",
    ".github/workflows/preview.yml",
)
CONTENT = ("images/", "jobs/", "state-record/")  # what is in them names an environment's images, and replaces pods
UNREAD = ("stacks/schema.json",)  # for editors


def kinds(root: Path) -> Mapping[str, str]:
    """The stacks of a checkout, {name: kind}."""
    files = sorted((root / "stacks").glob("Pulumi.*.yaml"))
    return {_stack_of(f"stacks/{file.name}"): str(_kind(file)) for file in files}


def among(root: Path, only: str) -> list[str]:
    """The stacks of a checkout; only those of a JSON list, unless that is empty.

    Raises LocalError for what is no such list, or names a stack that has no file.
    """
    there = list(kinds(root))
    if not only.strip():
        return there
    try:
        named: object = json.loads(only)
    except ValueError:
        named = None
    if not isinstance(named, list) or not all(isinstance(each, str) for each in cast("list[object]", named)):
        raise LocalError(f'{only!r} is no JSON list of stacks: write it like ["cluster", "dev"]')
    strangers = [name for name in cast("list[str]", named) if name not in there]
    if strangers:
        raise LocalError(f"no stack file: {', '.join(strangers)}; there are: {', '.join(there)}. Correct the list")
    return cast("list[str]", named)


def touched(root: Path, files: Iterable[str]) -> list[str]:
    """The stacks of a checkout whose previews may come out differently once these files have changed, in order."""
    modules = {kind: imported(root, PROGRAM, frozenset(BUILDERS.values()) - {file}) for kind, file in BUILDERS.items()}
    every = Modules(root, frozenset[str]().union(*modules.values()), _beside(root))
    changed = [file for file in files if file]
    return [
        name
        for name, kind in kinds(root).items()
        if any(_touches(file, name, modules.get(kind, every.of_all), every) for file in changed)
    ]


@dataclass(frozen=True)
class Modules:
    """The modules of a checkout that all stacks together are built with, and those that run beside each preview."""

    root: Path
    of_all: frozenset[str]
    beside: frozenset[str]


@cache
def imported(root: Path, start: str, without: frozenset[str] = frozenset()) -> frozenset[str]:
    """A module of the checkout and all that it imports, in turn, as files; `without` some and what these import."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        file = waiting.pop()
        if file in found or file in without or not (root / file).is_file():
            continue
        found.add(file)
        for name in _imports(ast.parse((root / file).read_text(encoding="utf-8"))):
            path = name.replace(".", "/")
            waiting += [f"{path}.py", f"{path}/__init__.py", f"{path.rpartition('/')[0]}/__init__.py"]
    return frozenset(found)


def _beside(root: Path) -> frozenset[str]:
    return frozenset[str]().union(*(imported(root, file) for file in BESIDE))


def _touches(file: str, stack: str, modules: frozenset[str], every: Modules) -> bool:
    """Return whether a file bears on a stack that is built with these modules."""
    if named := _stack_of(file):
        return named == stack
    if file in every.beside or any(file == each or file.startswith(each) for each in EVERYWHERE):
        return True
    if file.startswith(CONTENT):
        return BUILDERS["environment"] in modules and not file.endswith(".md")
    if file in every.of_all:
        return file in modules
    home = _home(PurePosixPath(file), every)
    return file in _jars(every.root, stack) or any(module.startswith(home) for module in modules)


def _home(path: PurePosixPath, every: Modules) -> tuple[str, ...]:
    """The directory (none, or one) whose modules may read a file that is no module itself, or a module that is gone."""
    if str(path) in UNREAD or (path.suffix == ".py" and (every.root / path).is_file()):
        return ()
    return next(((f"{d}/",) for d in path.parents if any(m.startswith(f"{d}/") for m in every.of_all)), ())


def _stack_of(file: str) -> str:
    path = PurePosixPath(file)
    is_stack = path.parent == PurePosixPath("stacks") and path.name.startswith("Pulumi.") and path.suffix == ".yaml"
    return path.name.removeprefix("Pulumi.").removesuffix(".yaml") if is_stack else ""


def _kind(file: Path) -> object:
    return _below(read_file(file), "config").get("streaming-platform:kind")


@cache
def _jars(root: Path, stack: str) -> frozenset[str]:
    """The jars of a stack's Flink clusters, which are in the checkout."""
    document = read_file(root / "stacks" / f"Pulumi.{stack}.yaml")
    clusters = _below(document, "config", "streaming-platform:flink", "clusters")
    return frozenset(str(_below(clusters, name).get("jar")) for name in clusters)


def _below(mapping: Mapping[str, object], *keys: str) -> Mapping[str, object]:
    """The mapping at a place of another; empty where there is none: what is wrong with a file, its preview says."""
    for key in keys:
        below = mapping.get(key)
        mapping = cast("Mapping[str, object]", below) if isinstance(below, dict) else {}
    return mapping


def _imports(tree: ast.Module) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
