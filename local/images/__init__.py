"""The container images of the platform, as archives that a container runtime can import.

They keep their public names. Each is pulled where a registry answers, otherwise built here from Debian, PyPI and Maven
packages as a stand-in with the same command line, paths and user. Either way `contract.yaml`, the list of what the
manifests rely on, is run inside the image once. Archives are kept in the user's cache and used
again.
"""

from pathlib import Path

from console.progress import LocalError, say, step
from local.images import contract, registry, store
from local.images.recipes import BARE, FOLDERS, HERE, PULLED, Image, build_key, fingerprint
from local.images.recipes import image as named

__all__ = ["Image", "check", "ensure", "job_image", "on_public", "push"]


def ensure(name: str) -> Image:
    """Return the image ``name``; pull or build it first when there is no archive of it.

    Those of `FOLDERS` can be built; any other is pulled. Raises LocalError when the image can neither be pulled nor
    built, or when it lacks something that the manifests rely on.
    """
    if name not in FOLDERS:
        return _foreign(name)
    image = _found(name)
    if not image or not contract.fulfilled(image):
        with store.lock():
            image = _found(name) or _pulled(name) or _built(name)
            contract.verify(image)
    return image


def _foreign(name: str) -> Image:
    """An image that only its registry has: a user's own job, or another version of a public image."""
    image = named(name, PULLED)
    if image.archive.exists():
        return image
    reason = registry.silence() if image.reference.startswith("docker.io/") else ""
    if not reason:
        try:
            with store.lock(), step(f"Image {name}: pulling it"):
                store.pull(image)
        except LocalError as error:
            reason = str(error).splitlines()[-1]
        else:
            return image
    raise LocalError(
        f"image {name}: cannot be pulled ({reason}), and cannot be built here: only these can: {', '.join(FOLDERS)}. "
        "For a job of your own, give a jar instead"
    )


def job_image(image_name: str, base: str, jar: Path) -> Image:
    """Return the image ``image_name``: the Flink image ``base`` with ``jar`` as /opt/flink/usrlib/job.jar.

    Raises LocalError when there is no such jar, and as `ensure` does for the base.
    """
    if not jar.is_file():
        raise LocalError(f"image {image_name}: there is no file {jar}")
    below = ensure(base)
    image = named(image_name, fingerprint(below.archive.name, jar, HERE / "job"))
    if not contract.fulfilled(image):
        with store.lock():
            if not image.archive.exists():
                with step(f"Image {image_name}: {jar.name} on {base}"):
                    store.build(image, "job", base=store.loaded(below), files={"job.jar": jar})
            contract.verify(image)
    return image


def on_public(image_name: str, recipe: Path) -> Image:
    """Return the image ``image_name``, whose recipe stands on an image of a registry, and whose tag follows from it.

    Raises LocalError with what the registry said.
    """
    image = named(image_name, fingerprint(recipe))
    with store.lock():
        if not image.archive.exists():
            with step(f"Image {image_name}: building it on the registry's image"):
                store.build(image, recipe, base=None, files={}, pulls=True)
    return image


def check(image: Image) -> list[str]:
    """Run `contract.yaml` inside the image again; return what failed, each with its last words."""
    with store.lock():
        return contract.missing(image)


def push(image: Image) -> None:
    """Copy an image of our own to the registry in its name, where another cluster gets it from.

    Raises LocalError with what the registry said.
    """
    with store.lock(), step(f"Image {image.name}: pushing it"):
        store.push(image)


def _found(name: str) -> Image | None:
    """The image whose archive is there: made from the recipe as it is now, or pulled."""
    images = (named(name, build_key(name)), named(name, PULLED))
    return next((image for image in images if image.archive.exists()), None)


def _pulled(name: str) -> Image | None:
    """The image from its registry; None, having said why, when it has to be built."""
    image = named(name, PULLED)
    if image.reference.startswith("localhost/"):
        return None
    reason = registry.silence()
    if not reason:
        try:
            with step(f"Image {name}: pulling it, as the registry answers"):
                store.pull(image)
        except LocalError as error:
            reason = f"the pull failed: {str(error).splitlines()[-1]}"
        else:
            return image
    say(f"  Image {name}: to be built here; {reason}")
    return None


def _built(name: str) -> Image:
    """The image from its recipe."""
    image = named(name, build_key(name))
    base = None if FOLDERS[name] in BARE else store.base()
    with step(f"Image {name}: building it"):
        store.build(image, FOLDERS[name], base=base, files={})
    return image
