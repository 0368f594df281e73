"""The local node is a real one: pods run, limits kill, names resolve, volumes keep data, parts that die come back."""

import contextlib
import json
import os
import signal
import ssl
import stat
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from cli.kube import Kube, field
from console.progress import LocalError
from local.images import ensure
from local.node import lifecycle
from local.node.config import PAUSE_IMAGE, Layout
from tests.waiting import eventually
from versions import ZOOKEEPER_IMAGE

IMAGE = ZOOKEEPER_IMAGE  # any image that is on the node and has a shell


def _pod(name: str, command: str, *, memory: str = "64Mi", **spec: object) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["bash", "-c", command],
        "resources": {"limits": {"memory": memory}},
        "volumeMounts": [{"name": "data", "mountPath": "/work"}] if "volumes" in spec else [],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def _apply(kube: Kube, *objects: dict[str, Any]) -> None:
    kube.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def _ended(kube: Kube, name: str) -> dict[str, Any]:
    """The end of a pod's container, once it has ended."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        for status in field(kube.get("pod", name), "status", "containerStatuses", default=[]):
            if state := field(status, "state", "terminated"):
                found.append(state)
        return bool(found)

    eventually(f"pod {name} ends", look)
    return found[0]


def test_a_memory_limit_kills(admin: Kube) -> None:
    _apply(admin, _pod("greedy", "x=$(head -c 200000000 /dev/zero | tr '\\0' x)"))
    assert _ended(admin, "greedy")["reason"] == "OOMKilled"


def test_a_disk_limit_evicts(admin: Kube) -> None:
    """The limit of the container bounds what is in its emptyDir volumes, which have no bound of their own."""
    volumes: list[dict[str, Any]] = [{"name": "data", "emptyDir": {}}]
    pod = _pod("filler", "head -c 67108864 /dev/zero >/work/x; sleep 600", volumes=volumes)
    pod["spec"]["containers"][0]["resources"]["limits"]["ephemeral-storage"] = "16Mi"
    _apply(admin, pod)
    eventually("the pod is evicted", lambda: field(admin.get("pod", "filler"), "status", "reason") == "Evicted", 180)


def test_names_resolve_services_route_and_logs_come(admin: Kube) -> None:
    listen = "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(LocalPort=>8080,Listen=>5,ReuseAddr=>1);"
    listen += "while($c=$s->accept){print $c qq(hello\\n);close $c}'"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    ask = "for i in $(seq 60); do exec 3<>/dev/tcp/server.scratch.svc.cluster.local/80 && read -r x <&3 && echo got $x"
    ask += " && exit 0; sleep 0.5; done; exit 1"
    _apply(admin, _pod("server", listen), service, _pod("client", ask))
    assert _ended(admin, "client")["exitCode"] == 0
    assert "got hello" in admin.run("logs", "client")
    assert admin.run("exec", "server", "--", "hostname").strip() == "server"


def test_a_claim_binds_and_its_data_survives_the_pod(admin: Kube) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "kept"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "kept"}}]
    _apply(admin, claim, _pod("writer", "echo still here > /work/file", volumes=volumes))
    assert _ended(admin, "writer")["exitCode"] == 0
    admin.run("delete", "pod", "writer")
    _apply(admin, _pod("reader", "cat /work/file", volumes=volumes))
    assert _ended(admin, "reader")["exitCode"] == 0
    assert admin.run("logs", "reader").strip() == "still here"


def test_the_metrics_api_answers(admin: Kube) -> None:
    def measured() -> bool:
        try:
            return bool(json.loads(admin.run("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"))["items"])
        except LocalError:
            return False

    eventually("metrics of the node", measured, 120)


def test_the_api_server_asks_for_credentials(node: Layout) -> None:
    context = ssl.create_default_context(cafile=str(node.keys / "ca.crt"))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{node.server}/api", context=context, timeout=10)
    assert refused.value.code == 401


def test_files_with_keys_are_for_their_owner_only(node: Layout) -> None:
    secret = [*node.keys.glob("*.key"), *node.state.glob("*.kubeconfig"), node.state / "passphrase"]
    assert len(secret) > 10
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in secret} == {path.name: 0o600 for path in secret}


def test_a_part_that_dies_comes_back(node: Layout) -> None:
    def pid() -> int:
        return int(lifecycle.supervisorctl(node, "pid", "coredns").strip() or 0)

    before = pid()
    assert Path(f"/proc/{before}/cmdline").read_text().split("\0")[0] == f"{node.bin}/coredns"
    os.kill(before, signal.SIGKILL)
    eventually("coredns runs again", lambda: pid() not in (0, before))
    eventually("all parts run", lambda: not lifecycle.broken_parts(node))


def _runs(kube: Kube, name: str) -> bool:
    return field(kube.get("pod", name), "status", "phase") == "Running"


def test_adding_and_removing_a_second_cluster_changes_nothing_for_the_first(admin: Kube, node: Layout) -> None:
    """Whoever removes a directory that is mounted over in another mount namespace takes the mount away there."""
    before = ("old-kept", "old-deleted", "old-forced")
    _apply(admin, *(_pod(name, "sleep 600") for name in before))
    eventually("pods run", lambda: all(_runs(admin, name) for name in before))
    other = lifecycle.layout("testother", node.bin)
    try:
        lifecycle.up(other, [ensure(PAUSE_IMAGE)])
    finally:
        lifecycle.down(other.name, delete_data=True)
    assert lifecycle.leftovers(other.name) == []
    for directory in lifecycle.PRIVATE_DIRECTORIES:  # others may remove them too
        with contextlib.suppress(OSError):
            Path(directory).rmdir()

    assert admin.run("exec", "old-kept", "--", "echo", "reached").strip() == "reached"
    admin.run("delete", "pod", "old-deleted")
    admin.run("delete", "pod", "old-forced", "--force", "--grace-period=0")
    assert lifecycle.orphans(node) == []
    _apply(admin, _pod("old-forced", "sleep 600"), _pod("new", "sleep 600"))
    eventually("new pods run", lambda: _runs(admin, "old-forced") and _runs(admin, "new"))
    for name in ("old-forced", "new"):
        assert admin.run("exec", name, "--", "echo", "reached").strip() == "reached"
    lifecycle.supervisorctl(node, "restart", "containerd")  # finds its containers again by their sockets
    eventually("the node is up again", lambda: not lifecycle.broken_parts(node))
    eventually("exec", lambda: _reached(admin, "old-kept"))
    admin.run("delete", "pod", "old-kept", "old-forced", "new")
    assert lifecycle.orphans(node) == []


def _reached(kube: Kube, name: str) -> bool:
    with contextlib.suppress(LocalError):
        return kube.run("exec", name, "--", "echo", "reached").strip() == "reached"
    return False


def test_a_process_that_outlives_its_pod_is_reported(admin: Kube, node: Layout) -> None:
    _apply(admin, _pod("outlived", "sleep 600"))
    eventually("the pod runs", lambda: _runs(admin, "outlived"))
    uid = admin.get("pod", "outlived")["metadata"]["uid"]
    lifecycle.supervisorctl(node, "stop", "kubelet")  # nobody ends its processes
    try:
        admin.run("delete", "pod", "outlived", "--force", "--grace-period=0")
        told = lifecycle.orphans(node)
        assert len(told) == 1
        assert told[0].startswith(f"pod {uid} is deleted, and its processes run on: ")
        assert "(sleep)" in told[0]
    finally:
        lifecycle.supervisorctl(node, "start", "kubelet")
    eventually("the kubelet ends them", lambda: not lifecycle.orphans(node), 120)
