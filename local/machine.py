"""A check of this machine before anything is fetched: python -m local.machine. It needs no installed package.

Every problem is reported at once, each with its remedy. `make up` runs it first.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from versions import JAVA, PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator

# The platform with its node takes 3.2 GiB at rest (README.md, What it costs); the rest is for builds and the proof.
MEMORY_GIB = 5
# Tools, images and volumes take 4 GB, and the compiler's own caches 8 GB more where tools are built (README.md).
DISK_GIB = 8
DISK_TO_BUILD_GIB = 18  # the compiler's work takes 2 GB while it runs


def problems(*, node: bool) -> Iterator[str]:
    """Yield what keeps `make up` from working here. A local `node` needs more than the client of a cluster."""
    if sys.version_info < tuple(map(int, PYTHON.split("."))):
        found = platform.python_version()
        yield f"Python {found}, below {PYTHON}: name a newer one, such as make up PYTHON=python3.12"
        return  # the modules below need it
    if node:
        yield from _node()
    yield from _programs()
    yield from _disk()


def node_problem() -> str:
    """Return why no local Kubernetes node can run on this machine; empty if one can."""
    from console.progress import LocalError, run
    from local.node import cgroups

    if platform.system() != "Linux":
        return f"this is {platform.system()}, not Linux"
    if os.geteuid() != 0:
        return "you are not root"
    try:
        probe = f"sp-probe-{os.getpid()}"  # no cluster has a dash in its name
        cgroups.create(probe)
        cgroups.remove(probe)
        run(["unshare", "--mount", "--net", "true"])
    except (OSError, LocalError) as error:
        return f"control groups and namespaces cannot be made ({str(error).splitlines()[-1]})"
    return ""


def _node() -> Iterator[str]:
    if why := node_problem():
        yield f"no local Kubernetes node can run here: {why}"
    if platform.system() == "Linux":
        gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        if gib < MEMORY_GIB:
            yield f"{gib:.1f} GiB of memory, below {MEMORY_GIB} GiB: use a larger machine"


def _programs() -> Iterator[str]:
    """Yield the missing compilers: Java for the jars of this project, Go for tools that cannot be downloaded."""
    if not shutil.which("go") and not _tools_exist():
        yield "go: not found on PATH: install Go, which builds the tools that cannot be downloaded"
    if not shutil.which("mvn"):
        yield f"mvn: not found on PATH: install Maven, and Java {JAVA}"
    if not shutil.which("java"):
        yield f"java: not found on PATH: install Java {JAVA}"
        return
    printed = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', printed)
    if version and int(version[1]) < int(JAVA):
        yield f"Java {version[1]}, below {JAVA}: install Java {JAVA}"


def _disk() -> Iterator[str]:
    from console.paths import cache

    directory = cache()
    while not os.access(directory, os.F_OK):  # Path.exists raises where it may not look
        directory = directory.parent
    least = DISK_GIB if _tools_exist() else DISK_TO_BUILD_GIB
    gib = shutil.disk_usage(directory).free / 2**30
    if gib < least:
        yield f"{gib:.1f} GiB free in {directory}, below {least} GiB: free some, or set XDG_CACHE_HOME to another disk"


def _tools_exist() -> bool:
    """Return whether a run before this one has made tools: then the compiler has little left to do."""
    from console.paths import cache

    tools = cache() / "tools"
    return os.access(tools, os.R_OK) and any(tools.iterdir())


def main(words: list[str]) -> int:
    """Print the problems, if there are any. `--client`: only what a cluster that exists needs."""
    found = list(problems(node="--client" not in words))
    if not found:
        return 0
    lines = ["make up cannot work on this machine:", *(f"  - {each}" for each in found)]
    if "--client" not in words:
        lines.append("A cluster that exists needs less of it: make up CONTEXT=<kube context>, with kind for example")
    print("\n".join(lines), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
