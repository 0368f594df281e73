"""`kubectl port-forward` to the pods of a StatefulSet as child processes, restarted for as long as they are used."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

_READY_SECONDS = 30.0  # for the first connection through the API server, which may be far
_PORT_SECONDS = 20.0  # for another run to give a local port up: it does so seconds after its last use
_RETRY_SECONDS = (0.2, 1.0, 3.0)  # between attempts to reach a pod again, the last one repeated

# Reads the kubeconfig ($1 bytes) from stdin into a file that only we can read, runs the rest of its arguments with it,
# and ends when that ends, or when stdin ends: with the parent, even if the parent is killed.
_GUARD = """
umask 077
file=$(mktemp) || exit
trap 'rm -f "$file"' EXIT
head -c "$1" >"$file"
shift
exec 3<&0
KUBECONFIG=$file "$@" 3<&- </dev/null &
child=$!
{ cat <&3; kill "$child"; } >/dev/null 2>&1 &
exec 3<&- >/dev/null 2>&1  # the reader of a message about the child's end may be gone
wait "$child"
"""


class PortForwardError(Exception):
    """No pod can be reached, or a local port is taken. The message says which and what to do."""


class PortForwards:
    """A port-forward to each pod of a StatefulSet that is up, each restarted when it dies.

    `ports` maps a pod's name to its port, which is the same on both ends: it is what the broker in the pod advertises.
    """

    def __init__(self, namespace: str, ports: Mapping[str, int], kubeconfig: str) -> None:
        self._forwards = [_Forward(namespace, pod, port, kubeconfig) for pod, port in ports.items()]

    def open(self) -> None:
        """Start them, and return when each works or has failed once, and one works.

        Raises PortForwardError, with nothing left running.
        """
        if not shutil.which("kubectl"):
            raise PortForwardError("kubectl is not on PATH: install it, or run through make")
        deadline = time.monotonic() + _READY_SECONDS
        for forward in self._forwards:
            forward.start()
        for forward in self._forwards:
            forward.wait(deadline)
        taken = [forward for forward in self._forwards if forward.port_taken]
        if taken or not any(forward.up for forward in self._forwards):
            self.close()
            reasons = "; ".join(f"{forward.pod}: {forward.problem}" for forward in taken or self._forwards)
            raise PortForwardError(reasons)

    def close(self) -> None:
        """End them all, and return when they are gone."""
        for forward in self._forwards:
            forward.stop()
        for forward in self._forwards:
            forward.join()


class _Forward(threading.Thread):
    """One port-forward and its restarts."""

    def __init__(self, namespace: str, pod: str, port: int, kubeconfig: str) -> None:
        super().__init__(name=f"port-forward {namespace}/{pod}", daemon=True)
        self.pod = pod
        self.up = False
        self.port_taken = False
        self.problem = f"no answer for {_READY_SECONDS:.0f} seconds"
        self._port = port
        self._kubeconfig = kubeconfig.encode()
        self._command = ["kubectl", "--namespace", namespace, "port-forward", "--address", "127.0.0.1"]
        self._command += [f"pod/{pod}", f"{port}:{port}"]
        self._tried = threading.Event()  # works, or has failed once
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def wait(self, deadline: float) -> None:
        """Wait until it works or has failed once, or until the deadline (monotonic seconds)."""
        self._tried.wait(max(0.0, deadline - time.monotonic()))

    def stop(self) -> None:
        with self._lock, suppress(OSError):
            self._stopped.set()
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()

    def run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            if self._port_is_free():
                said = self._forward()
                if "address already in use" in said:
                    self._stopped.wait(_RETRY_SECONDS[0])
                    continue  # another run was faster: wait for it to give the port up
            failures = 0 if self.up else failures + 1
            self.up = False
            self._tried.set()
            self._stopped.wait(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])

    def _port_is_free(self) -> bool:
        """Return whether the local port is free, after waiting for another run that uses it."""
        deadline = time.monotonic() + _PORT_SECONDS
        while not self._stopped.is_set():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", self._port))
                except OSError:
                    self.port_taken = time.monotonic() >= deadline
                else:
                    self.port_taken = False
                    return True
            if self.port_taken:
                self.problem = (
                    f"the local port 127.0.0.1:{self._port} is in use, and no other will do, because the broker "
                    "advertises it: end what uses it (another pulumi or make?), or change kafka.adminPort"
                )
                break
            self._stopped.wait(0.2)
        return False

    def _forward(self) -> str:
        """Run kubectl once, to its end, and return what it complained of."""
        with self._lock:
            if self._stopped.is_set():
                return ""
            process = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "sh", str(len(self._kubeconfig)), *self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is for the program, which ends this in its time
            )
            self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        # Not written where it ended at once, or where stop() closed stdin before.
        with suppress(BrokenPipeError, ValueError):
            process.stdin.write(self._kubeconfig)
            process.stdin.flush()
        complaints: list[str] = []
        for line in process.stdout:
            text = line.decode(errors="replace").strip()
            if text.startswith("Forwarding from"):
                self.up = True
                self._tried.set()
            elif text and not text.startswith("Handling connection"):
                complaints.append(text)
                self.problem = text  # the last one says most
        with self._lock, suppress(OSError):
            self._process = None
            process.stdin.close()
        process.stdout.close()
        process.wait()
        return "\n".join(complaints)
