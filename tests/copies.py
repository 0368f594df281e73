"""A copy of the checkout, in which a test may add and change files; and the environment that the pages add."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from console.paths import ROOT

BUILT = ("jobs/target", "state-record/target", "components/kafka/agent/target")  # the jars, which Git does not have
PAGE = ROOT / "docs" / "environments.md"
NEW = "newcomer"
"""The new environment, which the page calls `staging`: a name that no environment of the project has."""


def copy_checkout(into: Path) -> Path:
    """Copy what Git has or would have, and the jars that are built; link the virtual environment."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, into / name)
    for directory in BUILT:
        for sources in (ROOT / directory).glob("*.sources"):
            (into / directory).mkdir(parents=True, exist_ok=True)
            for file in (sources, sources.with_suffix(".jar")):
                shutil.copy(file, into / directory)
    (into / ".venv").symlink_to((ROOT / ".venv").resolve())
    return into


def blocks_of_the_page() -> tuple[str, str]:
    """The entry and the stack file of docs/environments.md, for another name."""
    text = PAGE.read_text(encoding="utf-8").replace("staging", NEW)
    entry, file, *_ = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return entry, file


def add_entry(checkout: Path) -> None:
    """Take the first step of the page: declare the environment."""
    entry, _ = blocks_of_the_page()
    file = checkout / "stacks" / "Pulumi.cluster.yaml"
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    for key, environments in yaml.safe_load(entry).items():
        document["config"][key] |= environments
    file.write_text(json.dumps(document), encoding="utf-8")


def add_stack_file(checkout: Path) -> None:
    """Take the second step of the page: say what runs there."""
    _, text = blocks_of_the_page()
    (checkout / "stacks" / f"Pulumi.{NEW}.yaml").write_text(text, encoding="utf-8")
