"""Bringing one real Kubernetes node up on this machine, and taking it down without a trace."""

import base64
import contextlib
import ipaddress
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from console.paths import lock, private, state, write
from console.progress import LocalError, run, step
from local.images import Image
from local.machine import node_problem
from local.node import cgroups, config, keys
from local.node.config import Layout

NAME_LIMIT = 12  # the link's name is `sp-<name>`, and Linux takes 15 characters
READY_SECONDS = 180
_FORCED_SECONDS = 5  # between two looks for processes that a pod left behind
# What no configuration moves: the cache of network results, links to logs, and the sockets of device plug-ins, of which
# a kubelet removes those of all when it starts. The node's mount namespace has its own. Removing such a directory
# on the machine takes that mount away here too, silently: so only what the node can do without may stand here, and we
# remove none of them, as another cluster may have mounted over it.
PRIVATE_DIRECTORIES = ("/var/lib/cni", "/var/log/containers", "/var/lib/kubelet/device-plugins")
# Where containerd's shims listen: one directory for all of a machine, each socket named by a hash of its own.
_SHIM_SOCKET = re.compile(r"unix://(/run/containerd/s/[0-9a-f]{64})")
_NAME = re.compile(rf"[a-z0-9]{{1,{NAME_LIMIT}}}")


def check_machine() -> None:
    """Refuse, with one message, where a node cannot run."""
    if why := node_problem():
        raise LocalError(
            f"no local Kubernetes node can run here: {why}.\n"
            "Make a cluster with kind (https://kind.sigs.k8s.io), then: make up CONTEXT=kind-kind"
        )


def check_name(name: str) -> None:
    """Refuse a cluster's name that its network link, its sockets or its directory could not bear."""
    if not _NAME.fullmatch(name):
        raise LocalError(f"NAME={name}: 1 to {NAME_LIMIT} lower-case letters or digits are allowed")
    if len(str(state(name))) > 80:  # a socket's path may have 107 characters
        raise LocalError(f"{state(name)} is too long for sockets: set XDG_STATE_HOME to a shorter directory")


def layout(name: str, bin_directory: Path) -> Layout:
    """Describe a cluster; a new one gets a free pair of addresses, which it keeps."""
    check_name(name)
    directory = private(state(name))
    octet = directory / "octet"
    with lock(state(".octets")):
        if not octet.exists():
            write(octet, str(_free_octet(directory.parent)))
    n = int(octet.read_text())
    cni = next((d for d in ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni") if (Path(d) / "bridge").exists()), None)
    return Layout(
        name=name,
        state=directory,
        bin=bin_directory,
        host_ip=f"10.200.{n}.1",
        node_ip=f"10.200.{n}.2",
        cni_bin=Path(cni or "/usr/lib/cni"),
    )


def _free_octet(states: Path) -> int:
    """Choose n so that 10.200.n.0/30 is neither another cluster's nor routed on this machine."""
    taken = {int(file.read_text()) for file in states.glob("*/octet")}
    routes = [r["dst"] for r in json.loads(run(["ip", "-j", "-4", "route"])) if r["dst"] != "default"]
    for n in range(70, 100):
        ours = ipaddress.ip_network(f"10.200.{n}.0/30")
        if n not in taken and not any(ours.overlaps(ipaddress.ip_network(r, strict=False)) for r in routes):
            return n
    names = ", ".join(sorted(file.parent.name for file in states.glob("*/octet")))
    raise LocalError(
        f"no free addresses between 10.200.70.0 and 10.200.99.255: take one of {names} down, with make down NAME=... "
        "DATA=delete"
    )


def inside(at: Layout, command: Sequence[str | Path]) -> list[str]:
    """A command line that runs in the node's network and mount namespaces."""
    return [
        "nsenter",
        f"--net=/run/netns/{at.namespace}",
        f"--mount={at.run}/mnt",
        "--",
        *(str(word) for word in command),
    ]


def kubeconfig(at: Layout) -> Path:
    """The administrator's kubeconfig of a local cluster."""
    return at.state / "admin.kubeconfig"


def kubectl(at: Layout, *words: str, stdin: str | None = None) -> str:
    """Run kubectl as the administrator of a local cluster."""
    return run([at.bin / "kubectl", "--kubeconfig", kubeconfig(at), *words], stdin=stdin)


def supervisorctl(at: Layout, *words: str) -> str:
    """Talk to the cluster's supervisord; its exit code says no more than its output."""
    command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(at.supervisor_config), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def is_up(at: Layout) -> bool:
    """Return whether the node's programs all run and its API server answers."""
    return not broken_parts(at) and _ready(at)


def broken_parts(at: Layout) -> list[str]:
    """Programs of the node that do not run, each with supervisord's word on it."""
    if not at.supervisor_config.exists():
        return ["supervisord: not started"]
    told = {line.split()[0]: line for line in supervisorctl(at, "status").splitlines() if line.strip()}
    return [
        told.get(name, f"{name}: no supervisord answers")
        for name in config.commands(at)
        if "RUNNING" not in told.get(name, "")
    ]


def orphans(at: Layout) -> list[str]:
    """Return the processes that belong to no living pod: the node can no longer reach them, and they may write to its
    volumes.

    A pod that was deleted by force disappears from the API before its processes do: those get some seconds.
    """
    for last in (False, False, True):
        running = cgroups.pods(at.namespace)  # first: a pod that comes meanwhile is known to the API before it runs
        known = set(kubectl(at, "get", "pods", "-A", "-o", "jsonpath={.items[*].metadata.uid}").split())
        lost = {uid: pids for uid, pids in running.items() if uid not in known}
        if last or not lost:
            break
        time.sleep(_FORCED_SECONDS)
    return [f"pod {uid} is deleted, and its processes run on: {_named(pids)}" for uid, pids in sorted(lost.items())]


def _named(pids: set[int]) -> str:
    names: list[str] = []
    for pid in sorted(pids):
        with contextlib.suppress(OSError):  # ended meanwhile
            names.append(f"{pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})")
    return ", ".join(names)


def up(at: Layout, images: Sequence[Image]) -> None:
    """Bring the node up, or what is missing of it; what it holds is kept.

    Raises LocalError with the end of the failing part's log.
    """
    with step(f"node {at.name}: network, keys and control plane"):
        if not _alive(at):
            down(at.name, delete_data=False)  # what a run that was interrupted left half-made
            _namespaces(at)
            cgroups.create(at.namespace)
        _keys(at)
        for path, text in config.files(at).items():
            (at.state / path).parent.mkdir(parents=True, exist_ok=True)
            (at.state / path).write_text(text)
        at.logs.mkdir(exist_ok=True)
        _supervise(at)
        _start(at, "etcd", "containerd", "kube-apiserver")
        _wait(at, lambda: _ready(at), "the API server", ["kube-apiserver", "etcd"])
        _start(at, "kube-controller-manager", "kube-scheduler")
        _wait(at, at.containerd_socket.exists, "containerd", ["containerd"])
    with ThreadPoolExecutor(1) as pool:  # most of loading is waiting for the disk
        loading = pool.submit(load_images, at, images)
        _become_ready(at)
        loading.result()


def _become_ready(at: Layout) -> None:
    with step(f"node {at.name}: Ready"):
        _start(at, "kubelet", "kube-proxy", "coredns", "metrics-server", "local-path-provisioner")
        authority = base64.b64encode((at.keys / "ca.crt").read_bytes()).decode()
        items = {"apiVersion": "v1", "kind": "List", "items": config.objects(at, authority)}
        kubectl(at, "apply", "-f", "-", stdin=json.dumps(items))
        _wait(at, lambda: _node_ready(at), "the node", ["kubelet", "containerd"])
        _start(at, "kube-router")  # now: it reads the node's object when it starts
        _wait(at, lambda: not broken_parts(at), "a part of the node", [part.split()[0] for part in broken_parts(at)])


def load_images(at: Layout, images: Sequence[Image]) -> None:
    """Load what the node does not have yet."""
    for image in images:
        marker = at.state / "images" / image.name.replace("/", "_")
        if marker.exists() and marker.read_text() == image.archive.name:
            continue
        with step(f"node {at.name}: loading {image.name}"):
            ctr = [at.bin / "ctr", "--address", at.containerd_socket, "--namespace", "k8s.io", "images", "import"]
            run(inside(at, [*ctr, image.archive]), log=at.logs / "images.log")
        marker.parent.mkdir(exist_ok=True)
        marker.write_text(image.archive.name)


def _namespaces(at: Layout) -> None:
    ns, handle = at.namespace, at.run / "mnt"
    run(["ip", "netns", "add", ns])
    run(["ip", "link", "add", ns, "type", "veth", "peer", "name", "eth0", "netns", ns])
    run(["ip", "addr", "add", f"{at.host_ip}/30", "dev", ns])
    run(["ip", "link", "set", ns, "up"])
    for command in (
        f"ip addr add {at.node_ip}/30 dev eth0",
        "ip link set eth0 up",
        "ip link set lo up",
        f"ip addr add {config.DNS}/32 dev lo",
        f"ip route add default via {at.host_ip}",
        "sysctl -qw net.ipv4.ip_forward=1",
    ):
        run(["ip", "netns", "exec", ns, *command.split()])
    at.run.mkdir(exist_ok=True)
    run(["mount", "--bind", at.run, at.run])
    run(["mount", "--make-private", at.run])  # a mount namespace can be kept below a private mount only
    handle.touch()
    run(["unshare", f"--mount={handle}", "--propagation", "private", "true"])
    for directory in PRIVATE_DIRECTORIES:
        Path(directory).mkdir(parents=True, exist_ok=True)
        own = at.run / "private" / Path(directory).name
        own.mkdir(parents=True, exist_ok=True)
        run(["nsenter", f"--mount={handle}", "--", "mount", "--bind", own, directory])


def _mounts() -> list[str]:
    escaped = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), mount) for mount in escaped]


def _keys(at: Layout) -> None:
    done = at.keys / ".done"
    if done.exists():
        return
    at.keys.mkdir(exist_ok=True, mode=0o700)
    service = str(ipaddress.ip_network(config.SERVICES)[1])
    keys.make_authority(at.keys, at.name)
    api = f"DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:{at.node_ip},IP:{service}"
    users = {
        "admin": ("/O=system:masters/CN=admin", "DNS:admin"),
        "kubelet": (f"/O=system:nodes/CN=system:node:{at.name}", f"DNS:{at.name},IP:{at.node_ip}"),
        "controller-manager": ("/CN=system:kube-controller-manager", "DNS:controller-manager"),
        "scheduler": ("/CN=system:kube-scheduler", "DNS:scheduler"),
        "proxy": ("/CN=system:kube-proxy", "DNS:proxy"),
    }
    keys.make_certificate(at.keys, "apiserver", "/CN=kube-apiserver", api)
    keys.make_certificate(at.keys, "front-proxy", "/CN=front-proxy", "DNS:front-proxy")
    keys.make_certificate(at.keys, "metrics-server", "/CN=metrics-server", "DNS:metrics-server.kube-system.svc")
    for user, (subject, names) in users.items():
        keys.make_certificate(at.keys, user, subject, names)
        text = keys.kubeconfig(at.keys, user, cluster=at.context, server=at.server)
        write(at.state / f"{user}.kubeconfig", text)
    done.touch()


def _supervise(at: Layout) -> None:
    if _alive(at):
        supervisorctl(at, "update")
        return
    # Its children inherit the namespaces and the cgroup.
    daemon = f"{sys.executable} -m supervisor.supervisord -c {at.supervisor_config}"
    run(inside(at, ["sh", "-c", f"{cgroups.join_command(at.namespace)}; exec {daemon}"]))
    _wait(at, lambda: _alive(at), "supervisord", [])


def _alive(at: Layout) -> bool:
    return supervisorctl(at, "pid").strip().isdigit()


def _start(at: Layout, *programs: str) -> None:
    supervisorctl(at, "start", *programs)


def _ready(at: Layout) -> bool:
    with contextlib.suppress(LocalError):
        return kubectl(at, "get", "--raw", "/readyz", "--request-timeout=2s") == "ok"
    return False


def _node_ready(at: Layout) -> bool:
    path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    with contextlib.suppress(LocalError):
        return kubectl(at, "get", "node", at.name, "-o", path) == "True"
    return False


def _wait(at: Layout, condition: Callable[[], bool], what: str, programs: Sequence[str]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            parts = "\n".join(broken_parts(at))
            tails = "\n".join(
                f"--- {program}.log\n" + "\n".join((at.logs / f"{program}.log").read_text().splitlines()[-10:])
                for program in programs
                if (at.logs / f"{program}.log").exists()
            )
            raise LocalError(f"{what} was not ready within {READY_SECONDS} s\n{parts}\n{tails}")
        time.sleep(0.2)


def down(name: str, *, delete_data: bool) -> None:
    """Take a cluster down, wholly: processes, cgroups, mounts, link, namespaces. Safe twice, and after a crash.

    What lies outside the cluster's own directory, and may be another's, stays as it is.
    """
    check_name(name)
    directory, ns = state(name), f"sp-{name}"
    cgroups.remove(ns)
    for socket in shim_sockets(directory / "run"):
        socket.unlink(missing_ok=True)
    for mount in sorted((m for m in _mounts() if m.startswith(f"{directory}/")), reverse=True):
        run(["umount", "--lazy", mount])
    if Path(f"/sys/class/net/{ns}").exists():
        run(["ip", "link", "del", ns])
    if Path(f"/run/netns/{ns}").exists():
        run(["ip", "netns", "del", ns])
    shutil.rmtree(directory / "run", ignore_errors=True)
    if delete_data:
        shutil.rmtree(directory, ignore_errors=True)


def shim_sockets(run_directory: Path) -> list[Path]:
    """The sockets of this cluster's containers, as containerd noted them: `address`, or JSON since 1.7."""
    bundles = run_directory / "containerd" / "io.containerd.runtime.v2.task"
    notes = [*bundles.glob("*/*/address"), *bundles.glob("*/*/bootstrap.json")]
    return sorted({Path(path) for note in notes for path in _SHIM_SOCKET.findall(note.read_text())})


def leftovers(name: str) -> list[str]:
    """Return the remains of a cluster that is down on this machine: nothing, when all went well."""
    check_name(name)
    directory, ns = state(name), f"sp-{name}"
    found = [f"process {pid}" for pid in sorted(cgroups.processes(ns))]
    found += [f"cgroup {tree}" for tree in cgroups.trees(ns) if tree.exists()]
    found += [f"mount {mount}" for mount in _mounts() if mount.startswith(f"{directory}/")]
    found += [f"network {p}" for p in (f"/sys/class/net/{ns}", f"/run/netns/{ns}") if Path(p).exists()]
    return found
