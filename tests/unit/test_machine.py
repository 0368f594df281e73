"""The check of the machine: every problem at once, before anything is fetched, with nothing installed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from console.paths import ROOT
from local import machine


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def usage(free_gib: int) -> Callable[[object], Usage]:
    return lambda _: Usage(2**40, 0, free_gib * 2**30)


def memory(gib: int) -> Callable[[str], int]:
    return {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": gib * 2**18}.__getitem__


def found(*, node: bool = True) -> list[str]:
    return list(machine.problems(node=node))


@pytest.fixture(autouse=True)
def good_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which all is right, with an empty cache; returns the directory of its programs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("go", "mvn"):
        (programs / name).touch(mode=0o755)
    java(programs, "17.0.11")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(machine, "node_problem", lambda: "")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr(os, "sysconf", memory(8))
    monkeypatch.setattr("shutil.disk_usage", usage(1024))
    return programs


def java(programs: Path, version: str) -> None:
    (programs / "java").write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-04-16' >&2\n")
    (programs / "java").chmod(0o755)


def without(monkeypatch: pytest.MonkeyPatch, *programs: str) -> None:
    which = shutil.which

    def found(name: str) -> str | None:
        return None if name in programs else which(name)

    monkeypatch.setattr("shutil.which", found)


def test_a_good_machine_has_no_problem() -> None:
    assert found() == []


def test_all_problems_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "go", "mvn", "java")
    monkeypatch.setattr(machine, "node_problem", lambda: "you are not root")
    monkeypatch.setattr(os, "sysconf", memory(2))
    monkeypatch.setattr("shutil.disk_usage", usage(5))
    problems = found()
    assert len(problems) == 6
    for words in (
        "you are not root",
        "2.0 GiB of memory, below 5 GiB",
        "go: not found on PATH",
        "mvn: not found on PATH",
        "java: not found on PATH",
        "5.0 GiB free",
    ):
        assert any(words in each for each in problems), words


def test_java_must_be_new_enough(good_machine: Path) -> None:
    java(good_machine, "1.8.0_402")
    assert found() == ["Java 8, below 17: install Java 17"]


def test_tools_that_exist_need_less_disk_and_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.disk_usage", usage(10))
    without(monkeypatch, "go")
    assert len(found()) == 2
    (tmp_path / "cache" / "streaming-platform" / "tools" / "kubectl").mkdir(parents=True)
    assert found() == []


def test_the_client_of_a_cluster_needs_no_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "node_problem", lambda: "this is Darwin, not Linux")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert found(node=False) == []


def test_an_old_python_is_the_only_problem_that_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    (problem,) = found()
    assert "below 3.11" in problem


def test_it_runs_without_any_installed_package() -> None:
    """It is what `make up` runs before it installs anything: -I -S leaves out all packages."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from local.machine import main; sys.exit(main([]) and 3)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr
    assert (done.returncode == 3) == ("make up cannot work on this machine" in done.stderr)
