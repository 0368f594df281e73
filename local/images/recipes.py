"""The recipes of the images: their names, their parts, and the paths of their archives."""

import hashlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from console.paths import cache
from versions import COLLECTOR_IMAGE, FLINK_IMAGE, KAFKA_IMAGE, PROMETHEUS_IMAGE, ZOOKEEPER_IMAGE

HERE = Path(__file__).parent
PULLED = "pulled"  # takes the place of a recipe's key in the file name of an archive that was pulled

# Each image and the folder that says how to build it. "base" and "job" are folders of the same kind, for what the
# others stand on and for a job on top of Flink.
FOLDERS = {
    FLINK_IMAGE: "flink",
    KAFKA_IMAGE: "kafka",
    ZOOKEEPER_IMAGE: "zookeeper",
    PROMETHEUS_IMAGE: "prometheus",
    COLLECTOR_IMAGE: "collector",
    "localhost/pause:1": "pause",
}
BARE = ("collector", "pause")  # one program each, and no base below it


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image as the manifests name it, and the archive that holds it.

    ``reference`` is the fully qualified name, as a container runtime must store it, or it would try to pull.
    ``archive`` is a docker-archive tar that carries that name; its own name changes with its content.
    """

    name: str
    reference: str
    archive: Path
    origin: Literal["pulled", "built here"]


def home() -> Path:
    """The folder of everything that is kept between runs."""
    return cache() / "images"


def reference(name: str) -> str:
    """Spell out a name as Docker does: ``flink:1`` is ``docker.io/library/flink:1``."""
    first, slash, _ = name.partition("/")
    if not slash:
        return f"docker.io/library/{name}"
    return name if "." in first or ":" in first or first == "localhost" else f"docker.io/{name}"


def image(name: str, key: str) -> Image:
    """The image ``name`` whose content is known by ``key``; whether its archive exists is not looked at."""
    full = reference(name)
    repository, _, tag = full.rpartition(":")
    folder = repository.replace("/", "_").replace(":", "_")
    return Image(
        name=name,
        reference=full,
        archive=home() / "archives" / folder / f"{tag}-{key}.tar",
        origin="pulled" if key == PULLED else "built here",
    )


def base_key() -> str:
    """Changes when the common base has to be built again."""
    return fingerprint(platform.machine(), HERE / "base")


def build_key(name: str) -> str:
    """Changes when the image ``name`` has to be built again."""
    below = "" if FOLDERS[name] in BARE else base_key()
    return fingerprint(platform.machine(), name, below, HERE / FOLDERS[name])


def fingerprint(*parts: str | Path) -> str:
    """16 hex digits over texts, files, and folders with all that is in them."""
    digest = hashlib.sha256()
    for part in parts:
        for label, content in _contents(part):
            digest.update(f"{label}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _contents(part: str | Path) -> Iterator[tuple[str, bytes]]:
    """Each text or file: what tells it from others (its place in the folder, whether it is a program), its bytes."""
    if isinstance(part, str):
        yield "text", part.encode()
    elif part.is_file():
        yield "file", part.read_bytes()
    else:
        for path in sorted(part.rglob("*")):
            if path.is_file():
                yield f"{path.relative_to(part)} {os.access(path, os.X_OK)}", path.read_bytes()
