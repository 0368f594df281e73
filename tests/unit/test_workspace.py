"""Pulumi as make runs it, and by hand after `make env`: the same settings, and the checkout stays as it is."""

import json
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import Mock

import pytest

from cli import platform, pulumi
from cli.platform import Target
from cli.preview.__main__ import main as preview_main
from cli.preview.events import Preview, Step
from cli.pulumi import Workspace
from console import paths
from console.progress import LocalError
from stacks.settings import OVERLAY, EnvironmentSettings, load_file, stack_file

STACK = "dev"
FILE = """# what people decide
config:
  streaming-platform:kind: environment
  streaming-platform:environment: dev
  streaming-platform:dataProtection: false
  streaming-platform:kafka: {brokers: 1}
"""
SALT = "encryptionsalt: v1:team:v1:x:y=\n"
# Keeps one file for each stack, as a backend does, and writes a salt where it is told to make one.
PULUMI = """#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in
  "stack ls"*) [ ! -e "$BACKEND" ] && echo '[]' || echo '[{"name": "organization/streaming-platform/dev"}]';;
  "stack init"*) touch "$BACKEND"; echo "encryptionsalt: v1:own" > "$6/Pulumi.$3.yaml";;
  *) exit 1;;
esac
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A platform's workspace with a tool that stands in for Pulumi, and a checkout with one stack file."""
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "states"))
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("BACKEND", str(tmp_path / "backend"))
    stacks, tools = tmp_path / "stacks", tmp_path / "bin"
    for directory in (stacks, tools):
        directory.mkdir()
    (stacks / f"Pulumi.{STACK}.yaml").write_text(FILE)
    (tools / "pulumi").write_text(PULUMI)
    (tools / "pulumi").chmod(0o755)
    monkeypatch.setattr(pulumi, "STACK_FILES", stacks)
    return _workspace(tools, "local")


def _workspace(tools: Path, name: str) -> Workspace:
    state = paths.state(name)
    overlay = {STACK: {"kafka": {"adminPort": 20092}, "logging": {"agent": "opentelemetryCollector"}}}
    return Workspace(state=state, bin=tools, kubeconfig=state / "admin.kubeconfig", overlay=overlay)


def _exported(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables of a shell that `make env` was evaluated in."""
    monkeypatch.setattr(platform, "workspace", Mock(return_value=work))
    script = "\n".join([*platform.export_lines(Target("local", "")), "env -0"])
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    return {name: value for name, _, value in (line.partition("=") for line in printed.split("\0"))}


def test_by_hand_the_program_gets_the_settings_that_it_gets_by_make(
    work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_make, by_hand = work.environment(STACK), _exported(work, monkeypatch)
    for name in (
        "PULUMI_BACKEND_URL",
        "PULUMI_CONFIG_PASSPHRASE_FILE",
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER",
        OVERLAY,
    ):
        assert by_make[name] == by_hand[name]
    over = json.loads(by_hand[OVERLAY])[STACK]
    settings = load_file(pulumi.stack_file(STACK), over)
    assert settings == work.settings(STACK)
    assert isinstance(settings, EnvironmentSettings)
    assert (settings.kafka.brokers, settings.kafka.admin_port) == (1, 20092)
    assert settings.logging.agent == "opentelemetryCollector"


def test_only_the_stack_cluster_gets_the_administrators_kubeconfig(work: Workspace) -> None:
    assert work.environment("cluster")["KUBECONFIG"] == str(work.kubeconfig)
    assert work.environment(STACK)["KUBECONFIG"] == "/dev/null"


def test_variables_of_make_env_hold_for_one_platform_only(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE", OVERLAY)
    exported = _exported(work, monkeypatch)
    for name in names:
        monkeypatch.setenv(name, exported[name])
    other = _workspace(work.bin, "second").environment(STACK)
    assert other["PULUMI_BACKEND_URL"].endswith("/second/pulumi")
    assert other["PULUMI_CONFIG_PASSPHRASE_FILE"].endswith("/second/passphrase")
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", "/home/me/passphrase")
    given = work.environment(STACK)
    assert (given["PULUMI_BACKEND_URL"], given["PULUMI_CONFIG_PASSPHRASE_FILE"]) == (
        "s3://states",
        "/home/me/passphrase",
    )


def test_a_stack_is_made_when_the_backend_has_none_and_the_checkout_stays_as_it_is(
    work: Workspace, tmp_path: Path
) -> None:
    calls = tmp_path / "log"
    assert work.prepare(STACK) == work.prepare(STACK)
    assert [line.partition(" --")[0] for line in calls.read_text().splitlines()] == [
        *("stack ls", f"stack init {STACK}"),
        "stack ls",
    ]
    assert work.prepare(STACK).read_text() == FILE
    (tmp_path / "backend").unlink()  # `pulumi stack rm`: that there was a salt says nothing
    work.prepare(STACK)
    assert calls.read_text().count(f"stack init {STACK}") == 2
    assert pulumi.stack_file(STACK).read_text() == FILE


def test_a_salt_belongs_to_its_backend(work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "stacks" / f"Pulumi.{STACK}.yaml"
    file.write_text(FILE + SALT)
    assert work.prepare(STACK).read_text() == FILE
    file.write_text(FILE + "  streaming-platform:kubeconfig: {secure: v1:x}\n" + SALT)
    assert SALT in work.prepare(STACK).read_text()  # without it, Pulumi would not say what is wrong
    file.write_text(FILE + SALT)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    assert work.prepare(STACK).read_text() == FILE + SALT


def test_new_platforms_of_one_user_have_one_passphrase(work: Workspace) -> None:
    second = _workspace(work.bin, "second")
    for each in (work, second):
        each.prepare(STACK)
    one, other = ((each.state / "passphrase") for each in (work, second))
    assert one.read_text() == other.read_text()
    assert len(one.read_text()) > 30
    assert one.stat().st_mode & 0o777 == 0o600


def test_a_stack_file_that_is_gone_is_named_with_the_way_back(work: Workspace, tmp_path: Path) -> None:
    (tmp_path / "stacks" / "Pulumi.ops.yaml").write_text(FILE)
    pulumi.stack_file(STACK).unlink()
    with pytest.raises(LocalError) as caught:
        work.prepare(STACK)
    assert str(caught.value) == (
        f"STACK=dev: there is no file Pulumi.dev.yaml in {tmp_path / 'stacks'}; there are: ops. "
        "`git checkout -- stacks/Pulumi.dev.yaml` brings back what `pulumi stack rm` deletes (unless --preserve-config)"
    )


def test_output_of_make_env_can_be_evaluated(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "workspace", Mock(return_value=work))
    for line in platform.export_lines(Target("local", "")):
        assert shlex.split(line)[0] == "export"
        assert len(shlex.split(line)) == 2


@pytest.mark.parametrize("command", ["run", "drift"])
def test_a_preview_gives_pulumi_a_copy_of_the_stack_file(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stacks.settings.ROOT", tmp_path)
    file = stack_file("cluster")
    file.parent.mkdir()
    file.write_text("config: {streaming-platform:kind: cluster, streaming-platform:environments: {dev: {}}}\n")
    before = file.read_bytes()
    given: list[bytes] = []

    def write_to_it(
        _command: object, _stack: str, options: Sequence[str], environment: Mapping[str, str], _root: Path
    ) -> Preview:
        assert environment["PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER"] == "true"
        copy = Path(options[list(options).index("--config-file") + 1])
        given.append(copy.read_bytes())
        copy.write_text("encryptionsalt: v1:x\n")
        return Preview(result="succeeded")

    monkeypatch.setattr("cli.preview.__main__.ROOT", tmp_path)
    monkeypatch.setattr("cli.preview.engine.look", write_to_it)
    monkeypatch.setattr("local.tools.ensure_tools", Mock(return_value=(tmp_path, {})))
    monkeypatch.setattr("sys.argv", ["preview", command, "cluster"])
    assert preview_main() == 0
    assert given == [before]
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("found", "command"),
    [
        (Preview(result="succeeded", same=3), ""),
        (Preview(result="succeeded", steps=(Step(op="update", urn="u", type="t"),)), "up --yes --skip-preview"),
        (Preview(result="succeeded", state_differs=True), "up --yes --skip-preview"),
        (Preview(result="failed"), "up --yes"),
        (Preview(), "up --yes"),
    ],
    ids=["no change", "a change", "a change of the state alone", "refused", "killed"],
)
def test_an_update_runs_only_for_a_change_and_after_one_preview(
    work: Workspace, monkeypatch: pytest.MonkeyPatch, found: Preview, command: str
) -> None:
    ran: list[str] = []
    order = Mock()

    def pulumi_(_: Workspace, *words: str, watch: object) -> None:
        ran.append(" ".join(word for word in words[:1] + words[2:] if word in ("up", "--yes", "--skip-preview")))

    for name in ("prepare", "_recover"):  # there is nothing to recover in a stack that does not exist yet
        monkeypatch.setattr(Workspace, name, getattr(order, name))
    order.look.return_value = found
    monkeypatch.setattr(pulumi.engine, "look", order.look)
    monkeypatch.setattr(Workspace, "pulumi", pulumi_)
    monkeypatch.setattr(pulumi, "run", Mock(return_value='[{"resourceChanges": {"same": 1, "update": 1}}]'))
    assert work.up(STACK) == bool(command)
    assert ran == ([command] if command else [])
    assert [name for name, _, _ in order.mock_calls if "." not in name and "(" not in name] == [
        "prepare",
        "_recover",
        "look",
    ]
