"""The store in which buildah makes images: its own directory in the cache, used by one run at a time."""

import fcntl
import os
import shutil
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from console.progress import LocalError, run, step
from local.images.recipes import HERE, Image, base_key, home
from local.tools import ensure_packages


@contextmanager
def lock() -> Generator[None]:
    """Keep other runs from making images, and clear away what an interrupted one left.

    Raises LocalError when not root, or when buildah can be neither found nor installed.
    """
    if os.geteuid() != 0:
        raise LocalError("images can be built by root only: run this as root")
    home().mkdir(parents=True, exist_ok=True)
    with (home() / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step("Waiting for another run that builds images"):
                fcntl.flock(handle, fcntl.LOCK_EX)
        ensure_packages({"buildah": "buildah"})
        buildah("rm", "--all")
        for left in home().glob("build-*"):
            shutil.rmtree(left)
        yield


def command(*arguments: str | Path) -> list[str]:
    """A buildah command line on our own store, which nothing else on the machine uses."""
    places = ["--root", home() / "store", "--runroot", home() / "store-run", "--storage-driver", "overlay"]
    return [str(word) for word in ("buildah", *places, *arguments)]


def buildah(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Run buildah and log what it prints; return its standard output without blanks around it."""
    return run(command(*arguments), cwd=cwd, log=home() / "images.log").strip()


def tag(archive: Path) -> str:
    """Return the name of an archive's image in the store. The archive's key in it ties it to this very content."""
    return f"localhost/{archive.parent.name}:{archive.stem}"


def pull(image: Image) -> None:
    """Get a public image from its registry and write its archive. Raises LocalError when that fails."""
    _save(image, buildah("pull", "--quiet", image.reference))


def build(
    image: Image, recipe: str | Path, *, base: str | None, files: Mapping[str, Path], pulls: bool = False
) -> None:
    """Build an image from the folder ``recipe`` on top of ``base``, and write its archive.

    ``files`` are laid beside those of the folder. With ``pulls`` it stands on an image of a registry. Raises LocalError
    with the end of what the failing step said.
    """
    _save(image, _build(recipe, base, files, pulls=pulls))


def base() -> str:
    """Return the store's name of the common base; build it first when it is not there."""
    if _base() not in _tags():
        ensure_packages({"mmdebstrap": "mmdebstrap"})
        with step("The images' common base: a small root with Java, from this machine's own package sources"):
            buildah("tag", _build("base", None, {}), _base())
    return _base()


def loaded(image: Image) -> str:
    """Return the store's name of an image; read its archive first when the store was emptied meanwhile."""
    name = tag(image.archive)
    if name not in _tags():
        buildah("tag", buildah("pull", "--quiet", f"docker-archive:{image.archive}"), name)
    return name


def push(image: Image) -> None:
    """Copy an image to the registry in its name, with the credentials of `buildah login` or Docker's configuration."""
    buildah("push", "--quiet", loaded(image), f"docker://{image.reference}")


def _base() -> str:
    return f"localhost/base:{base_key()}"


def _tags() -> list[str]:
    return buildah("images", "--format", "{{.Name}}:{{.Tag}}").split()


def _build(recipe: str | Path, below: str | None, files: Mapping[str, Path], *, pulls: bool = False) -> str:
    """Build in a copy of the recipe's folder, after its prepare.sh if it has one; return the image's id."""
    with TemporaryDirectory(prefix="build-", dir=home()) as folder:
        work = Path(folder)
        shutil.copytree(HERE / recipe, work, dirs_exist_ok=True)
        for file, source in files.items():
            shutil.copyfile(source, work / file)
        run(["chmod", "-R", "u=rwX,go=rX", work])  # a checkout may be for its owner's eyes only, an image is not
        if (work / "prepare.sh").exists():
            run(["./prepare.sh"], cwd=work, env={**os.environ, "PYTHON": sys.executable}, log=home() / "images.log")
        options = ["--quiet", "--isolation", "chroot", "--format", "docker", "--layers=false"]
        options.append("--pull" if pulls else "--pull-never")
        labels = ["--label", "streaming-platform.origin=built here"]
        return buildah("build", *options, *labels, "--build-arg", f"BASE={below or 'scratch'}", ".", cwd=work)


def _save(image: Image, identity: str) -> None:
    """Write the archive as a whole or not at all; then drop older ones of the same repository, also from the store."""
    folder = image.archive.parent
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "part"
    part.unlink(missing_ok=True)
    buildah("push", "--quiet", identity, f"docker-archive:{part}:{image.reference}")
    part.replace(image.archive)
    buildah("tag", identity, tag(image.archive))  # only now: an archive carries all names that the image has
    for other in folder.iterdir():
        if other.stem != image.archive.stem:
            other.unlink()
    kept = {_base(), *(tag(archive) for archive in home().glob("archives/*/*.tar"))}
    for name in _tags():
        if name not in kept:
            buildah("rmi", "--force", name)
    buildah("rmi", "--prune")
