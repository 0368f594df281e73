"""Which stacks a change of files touches: found from what the program imports, not from a list that goes stale."""

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import cast

from stacks.settings import read_file

PACKAGES = ("stacks", "components")  # where the program's modules are
BUILDERS = {"cluster": "stacks/cluster.py", "environment": "stacks/environment.py"}  # kind of stack -> what builds it
PROGRAM = "__main__.py"
# What every preview goes through, beside the program: its pins, the engine and its plug-ins, the policies, this.
EVERYWHERE = (
    "Pulumi.yaml",
    "requirements.txt",
    "policies/",
    "preview/",
    "local/tools.py",
    "local/modules/pulumi",
    ".github/workflows/preview.yml",
)
UNREAD = ("stacks/schema.json",)  # for editors


def kinds(root: Path) -> Mapping[str, str]:
    """The stacks of a checkout, {name: kind}."""
    files = sorted((root / "stacks").glob("Pulumi.*.yaml"))
    return {_stack_of(f"stacks/{file.name}"): str(_kind(file)) for file in files}


def touched(root: Path, files: Iterable[str]) -> list[str]:
    """The stacks of a checkout whose previews may come out differently once these files have changed, in order."""
    there = kinds(root)
    modules = {kind: imported(root, kind) for kind in BUILDERS}
    every = frozenset[str]().union(*modules.values())
    changed = [file for file in files if file]
    return [
        name
        for name, kind in there.items()
        if any(_touches(file, name, modules.get(kind, every), every) for file in changed)
    ]


@cache
def imported(root: Path, kind: str) -> frozenset[str]:
    """The modules of the program, as files, that a kind of stack is built with."""
    others = {file for other, file in BUILDERS.items() if other != kind}
    found: set[str] = set()
    waiting = [PROGRAM]
    while waiting:
        file = waiting.pop()
        if file in found or file in others or not (root / file).is_file():
            continue
        found.add(file)
        for name in _imports(ast.parse((root / file).read_text(encoding="utf-8"))):
            path = name.replace(".", "/")
            waiting += [f"{path}.py", f"{path}/__init__.py", f"{path.rpartition('/')[0]}/__init__.py"]
    return frozenset(found)


def _touches(file: str, stack: str, modules: frozenset[str], all_modules: frozenset[str]) -> bool:
    """Whether a file bears on a stack that is built with these modules."""
    path = PurePosixPath(file)
    if named := _stack_of(file):
        return named == stack
    if any(file == each or file.startswith(each) for each in EVERYWHERE):
        return True
    if path.parts[0] in ("jobs", "state-record"):  # what is in their jars names images, and replaces pods
        return BUILDERS["environment"] in modules and path.suffix != ".md"
    if path.parts[0] not in PACKAGES or file in UNREAD:
        return file == PROGRAM
    if file in all_modules:
        return file in modules
    # Not a module: a script beside those that read it. Or a module that is gone.
    beside = next((d for d in path.parents if any(m.startswith(f"{d}/") for m in all_modules)), path.parent)
    return any(module.startswith(f"{beside}/") for module in modules)


def _stack_of(file: str) -> str:
    path = PurePosixPath(file)
    is_stack = path.parent == PurePosixPath("stacks") and path.name.startswith("Pulumi.") and path.suffix == ".yaml"
    return path.name.removeprefix("Pulumi.").removesuffix(".yaml") if is_stack else ""


def _kind(file: Path) -> object:
    config: object = read_file(file).get("config")
    return cast("dict[str, object]", config).get("streaming-platform:kind") if isinstance(config, dict) else None


def _imports(tree: ast.Module) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
