"""Getting one tool: from PATH, else the publisher's download, else built from its Go module."""

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from console.paths import ROOT, cache, lock
from console.progress import LocalError, duration, note, run, say, step, warn
from local.checksums import recorded

_ORIGIN = ".origin"  # the file that says how a tool came; without it a directory is not complete
_BUILD_DISK = "8 GB of Go's caches"
CONNECT_SECONDS = 4  # a publisher that does not answer within this is not waited for again
# No C compiler; and a Go compiler that collects its garbage less often: 3 and 21 % less CPU for etcd, in two pairs.
GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOGC": "400"}
_RECORDED = "is recorded in local/checksums.json"
_PACKAGE = re.compile(r"[\w./~-]+")  # a line of the compiler that only says what it is at
_hosts: dict[str, bool] = {}  # whether each host that was asked answers, in this run
_asking: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
SHARED = ROOT / "local" / "modules" / "tools"  # the Go module of all tools but one


@dataclass(frozen=True, kw_only=True)
class Download:
    """A publisher's archive or program, with the checksum file next to it."""

    url: str
    checksums: str
    member: str | None = None  # the directory inside the archive; None: the download is the program itself

    @property
    def asked(self) -> str:
        """The address that tells whether the publisher can be reached."""
        return self.url


@dataclass(frozen=True, kw_only=True)
class InImage:
    """A program inside a publisher's container image, where that is all that is published.

    It is read with buildah, for this machine's architecture, and no part of the image is ever run. buildah verifies it
    by the digests in the image's own manifest.
    """

    registry: str  # https://host
    image: str  # name:tag
    path: str  # of the program in the image

    @property
    def url(self) -> str:
        """The name under which its checksum is recorded."""
        return f"{self.registry}/{self.image}{self.path}?{platform.machine()}"

    @property
    def asked(self) -> str:
        """The address that tells whether the registry can be reached."""
        return f"{self.registry}/v2/"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """Programs that come together, at one version, and the ways to get them."""

    name: str
    version: str
    programs: Sequence[str]
    version_arguments: Sequence[str] = ("--version",)  # what makes the first program print its version
    build: Callable[[Path], None]  # builds the programs into a directory
    modules: Sequence[Path] = (SHARED,)  # the Go modules that the build reads
    build_seconds: int = 0  # what the build took on 2 cores, after those of the tools before it
    download: Download | InImage | None = None
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
    there = [present(tool) for tool in tools]
    missing = [tool for tool, found in zip(tools, there, strict=True) if not found]
    if missing:
        say(f"  {len(missing)} tools to get, once: {', '.join(tool.name for tool in missing)}")
        whole = duration(sum(tool.build_seconds for tool in missing))
        say(f"  what cannot be downloaded is built: all of it in about {whole} on 2 cores, and {_BUILD_DISK}")
        with ThreadPoolExecutor(len(missing)) as pool:
            _get_all(missing, {pool.submit(_get, tool, _download): tool for tool in missing})
    return [found or (_target(tool), _origin(tool).read_text()) for tool, found in zip(tools, there, strict=True)]


def _get_all(missing: Sequence[Tool], downloads: dict[Future[bool], Tool]) -> None:
    """Follow the downloads, and build what none of them brings, in the order of the tools."""
    left, builds = list(missing), list[Tool]()
    expected, took = 0, 0.0  # of the builds that are done: how fast this machine is

    def got(tool: Tool) -> None:
        left.remove(tool)
        seconds = sum(each.build_seconds for each in builds) * (took / expected if expected else 1)
        more = f", {builds[0].name} next: about {duration(seconds)} more to build" if builds else ""
        say(f"  {tool.name}: {_origin(tool).read_text()}; {len(left)} tools left{more}")

    wait(downloads, timeout=CONNECT_SECONDS)  # by then it is known who answers, and so what has to be built
    while downloads or builds:
        done, _ = wait(downloads, timeout=0 if builds else None, return_when=FIRST_COMPLETED)
        for each in done:
            tool = downloads.pop(each)
            if each.result():
                got(tool)
            else:
                builds.append(tool)
        if builds:
            builds.sort(key=missing.index)
            tool, began = builds.pop(0), time.monotonic()
            _get(tool, _build)
            expected, took = expected + tool.build_seconds, took + time.monotonic() - began
            got(tool)


def ensure(tool: Tool) -> tuple[Path, str]:
    """Return the directory that holds the tool's programs and the way they came, getting them first if need be."""
    if found := present(tool):
        return found
    _ = _get(tool, _download) or _get(tool, _build)
    return _target(tool), _origin(tool).read_text()


def present(tool: Tool) -> tuple[Path, str] | None:
    """Return the directory of a tool that is there, and the way it came."""
    if found := find(tool):
        return found, f"found in {found}"
    origin = _origin(tool)
    return (origin.parent, origin.read_text()) if origin.exists() else None


def _get(tool: Tool, way: Callable[[Tool, Path], str | None]) -> bool:
    """Get a tool in one way, unless it is there; return whether it is there now."""
    target = _target(tool)
    with lock(cache() / "tools" / f".{tool.name}.lock"):
        if _origin(tool).exists():
            return True
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{tool.name}-") as scratch:
            made = Path(scratch) / "programs"
            made.mkdir()
            came = way(tool, made)
            if came is None:
                return False
            (made / _ORIGIN).write_text(came)
            shutil.rmtree(target, ignore_errors=True)
            made.rename(target)
    return True


def _target(tool: Tool) -> Path:
    return cache() / "tools" / f"{tool.name}-{tool.version}-{recipe_hash(tool)}"


def _origin(tool: Tool) -> Path:
    return _target(tool) / _ORIGIN


def recipe_hash(tool: Tool) -> str:
    """Hash what the build reads, so that a changed recipe makes the tool again."""
    digest = hashlib.sha256()
    for module in tool.modules:
        for path in sorted(module.rglob("*")):
            if path.is_file():
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _download(tool: Tool, into: Path) -> str | None:
    label = f"{tool.name} {tool.version}"
    if not tool.download or not _answers(tool.download.asked):
        return None
    try:
        with step(f"{label}: downloading"):
            fetch(tool.download, tool.programs, into)
    except (OSError, HTTPException) as error:
        warn(f"{label}: {error}; building it instead")
        return None
    by = "checked in" if tool.download.url in recorded() else "its publisher's"
    return f"downloaded from {_host(tool.download.url)} (checksum {by})"


def _build(tool: Tool, into: Path) -> str:
    label = f"{tool.name} {tool.version}"
    if not shutil.which("go"):
        raise LocalError(
            f"{label} is not on PATH, cannot be downloaded, and there is no Go to build it with: install any one"
        )
    with step(f"{label}: building from its Go module"):
        tool.build(into)
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


def fetch(download: Download | InImage, programs: Sequence[str], into: Path) -> str:
    """Download programs into a directory, verify them, and return the SHA-256 of the download.

    A recorded checksum counts, else the publisher's own (local/checksums.py). Raises OSError when the publisher cannot
    be reached or has no checksum for it, and LocalError when the download does not match its checksum.
    """
    known = recorded().get(download.url)
    if isinstance(download, InImage):
        content = _read_image(download)
        digest = _verified(download.url, content, known, _RECORDED)
        _program(into / programs[0], content)
        return digest
    name = download.url.rsplit("/", 1)[-1]
    expected = known or expected_checksum(_read(download.checksums).decode(), name)
    if expected is None:
        raise OSError(f"{download.checksums} has no SHA-256 for {name}")
    content = _read(download.url)
    actual = _verified(download.url, content, expected, _RECORDED if known else "is the publisher's")
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


def _verified(url: str, content: bytes, expected: str | None, whose: str) -> str:
    """Return the SHA-256 of a download. Raises LocalError where another one is expected."""
    actual = hashlib.sha256(content).hexdigest()
    if expected not in (None, actual):
        raise LocalError(f"{url}: SHA-256 is {actual}, and {expected} {whose}: not used")
    return actual


def _read_image(download: InImage) -> bytes:
    """Pull an image into a store of its own, read the program, and drop the store. Raises OSError where that fails."""
    scheme, _, host = download.registry.partition("://")
    with tempfile.TemporaryDirectory(prefix="image-") as scratch:
        store = ["buildah", "--root", f"{scratch}/root", "--runroot", f"{scratch}/run", "--storage-driver", "vfs"]
        insecure = ["--tls-verify=false"] if scheme == "http" else []
        try:
            container = run([*store, "from", "--quiet", *insecure, f"docker://{host}/{download.image}"]).strip()
            root = run([*store, "mount", container]).strip()
            return Path(f"{root}{download.path}").read_bytes()
        except LocalError as error:
            raise OSError(str(error).splitlines()[-1]) from None


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


def go_build(
    out: Path, *, program: str, package: str, variables: Mapping[str, str] | None = None, module: Path = SHARED
) -> None:
    """Build a program from a package that a Go module can name, with string variables set at link time."""
    link = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in (variables or {}).items())])
    words = ["go", "build", "-v", "-trimpath", "-ldflags", link, "-o", str(out / program), package]
    said = list[str]()
    with subprocess.Popen(
        words, cwd=module, env={**os.environ, **GO_ENVIRONMENT}, stderr=subprocess.PIPE, text=True
    ) as child:
        for line in child.stderr or ():
            said.append(line)
            note(f"{len(said)} packages compiled, now {line.strip()}")
    if child.returncode:
        tail = "".join(line for line in said if not _PACKAGE.fullmatch(line.strip()))[-4000:]
        raise LocalError(f"{shlex.join(words)}: exit code {child.returncode}\n{tail}")
