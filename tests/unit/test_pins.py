"""The pins: nothing is installed beside them, and each of them is one version with the checksums of its wheels."""

import re
import tomllib
from importlib.metadata import distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from console.paths import ROOT

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


def test_every_package_is_one_version_with_checksums() -> None:
    for requirement, checksums in _requirements("requirements.txt"):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert checksums, requirement
        assert all(re.fullmatch(r"[0-9a-f]{64}", each) for each in checksums), requirement


def test_what_is_used_directly_is_in_the_lock() -> None:
    direct = _versions("requirements.in")
    assert len(direct) > 10
    assert direct <= _versions("requirements.txt")


def test_nothing_is_installed_but_what_is_pinned() -> None:
    installed = {(canonicalize_name(each.name), each.version) for each in distributions()}
    assert {pin for pin in installed if pin[0] not in OF_PYTHON} == _versions("requirements.txt", here=True)


def test_the_library_asks_for_what_it_is_tested_with() -> None:
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
