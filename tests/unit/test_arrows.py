"""Packages of the project depend on each other in one direction: every import is read, and any other is refused."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from console.paths import ROOT

# The packages that a package may import, beside itself. PURE stands for those modules of components that do not load
# Pulumi, neither themselves nor by what they import.
PURE = "pure modules of components"
ARROWS = {
    "versions": set[str](),
    "console": set[str](),
    "components": set[str](),
    "policies": {PURE},
    "stacks": {"policies", "components", "versions"},
    "local": {"console", "versions", PURE},
    "cli": {"local", "console", "stacks", "policies", "components", "versions"},
    "bench": {"cli", "local", "console", "stacks", "policies", "components", "versions"},
    "examples": {"components"},
    "provider": {"components"},
    "tests": {"bench", "cli", "local", "console", "stacks", "policies", "provider", "components", "versions"},
    "__main__": {"stacks"},
}
# Programs that compose what their packages have. Nothing but tests imports them.
PROGRAMS = {"policies.__main__": {"stacks"}}
PULUMI = ("pulumi", "pulumi_kubernetes", "pulumi_random")


def modules() -> dict[str, Path]:
    """The modules of the project by name, packages by the name of the package."""
    files = [*ROOT.glob("*.py"), *(file for package in ARROWS for file in (ROOT / package).rglob("*.py"))]
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}
    assert len(names) > 150
    return names


def imports(tree: ast.AST, known: dict[str, Path], *, late: bool) -> Iterator[str]:
    """Yield what a module imports, each by the longest name that is a module of the project, else as it is written.

    A package counts with each of its modules. Without `late`, imports inside of functions are left out.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            assert node.level == 0, "imports name the whole module"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            if late or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield from imports(node, known, late=late)
            continue
        for name in names:
            parts = name.split(".")
            whole = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
            yield from [each for each in whole if each in known] or [name]


@cache
def graph(*, late: bool) -> dict[str, frozenset[str]]:
    known = modules()
    return {
        name: frozenset(imports(ast.parse(file.read_text(encoding="utf-8")), known, late=late))
        for name, file in known.items()
    }


def loads_pulumi(module: str, seen: set[str] | None = None) -> bool:
    """Return whether Pulumi is loaded when a module is imported."""
    seen = {module} if seen is None else seen
    for each in graph(late=False).get(module, ()):
        if each.split(".")[0] in PULUMI:
            return True
        if each not in seen:
            seen.add(each)
            if loads_pulumi(each, seen):
                return True
    return False


def allowed(module: str, imported: str) -> bool:
    """Return whether the arrows let a module import another one."""
    home, other = module.split(".", maxsplit=1)[0], imported.split(".", maxsplit=1)[0]
    if (home == other and imported not in PROGRAMS) or other not in ARROWS:
        return True
    arrows = ARROWS[home] | PROGRAMS.get(module, set())
    if imported in PROGRAMS and home != "tests":
        return False
    return other in arrows or (other == "components" and PURE in arrows and not loads_pulumi(imported))


def test_packages_import_in_one_direction() -> None:
    wrong = {
        f"{module} imports {imported}"
        for module, found in graph(late=True).items()
        for imported in found
        if not allowed(module, imported)
    }
    assert wrong == set()


def test_every_package_has_its_arrows() -> None:
    homes = [home for home in ROOT.iterdir() if home.is_dir() and not home.is_symlink()]
    packages = {home.name for home in homes if any(home.rglob("*.py"))}
    assert packages | {file.stem for file in ROOT.glob("*.py")} == ARROWS.keys()


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("components.base", "stacks.models"),
        ("components.settings", "policies.rules"),
        ("components.logging.settings", "versions"),
        ("policies.pack", "versions"),
        ("console.progress", "components.names"),
        ("local.jars", "stacks.settings"),
        ("local.tools", "cli.kube"),
        ("local.tools", "components.base"),
        ("policies.flink", "components.base"),
        ("policies.pack", "stacks.models"),
        ("policies.docs", "policies.__main__"),
        ("cli.pulumi", "policies.__main__"),
        ("stacks.cluster", "cli.pulumi"),
        ("cli.platform", "bench.common.cluster"),
        ("cli.platform", "tests.waiting"),
        ("examples.program.__main__", "stacks.models"),
        ("components.base", "examples.program.__main__"),
        ("provider.resources", "stacks.models"),
        ("stacks.environment", "provider.resources"),
        ("bench.common.cluster", "tests.waiting"),
        ("__main__", "cli.platform"),
    ],
)
def test_the_way_back_is_refused(module: str, imported: str) -> None:
    assert not allowed(module, imported)


def test_modules_that_load_pulumi_are_known() -> None:
    assert loads_pulumi("components.base")
    assert loads_pulumi("components.kafka.topic")
    assert not loads_pulumi("components.flink.memory")
    assert not loads_pulumi("components.flink.settings")  # settings are read where there is no engine
