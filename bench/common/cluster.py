"""A Flink cluster and topics of a harness's own, on a platform that is up, for as long as the harness runs."""

import dataclasses
import fcntl
import os
import re
import signal
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from bench.common.flink import wait_for
from cli import platform, prove
from cli.kube import Kube
from cli.platform import Target
from cli.pulumi import Workspace
from cli.waiting import until_it_runs
from console.progress import LocalError, descendants, say, step
from local import images
from local.node import lifecycle
from stacks.settings import EnvironmentSettings, merge

_SEEN_SECONDS = 240.0
_QUIETLY = ("--yes", "--suppress-progress", "--suppress-outputs")


class BenchCluster:
    """One Flink cluster that is added to the stack `dev`, changed as often as one likes, and taken away again.

    Unless it is `autoscaled` it is scaled by hand: its autoscaler is deleted, as it would undo that.
    """

    def __init__(self, target: Target, name: str, *, autoscaled: bool) -> None:
        self.name = name
        self._autoscaled = autoscaled
        self._target = target
        self._work = platform.workspace(target)
        self.at, self.settings = _platform(target)
        self.administrator = dataclasses.replace(self.at, kubeconfig=self._work.kubeconfig)

    def apply(
        self, cluster: Mapping[str, Any], topics: Mapping[str, Any], stack: Mapping[str, Any] | None = None
    ) -> None:
        """Add the cluster and its topics, or change them; return when its pods are ready.

        `stack` are other settings of the stack.
        """
        work = self._with(cluster, topics, stack or {})
        self._ship(work, work.settings(prove.STACK))
        say(f"  Flink {self.name}: applying the stack {prove.STACK}")
        work.pulumi("up", prove.STACK, *_QUIETLY)
        # Pulumi takes a Deployment whose pods are all replaced at once for ready while the old ones leave.
        for role in ("jobmanager", "taskmanager"):
            self.at.run("rollout", "status", f"deployment/{self.name}-{role}", f"--timeout={_SEEN_SECONDS:.0f}s")
        if not self._autoscaled:
            self.at.run("delete", "horizontalpodautoscaler", f"{self.name}-taskmanager", "--ignore-not-found")

    def apply_and_be_killed(
        self, cluster: Mapping[str, Any], topics: Mapping[str, Any], seen: Callable[[], bool]
    ) -> bool:
        """Begin to change the cluster, and kill Pulumi with all that it started as soon as something is seen.

        Returns whether Pulumi was still at work. Raises LocalError when it is not seen in four minutes.
        """
        work = self._with(cluster, topics, {})
        child = work.start("up", prove.STACK, "--yes")
        try:
            wait_for("what the update is killed at", lambda: seen() or None, _SEEN_SECONDS)
            return child.poll() is None
        finally:
            if child.poll() is None:
                for pid in [child.pid, *descendants(child.pid)]:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            child.wait()

    def _with(self, cluster: Mapping[str, Any], topics: Mapping[str, Any], stack: Mapping[str, Any]) -> Workspace:
        added = {**stack, "flink": {"clusters": {self.name: cluster}}, "kafka": {"topics": topics}}
        return dataclasses.replace(self._work, overlay=merge(self._work.overlay, {prove.STACK: added}))

    def remove(self) -> None:
        """Take away what there is of it, also what a harness that was killed left behind."""
        say(f"  Flink {self.name}: removing it")
        self._work.pulumi("up", prove.STACK, *_QUIETLY)
        # Pointers to checkpoints outlive the volume that they point to, and would never be used.
        with step(f"Flink {self.name}: forgetting its checkpoints in ZooKeeper"), suppress(LocalError):
            self.at.run("exec", "zookeeper-0", "--", "zkCli.sh", "deleteall", f"/flink/{self.name}")
        self._forget_leases()

    def _forget_leases(self) -> None:
        """Delete the leases that JobManagers recreated while they were stopping, where Kubernetes elects the leader.

        Such a lease has no label: only its name tells whose it was.
        """
        labels = f"app.kubernetes.io/instance={self.name}"
        self.at.run("wait", "--for=delete", "pod", "-l", labels, "--timeout=120s")
        its_own = re.compile(rf"{re.escape(self.name)}-[0-9a-f]{{8}}-[0-9a-z]+-config-map")
        for name in (item["metadata"]["name"] for item in self.at.items("configmaps")):
            if its_own.fullmatch(name):
                self.at.run("delete", "configmap", name, "--ignore-not-found")

    def left_behind(self) -> list[str]:
        """The Flink clusters that the stack does not have: harnesses that were killed left them, and they take CPU."""
        found = self.at.items("deployments", "-l", "app.kubernetes.io/component=jobmanager")
        names = {item["metadata"]["labels"]["app.kubernetes.io/instance"] for item in found}
        return sorted(names - set(self.settings.flink.clusters))

    def _ship(self, work: Workspace, settings: EnvironmentSettings) -> None:
        """Bring the job's image to where the pods get it from."""
        made = platform.get_images(settings, public=False)
        if self._target.context:
            for image in made:
                images.push(image)
        else:
            tools, _ = platform.get_tools(node=True)
            lifecycle.load_images(lifecycle.layout(self._target.name, tools), made)


@contextmanager
def bench_cluster(target: Target, name: str, *, autoscaled: bool = False) -> Generator[BenchCluster]:
    """A cluster that is gone when the block ends, however it ends.

    Raises LocalError when the platform is not up, or another harness uses it.
    """
    with _alone(target):
        cluster = BenchCluster(target, name, autoscaled=autoscaled)
        if left := cluster.left_behind():
            say(f"  Flink {', '.join(left)}: there already, as a run before this one was killed")
            cluster.remove()
        try:
            yield cluster
        finally:
            cluster.remove()


@contextmanager
def _alone(target: Target) -> Generator[None]:
    """One harness at a time: they would take each other's cluster away, and the CPU."""
    if not target.state.exists():
        raise LocalError(f"there is no platform in {target.state}: run make up{target.words}")
    with (target.state / ".bench.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError("another harness runs on this platform: wait for its end") from None
        yield


def _platform(target: Target) -> tuple[Kube, EnvironmentSettings]:
    where = f"CONTEXT={target.context}" if target.context else f"NAME={target.name}"
    if broken := platform.broken_parts(target):
        raise LocalError(f"the platform {where} is not up ({broken[0].strip()}): run make up {where}")
    at, settings = prove.kube(target)
    until_it_runs(at, settings)
    return at, settings
