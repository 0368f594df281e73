"""Running Pulumi on the project's stacks: backend, passphrase and working copies of the stack files."""

import json
import os
import secrets
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from local.paths import NAME, ROOT, private, write
from local.progress import LocalError, attend, run, say, warn
from policies.pack import policy_options
from preview import engine
from preview.events import Preview
from stacks.settings import ClusterSettings, EnvironmentSettings, load_file, parse, read_file

STACK_FILES = ROOT / "stacks"


def stack_file(stack: str) -> Path:
    """The stack's file in the checkout. Raises LocalError that names the stacks there are."""
    path = STACK_FILES / f"Pulumi.{stack}.yaml"
    if not path.exists():
        names = sorted(p.name.split(".")[1] for p in path.parent.glob("Pulumi.*.yaml"))
        raise LocalError(f"STACK={stack}: there is no such stack; there are {', '.join(names)}")
    return path


def environment_settings(file: Path) -> EnvironmentSettings:
    """The validated settings in an environment's stack file. Raises SettingsError, or LocalError for another kind."""
    settings = load_file(file)
    if isinstance(settings, ClusterSettings):
        raise LocalError(f"{file.name}: this stack holds no environment; name one of dev, test, ops")
    return settings


def with_settings(file: Path, over: Mapping[str, Any]) -> EnvironmentSettings:
    """The validated settings of an environment's stack file, with others over them."""
    settings = parse(merge(read_file(file)["config"], {f"{NAME}:{key}": value for key, value in over.items()}))
    if isinstance(settings, ClusterSettings):
        raise LocalError(f"{file.name}: this stack holds no environment; name one of dev, test, ops")
    return settings


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Put one mapping over another, key by key, at every depth."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = merge(cast("dict[str, Any]", below), cast("dict[str, Any]", value))
        else:
            merged[key] = value
    return merged


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One platform's Pulumi state. What the user's environment says about backend and passphrase goes first."""

    state: Path
    bin: Path
    kubeconfig: Path  # the administrator's, read by the stack `cluster`
    overlay: Mapping[str, Mapping[str, Any]]  # {stack: settings} that only this machine knows

    @property
    def _copies(self) -> Path:
        return self.state / "stacks"

    def environment(self, stack: str) -> dict[str, str]:
        """The variables that a `pulumi` command needs: the administrator's kubeconfig for the stack `cluster` only."""
        defaults = {"PULUMI_BACKEND_URL": f"file://{self.state}/pulumi"}
        if "PULUMI_CONFIG_PASSPHRASE" not in os.environ:
            defaults["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(self.state / "passphrase")
        return {
            **defaults,
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "KUBECONFIG": str(self.kubeconfig) if stack == "cluster" else os.devnull,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def working_copy(self, stack: str) -> Path:
        """Write the stack's file with the overlay and, once the stack is made, its salt; return the copy's path."""
        private(self.state)
        self._copies.mkdir(exist_ok=True)
        source = read_file(stack_file(stack))
        salt = self._copies / f"Pulumi.{stack}.yaml"
        made: dict[str, Any] = (yaml.safe_load(salt.read_text()) if salt.exists() else None) or {}
        over = {"config": {f"{NAME}:{key}": value for key, value in self.overlay.get(stack, {}).items()}}
        copy = self._copies / f"{stack}.yaml"
        copy.write_text(yaml.safe_dump(merge(made | source, over), sort_keys=False))
        return copy

    def settings(self, stack: str) -> EnvironmentSettings:
        """The validated settings of an environment's stack on this platform."""
        return environment_settings(self.working_copy(stack))

    def prepare(self, stack: str) -> Path:
        """Make the stack if there is none, and a fresh working copy of its file; return the copy's path."""
        self.working_copy(stack)
        (self.state / "pulumi").mkdir(exist_ok=True)
        passphrase = self.state / "passphrase"
        if not passphrase.exists():
            write(passphrase, secrets.token_urlsafe(32))
        # `stack init` writes the new salt beside this Pulumi.yaml, and not into the checkout.
        (self._copies / "Pulumi.yaml").write_text(f"name: {NAME}\nruntime: python\n")
        if not (self._copies / f"Pulumi.{stack}.yaml").exists():
            place = ["--non-interactive", "-C", self._copies]
            known = json.loads(run(["pulumi", "stack", "ls", "--json", *place], env=self.environment(stack)))
            verb = "select" if any(s["name"].rsplit("/", 1)[-1] == stack for s in known) else "init"
            run(["pulumi", "stack", verb, stack, *place], env=self.environment(stack))
        return self.working_copy(stack)

    def pulumi(self, command: str, stack: str, *options: str) -> None:
        """Run a Pulumi command on a stack, with its output on the terminal. Raises LocalError when it fails."""
        words = self._words(command, stack, *options)
        say(f"  $ {' '.join(words)}")
        if attend(subprocess.Popen(words, cwd=ROOT, env=self.environment(stack))) != 0:
            raise LocalError(f"pulumi {command} of {stack} failed: the messages above say why. It can be run again")

    def capture(self, command: str, stack: str, *options: str) -> str:
        """Run a Pulumi command on a stack and return what it prints. Raises LocalError with that when it fails."""
        return run(self._words(command, stack, *options), cwd=ROOT, env=self.environment(stack))

    def look(self, command: Sequence[str], stack: str) -> Preview:
        """Run one of the engine's commands that change nothing (preview.engine) and return what its events tell."""
        copy = self.prepare(stack)
        self._release_dead_lock(stack)
        return engine.look(command, stack, ["--config-file", str(copy)], self.environment(stack))

    def _words(self, command: str, stack: str, *options: str) -> list[str]:
        copy = self.prepare(stack)
        self._release_dead_lock(stack)
        return ["pulumi", command, "--stack", stack, "--config-file", str(copy), "--suppress-permalink=true", *options]

    def up(self, stack: str) -> bool:
        """Apply a stack, if the policy pack has nothing against it; return whether anything changed."""
        self.pulumi("up", stack, "--yes", *policy_options(stack))
        words = ["pulumi", "stack", "history", "--stack", stack, "--json", "--page-size", "1"]
        last = json.loads(run(words, cwd=ROOT, env=self.environment(stack)))[0]
        return any(count for kind, count in last["resourceChanges"].items() if kind != "same")

    def outputs(self, stack: str) -> dict[str, Any]:
        """The stack's outputs, secrets in the clear: for use, not for show."""
        words = ["pulumi", "stack", "output", "--stack", stack, "--json", "--show-secrets"]
        return json.loads(run(words, cwd=ROOT, env=self.environment(stack)))

    def _release_dead_lock(self, stack: str) -> None:
        """Release the file backend's lock on a stack when the process that took it is gone from this machine."""
        for file in (self.state / "pulumi" / ".pulumi" / "locks" / "organization" / NAME / stack).glob("*.json"):
            holder = json.loads(file.read_text())
            if holder.get("hostname") == socket.gethostname() and not Path(f"/proc/{holder.get('pid')}").exists():
                warn(f"{stack}: process {holder.get('pid')} was interrupted and left its lock: released")
                file.unlink()
