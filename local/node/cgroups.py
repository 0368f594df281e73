"""The node's control groups, in both versions: one tree that holds every process of a local cluster."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
SYSTEM = "system"  # the node's own programs; pods have `kubepods` beside it


def trees(name: str) -> list[Path]:
    """Directories of the cgroup `name`: one in version 2, one for each controller in version 1."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT / name]
    # comma-joined mounts have links under each single name
    return [tree / name for tree in sorted(ROOT.iterdir()) if not tree.is_symlink() and tree.name != "unified"]


def create(name: str) -> None:
    """Create the tree, with every controller that the kubelet wants to delegate."""
    for tree in trees(name):
        for directory in (tree, tree / SYSTEM):
            directory.mkdir(parents=True, exist_ok=True)
            for file in ("cpuset.cpus", "cpuset.mems"):  # version 1 starts them empty, and then takes no process
                if tree.parent.name.startswith("cpuset") and not (directory / file).read_text().strip():
                    (directory / file).write_text((directory.parent / file).read_text())
        if (ROOT / "cgroup.controllers").exists():
            for directory in (ROOT, tree):
                available = (directory / "cgroup.controllers").read_text().split()
                wanted = [c for c in ("cpuset", "cpu", "io", "memory", "hugetlb", "pids") if c in available]
                (directory / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in wanted))


def join_command(name: str) -> str:
    """Shell text that puts the calling shell into the node's system cgroup."""
    return "; ".join(f"echo $$ > {tree / SYSTEM}/cgroup.procs" for tree in trees(name))


def processes(name: str) -> set[int]:
    """Ids of all processes in the tree, the node's and the pods'."""
    return {pid for _, pids in _groups(name) for pid in pids}


def pods(name: str) -> dict[str, set[int]]:
    """Ids of the processes of each pod that has any, by the pod's uid."""
    found: dict[str, set[int]] = {}
    for directory, pids in _groups(name):
        pod = next((part[3:] for part in directory.parts if part.startswith("pod")), None)
        if pod and pids and "kubepods" in directory.parts:
            found.setdefault(pod, set()).update(pids)
    return found


def _groups(name: str) -> Iterator[tuple[Path, set[int]]]:
    """Each group of the tree, as a path below its root, with its processes."""
    for tree in trees(name):
        for directory, _, _ in os.walk(tree):
            with contextlib.suppress(OSError):  # gone since it was listed, and its processes with it
                pids = set(map(int, (Path(directory) / "cgroup.procs").read_text().split()))
                yield Path(directory).relative_to(tree), pids


def remove(name: str) -> None:
    """End what still runs in the tree and remove it. Harmless when there is none."""
    for attempt in range(600):
        left = processes(name)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not left and attempt:
            break
        time.sleep(0.05)
    for tree in trees(name):
        for directory, _, _ in os.walk(tree, topdown=False):
            with contextlib.suppress(OSError):  # reported by leftovers()
                Path(directory).rmdir()
