"""Running Pulumi on the project's stacks: backend, passphrase, and what only this platform knows."""

import json
import os
import re
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import runs
from cli.preview import engine
from cli.preview.comment import summary
from cli.preview.events import Preview
from cli.waiting import listing
from cli.watch import Watch, watching
from console.paths import NAME, ROOT, lock, private, state, write
from console.progress import LocalError, run, say, step, warn
from stacks.bounds import policy_options
from stacks.settings import OVERLAY, ClusterSettings, EnvironmentSettings, how_back, load_file, read_file

STACK_FILES = ROOT / "stacks"
_PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE_FILE"
_BACKEND = "PULUMI_BACKEND_URL"
_SALT = re.compile(r"^encryptionsalt:.*\n?", re.MULTILINE)


def stack_file(stack: str) -> Path:
    """The stack's file in the checkout. Raises LocalError that names the stacks there are."""
    path = STACK_FILES / f"Pulumi.{stack}.yaml"
    if not path.exists():
        there = ", ".join(stack_names()) or "none"
        raise LocalError(
            f"STACK={stack}: there is no file {path.name} in {path.parent}; there are: {there}. {how_back(path)}"
        )
    return path


def stack_names() -> list[str]:
    """The stacks that have a file in the checkout."""
    return sorted({path.name.split(".")[1] for path in STACK_FILES.glob("Pulumi.*.yaml")})


def environment_settings(file: Path, over: Mapping[str, Any] | None = None) -> EnvironmentSettings:
    """The validated settings in an environment's stack file, with others over them.

    Raises SettingsError, or LocalError for another kind.
    """
    settings = load_file(file, over)
    if isinstance(settings, ClusterSettings):
        others = [name for name in stack_names() if isinstance(load_file(stack_file(name)), EnvironmentSettings)]
        raise LocalError(f"{file.name}: this stack holds no environment; name one of {', '.join(others) or 'none'}")
    return settings


def _given(name: str) -> str | None:
    """Return the variables of the user's environment. Those that `make env` of another platform has set are left
    out."""
    value = os.environ.get(name)
    return None if value and f"{state('')}/" in value else value


def _passphrase() -> str:
    """The passphrase for a new platform: one for all of this user's, so that a salt in a stack file fits each."""
    shared = state(".passphrase")
    with lock(state(".passphrase.lock")):
        if not shared.exists():
            write(shared, secrets.token_urlsafe(32))
        return shared.read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One platform's Pulumi state. The backend and passphrase of the user's environment take precedence."""

    state: Path
    bin: Path
    kubeconfig: Path  # the administrator's, read by the stack `cluster`
    overlay: Mapping[str, Mapping[str, Any]]  # {stack: settings} that only this machine knows

    @property
    def _copies(self) -> Path:
        return self.state / "stacks"

    def environment(self, stack: str) -> dict[str, str]:
        """The variables that a `pulumi` command needs: the administrator's kubeconfig for the stack `cluster` only."""
        ours = {_BACKEND: _given(_BACKEND) or f"file://{self.state}/pulumi"}
        if "PULUMI_CONFIG_PASSPHRASE" not in os.environ:
            ours[_PASSPHRASE] = _given(_PASSPHRASE) or str(self.state / "passphrase")
        return {
            **engine.SALT_OF_STATE,
            **os.environ,
            **ours,
            OVERLAY: json.dumps(self.overlay),
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "KUBECONFIG": str(self.kubeconfig) if stack == "cluster" else os.devnull,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def settings(self, stack: str) -> EnvironmentSettings:
        """The validated settings of an environment's stack on this platform."""
        return environment_settings(stack_file(stack), self.overlay.get(stack))

    def prepare(self, stack: str) -> Path:
        """Make the stack if there is none, and a copy of its file, to which Pulumi may write; return its path."""
        copy = self._copies / f"{stack}.yaml"
        private(self._copies)
        copy.write_text(self._without_foreign_salt(stack_file(stack)), encoding="utf-8")
        (self.state / "pulumi").mkdir(exist_ok=True)
        passphrase = self.state / "passphrase"
        if not passphrase.exists():
            write(passphrase, _passphrase())
        # `stack init` writes a salt beside this Pulumi.yaml, and not into the checkout. The state has it too.
        (self._copies / "Pulumi.yaml").write_text(f"name: {NAME}\nruntime: python\n")
        place = ["--non-interactive", "-C", self._copies]
        known = json.loads(run(["pulumi", "stack", "ls", "--json", *place], env=self.environment(stack)))
        if not any(each["name"].rsplit("/", 1)[-1] == stack for each in known):
            run(["pulumi", "stack", "init", stack, *place], env=self.environment(stack))
        return copy

    def _without_foreign_salt(self, source: Path) -> str:
        """A stack file's text. A salt of another backend stays out, as it goes with another passphrase."""
        has_secrets = '{"secure": ' in json.dumps(read_file(source))
        text = source.read_text(encoding="utf-8-sig")
        return text if has_secrets or _given(_BACKEND) else _SALT.sub("", text)

    def pulumi(self, command: str, stack: str, *options: str, watch: Watch | None = None) -> None:
        """Run a Pulumi command on a stack, with its output on the terminal. Raises LocalError when it fails.

        It is interrupted where `watch` gives up what it waits for.
        """
        words = self._words(command, stack, *options)
        self._recover(stack)
        say(f"  $ {' '.join(words)}")
        with watching(watch) if watch else nullcontext() as started:
            environment = self.environment(stack)
            code = runs.run(words, state=self.state, stack=stack, environment=environment, started=started)
        if watch and watch.given_up:
            raise LocalError(f"{stack} does not start:\n{listing(watch.given_up)}")
        if code != 0:
            raise LocalError(f"pulumi {command} of {stack} failed: the messages above say why. It can be run again")

    def start(self, command: str, stack: str, *options: str) -> "subprocess.Popen[bytes]":
        """Start a Pulumi command on a stack without its output, for tests that kill it."""
        words = self._words(command, stack, *options)
        self._recover(stack)
        return runs.start(words, state=self.state, stack=stack, environment=self.environment(stack), quiet=True)

    def exported(self, stack: str, *, in_the_clear: bool = True) -> dict[str, Any]:
        """The stack's whole state, with secrets in the clear (for use, not for show) or as they are stored."""
        words = ["pulumi", "stack", "export", "--stack", stack, *(["--show-secrets"] if in_the_clear else [])]
        return json.loads(run(words, cwd=ROOT, env=self.environment(stack)))

    def _recover(self, stack: str) -> None:
        """Clear away what keeps a stack that a run before this one left half-way."""
        runs.recover(self.state, stack)
        self.forget_interrupted(stack)

    def forget_interrupted(self, stack: str) -> None:
        """Forget operations that an interrupted run did not end, of which Pulumi would warn for ever.

        What they made is taken over when it is made again: objects under our one field manager, topics when they are
        as asked for. What they changed or deleted is read from the cluster, as the state has it as it was before: an
        update to just that would change nothing.
        """
        state = self.exported(stack, in_the_clear=False)
        pending = state["deployment"].get("pending_operations")
        if not pending:
            return
        names = sorted(f"{each['type']} {each['resource']['urn'].rsplit('::', 1)[-1]}" for each in pending)
        warn(f"{stack}: interrupted before, and repeated if still requested: {', '.join(names)}")
        there = {each["urn"] for each in state["deployment"]["resources"]}
        if changed := sorted({each["resource"]["urn"] for each in pending} & there):
            targets = [word for urn in changed for word in ("--target", urn)]
            with step(f"{stack}: reading the interrupted changes from the cluster"):
                self.capture("refresh", stack, "--yes", "--clear-pending-creates", *targets)
            state = self.exported(stack, in_the_clear=False)
        state["deployment"].pop("pending_operations", None)
        words = ["pulumi", "stack", "import", "--stack", stack]
        run(words, cwd=ROOT, env=self.environment(stack), stdin=json.dumps(state))

    def capture(self, command: str, stack: str, *options: str) -> str:
        """Run a Pulumi command on a stack and return what it prints. Raises LocalError with that when it fails."""
        return run(self._words(command, stack, *options), cwd=ROOT, env=self.environment(stack))

    def look(self, command: Sequence[str], stack: str) -> Preview:
        """Run one of the engine's commands that change nothing (cli.preview.engine) and return what its events tell."""
        return self._look(command, stack, self.prepare(stack))

    def _look(self, command: Sequence[str], stack: str, copy: Path) -> Preview:
        return engine.look(command, stack, engine.options(command, stack, copy), self.environment(stack))

    def _words(self, command: str, stack: str, *options: str) -> list[str]:
        copy = self.prepare(stack)
        return ["pulumi", command, "--stack", stack, "--config-file", str(copy), "--suppress-permalink=true", *options]

    def previews(self, stacks: Sequence[str]) -> dict[str, Preview]:
        """Preview several stacks side by side: what each would change if none of the others changed."""
        copies = {stack: self._ready(stack) for stack in stacks}
        with ThreadPoolExecutor(len(copies)) as pool:
            found = {stack: pool.submit(self._look, engine.PREVIEW, stack, copy) for stack, copy in copies.items()}
            return {stack: each.result() for stack, each in found.items()}

    def _ready(self, stack: str) -> Path:
        copy = self.prepare(stack)
        self._recover(stack)
        return copy

    def up(self, stack: str, watch: Watch | None = None, found: Preview | None = None) -> bool:
        """Apply a stack, if no policy refuses it; return whether anything changed.

        The preview comes first, unless `found` is one that still holds. Where it finds nothing to change, it is all
        that runs. Where it fails, Pulumi's own preview says why.
        """
        if found is None:
            found = self._look(engine.PREVIEW, stack, self._ready(stack))
        if found.changes_nothing:
            say(f"  {stack}: {summary(found)}")
            return False
        ahead = ["--skip-preview"] if found.result == "succeeded" else []
        self.pulumi("up", stack, "--yes", *ahead, *policy_options(stack), watch=watch)
        words = ["pulumi", "stack", "history", "--stack", stack, "--json", "--page-size", "1"]
        last = json.loads(run(words, cwd=ROOT, env=self.environment(stack)))[0]
        return any(count for kind, count in last["resourceChanges"].items() if kind != "same")

    def outputs(self, stack: str) -> dict[str, Any]:
        """The stack's outputs, secrets in the clear: for use, not for show."""
        words = ["pulumi", "stack", "output", "--stack", stack, "--json", "--show-secrets"]
        return json.loads(run(words, cwd=ROOT, env=self.environment(stack)))
