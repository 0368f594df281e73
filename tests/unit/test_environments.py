"""An environment is declared once: the two steps of docs/environments.md, in a copy of the checkout."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.preview.stacks import kinds
from console.paths import ROOT
from policies import pack
from policies.pack import RULES, PolicyConfigError
from stacks.bounds import configured, of_environment, policy_options
from stacks.declared import check, environment_of, environments, without_stack
from stacks.settings import SettingsError
from tests.copies import NEW, add_entry, add_stack_file, copy_checkout

# What the code of a checkout makes of its stack files.
ASK = """
import json
from unittest import mock
from cli import platform, pulumi
from cli.preview.stacks import kinds
from console.paths import ROOT
from policies.engine import plain
from policies.pack import judge
from stacks.bounds import configured, policy_options
from stacks.declared import without_stack
from stacks.settings import load_file
from tests.policy.examples import stack_of
from tests.policy.recorded import recorded

told = {"without stack": without_stack(), "known to make": pulumi.stack_names()}
told["overlay"] = sorted(platform._overlay({"server": "https://10.0.0.1:6443"}, mock.Mock(admin_port=1)))
for stack in kinds(ROOT):
    made = sorted(recorded(stack).resources, key=lambda each: each.urn)
    of = stack_of(made)
    policies = configured(stack)
    told[stack] = {
        "settings": repr(load_file(pulumi.stack_file(stack))),
        "resources": {each.urn: plain(each.inputs) for each in made},
        "findings": [finding.text for finding in judge(of, policies)],
        "policies": policies.overrides,
        "options": policy_options(stack),
    }
print(json.dumps(told, default=str))
"""


def run(checkout: Path, *words: str, stdin: str = "") -> str:
    """Run Python in a checkout; return what it prints."""
    done = subprocess.run(
        [sys.executable, *words], cwd=checkout, check=False, capture_output=True, text=True, input=stdin
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with a new environment."""
    copied = copy_checkout(tmp_path_factory.mktemp("checkout"))
    add_entry(copied)
    add_stack_file(copied)
    return copied


@pytest.fixture(scope="module")
def told(checkout: Path) -> Mapping[str, Any]:
    """What the copy's code makes of its stack files."""
    return json.loads(run(checkout, "-c", ASK))


def test_settings_load_and_build_and_no_policy_is_broken(told: Mapping[str, Any]) -> None:
    new = told[NEW]
    assert f"environment={NEW!r}" in new["settings"]
    assert new["findings"] == []
    kinds_made = {urn.split("::")[2].rpartition("$")[2].rpartition(":")[2] for urn in new["resources"]}
    assert {"StatefulSet", "PersistentVolumeClaim", "Topic"} <= kinds_made
    namespaces = {
        each["metadata"]["namespace"]
        for each in new["resources"].values()
        if "namespace" in (each.get("metadata") or {})
    }
    assert namespaces == {NEW}
    assert told["without stack"] == []


def test_bounds_are_those_of_the_entry(told: Mapping[str, Any]) -> None:
    assert told[NEW]["policies"] == {
        "namespace-of-platform": {"namespaces": [NEW]},
        "container-disk-limit": {"maxMib": 16384},
        "container-memory-limit": {"maxMib": 4096},
        "namespace-memory-limit": {"maxMib": 20480},
    }
    assert NEW in told["cluster"]["policies"]["namespace-of-platform"]["namespaces"]
    assert told["cluster"]["findings"] == []
    assert "--policy-pack-config" not in told[NEW]["options"]


def test_make_and_the_workflows_know_it(told: Mapping[str, Any], checkout: Path) -> None:
    assert NEW in told["known to make"]
    assert NEW in told["overlay"]
    listed = subprocess.run(["make", "-s", "help"], cwd=checkout, check=True, capture_output=True, text=True).stdout
    (stacks,) = [line for line in listed.splitlines() if line.startswith("  STACK=")]
    assert NEW in stacks.split()
    # The nightly comparison asks its own commit, the preview that which a change goes into.
    assert NEW in json.loads(run(checkout, "-m", "cli.preview", "stacks", "--only", ""))
    changed = f"stacks/Pulumi.cluster.yaml\nstacks/Pulumi.{NEW}.yaml\n"
    words = ["-m", "cli.preview", "stacks", "--checkout", str(checkout), "--changed-files", "-"]
    assert json.loads(run(ROOT, *words, stdin=changed)) == ["cluster", NEW]


def test_the_others_stay_as_they_are(told: Mapping[str, Any]) -> None:
    before: dict[str, Any] = json.loads(run(ROOT, "-c", ASK))
    others = [name for name, kind in kinds(ROOT).items() if kind == "environment"]
    assert len(others) > 2
    for name in others:
        assert {**told[name], "options": []} == {**before[name], "options": []}, name
    was, now = map(_namespaced, (before, told))
    assert {urn: now.get(urn) for urn in was} == was
    added = {urn.split("::")[-1] for urn in now.keys() - was.keys()}
    assert NEW in added
    assert all(name.startswith(NEW) for name in added)


def _namespaced(side: Mapping[str, Any]) -> dict[str, Any]:
    """What the stack `cluster` makes for each environment, without the rules that several share."""
    made: dict[str, Any] = side["cluster"]["resources"]
    return {urn: each for urn, each in made.items() if "IsolatedNamespace" in urn.split("::")[2]}


@pytest.fixture
def stack_files(tmp_path: Path) -> Path:
    """The stack files of the checkout in a directory of their own, with the file of a new one and without its entry."""
    directory = tmp_path / "stacks"
    directory.mkdir()
    for file in (ROOT / "stacks").glob("Pulumi.*.yaml"):
        (directory / file.name).write_bytes(file.read_bytes())
    add_stack_file(tmp_path)
    return directory


def test_a_stack_whose_environment_has_no_entry_is_refused_with_key_and_remedy(stack_files: Path) -> None:
    known = sorted(environments(stack_files))
    for ask in (check, configured, environment_of):
        with pytest.raises(SettingsError) as error:
            ask(NEW, stack_files)
        assert str(error.value) == (
            f"streaming-platform:environment: {NEW!r} in Pulumi.{NEW}.yaml is no environment of the cluster: "
            f"streaming-platform:environments in Pulumi.cluster.yaml has no {NEW} (it has: {', '.join(known)}). "
            f"Add {NEW} there and apply that stack, or correct the name"
        )
    add_entry(stack_files.parent)
    check(NEW, stack_files)
    name, namespace = environment_of(NEW, stack_files)
    assert name == NEW
    assert configured(NEW, stack_files).overrides == of_environment(name, namespace)


def test_make_preview_and_the_check_of_a_pull_request_refuse_it(checkout: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    copied.mkdir()
    copy_checkout(copied)
    add_stack_file(copied)
    words = [sys.executable, "-m", "cli.preview", "prepare", NEW, "--comment", str(tmp_path / "comment.md")]
    done = subprocess.run(words, cwd=copied, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"Add {NEW} there and apply that stack" in (tmp_path / "comment.md").read_text()
    said = f"from stacks.bounds import policy_options; policy_options({NEW!r})"
    done = subprocess.run([sys.executable, "-c", said], cwd=copied, check=False, capture_output=True, text=True)
    assert f"Add {NEW} there and apply that stack" in done.stderr
    assert "--policy-pack" in run(checkout, "-c", f"{said}; print(policy_options({NEW!r}))")


def test_an_entry_comes_before_its_stack_file_and_counts_already(stack_files: Path) -> None:
    """On GitHub the commit that judges has the entry of a stack that a change adds, and not its file."""
    (stack_files / f"Pulumi.{NEW}.yaml").unlink()
    with pytest.raises(SettingsError, match=rf"stack {NEW}: there is no Pulumi.{NEW}.yaml, and .*: add both, or"):
        configured(NEW, stack_files)
    add_entry(stack_files.parent)
    assert configured(NEW, stack_files).overrides["namespace-of-platform"] == {"namespaces": [NEW]}
    assert without_stack(stack_files) == [NEW]


def test_an_environment_with_a_key_of_its_own_needs_no_entry(stack_files: Path) -> None:
    file = stack_files / f"Pulumi.{NEW}.yaml"
    text = file.read_text()
    for more in ("kubeconfig: {secure: x}", "clusterStack: organization/another-project/cluster"):
        file.write_text(f"{text}  streaming-platform:{more}\n")
        assert configured(NEW, stack_files).overrides == {"namespace-of-platform": {"namespaces": [NEW]}}
    file.write_text(f"{text}  streaming-platform:clusterStack: organization/streaming-platform/another\n")
    with pytest.raises(SettingsError, match=rf"Pulumi.another.yaml has no {NEW} \(it has: none\)"):
        configured(NEW, stack_files)


def test_levels_go_by_the_environment_and_those_of_none_are_refused(
    stack_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_entry(tmp_path)
    levels = tmp_path / "levels"
    levels.mkdir()
    monkeypatch.setattr(pack, "_FILES", levels)
    rule = next(rule for rule in RULES if rule.id == "flink-logs-shipped")
    (levels / f"{NEW}.json").write_text(json.dumps({rule.id: "advisory"}))
    assert configured(NEW, stack_files).level(rule) == "advisory"
    assert configured("dev", stack_files).level(rule) == rule.level
    (levels / f"{NEW}.json").rename(levels / "stagin.json")
    for stack in kinds(ROOT):
        with pytest.raises(PolicyConfigError, match=rf"stagin is no environment \(there are: .*{NEW}.*\): rename"):
            configured(stack, stack_files)


def test_a_file_of_levels_is_handed_to_pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "_FILES", tmp_path)
    assert policy_options("dev") == ["--policy-pack", str(ROOT / "policies")]
    (tmp_path / "dev.json").write_text("{}")
    assert policy_options("dev")[2:] == ["--policy-pack-config", str(tmp_path / "dev.json")]
