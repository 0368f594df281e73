"""The pins: nothing is installed beside them, and each of them is one version with the checksums of its wheels."""

import ast
import re
import subprocess
import tomllib
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from console.paths import ROOT

LOCKS = ("requirements.txt", "requirements-dev.txt")
OF_PYTHON = {"pip"}  # comes with the Python that makes the virtual environment


def _requirements(file: str) -> list[tuple[Requirement, list[str]]]:
    """The requirements of a file, each with its checksums."""
    text = (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", "--"))]
    return [(Requirement(line.split(" --hash=")[0]), re.findall(r" --hash=sha256:(\S+)", line)) for line in lines]


def _versions(file: str, *, here: bool = False) -> set[tuple[str, str]]:
    """The pins of a file, {(name, version)}; with `here` those only that are for this Python and machine."""
    return {
        (canonicalize_name(each.name), str(each.specifier).removeprefix("=="))
        for each, _ in _requirements(file)
        if not here or each.marker is None or each.marker.evaluate()
    }


@pytest.mark.parametrize("file", LOCKS)
def test_every_package_is_one_version_with_checksums(file: str) -> None:
    for requirement, checksums in _requirements(file):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert checksums, requirement
        assert all(re.fullmatch(r"[0-9a-f]{64}", each) for each in checksums), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_direct_dependencies_are_in_the_lock(lock: str) -> None:
    direct = _versions(lock.replace(".txt", ".in"))
    assert len(direct) > 6
    assert direct <= _versions(lock)


def test_both_locks_have_the_same_version_of_a_package() -> None:
    run, dev = (dict(_versions(lock)) for lock in LOCKS)
    assert {name: (run[name], dev[name]) for name in run.keys() & dev.keys() if run[name] != dev[name]} == {}
    assert not {"pytest", "hypothesis", "matplotlib", "ruff", "pyright"} & run.keys()


def test_only_pinned_packages_are_installed() -> None:
    installed = {(canonicalize_name(each.name), each.version) for each in distributions()}
    pinned = {pin for lock in LOCKS for pin in _versions(lock, here=True)}
    assert {pin for pin in installed if pin[0] not in OF_PYTHON} == pinned


def _imported(file: Path) -> set[str]:
    """The top-level packages that a file imports, inside of functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def _packages(*folders: str) -> set[str]:
    """The installed packages from which the files below some folders import."""
    of_module = packages_distributions()
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    modules = {module for file in [*files, *ROOT.glob("*.py")] for module in _imported(file)}
    return {canonicalize_name(of_module[module][0]) for module in modules if module in of_module}


def test_make_up_needs_nothing_of_the_tests() -> None:
    run = {name for name, _ in _versions(LOCKS[0])}
    used = _packages("stacks", "components", "policies", "console", "local", "cli")
    assert used - run == set()
    assert {"pulumi", "pydantic", "confluent-kafka"} <= used
    assert _packages("tests") - run >= {"pytest", "hypothesis"}


@pytest.mark.parametrize(
    ("target", "dev"),
    [("up", False), ("preview", False), ("generate", False), ("check", True), ("test", True), ("bench-state", True)],
)
def test_targets_of_make_install_their_dependencies(target: str, dev: bool) -> None:
    said = subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert ("-r requirements-dev.txt" in said) is dev


def test_the_library_requires_the_versions_it_is_tested_with() -> None:
    """Each package that `components` imports has bounds: from the pinned version to below the next major one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {canonicalize_name(each.name): each for each in map(Requirement, project["dependencies"])}
    pins = dict(_versions("requirements.in"))
    bounds = {name: {each.operator: each.version for each in one.specifier} for name, one in asked.items()}
    assert bounds == {name: {">=": pins[name], "<": str(int(pins[name].split(".")[0]) + 1)} for name in asked}
    files = [file.read_text(encoding="utf-8") for file in (ROOT / "components").rglob("*.py")]
    imported = {name for text in files for name in re.findall(r"^ *(?:from|import) (\w+)", text, re.MULTILINE)}
    distributed = {name for name in pins if {name.replace("-", "_"), {"pyyaml": "yaml"}.get(name)} & imported}
    assert distributed == asked.keys()


def test_the_provider_runs_with_the_plug_ins_that_there_are() -> None:
    lines = (ROOT / "provider" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(_versions("requirements.in"))
    wanted = [f"{name}=={pins[name]}" for name in ("pulumi-kubernetes", "pulumi-random")]
    assert [line for line in lines if not line.startswith("#")] == ["-e ..", *wanted]
