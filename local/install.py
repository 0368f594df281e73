"""Getting one tool: from PATH, else the publisher's download, else built from its Go module."""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from console.paths import ROOT, cache, lock
from console.progress import LocalError, run, say, step, warn
from local.checksums import recorded

_ORIGIN = ".origin"  # the file that says how a tool came; without it a directory is not complete
CONNECT_SECONDS = 4  # a publisher that does not answer within this is not waited for again
# No C compiler; and a Go compiler that collects its garbage less often: 3 and 21 % less CPU for etcd, in two pairs.
GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOGC": "400"}
_hosts: dict[str, bool] = {}  # whether each host that was asked answers, in this run
_asking: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_building = threading.Lock()  # one compiler uses all cores


@dataclass(frozen=True, kw_only=True)
class Download:
    """A publisher's archive or program, with the checksum file next to it."""

    url: str
    checksums: str
    member: str | None = None  # the directory inside the archive; None: the download is the program itself


@dataclass(frozen=True, kw_only=True)
class Tool:
    """Programs that come together, at one version, and the ways to get them."""

    name: str
    version: str
    programs: Sequence[str]
    version_arguments: Sequence[str] = ("--version",)  # what makes the first program print its version
    modules: Sequence[str]  # directories of local/modules that the build reads
    build: Callable[[Path], None]  # builds the programs into a directory
    download: Download | None = None
    plugin_directory: Path | None = None  # where Pulumi itself keeps this plug-in at this version


def find(tool: Tool) -> Path | None:
    """Return the directory that already has the tool at its version: Pulumi's own for a plug-in, else one on PATH."""
    first = tool.programs[0]
    if tool.plugin_directory:
        return tool.plugin_directory if (tool.plugin_directory / first).exists() else None
    on_path = shutil.which(first)
    directory = Path(on_path).parent if on_path else None
    if not directory or not all(os.access(directory / program, os.X_OK) for program in tool.programs):
        return None
    said = subprocess.run([directory / first, *tool.version_arguments], capture_output=True, text=True, check=False)
    matches = re.search(rf"(?<![\d.]){re.escape(tool.version)}(?![\d.])", said.stdout + said.stderr)
    return directory if matches else None


def ensure_all(tools: Sequence[Tool]) -> list[tuple[Path, str]]:
    """Ensure several tools: downloads run side by side, builds one after the other. The first failure ends the rest."""
    ended = threading.Event()
    there = [present(tool) for tool in tools]
    missing = [tool.name for tool, found in zip(tools, there, strict=True) if not found]
    if not missing:
        return list(filter(None, there))
    say(f"  {len(missing)} tools to get, once: {', '.join(missing)}")
    say("  what cannot be downloaded is built: on 2 cores all of it takes about half an hour")

    def one(tool: Tool, found: tuple[Path, str] | None) -> tuple[Path, str]:
        if not found:
            found = get(tool, ended)
            missing.remove(tool.name)
            say(f"  {tool.name}: {found[1]}; {len(missing)} tools left")
        return found

    with ThreadPoolExecutor(len(tools)) as pool:
        try:
            return list(pool.map(one, tools, there))
        except BaseException:
            ended.set()
            raise


def ensure(tool: Tool) -> tuple[Path, str]:
    """Return the directory that holds the tool's programs and the way they came, getting them first if need be."""
    return present(tool) or get(tool, threading.Event())


def present(tool: Tool) -> tuple[Path, str] | None:
    """Return the directory of a tool that is there, and the way it came."""
    if found := find(tool):
        return found, f"found in {found}"
    target = _target(tool)
    origin = target / _ORIGIN
    return (target, origin.read_text()) if origin.exists() else None


def get(tool: Tool, ended: threading.Event) -> tuple[Path, str]:
    """Get a tool that is missing. A build that waits for another one does not begin once `ended` is set."""
    target = _target(tool)
    origin = target / _ORIGIN
    with lock(cache() / "tools" / f".{tool.name}.lock"):
        if not origin.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{tool.name}-") as scratch:
                made = Path(scratch) / "programs"
                made.mkdir()
                (made / _ORIGIN).write_text(_get(tool, made, ended))
                shutil.rmtree(target, ignore_errors=True)
                made.rename(target)
    return target, origin.read_text()


def _target(tool: Tool) -> Path:
    return cache() / "tools" / f"{tool.name}-{tool.version}-{recipe_hash(tool)}"


def recipe_hash(tool: Tool) -> str:
    """Hash what the build reads, so that a changed recipe makes the tool again."""
    digest = hashlib.sha256()
    for module in tool.modules:
        for path in sorted((ROOT / "local" / "modules" / module).rglob("*")):
            if path.is_file():
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _get(tool: Tool, into: Path, ended: threading.Event) -> str:
    label = f"{tool.name} {tool.version}"
    if tool.download and _answers(tool.download.url):
        try:
            with step(f"{label}: downloading"):
                fetch(tool.download, tool.programs, into)
        except (OSError, HTTPException) as error:
            warn(f"{label}: {error}; building it instead")
        else:
            by = "checked in" if tool.download.url in recorded() else "its publisher's"
            return f"downloaded from {_host(tool.download.url)} (checksum {by})"
    if not shutil.which("go"):
        raise LocalError(
            f"{label} is not on PATH, cannot be downloaded, and there is no Go to build it with: install any one"
        )
    with _building:
        if ended.is_set():
            raise LocalError(f"{label}: not built, as something failed before")
        try:
            with step(f"{label}: building from its Go module"):
                tool.build(into)
        except BaseException:
            ended.set()  # before the next one may begin
            raise
    missing = [program for program in tool.programs if not (into / program).exists()]
    if missing:
        raise LocalError(f"{label}: the build produced no {', '.join(missing)}")
    return "built from its Go module"


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _answers(url: str) -> bool:
    """Return whether a publisher can be reached. Each host is asked once, and the others wait for that answer."""
    host = _host(url)
    with _asking[host]:
        if host not in _hosts:
            try:
                with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=CONNECT_SECONDS):
                    _hosts[host] = True
            except urllib.error.HTTPError:
                _hosts[host] = True  # it answers, though not with this file
            except (OSError, HTTPException) as error:
                _hosts[host] = False
                warn(f"{host} does not answer ({getattr(error, 'reason', error)}); building its tools instead")
        return _hosts[host]


def fetch(download: Download, programs: Sequence[str], into: Path) -> str:
    """Download programs into a directory, verify them, and return the SHA-256 of the download.

    A recorded checksum counts, else the publisher's own (local/checksums.py). Raises OSError when the publisher cannot
    be reached or has no checksum for it, and LocalError when the download does not match its checksum.
    """
    name = download.url.rsplit("/", 1)[-1]
    known = recorded().get(download.url)
    expected = known or expected_checksum(_read(download.checksums).decode(), name)
    if expected is None:
        raise OSError(f"{download.checksums} has no SHA-256 for {name}")
    content = _read(download.url)
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        whose = "is recorded in local/checksums.json" if known else "is the publisher's"
        raise LocalError(f"{download.url}: SHA-256 is {actual}, and {expected} {whose}: not used")
    if download.member is None:
        _program(into / programs[0], content)
        return actual
    with tempfile.NamedTemporaryFile(suffix=".tar.gz") as archive:
        archive.write(content)
        archive.flush()
        with tarfile.open(archive.name) as tar:
            for program in programs:
                inside = f"{download.member}/{program}".removeprefix("./").removeprefix("/")
                member = next((m for m in tar.getmembers() if m.name.removeprefix("./") == inside), None)
                data = tar.extractfile(member) if member else None
                if data is None:
                    raise LocalError(f"{download.url} has no {inside}")
                _program(into / program, data.read())
    return actual


def expected_checksum(text: str, name: str) -> str | None:
    """Find a file's SHA-256 in a checksum file: lines of `<hex> <name>`, or the hex alone."""
    for line in text.splitlines():
        words = line.split()
        if (
            words
            and re.fullmatch(r"[0-9a-fA-F]{64}", words[0])
            and (len(words) == 1 or words[-1].removeprefix("*").removeprefix("./") == name)
        ):
            return words[0].lower()
    return None


def _read(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise OSError(f"{url}: HTTP {error.code}") from error


def _program(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o755)


def go_build(module: str, out: Path, packages: Mapping[str, str], variables: Mapping[str, str] | None = None) -> None:
    """Build programs from a directory of local/modules: {program: package}, with string variables set at link time."""
    link = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in (variables or {}).items())])
    env = {**os.environ, **GO_ENVIRONMENT}
    for program, package in packages.items():
        run(
            ["go", "build", "-trimpath", "-ldflags", link, "-o", out / program, package],
            cwd=ROOT / "local" / "modules" / module,
            env=env,
        )
