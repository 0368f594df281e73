"""One platform, on a local node or on a cluster that exists: bringing it up, looking at it, taking it down."""

import hashlib
import os
import shlex
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli import preflight
from cli.drift import Ask, Drift, find, objects, reset
from cli.kube import Kube
from cli.preflight import builds_fluentd, ships_logs
from cli.preview import engine
from cli.preview.comment import comment, refusals
from cli.pulumi import Workspace, environment_settings, stack_file, stack_names
from cli.watch import Watch
from console.paths import ROOT, lock, state, write
from console.progress import LocalError, run, say, step, table, warn
from local import images
from local.jars import build_for
from local.node import lifecycle
from local.node.config import HELPER_IMAGE, PAUSE_IMAGE, Layout
from local.tools import NODE_PACKAGES, client_tools, ensure_packages, ensure_tools, node_tools
from stacks.bounds import policy_options
from stacks.declared import without_stack
from stacks.settings import FLUENTD_RECIPE, OVERLAY, EnvironmentSettings, flink_image, load_file, log_image

DEFAULT_NAME = "local"
STACKS = ("cluster", "dev")  # what `make up` applies, in this order


@dataclass(frozen=True)
class Target:
    """The cluster that a command is for: a local node's name, or a kube context."""

    name: str
    context: str  # empty: the local node

    @property
    def state(self) -> Path:
        """The directory of this platform's Pulumi state and keys. Raises LocalError if the name cannot be a
        platform's."""
        if not self.context:
            lifecycle.check_name(self.name)
            return state(self.name)
        readable = "".join(c if c.isalnum() else "-" for c in self.context)[:40]
        return state(f"context-{readable}-{hashlib.sha256(self.context.encode()).hexdigest()[:6]}")

    @property
    def words(self) -> str:
        """The variables that a `make` command needs to act on this platform; begins with a blank unless it is empty."""
        if self.context:
            return f" CONTEXT={shlex.quote(self.context)}"
        return "" if self.name == DEFAULT_NAME else f" NAME={self.name}"


@contextmanager
def alone(target: Target, command: str) -> Generator[None]:
    """Let one command at a time change a platform; the next one says for what it waits."""
    path = state(f".{target.state.name}.lock")  # beside the platform's directory, which `down` may delete

    def waiting(other: str) -> None:
        say(f"  {command}: waiting for {other} on the same platform to end")

    with lock(path, f"{command} (process {os.getpid()})", waiting):
        yield


def get_tools(*, node: bool) -> tuple[Path, Mapping[str, str]]:
    """Find or make the tools; a local node's too if asked for."""
    packages = ensure_packages(NODE_PACKAGES) if node else ""
    directory, ways = ensure_tools(client_tools() + (node_tools() if node else []))
    return directory, {**ways, **({"Debian packages": packages} if packages else {})}


def get_images(settings: EnvironmentSettings, *, public: bool) -> list[images.Image]:
    """Pull or build what an environment's pods run: the images of its jars, and the public ones if asked for."""
    build_for(settings.flink.jars)
    clusters = settings.flink.clusters.items()
    made = [
        images.job_image(flink_image(settings, name), settings.images.flink, ROOT / cluster.jar)
        for name, cluster in clusters
        if cluster.jar
    ]
    if not public:
        fluentd = [images.on_public(log_image(settings), FLUENTD_RECIPE)] if builds_fluentd(settings) else []
        return [*made, *fluentd]
    named = [PAUSE_IMAGE, HELPER_IMAGE, settings.images.zookeeper, settings.images.kafka]
    named += [cluster.image for _, cluster in clusters if cluster.image]
    if settings.monitoring.enabled:
        named.append(settings.images.prometheus)
    if ships_logs(settings):
        named.append(log_image(settings))
    return [*map(images.ensure, dict.fromkeys(named)), *made]


def workspace(target: Target) -> Workspace:
    """The Pulumi workspace of a platform. Raises LocalError when its tools or its cluster are not there."""
    place = target.state  # refuses what can be no name, before tools are made
    directory, _ = get_tools(node=False)
    if target.context:
        kubeconfig, server = preflight.single_context(directory / "kubectl", target.context, place)
        overlay = _overlay({"server": server, "context": target.context})
    else:
        if not (place / "octet").exists():
            raise LocalError(f"there is no local cluster {target.name}: make up{target.words} creates it")
        at = lifecycle.layout(target.name, directory)
        kubeconfig = lifecycle.kubeconfig(at)
        overlay = _overlay({"server": at.server, "context": at.context}, at)
    return Workspace(state=place, bin=directory, kubeconfig=kubeconfig, overlay=overlay)


def _overlay(cluster: Mapping[str, object], node: Layout | None = None) -> Mapping[str, Mapping[str, object]]:
    """Return what only this platform knows, by stack, from the kinds of the stacks there are."""
    kinds = {stack: load_file(stack_file(stack)) for stack in stack_names()}
    environments = {stack: each for stack, each in kinds.items() if isinstance(each, EnvironmentSettings)}
    overlay = dict.fromkeys(kinds.keys() - environments.keys(), cluster)
    if node:
        port = {"kafka": {"adminPort": node.admin_port}}
        overlay |= {stack: {**port, **_on_node(settings)} for stack, settings in environments.items()}
    return overlay


def _on_node(settings: EnvironmentSettings) -> Mapping[str, object]:
    """Return the log agent of a local node, unless the stack names an image: the collector, which can be built here."""
    return {} if settings.logging.image else {"logging": {"agent": "opentelemetryCollector"}}


def up(target: Target) -> bool:
    """Bring the platform up; return whether anything changed, a node that was down included."""
    load_file(stack_file("cluster"))  # bad settings end here, before anything is made
    settings = environment_settings(stack_file("dev"))
    return _up_elsewhere(target, settings) if target.context else _up_here(target, settings)


def _up_here(target: Target, settings: EnvironmentSettings) -> bool:
    lifecycle.check_machine()
    if over := _on_node(settings):
        settings = environment_settings(stack_file("dev"), over)
        say("  logs: shipped by the OpenTelemetry Collector here, which can be built; the image of fluentd cannot")
    with table(), ThreadPoolExecutor(1) as pool:
        loading = pool.submit(get_images, settings, public=True)  # downloads, while the compiler works
        directory, ways = get_tools(node=True)
        ready = loading.result()
    at = lifecycle.layout(target.name, directory)
    running = lifecycle.is_up(at)
    if running:
        lifecycle.load_images(at, ready)
    else:
        tell_ways(ways, ready)
        lifecycle.up(at, ready)
    preflight.check_change(directory / "kubectl", lifecycle.kubeconfig(at), settings)
    return apply(target, there=running) or not running


def _up_elsewhere(target: Target, settings: EnvironmentSettings) -> bool:
    with table():
        directory, ways = get_tools(node=False)
    tell_ways(ways, [])
    kubeconfig, _ = preflight.single_context(directory / "kubectl", target.context, target.state)
    preflight.check(directory / "kubectl", kubeconfig, settings)
    for image in get_images(settings, public=False):
        images.push(image)
    return apply(target)


def apply(target: Target, *, there: bool = False) -> bool:
    """Apply the stacks in order; return whether anything changed.

    Those of a platform that is `there` are previewed side by side, as most often nothing changes. Once a stack was
    applied or reset, the previews of those after it no longer count.
    """
    work = workspace(target)
    _hint()
    changed = False
    ahead = work.previews(STACKS) if there else {}
    for stack in STACKS:
        try:
            changed |= work.up(stack, _watch(work, stack), None if changed else ahead.get(stack))
        except LocalError as error:
            if not _reset_or_tell(target, work, stack):
                raise
            say(f"  {error}\n  trying again, as the changes that were undone may be the reason")
            work.up(stack, _watch(work, stack))
            changed = True
        changed |= _reset(target, work, stack)
    return changed


def _hint() -> None:
    """Print the environments of the stack `cluster` that no stack uses."""
    for name in without_stack():
        say(f"  environment {name}: no stack uses it yet; add stacks/Pulumi.{name}.yaml")


def _watch(work: Workspace, stack: str) -> Watch | None:
    if stack == "cluster":
        return None
    settings = work.settings(stack)
    return Watch(Kube(bin=work.bin, kubeconfig=work.kubeconfig, namespace=settings.environment), settings)


def drift(target: Target, work: Workspace, stack: str) -> tuple[Ask, Drift]:
    """Return the changes to a stack's objects that were made outside of Pulumi, and the kubectl that was asked."""
    kubeconfig = deployer_kubeconfig(target, stack)

    def ask(*words: str, stdin: str) -> str:
        return run([work.bin / "kubectl", "--kubeconfig", kubeconfig, *words], stdin=stdin)

    return ask, find(ask, objects(work.exported(stack)))


def _reset_or_tell(target: Target, work: Workspace, stack: str) -> bool:
    """The same after something failed, whose message must not be lost."""
    try:
        return _reset(target, work, stack)
    except LocalError as error:
        warn(f"{stack} could not be compared with the cluster: {error}")
        return False


def _reset(target: Target, work: Workspace, stack: str) -> bool:
    """Undo changes made outside of Pulumi, which Pulumi does not look for; return whether there were any."""
    with step(f"{stack}: comparing what was applied with the cluster"):
        ask, found = drift(target, work, stack)
    if found.lost_claims:
        raise LocalError(
            f"{', '.join(found.lost_claims)}: deleted outside of Pulumi, with its data. An empty one is not created "
            f"without being asked for: run make refresh{target.words} STACK={stack}, then make up{target.words}"
        )
    for name in found.missing:
        say(f"    recreated, as it had been deleted: {name}")
    for change in found.changes:
        say(f"    set back: {change}")
    for foreign in found.foreign:
        say(f"    left alone: {foreign}")
    reset(ask, found)
    return bool(found.to_apply)


def preview(target: Target, stack: str) -> None:
    """Show what `pulumi up` would change in a stack, and what the policy pack says to it, as on a pull request.

    Raises LocalError when it is refused.
    """
    work = workspace(target)
    stack_file(stack)  # names the stacks there are
    policy_options(stack)  # an environment that the cluster does not have ends here, before anything is built
    if stack == "cluster":
        _hint()
    else:
        settings = work.settings(stack)
        build_for(settings.flink.jars)  # the names of job images follow from the jars
        preflight.check_change(work.bin / "kubectl", work.kubeconfig, settings)
    found = work.look(engine.PREVIEW, stack)
    say(f"\n{comment(found, stack, limit=None)}")
    if refused := refusals(found):
        raise LocalError(f"{stack} must not be applied like this: {', '.join(refused)}; see above")


def tell_ways(ways: Mapping[str, str], ready: list[images.Image]) -> None:
    """Say which way each tool and image came."""
    for name, way in {**ways, **{image.name: image.origin for image in ready}}.items():
        say(f"    {name:<36} {way}")


def down(target: Target, data: str) -> None:
    """Take a local cluster down."""
    directory = target.state
    lifecycle.check_machine()
    with alone(target, "make down"):
        lifecycle.down(target.name, delete_data=data == "delete")
    left = lifecycle.leftovers(target.name)
    if left:
        raise LocalError(
            f"still on this machine after make down of {target.name}: {', '.join(left)}. "
            f"Run make down{target.words} again"
        )
    if data == "delete":
        say(f"  {target.name} is down, and its data is deleted")
    elif directory.exists():
        say(f"  {target.name} is down; its volumes, keys and Pulumi state are kept in {directory}")
        say(f"  make up{target.words} brings it back; make down{target.words} DATA=delete deletes them")
    else:
        say(f"  {target.name} does not exist: nothing to do")


def deployer_kubeconfig(target: Target, stack: str) -> Path:
    """Write the kubeconfig of a stack's deployer (0600) and return its path; `cluster`: the administrator's."""
    work = workspace(target)
    if stack == "cluster":
        return work.kubeconfig
    environment = work.settings(stack).environment
    text = work.outputs("cluster").get("kubeconfigs", {}).get(environment)
    if not text:
        raise LocalError(f"the stack cluster has no kubeconfig for {environment}: run make up{target.words}")
    path = target.state / f"{environment}.kubeconfig"
    write(path, text)
    return path


def export_lines(target: Target) -> list[str]:
    """Shell lines with which `pulumi` and `kubectl` work by hand on this platform."""
    work = workspace(target)
    environment = work.environment("cluster")
    names = ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE", *engine.SALT_OF_STATE, OVERLAY, "KUBECONFIG")
    exports = [f"export {name}={shlex.quote(environment[name])}" for name in names if name in environment]
    return [f"export PATH={shlex.quote(str(work.bin))}:$PATH", *exports]


def broken_parts(target: Target) -> list[str]:
    """Programs of a local node that do not run."""
    if target.context:
        return []
    return lifecycle.broken_parts(lifecycle.layout(target.name, get_tools(node=False)[0]))


def orphans(target: Target) -> list[str]:
    """Return what runs on a local node in no living pod."""
    if target.context:
        return []
    return lifecycle.orphans(lifecycle.layout(target.name, get_tools(node=False)[0]))
