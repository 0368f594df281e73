"""The programs and files that the manifests rely on in an image: a list that is checked inside it."""

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from pydantic import BaseModel, ConfigDict

from console.progress import LocalError, step
from local.images import store
from local.images.recipes import FOLDERS, HERE, Image, fingerprint, home

FILE = HERE / "contract.yaml"
JOB = "job"  # the entry for every image that has no folder of its own
SECONDS = 180  # for one command: seconds on an idle machine, and patience with a busy one


class Contract(BaseModel):
    """One entry of ``contract.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str  # uid:gid of the pods
    mounts: Mapping[str, str | Mapping[str, str]] = {}  # path -> text of a file, or of each file in a folder
    needs: Mapping[str, str | list[str]]  # what it is -> a line for bash, or words for an image without a shell


def load() -> Mapping[str, Contract]:
    """Read ``contract.yaml``: the contract of each folder."""
    return {name: Contract.model_validate(entry) for name, entry in yaml.safe_load(FILE.read_text()).items()}


def of(image: Image) -> Contract:
    """The contract of an image."""
    return load()[FOLDERS.get(image.name, JOB)]


def fulfilled(image: Image) -> bool:
    """Return whether the archive is there and was checked against the contract as it is now."""
    marker = _marker(image)
    return image.archive.exists() and marker.exists() and marker.read_text() == _version(image)


def verify(image: Image) -> None:
    """Check the image, unless that was done before. Raises LocalError that names everything that is missing."""
    if fulfilled(image):
        return
    with step(f"Image {image.name}: checking what the manifests rely on"):
        lacks = missing(image)
    if lacks:
        raise LocalError(
            "\n  ".join([f"image {image.name} ({image.origin}) lacks what the manifests rely on:", *lacks])
        )
    _marker(image).write_text(_version(image))


def missing(image: Image) -> list[str]:
    """Run each command of the image's contract inside it; return what failed, each with its last words."""
    contract = of(image)
    container = store.buildah("from", "--pull-never", store.loaded(image))
    try:
        with TemporaryDirectory(prefix="build-", dir=home()) as folder:
            volumes = _volumes(contract, Path(folder))
            failures = {
                what: _failure(container, contract.user, volumes, line) for what, line in contract.needs.items()
            }
    finally:
        store.buildah("rm", container)
    return [f"{what}: {words}" for what, words in failures.items() if words is not None]


def _failure(container: str, user: str, volumes: list[str], line: str | list[str]) -> str | None:
    """Run one command; return None, or what it said last.

    It has network and process namespaces of its own: its ports collide with no other, and nothing of it stays.
    """
    words = ["bash", "-c", line] if isinstance(line, str) else line
    options = ["--isolation", "chroot", "--hostname", "localhost", "--user", user, *volumes]
    inside = shlex.join(store.command("run", *options, container, "--", *words))
    apart = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    try:
        done = subprocess.run(
            [*apart, "sh", "-c", f"ip link set lo up && exec {inside}"],
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {SECONDS} s"
    if done.returncode == 0:
        return None
    return " | ".join((done.stdout.strip() or done.stderr.strip()).splitlines()[-3:])


def _volumes(contract: Contract, folder: Path) -> list[str]:
    """Write the files of a contract; return the options that mount them, read-only as in the pods."""
    folder.chmod(0o755)  # the pods' user is not ours
    options: list[str] = []
    for index, (path, content) in enumerate(contract.mounts.items()):
        source = folder / str(index)
        if isinstance(content, str):
            source.write_text(content)
        else:
            source.mkdir()
            for name, text in content.items():
                (source / name).write_text(text)
        options += ["--volume", f"{source}:{path}:ro"]
    return options


def _marker(image: Image) -> Path:
    return image.archive.with_suffix(".checked")


def _version(image: Image) -> str:
    return fingerprint(of(image).model_dump_json())
