"""Stack files and Pulumi's own reader: what is taken here is the same there, and what it writes keeps its meaning."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from cli.preview.stacks import kinds
from console.progress import run
from local.tools import client_tools, ensure_tools
from stacks.files import UnclearError, Written, understood
from stacks.settings import ROOT, load_file
from tests.property.test_stack_files import PARTS, PULUMI, is_plain

STACK = "dev"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's stack files, with a backend of its own and the tools on PATH."""
    tools, _ = ensure_tools(client_tools())
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of this test")
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    return tmp_path


def _pulumi(project: Path, *words: str) -> str:
    return run(["pulumi", *words, "--non-interactive", "-C", project])


def test_a_file_that_pulumi_has_written_to_means_the_same_as_before(project: Path) -> None:
    for stack in kinds(ROOT):
        file = project / "stacks" / f"Pulumi.{stack}.yaml"
        before, text = load_file(file), file.read_text()
        _pulumi(project, "stack", "init", stack)
        _pulumi(project, "config", "set", "--stack", stack, "pulumi:tags", "x")
        assert "encryptionsalt: v1:" in file.read_text()
        assert file.read_text().startswith(text[: text.index("config:")])
        assert load_file(file) == before


def test_words_that_are_taken_are_the_same_to_pulumi(project: Path) -> None:
    some = random.Random(1)
    drawn = {"".join(some.choices(PARTS, k=some.randint(1, 5))) for _ in range(3000)}
    taken: dict[str, object] = {}
    for word in sorted(each for each in drawn | PULUMI.keys() if is_plain(each)):
        try:
            taken[word] = understood(word)
        except UnclearError:
            continue
    assert len(taken) > 1000
    keys = [word for word, value in taken.items() if value is not None and not isinstance(value, float)]
    file = project / "stacks" / f"Pulumi.{STACK}.yaml"
    listed = "".join(f"  - {word}\n" for word in taken)
    mapped = "".join(f"    {word}: 1\n" for word in keys)
    file.write_text(
        f"config:\n  streaming-platform:words:\n{listed}  streaming-platform:keys:\n{mapped}", encoding="utf-8"
    )
    _pulumi(project, "stack", "init", STACK)
    told = json.loads(_pulumi(project, "config", "--json", "--stack", STACK))
    theirs: list[object] = json.loads(told["streaming-platform:words"]["value"])
    differ = {
        word: other
        for (word, ours), other in zip(taken.items(), theirs, strict=True)
        if (float(ours) != other if isinstance(ours, Written) else ours != other or type(ours) is not type(other))
    }
    assert differ == {}
    assert set(told["streaming-platform:keys"]["objectValue"]) == set(keys)
