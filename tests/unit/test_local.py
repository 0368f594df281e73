"""The small parts of `local`: merging settings, private files, and giving an interrupted child the time to clean up."""

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from local.node import lifecycle
from local.node.config import Layout, commands
from local.paths import private, write
from local.progress import LocalError, attend, run
from local.pulumi import merge


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


@pytest.mark.parametrize("name", ["", "Upper", "with-dash", "thirteenchars"])
def test_names_that_a_network_link_cannot_bear_are_refused(name: str) -> None:
    with pytest.raises(LocalError, match="1 to 12 lower-case letters or digits"):
        lifecycle.check_name(name)


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
