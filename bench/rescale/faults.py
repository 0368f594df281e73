"""The faults of a pod: signals to its JVM, and a network that drops its packets."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from bench.common.flink import Pod
from cli.kube import Kube
from cli.platform import Target, get_tools
from console.progress import LocalError, run
from local.node import lifecycle

_MARK = "bench-rescale"  # the comment of our iptables rules

# The image has bash, and neither ps nor pgrep. Prints when it is sent (seconds since 1970), or nothing. It is sent once
# this shell has ended, as a container that ends under a running exec may leave kubectl waiting for ever. With a time
# the JVM goes on after it: a second command would come late.
_SIGNAL = """
for file in /proc/[0-9]*/comm; do
  read -r name <"$file" || continue
  pid=${file//[!0-9]/}
  if [ "$name" = java ] && [ "$pid" != 1 ] && kill -0 "$pid"; then
    micros=$((${EPOCHREALTIME/./} + 200000))
    {
      sleep 0.19
      while ((${EPOCHREALTIME/./} < micros)); do :; done
      kill -"$1" "$pid"
      [ -z "$2" ] || { sleep "$2"; kill -CONT "$pid"; }
    } >/dev/null 2>&1 <&- &
    echo "${micros::-6}.${micros: -6}"
  fi
done 2>/dev/null
"""


def send_signal(at: Kube, pod: Pod, name: str, pause_seconds: float | None = None) -> int:
    """Send a signal to a pod's JVM, and SIGCONT after a pause; return when, in ms since 1970 by the pod's clock."""
    pause = "" if pause_seconds is None else f"{pause_seconds:g}"
    said = at.run("exec", pod.name, "-c", pod.role, "--", "bash", "-c", _SIGNAL, "bash", name, pause).split()
    if len(said) != 1:
        raise LocalError(f"{pod.name}: {len(said)} JVMs took SIG{name}, not one: is pod.shareProcessNamespace set?")
    return int(float(said[0]) * 1000)


@contextmanager
def stopped(at: Kube, pod: Pod) -> Generator[int]:
    """The JVM of a pod stands still while the block runs; yields since when (ms since 1970)."""
    since = send_signal(at, pod, "STOP")
    try:
        yield since
    finally:
        send_signal(at, pod, "CONT")


class Network:
    """Makes pods unreachable: by dropped packets on a local node, elsewhere by a JVM that stands still."""

    def __init__(self, target: Target, at: Kube) -> None:
        self._at = at
        self._node = None if target.context else lifecycle.layout(target.name, get_tools(node=False)[0])
        self.how = "its JVM was stopped (SIGSTOP)" if target.context else "its packets were dropped (iptables)"

    @contextmanager
    def without(self, pod: Pod) -> Generator[int]:
        """No other pod reaches this one while the block runs, nor it them; yields since when (ms since 1970)."""
        if self._node is None:
            with stopped(self._at, pod) as since:
                yield since
            return
        since = int(time.time() * 1000)
        try:
            for direction in ("-s", "-d"):
                self._iptables("-I", "FORWARD", "1", direction, pod.ip, *self._ours, "-j", "DROP")
            yield since
        finally:
            self.mend()

    def mend(self) -> None:
        """Take away our rules, also those of a run that was killed."""
        if self._node is None:
            return
        for line in self._iptables("-S", "FORWARD").splitlines():
            if _MARK in line:
                self._iptables("-D", *line.replace('"', "").split()[1:])

    @property
    def _ours(self) -> tuple[str, ...]:
        return ("-m", "comment", "--comment", _MARK)

    def _iptables(self, *words: str) -> str:
        assert self._node
        return run(lifecycle.inside(self._node, ["iptables", "--wait", *words]))
