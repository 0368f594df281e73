"""The small parts of the commands: merging settings, private files, and time for an interrupted child to clean up."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from cli import platform
from cli.platform import Target
from console.paths import private, write
from console.progress import LocalError, attend, run
from local.node import cgroups, lifecycle
from local.node.config import Layout, commands
from stacks.settings import merge


def test_settings_are_merged_at_every_depth() -> None:
    base = {"kafka": {"brokers": 1, "topics": {"a": {"partitions": 1}}}, "kind": "environment"}
    over = {"kafka": {"topics": {"b": {"partitions": 2}}, "brokers": 3}}
    assert merge(base, over) == {
        "kafka": {"brokers": 3, "topics": {"a": {"partitions": 1}, "b": {"partitions": 2}}},
        "kind": "environment",
    }
    assert base["kafka"] == {"brokers": 1, "topics": {"a": {"partitions": 1}}}


def test_private_files_are_for_their_owner_and_whole(tmp_path: Path) -> None:
    directory = private(tmp_path / "state")
    write(directory / "passphrase", "secret")
    write(directory / "passphrase", "another")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "passphrase").stat().st_mode) == 0o600
    assert [path.name for path in directory.iterdir()] == ["passphrase"]
    assert (directory / "passphrase").read_text() == "another"


def test_an_interrupted_child_may_clean_up(tmp_path: Path) -> None:
    cleans_up = (
        "import signal, sys, time, pathlib\n"
        "def end(*_): time.sleep(0.5); pathlib.Path('cleaned').touch(); sys.exit(0)\n"
        "signal.signal(signal.SIGINT, end); pathlib.Path('ready').touch(); time.sleep(30)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", cleans_up], cwd=tmp_path, process_group=0)

    def interrupt() -> None:
        while not (tmp_path / "ready").exists():
            pass
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            attend(child)
    finally:
        signal.signal(signal.SIGINT, before)
    assert child.returncode == 0
    assert (tmp_path / "cleaned").exists()


def test_a_failing_program_is_shown_with_the_end_of_its_output(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"exit code 3\n(?s:.*)no space left"):
        run(["sh", "-c", "echo no space left >&2; exit 3"], log=tmp_path / "log")
    assert "no space left" in (tmp_path / "log").read_text()
    with pytest.raises(LocalError, match="no-such-program: not found on PATH"):
        run(["no-such-program"])


IMPOSSIBLE = ["", "/", ".", "..", "a/b", "/etc", "Upper", "with-dash", "thirteenchars", "\u00e9", " ", "a\n"]


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_name_is_refused_before_anything_is_touched(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    touched: list[object] = []
    monkeypatch.setattr(lifecycle, "cgroups", touched)
    kept = tmp_path / "streaming-platform" / "local" / "passphrase"
    kept.parent.mkdir(parents=True)
    kept.touch()
    for command in (
        lambda: lifecycle.down(name, delete_data=True),
        lambda: lifecycle.leftovers(name),
        lambda: platform.down(Target(name, ""), "delete"),
        lambda: platform.workspace(Target(name, "")),
        lambda: Target(name, "").state,
    ):
        with pytest.raises(LocalError, match="1 to 12 lower-case letters or digits"):
            command()
    assert kept.exists()


@pytest.mark.parametrize("context", ["/", "..", "../..", "a/b", "kind-kind", "\n", "a" * 300])
def test_a_context_of_any_name_has_one_state_directory_of_its_own(
    context: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    place = Target("", context).state
    assert place.parent == tmp_path / "streaming-platform"
    assert place.name.startswith("context-")


def test_output_names_the_platform() -> None:
    assert Target("local", "").words == ""
    assert Target("b", "").words == " NAME=b"
    assert Target("local", "my cluster").words == " CONTEXT='my cluster'"


def test_one_command_waits_for_another_on_the_same_platform_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tempfile.TemporaryDirectory()  # that of pytest may be too long for sockets
    monkeypatch.setenv("XDG_STATE_HOME", directory.name)
    monkeypatch.chdir(platform.ROOT)
    holds = "import time; from cli.platform import Target, alone\n"
    holds += "with alone(Target('b', ''), 'make {}'): print('in', flush=True){}"
    first = subprocess.Popen([sys.executable, "-c", holds.format("up", "; time.sleep(60)")], stdout=subprocess.PIPE)
    assert first.stdout
    assert first.stdout.readline() == b"in\n"
    second = subprocess.Popen([sys.executable, "-c", holds.format("down", "")], stdout=subprocess.PIPE, text=True)
    try:
        assert second.stdout
        told = second.stdout.readline()
        assert told == f"  make down: waiting for make up (process {first.pid}) on the same platform to end\n"
        assert second.poll() is None
        with platform.alone(Target("c", ""), "make up"):  # another platform's business
            pass
        first.kill()  # nothing is left to clean up
        assert second.communicate(timeout=20)[0] == "in\n"
    finally:
        for each in (first, second):
            each.kill()
            each.wait()
        directory.cleanup()


def test_sockets_of_containers_are_found_where_containerd_notes_them(tmp_path: Path) -> None:
    bundles = tmp_path / "containerd" / "io.containerd.runtime.v2.task" / "k8s.io"
    socket = {n: f"/run/containerd/s/{str(n) * 64}" for n in (1, 2)}
    for bundle, file, text in (
        ("pod", "address", f"unix://{socket[1]}"),
        ("container", "address", f"unix://{socket[1]}"),  # one process serves all containers of a pod
        ("later", "bootstrap.json", f'{{"version": 3, "address": "unix://{socket[2]}", "protocol": "ttrpc"}}'),
        ("odd", "address", "unix:///etc/passwd"),
    ):
        (bundles / bundle).mkdir(parents=True)
        (bundles / bundle / file).write_text(text)
    assert lifecycle.shim_sockets(tmp_path) == [Path(socket[1]), Path(socket[2])]
    assert lifecycle.shim_sockets(tmp_path / "nothing") == []


def test_two_clusters_share_no_address_port_or_directory() -> None:
    def layout(name: str, n: int) -> Layout:
        ips = {"host_ip": f"10.200.{n}.1", "node_ip": f"10.200.{n}.2"}
        return Layout(name=name, state=Path("/s") / name, bin=Path("/b"), cni_bin=Path("/c"), **ips)

    one, two = layout("local", 70), layout("test", 71)
    assert one.server != two.server
    assert abs(one.admin_port - two.admin_port) >= 100
    for program, words in commands(one).items():
        said = " ".join(words)
        assert "/s/test" not in said
        assert two.node_ip not in said
        assert program in commands(two)


def test_processes_of_pods_are_distinguished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    for path, pids in (
        ("memory/sp-b/system", "1\n"),
        ("memory/sp-b/kubepods/burstable/pod11-22", ""),
        ("memory/sp-b/kubepods/burstable/pod11-22/abc", "2\n3\n"),
        ("cpu/sp-b/kubepods/burstable/pod11-22/abc", "2\n3\n"),
        ("memory/sp-b/kubepods/pod33/def", "4\n"),
        ("memory/sp-c/kubepods/pod44/ghi", "5\n"),
        ("memory/sp-b/kubepods/besteffort/pod55/gone", ""),
    ):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "cgroup.procs").write_text(pids)
    assert cgroups.pods("sp-b") == {"11-22": {2, 3}, "33": {4}}
