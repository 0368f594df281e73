"""What a broker's pod runs before Kafka, in a real bash; Kafka's programs are stand-ins that note their calls."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.kafka.cluster import node_properties
from tests.unit import building

ID, OTHER = "abcdefghijklmnopqrstuv", "-bcdefghijklmnopqrstuv"


class Node:
    """A pod's file system below a directory, in which the script's absolute paths are."""

    def __init__(self, root: Path, *, number: int, brokers: int) -> None:
        self.root = root
        for directory in ("etc", "data/data", "bin"):
            (root / directory).mkdir(parents=True)
        text = node_properties(number, name="kafka", namespace="dev", brokers=brokers, admin_port=19092)
        (root / f"etc/{number}.properties").write_text(text)
        self.env = {**os.environ, "HOSTNAME": f"kafka-{number}", "CLUSTER_ID": ID, "HEAP_MIB": "512"}
        for name in ("kafka-storage.sh", "kafka-server-start.sh"):
            self._program(name, f'echo {name} "$@" >>{root}/calls')
        self.others_know("")

    def others_know(self, brokers: str) -> None:
        self._program("kafka-run-class.sh", f"echo asked >>{self.root}/calls; printf 'ID HOST\\n{brokers}'")

    def _program(self, name: str, text: str) -> None:
        program = self.root / "bin" / name
        program.write_text(f"#!/bin/bash\n{text}\n")
        program.chmod(0o755)

    def formatted(self, cluster: str) -> None:
        (self.root / "data/data/meta.properties").write_text(f"#\nnode.id=0\nversion=1\ncluster.id={cluster}\n")

    def start(self, *, others: tuple[str, int] | None = None, patience: int = 2) -> subprocess.CompletedProcess[str]:
        """Run the script. `others` is where the other brokers listen; nowhere if None."""
        ((_, container),) = building.kafka().containers()
        _, options, escaped = container["command"]
        script = escaped.replace("$$", "$")  # as the kubelet does
        for path, here in {
            "/etc/kafka-nodes": "etc",
            "/var/lib/kafka": "data",
            "/opt/kafka/bin": "bin",
            "/dev/termination-log": "ended",
        }.items():
            script = script.replace(path, str(self.root / here))
        address = f"{others[0]}/{others[1]}" if others else "127.0.0.1/1"
        assert "/dev/tcp/$host/9092" in script
        script = script.replace("/dev/tcp/$host/9092", f"/dev/tcp/{address}").replace(
            "SECONDS + 30", f"SECONDS + {patience}"
        )
        words = ["bash", options, script]
        return subprocess.run(words, env=self.env, capture_output=True, text=True, check=False, timeout=60)

    @property
    def calls(self) -> list[str]:
        file = self.root / "calls"
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def ended(self) -> str:
        return (self.root / "ended").read_text()


STARTED = ["kafka-storage.sh", "kafka-server-start.sh"]


@pytest.fixture
def others() -> Iterator[tuple[str, int]]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:  # what connects waits in its queue
        yield server.getsockname()


def test_a_disk_of_this_cluster_is_used(tmp_path: Path) -> None:
    node = Node(tmp_path, number=1, brokers=3)
    node.formatted(ID)
    assert node.start().returncode == 0
    assert node.calls == STARTED
    assert f"--cluster-id={ID}" in (tmp_path / "calls").read_text()


def test_a_disk_of_another_cluster_is_refused_with_both_ids_and_the_remedy(tmp_path: Path) -> None:
    node = Node(tmp_path, number=0, brokers=1)
    node.formatted(OTHER)
    done = node.start()
    assert done.returncode == 1
    assert node.calls == []
    for text in (done.stderr, node.ended):
        assert f"this disk is of the Kafka cluster {OTHER}, and this stack's state knows the cluster {ID}" in text
        assert "docs/runbook.md, Lost Pulumi state" in text


@pytest.mark.parametrize(("number", "brokers"), [(0, 1), (0, 2), (1, 2), (3, 4)])
def test_an_empty_disk_is_formatted_where_no_other_vote_counts(tmp_path: Path, number: int, brokers: int) -> None:
    node = Node(tmp_path, number=number, brokers=brokers)
    assert node.start().returncode == 0
    assert node.calls == STARTED


def test_controllers_that_start_for_the_first_time_find_no_leader(tmp_path: Path) -> None:
    node = Node(tmp_path, number=1, brokers=3)
    assert node.start().returncode == 0
    assert node.calls == STARTED


def test_a_controller_that_starts_late_is_new_to_the_others(tmp_path: Path, others: tuple[str, int]) -> None:
    node = Node(tmp_path, number=1, brokers=3)
    node.others_know("0 kafka-0\\n2 kafka-2\\n11 kafka-11\\n")
    assert node.start(others=others).returncode == 0
    assert node.calls == ["asked", *STARTED]


def test_a_controller_that_lost_its_disk_does_not_start(tmp_path: Path, others: tuple[str, int]) -> None:
    node = Node(tmp_path, number=1, brokers=3)
    node.others_know("0 kafka-0\\n1 kafka-1\\n2 kafka-2\\n")
    done = node.start(others=others)
    assert done.returncode == 1
    assert node.calls == ["asked"]
    assert "the disk of broker 1 is empty, and the cluster knows this broker" in node.ended
    assert "kafka.newDisks: [1]" in node.ended
    (tmp_path / "etc/new-disks").write_text("11\n1\n")
    assert node.start(others=others).returncode == 0
    assert node.calls == ["asked", *STARTED]


def test_new_disks_are_announced_without_replacing_a_pod() -> None:
    (_, before), (_, after) = (next(building.kafka(newDisks=disks).pod_templates()) for disks in ((), (0, 2)))
    assert before == after
    assert "new-disks" not in building.kafka().inputs("ConfigMap", "kafka-config")["data"]
    assert building.kafka(newDisks=(0, 2)).inputs("ConfigMap", "kafka-config")["data"]["new-disks"] == "0\n2\n"
