"""The memory model on the kernel: a TaskManager that is sized by it lives, one without headroom is killed.

Both are the image's own TaskManager in a container with the same limit, in which an agent fills the heap and takes the
same native memory, as RocksDB, a compression library or a client may.
"""

import base64
import io
import json
import re
import subprocess
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from cli.kube import Kube, field
from components.flink.config import flink_configuration, render
from components.flink.log4j import log4j_console
from components.flink.memory import MIB, flink_options
from components.flink.settings import FlinkClusterSettings
from components.quantities import mib
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
NATIVE_MIB = 160  # 64 of task off-heap memory and half of the JVM overhead, 192
SETTINGS = FlinkClusterSettings.model_validate(
    {
        "image": "none:1",
        "mainClass": "none",
        "taskManagers": {"memoryMib": 1024, "memory": {"managedFraction": 0, "jvmMetaspaceMib": 128}},
        "debug": {"nativeMemoryTracking": True},
        "configuration": {"env.java.opts.taskmanager": f"-javaagent:/work/memory-user.jar={NATIVE_MIB}"},
    }
)
SIZES = SETTINGS.task_managers.options

# As many a manifest is written: the heap is what the limit leaves beside metaspace and direct memory.
BY_HAND = {
    "taskmanager.memory.process.size": "1024m",
    "taskmanager.memory.jvm-metaspace.size": "128m",
    "taskmanager.memory.jvm-overhead.min": "0m",
    "taskmanager.memory.jvm-overhead.max": "0m",
    "taskmanager.memory.framework.off-heap.size": "64m",
    "taskmanager.memory.network.max": "64m",
    "taskmanager.memory.managed.size": "0m",
}


def _configuration() -> dict[str, str]:
    """The platform's, less the memory of the TaskManager, and ZooKeeper, which a lone TaskManager does not need."""
    specification = SETTINGS.specification(namespace="scratch", cluster="none", zookeeper="none:2181", data="/tmp")
    configuration = flink_configuration(specification)
    sizes = flink_options(SIZES)
    return {key: value for key, value in configuration.items() if key not in sizes} | {"high-availability.type": "NONE"}


def _agent(into: Path) -> str:
    """The agent's jar, in Base64."""
    source = Path(__file__).parent / "MemoryUser.java"
    subprocess.run(["javac", "-nowarn", "-XDignore.symbol.file", "-d", into, source], check=True)
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nPremain-Class: MemoryUser\n")
        archive.write(into / "MemoryUser.class", "MemoryUser.class")
    return base64.b64encode(jar.getvalue()).decode()


def _task_manager(name: str, image: str, sizes: dict[str, str], limit_mib: int, agent: str) -> list[dict[str, Any]]:
    files = {"config.yaml": render(_configuration() | sizes), "log4j-console.properties": log4j_console()}
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": files,
        "binaryData": {"memory-user.jar": agent},
    }
    container = {
        "name": "taskmanager",
        "image": image,
        "args": ["taskmanager", "-D", "taskmanager.host=$(POD_IP)"],
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "MALLOC_CONF", "value": "narenas:1"},
        ],
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": mib(limit_mib), "cpu": "1"}},
        "volumeMounts": [
            {"name": "files", "mountPath": "/opt/flink/conf", "readOnly": True},
            {"name": "files", "mountPath": "/work", "readOnly": True},
        ],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsUser": 9999},
            "containers": [container],
            "volumes": [{"name": "files", "configMap": {"name": name}}],
        },
    }
    return [config_map, pod]


def _state(kube: Kube, name: str) -> dict[str, Any]:
    """What the pod's container is: `running`, `terminated` or `waiting`, and what is known of it."""
    statuses = field(kube.get("pod", name), "status", "containerStatuses", default=[{}])
    return field(statuses[0], "state", default={})


@pytest.fixture(scope="module")
def scratch(admin: Kube, tmp_path_factory: pytest.TempPathFactory) -> Generator[Kube]:
    """Both TaskManagers, started at once, from the image that the platform's own run."""
    deployed = admin.get("deployment", "claims-taskmanager", "-n", "dev")
    image = deployed["spec"]["template"]["spec"]["containers"][0]["image"]
    limit = SETTINGS.task_managers.container_mib
    agent = _agent(tmp_path_factory.mktemp("agent"))
    objects = [
        *_task_manager("with-headroom", image, flink_options(SIZES), limit, agent),
        *_task_manager("without-headroom", image, BY_HAND, limit, agent),
    ]
    admin.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    yield admin
    admin.run("delete", "pod", "with-headroom", "without-headroom")


def test_without_headroom_the_kernel_kills(scratch: Kube) -> None:
    eventually("the TaskManager ends", lambda: "terminated" in _state(scratch, "without-headroom"), 120)
    end = _state(scratch, "without-headroom")["terminated"]
    log = scratch.run("logs", "without-headroom")
    assert (end["reason"], end["exitCode"]) == ("OOMKilled", 137), log
    assert "-Xmx805306368 " in log, "768 MiB"
    assert "native memory is taken" not in log


def test_with_headroom_it_lives(scratch: Kube) -> None:
    memory = SETTINGS.task_managers.division

    def taken() -> bool:
        assert "terminated" not in _state(scratch, "with-headroom"), scratch.run("logs", "with-headroom")
        return "memory-user: native memory is taken" in scratch.run("logs", "with-headroom")

    eventually("the memory is in use", taken, 120)
    program = (ROOT / "components/flink/scripts/native-memory.pl").read_text()
    report = scratch.run("exec", "-i", "with-headroom", "--", "perl", "-", stdin=program)
    log = scratch.run("logs", "with-headroom")
    assert f"-Xmx{memory.jvm_heap} " in log
    heap = re.search(r"Java Heap \(reserved=(\d+)KB", report)
    assert heap, report
    assert 0 <= int(heap[1]) * 1024 - memory.jvm_heap < MIB
    assert "running" in _state(scratch, "with-headroom")
