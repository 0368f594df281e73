"""Running the engine for its events: its own display goes to a file, of which the end is shown if there are none."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cli.preview.events import Preview, parse, plain
from console.paths import ROOT
from console.progress import attend, step
from stacks.bounds import policy_options

TAIL = 25  # lines of the engine's display

# What opens a stack's secrets is in its state too: Pulumi need not have written it into the stack's file.
SALT_OF_STATE = {"PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true"}

PREVIEW = ("preview",)
DRIFT = ("refresh", "--preview-only", "--expect-no-changes")


def look(
    command: Sequence[str], stack: str, options: Sequence[str], environment: Mapping[str, str], checkout: Path = ROOT
) -> Preview:
    """Run PREVIEW or DRIFT on a stack, neither of which changes anything; return what the engine's events tell.

    The program is that of `checkout`, the policy pack with its configuration always this one's.
    """
    with tempfile.TemporaryDirectory(prefix="preview-") as scratch, step(f"{command[0]} of {stack}"):
        events, display = Path(scratch) / "events", Path(scratch) / "display"
        checks = policy_options(stack) if command == PREVIEW else []
        words = [
            "pulumi",
            *command,
            "--stack",
            stack,
            "--non-interactive",
            *options,
            *checks,
            "--event-log",
            str(events),
        ]
        with display.open("wb") as out:
            # The flag for the event log is there only in this mode.
            env = {**environment, "PULUMI_DEBUG_COMMANDS": "true", "PULUMI_SKIP_UPDATE_CHECK": "true"}
            child = subprocess.Popen(words, cwd=checkout, env=env, stdout=out, stderr=subprocess.STDOUT)
            code = attend(child)
        found = Preview()
        if events.exists():
            with events.open(encoding="utf-8") as lines:
                found = parse(lines)
        if code == 0 and found.result:
            return found
        explained = found.errors or found.violations or any(each.op != "create" for each in found.steps)
        said = () if explained else (plain("\n".join(display.read_text(errors="replace").splitlines()[-TAIL:])),)
        return replace(found, result="failed", errors=(*found.errors, *said))
