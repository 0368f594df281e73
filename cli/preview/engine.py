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


def options(command: Sequence[str], stack: str, settings: Path) -> list[str]:
    """Return the options for PREVIEW or DRIFT of a stack: the file of its settings and, for a preview, its policies."""
    return ["--config-file", str(settings), *(policy_options(stack) if command == PREVIEW else [])]


def look(
    command: Sequence[str], stack: str, words: Sequence[str], environment: Mapping[str, str], checkout: Path = ROOT
) -> Preview:
    """Run PREVIEW or DRIFT on a stack, neither of which changes anything; return what the engine's events tell.

    `words` are its options; the program is that of `checkout`.
    """
    with tempfile.TemporaryDirectory(prefix="preview-") as scratch, step(f"{command[0]} of {stack}"):
        events, display = Path(scratch) / "events", Path(scratch) / "display"
        line = ["pulumi", *command, "--stack", stack, "--non-interactive", *words, "--event-log", str(events)]
        with display.open("wb") as out:
            # The flag for the event log is there only in this mode.
            env = {**environment, "PULUMI_DEBUG_COMMANDS": "true", "PULUMI_SKIP_UPDATE_CHECK": "true"}
            child = subprocess.Popen(line, cwd=checkout, env=env, stdout=out, stderr=subprocess.STDOUT)
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
