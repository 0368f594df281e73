"""Access of a dynamic provider to the cluster: a deployer's kubeconfig, from where the stack keeps it, and kubectl."""

import json
import subprocess
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from components.dynamic import UserError

_PULUMI_SECONDS = 60.0  # for reading an output or a setting of a stack
_API_SECONDS = 15.0  # for the API server to answer

# What Pulumi answered in this process, which lives for one run of the engine. Each answer takes a start of Pulumi and
# the decryption of a state, most of a second of CPU, and each job and topic of a stack asks the same.
_answers: dict[tuple[str, ...], str] = {}
_asking = threading.Lock()


class UnreachableError(UserError):
    """The cluster did not answer, or will not, or there is no kubeconfig for it. The message says why."""


def kubeconfig_of(credentials: str, namespace: str, setting: str | None) -> str:
    """The kubeconfig that credentials stand for, as a text. Raises UnreachableError.

    Credentials say where the kubeconfig comes from, and are never the kubeconfig itself:

    - `stack:<organization>/<project>/<stack>`: the namespace's entry in that stack's secret output `kubeconfigs`;
    - `config:<organization>/<project>/<stack>`: that stack's secret setting `kubeconfig`, read from its file, so that
      refresh and destroy, where the program does not run, work after a rotation. Where the file cannot be read
      (`--config-file`), it is `setting`, what the engine has: the setting as of the last update.
    """
    kind, _, stack = credentials.partition(":")
    if kind == "stack" and stack:
        answer = _pulumi("stack", "output", "kubeconfigs", "--show-secrets", "--json", "--stack", stack)
        kubeconfigs: dict[str, str] = json.loads(answer)
        if namespace not in kubeconfigs:
            raise UnreachableError(
                f"the output kubeconfigs of the stack {stack} has none for the namespace {namespace}: "
                "add the environment to that stack and bring it up"
            )
        return kubeconfigs[namespace]
    if kind == "config" and stack:
        try:
            return _pulumi("config", "get", "kubeconfig", "--stack", stack)
        except UnreachableError:
            if setting is None:
                raise
            return setting
    raise UnreachableError(f"credentials {credentials!r}: must be stack:<stack> or config:<stack>")


def _pulumi(*arguments: str) -> str:
    with _asking:
        if arguments not in _answers:
            _answers[arguments] = _ask(*arguments)
        return _answers[arguments]


def _ask(*arguments: str) -> str:
    command = ["pulumi", "--non-interactive", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PULUMI_SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or error.stdout).strip().splitlines()[-1:]
        raise UnreachableError(f"no kubeconfig: `{' '.join(command)}` failed: {' '.join(reason)}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreachableError(f"no kubeconfig: `{' '.join(command)}`: {error}") from error
    return done.stdout.strip()


@dataclass(frozen=True)
class Kubectl:
    """kubectl with one kubeconfig, in one namespace."""

    namespace: str
    _file: str

    def __call__(self, *words: str) -> str:
        """Run it and return what it prints. Raises UnreachableError with the last line of what went wrong."""
        command = ["kubectl", "--kubeconfig", self._file, "--namespace", self.namespace]
        command += [f"--request-timeout={_API_SECONDS:.0f}s", *words]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=2 * _API_SECONDS, check=True).stdout
        except subprocess.CalledProcessError as error:
            raise UnreachableError(" ".join(error.stderr.strip().splitlines()[-1:])) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnreachableError(str(error)) from error


@contextmanager
def kubectl(kubeconfig: str, namespace: str) -> Generator[Kubectl]:
    """kubectl for as long as the block runs; `kubeconfig` is its text."""
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:  # readable to us only
        file.write(kubeconfig)
        file.flush()
        yield Kubectl(namespace, file.name)
