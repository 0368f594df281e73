"""Port-forwards with a kubectl that only says it forwards. A real one: tests/integration."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from components.kafka import admin, portforward
from components.kafka.admin import KafkaUnreachableError, PodConnection, forward
from components.kafka.portforward import PortForwards

ROOT = Path(__file__).parents[2]
KUBECTL = """#!/bin/sh
for pod; do case $pod in pod/*) pod=${pod#pod/} && break; esac; done
rm "$FAKE/outrun" 2>/dev/null && { echo 'address already in use'; echo 'error: no ports' >&2; exit 1; }
grep -q token "$KUBECONFIG" || { echo 'error: You must be logged in to the server (Unauthorized)' >&2; exit 1; }
[ -e "$FAKE/pods/$pod" ] || { echo "Error from server (NotFound): pods \\"$pod\\" not found" >&2; exit 1; }
echo "$* $(stat -c %a "$KUBECONFIG")" >>"$FAKE/calls"
echo $$ >"$FAKE/pods/$pod"
echo 'Forwarding from 127.0.0.1'
exec sleep 60
"""


@dataclass
class Fake:
    """The pods that are up (files, with kubectl's process id inside) and how kubectl was called."""

    path: Path

    def up(self, pod: str) -> None:
        (self.path / "pods" / pod).touch()

    def pid(self, pod: str) -> int:
        return int((self.path / "pods" / pod).read_text() or 0)

    def calls(self) -> list[str]:
        return (self.path / "calls").read_text().splitlines()

    def left(self) -> list[str]:
        """Kubeconfigs on disk, and processes that forward."""
        pids = [pod.read_text().strip() for pod in (self.path / "pods").iterdir()]
        alive = [pid for pid in pids if pid and _runs(int(pid))]
        return [path.name for path in (self.path / "tmp").iterdir()] + alive


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(") ")[2][0] != "Z"


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    for directory in ("bin", "pods", "tmp"):
        (tmp_path / directory).mkdir()
    (tmp_path / "bin/kubectl").write_text(KUBECTL)
    (tmp_path / "bin/kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(admin, "_LINGER_SECONDS", 0.2)
    monkeypatch.setattr(portforward, "_PORT_SECONDS", 0.6)
    return Fake(tmp_path)


@pytest.fixture
def connection() -> PodConnection:
    """Two brokers on ports that are free, and that the system gives to nobody by itself."""
    port = next(port for port in random.sample(range(20000, 30000, 2), 100) if _free(port) and _free(port + 1))
    return PodConnection(namespace="dev", stateful_set="kafka", brokers=2, admin_port=port, credentials="")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_forwards_to_each_broker_and_leaves_nothing(fake: Fake, connection: PodConnection) -> None:
    fake.up("kafka-0")
    fake.up("kafka-1")
    port = connection.admin_port
    with forward(connection, "token") as bootstrap:
        assert bootstrap == f"127.0.0.1:{port},127.0.0.1:{port + 1}"
        assert sorted(fake.calls()) == [
            f"--namespace dev port-forward --address 127.0.0.1 pod/kafka-{n} {port + n}:{port + n} 600" for n in (0, 1)
        ]
    assert _within(5, lambda: not fake.left())


def test_everyone_in_the_process_shares_them(fake: Fake, connection: PodConnection) -> None:
    fake.up("kafka-0")
    fake.up("kafka-1")
    opened: list[str] = []

    def use() -> None:
        with forward(connection, "token") as bootstrap:
            opened.append(bootstrap)
            time.sleep(0.1)

    users = [threading.Thread(target=use) for _ in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    with forward(connection, "token"):  # at once after the last user
        assert len(opened) == 8
        assert len(fake.calls()) == 2
    assert _within(5, lambda: not fake.left())
    with forward(connection, "token"):
        assert len(fake.calls()) == 4


def test_one_broker_is_enough_and_the_other_joins_when_it_is_up(fake: Fake, connection: PodConnection) -> None:
    fake.up("kafka-1")
    with forward(connection, "token"):
        fake.up("kafka-0")
        assert _within(10, lambda: fake.pid("kafka-0") > 0)


def test_one_that_dies_is_started_again(fake: Fake, connection: PodConnection) -> None:
    fake.up("kafka-0")
    with forward(replace(connection, brokers=1), "token"):
        first = fake.pid("kafka-0")
        os.kill(first, signal.SIGKILL)
        assert _within(10, lambda: fake.pid("kafka-0") != first)
    assert _within(5, lambda: not fake.left())


def test_no_broker(fake: Fake, connection: PodConnection) -> None:
    with (
        pytest.raises(KafkaUnreachableError) as error,
        forward(connection, "token"),
    ):
        pytest.fail("opened")
    assert str(error.value) == (
        "the Kafka brokers of the namespace dev cannot be reached: "
        'kafka-0: Error from server (NotFound): pods "kafka-0" not found; '
        'kafka-1: Error from server (NotFound): pods "kafka-1" not found'
    )
    assert _within(5, lambda: not fake.left())


def test_no_rights(fake: Fake, connection: PodConnection) -> None:
    fake.up("kafka-0")
    with pytest.raises(KafkaUnreachableError, match="Unauthorized"), forward(connection, "expired"):
        pytest.fail("opened")


def test_no_kubectl(fake: Fake, connection: PodConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fake
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KafkaUnreachableError, match="kubectl is not on PATH"), forward(connection, "token"):
        pytest.fail("opened")


def test_a_port_in_use_is_named_and_a_failure_is_not_repeated_for_each_topic(
    fake: Fake, connection: PodConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.up("kafka-0")
    fake.up("kafka-1")
    tried: list[PortForwards] = []
    really = PortForwards.open

    def open_and_count(forwards: PortForwards) -> None:
        tried.append(forwards)
        really(forwards)

    monkeypatch.setattr(PortForwards, "open", open_and_count)
    monkeypatch.setattr(admin, "_LINGER_SECONDS", 60.0)  # however slow this machine is, the next one comes in time
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", connection.admin_port + 1))
        other.listen()
        for _ in range(3):
            with (
                pytest.raises(KafkaUnreachableError, match=f"127.0.0.1:{connection.admin_port + 1} is in use"),
                forward(connection, "token"),
            ):
                pytest.fail("opened")
    assert len(tried) == 1
    assert _within(5, lambda: not fake.left())


def test_a_port_that_another_run_gives_up_is_waited_for(fake: Fake, connection: PodConnection) -> None:
    fake.up("kafka-0")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", connection.admin_port))
        other.listen()
        threading.Timer(0.2, other.close).start()
        with forward(replace(connection, brokers=1), "token"):
            assert fake.pid("kafka-0")


def test_a_run_that_was_faster_is_waited_for(fake: Fake, connection: PodConnection) -> None:
    fake.up("kafka-0")
    (fake.path / "outrun").touch()
    with forward(replace(connection, brokers=1), "token"):
        assert fake.pid("kafka-0")
    assert not (fake.path / "outrun").exists()


def test_they_end_with_a_process_that_is_killed(fake: Fake, connection: PodConnection) -> None:
    fake.up("kafka-0")
    program = (
        "import sys, time\n"
        "from components.kafka.portforward import PortForwards\n"
        "PortForwards('dev', {'kafka-0': int(sys.argv[1])}, 'token').open()\n"
        "print('open', flush=True)\n"
        "time.sleep(60)\n"
    )
    user = subprocess.Popen(
        [sys.executable, "-c", program, str(connection.admin_port)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert user.stdout is not None
    assert user.stdout.readline() == "open\n"
    assert len(fake.left()) == 2
    user.kill()
    user.wait()
    user.stdout.close()
    assert _within(5, lambda: not fake.left())
