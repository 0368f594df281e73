"""The workflow files: read as YAML, linted, and their scripts run on a pull request that would judge itself."""

import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.preview.stacks import kinds
from console.paths import ROOT
from local.tools import actionlint, ensure_tools

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NAMES = ["drift", "main", "preview"]
OWN = "home and caches of this job alone"


def workflow(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in NAMES:
        for job, said in workflow(name)["jobs"].items():
            yield f"{name}.{job}", said


def triggers(document: Mapping[Any, Any]) -> set[str]:
    """What starts a workflow, however it is spelled. For YAML 1.1 the key `on` is a boolean."""
    said = document["on"] if "on" in document else document[True]
    return {said} if isinstance(said, str) else set(said)


def step(job: Mapping[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in job["steps"] if name in (each.get("name"), each.get("id"))]
    return found


def test_the_workflow_files_are_clean() -> None:
    directory, _ = ensure_tools([actionlint()])
    assert [file.stem for file in FILES] == NAMES
    said = subprocess.run(
        [directory / "actionlint", "-color=false", *FILES], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stdout) == (0, "")


def test_the_linter_would_find_something(tmp_path: Path) -> None:
    directory, _ = ensure_tools([actionlint()])
    bad = tmp_path / "bad.yml"
    text = (ROOT / ".github" / "workflows" / "preview.yml").read_text(encoding="utf-8")
    bad.write_text(text.replace("needs.stacks.outputs.stacks", "needs.stacks.outputs.missing"), encoding="utf-8")
    said = subprocess.run([directory / "actionlint", "-color=false", bad], capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert 'property "missing" is not defined' in said.stdout


@pytest.mark.parametrize(
    "text",
    [
        "on: pull_request_target",
        "on: [push, pull_request_target]",
        "on:\n- pull_request_target",
        "on:\n  pull_request_target:\n    types: [opened]",
        '"on": {pull_request_target: {}}',
        "{on: 'pull_request_target'}",
    ],
)
def test_a_trigger_is_found_in_every_spelling(text: str) -> None:
    assert "pull_request_target" in triggers(yaml.safe_load(text))


def test_nothing_runs_a_forks_code_with_secrets() -> None:
    assert triggers(workflow("preview")) == {"pull_request"}
    assert triggers(workflow("drift")) == {"schedule", "workflow_dispatch"}
    assert triggers(workflow("main")) == {"push"}


def test_a_job_has_only_the_rights_that_it_needs() -> None:
    assert [workflow(name)["permissions"] for name in NAMES] == [{}, {}, {}]
    for name, job in jobs():
        writes = {"pull-requests": "write"} if name == "preview.preview" else {}
        assert job["permissions"] in ({"contents": "read", **writes}, {}), name


def test_actions_are_pinned_to_commits_and_leave_no_credentials() -> None:
    uses = [(name, each) for name, job in jobs() for each in job["steps"] if "uses" in each]
    assert len(uses) > 5
    for name, each in uses:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", each["uses"]), name
        if each["uses"].startswith("actions/checkout@"):
            assert each["with"]["persist-credentials"] is False, name


def test_the_main_branch_is_tested_with_all_that_there_is() -> None:
    document: dict[Any, Any] = workflow("main")
    on = document["on"] if "on" in document else document[True]
    assert on == {"push": {"branches": ["main"]}}
    (job,) = document["jobs"].values()
    assert job["steps"][-1]["run"].endswith(" make test")
    assert "secrets." not in str(job)


def test_leftovers_of_other_jobs_on_a_runner_do_not_run_beside_secrets() -> None:
    secret = {name: job for name, job in jobs() if "secrets." in str(job)}
    assert secret.keys() == {"drift.drift", "preview.preview"}
    own = [step(job, OWN) for job in secret.values()]
    assert own[0]["run"] == own[1]["run"]
    for name, job in secret.items():
        first = next(each for each in job["steps"] if "run" in each)
        assert first["name"] == OWN, name


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", "PULUMI_HOME", "MAVEN_OPTS"])
def test_home_and_caches_are_of_the_job_alone(variable: str, tmp_path: Path) -> None:
    env = {**os.environ, "RUNNER_TEMP": str(tmp_path), "GITHUB_ENV": str(tmp_path / "env")}
    subprocess.run(["bash", "-e", "-c", step(workflow("drift")["jobs"]["drift"], OWN)["run"]], env=env, check=True)
    set_to = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert str(tmp_path / "home") in set_to[variable]
    assert (tmp_path / "home").is_dir()


@pytest.mark.parametrize(
    ("variable", "stacks"),
    [("", list(kinds(ROOT))), ('["cluster", "dev"]', ["cluster", "dev"]), ('["cluster", "gone"]', None)],
)
def test_drift_is_of_all_stacks_or_of_those_that_the_variable_names(
    variable: str, stacks: list[str] | None, tmp_path: Path
) -> None:
    jobs_ = workflow("drift")["jobs"]
    assert jobs_["drift"]["needs"] == "stacks"
    assert jobs_["drift"]["strategy"]["matrix"]["stack"] == "${{ fromJSON(needs.stacks.outputs.stacks) }}"
    asked = step(jobs_["stacks"], "compared")
    assert asked["env"] == {"ONLY": "${{ vars.DRIFT_STACKS }}"}
    env = {**os.environ, "ONLY": variable, "GITHUB_OUTPUT": str(tmp_path / "output")}
    done = subprocess.run(["bash", "-e", "-c", asked["run"]], cwd=ROOT, env=env, check=False, capture_output=True)
    assert (done.returncode == 0) is (stacks is not None), done.stderr
    if stacks is None:
        assert b"no stack file: gone" in done.stderr
    else:
        assert json.loads((tmp_path / "output").read_text().strip().removeprefix("stacks=")) == stacks


def test_drift_waits_for_no_reviewer_and_no_preview() -> None:
    """A job that waits for a reviewer of its environment holds its concurrency group meanwhile."""
    preview, drift = workflow("preview")["jobs"]["preview"], workflow("drift")["jobs"]["drift"]
    assert preview["environment"] == "preview-${{ matrix.stack }}"
    assert drift["environment"] == "drift-${{ matrix.stack }}"
    groups = [job["concurrency"]["group"] for job in (preview, drift)]
    assert groups[0].startswith("preview-${{ github.event.pull_request.number }}-")
    assert groups[1].startswith("drift-")


@pytest.mark.parametrize(
    ("stacks", "found", "tested", "previewed", "passes"),
    [
        ('["dev"]', "success", "success", "success", True),
        ("[]", "success", "success", "skipped", True),
        ('["dev"]', "success", "success", "skipped", False),  # a fork
        ('["dev"]', "success", "success", "failure", False),
        ('["dev"]', "success", "success", "cancelled", False),
        ("[]", "success", "failure", "skipped", False),
        ('["dev"]', "success", "cancelled", "skipped", False),
        ("", "failure", "success", "skipped", False),
    ],
)
def test_the_job_to_require_passes_only_where_all_was_previewed_or_nothing_had_to_be(
    stacks: str, found: str, tested: str, previewed: str, passes: bool
) -> None:
    job = workflow("preview")["jobs"]["previewed"]
    assert job["if"] == "always()"
    assert set(job["needs"]) == {"stacks", "tests", "preview"}
    (gate,) = job["steps"]
    assert set(gate["env"]) == {"STACKS", "FOUND", "TESTED", "PREVIEWED"}
    given = {"STACKS": stacks, "FOUND": found, "TESTED": tested, "PREVIEWED": previewed}
    done = subprocess.run(["bash", "-e", "-c", gate["run"]], env={**os.environ, **given}, check=False)
    assert (done.returncode == 0) is passes


def _git(at: Path, *words: str) -> None:
    name = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *name, *words], cwd=at, check=True, stdout=subprocess.DEVNULL)


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A merge of a pull request that says of itself that it touches nothing, and that no rule holds in ops."""
    change, programs = tmp_path_factory.mktemp("change"), tmp_path_factory.mktemp("programs")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for file in filter(None, files.split("\0")):
        if (ROOT / file).is_file():
            (change / file).parent.mkdir(parents=True, exist_ok=True)
            (change / file).write_bytes((ROOT / file).read_bytes())
    _git(change, "init", "-q", "-b", "main")
    _git(change, "add", "-A")
    _git(change, "commit", "-qm", "base")
    _git(change, "switch", "-qc", "proposed")
    (change / "cli" / "preview" / "stacks.py").write_text("def touched(*_): return []\ndef kinds(*_): return {}\n")
    (change / "policies" / "config" / "ops.json").write_text('{"all": "disabled"}')
    with (change / "stacks" / "Pulumi.ops.yaml").open("a") as settings:
        settings.write("# another\n")
    _git(change, "commit", "-qam", "change")
    _git(change, "switch", "-q", "main")
    _git(change, "merge", "-q", "--no-ff", "--no-edit", "proposed")
    _program(programs / "make", f'ln -sfn {ROOT / ".venv"} "$2/.venv"')
    keep = 'for each; do case $each in *.yaml) cp "$each" "$RUNNER_TEMP/settings" ;; esac; done'
    _program(programs / "pulumi", f'echo "$PWD" "$@" > "$RUNNER_TEMP/said"; {keep}; exit 255')
    return {"change": change, "programs": programs}


@pytest.fixture
def runner(merged: Mapping[str, Path], tmp_path: Path) -> Mapping[str, Path]:
    """The merge on a runner, where the last job's worktree is gone and still known."""
    return {**merged, "temp": tmp_path}


def _run(at: Mapping[str, Path], script: str) -> subprocess.CompletedProcess[bytes]:
    env = {
        **os.environ,
        "PATH": f"{at['programs']}:{os.environ['PATH']}",
        "STACK": "ops",
        "RUNNER_TEMP": str(at["temp"]),
        **{name: str(at["temp"] / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")},
    }
    return subprocess.run(["bash", "-e", "-c", script], cwd=at["change"], env=env, check=False, capture_output=True)


def test_which_stacks_a_change_touches_is_not_its_own_to_say(runner: Mapping[str, Path]) -> None:
    job = workflow("preview")["jobs"]["stacks"]
    for name in ("what judges it", "touched"):
        done = _run(runner, step(job, name)["run"])
        assert done.returncode == 0, done.stderr
    stacks = (runner["temp"] / "GITHUB_OUTPUT").read_text().strip().removeprefix("stacks=")
    assert json.loads(stacks) == ["cluster", "ops"]


def test_a_change_is_judged_by_the_rules_that_it_is_to_go_into(runner: Mapping[str, Path]) -> None:
    job = workflow("preview")["jobs"]["preview"]
    done = _run(runner, step(job, "what judges it")["run"])
    assert done.returncode == 0, done.stderr
    done = _run(runner, step(job, "preview")["run"])
    assert done.returncode == 1, done.stderr
    base, change = runner["temp"] / "base", runner["change"]
    at, *words = (runner["temp"] / "said").read_text().split()
    assert Path(at) == change
    options = dict(itertools.pairwise(words))
    assert (runner["temp"] / "settings").read_text().endswith("# another\n")
    assert options["--policy-pack"] == str(base / "policies")
    configuration = Path(options["--policy-pack-config"])
    assert configuration.is_relative_to(base)
    assert json.loads(configuration.read_text()) == json.loads((ROOT / "policies/config/ops.json").read_text())
    assert "Preview of `ops`" in (runner["temp"] / "comment.md").read_text()


def test_a_changes_artifacts_are_built_without_secrets() -> None:
    job = workflow("preview")["jobs"]["preview"]
    assert "secrets." not in str({**job, "steps": []})
    steps = [each for each in job["steps"] if "secrets." in str(each)]
    assert [each["name"] for each in steps] == [
        "kubeconfig, where the stack needs one of its own",
        "check what the preview needs",
        "preview",
    ]
    names = [each.get("name") for each in job["steps"]]
    assert names.index("tools and jar of the change") < names.index(steps[0]["name"])
