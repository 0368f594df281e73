"""The two steps of docs/environments.md on a platform that runs: an environment comes, runs, and goes again."""

import dataclasses
import sys
from pathlib import Path

from cli import platform
from cli.kube import Kube
from cli.platform import Target
from cli.preview import engine
from cli.pulumi import Workspace
from console.progress import run
from tests.copies import NEW, add_entry, add_stack_file, copy_checkout

# The workspace of a platform, in the checkout in which this is run.
WORKSPACE = """
import sys
from cli import platform
from cli.preview import engine
from console.progress import run
work = platform.workspace(platform.Target(sys.argv[1], ""))
"""
UP = "work.up(sys.argv[2])"
UNCHANGED = """
for stack in sys.argv[2:]:
    found = work.look(engine.PREVIEW, stack)
    assert (found.result, found.steps) == ("succeeded", ()), (stack, found)
"""
REMOVE = """
words = ["pulumi", "stack", "rm", sys.argv[2], "--yes", "--non-interactive", "--preserve-config"]
run(words, cwd=work.state / "stacks", env=work.environment(sys.argv[2]))
"""


def _by_hand(checkout: Path, target: Target) -> None:
    """Apply the new stack as the page says."""
    words = f"pulumi up --stack {NEW} --policy-pack policies --yes --non-interactive"
    script = f'eval "$(.venv/bin/python -m cli --name {target.name} env)" && {words}'
    run(["bash", "-c", script], cwd=checkout)


def test_an_environment_is_added_and_taken_away_again(
    work: Workspace, target: Target, admin: Kube, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    copy_checkout(checkout)

    def python(script: str, *words: str) -> None:
        run([sys.executable, "-c", f"{WORKSPACE}{script}", target.name, *words], cwd=checkout)

    def make(command: str) -> str:
        return run([sys.executable, "-m", "cli", "--name", target.name, command, NEW], cwd=checkout)

    add_entry(checkout)
    add_stack_file(checkout)
    try:
        python(UP, "cluster")
        assert "create `StatefulSet kafka`" in make("preview")
        _by_hand(checkout, target)
        in_new = dataclasses.replace(admin, namespace=NEW)
        for name in ("zookeeper", "kafka"):
            assert in_new.get("statefulset", name)["status"]["readyReplicas"] == 1
        # The others are as they were, and so is what was just applied.
        python(UNCHANGED, *platform.STACKS, NEW)
        make("destroy")
        python(REMOVE, NEW)
    finally:
        work.up("cluster")  # of this checkout, which has no such entry
    names = admin.run("get", "namespaces", "-o", "name").split()
    assert f"namespace/{NEW}" not in names
    for stack in platform.STACKS:
        found = work.look(engine.PREVIEW, stack)
        assert (found.result, found.steps) == ("succeeded", ()), (stack, found)
