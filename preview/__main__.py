"""The commands of the pull-request check: python -m preview COMMAND."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from components.secrets.mask import masked
from local.paths import ROOT
from local.progress import LocalError, say
from policies.pack import PolicyConfigError
from preview.events import Preview, plain
from stacks.settings import EnvironmentSettings, SettingsError, load_file, stack_file


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m preview", description="What a change would do to a stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    stacks = commands.add_parser("stacks", help="print the stacks that a change touches, as a JSON list")
    stacks.add_argument("--changed-files", help="a file with paths, one a line; - is the standard input")
    commands.add_parser("preflight", help="check what a preview needs").add_argument("stack")
    for name, text in {
        "run": "preview a stack and tell it as Markdown; fails where the change is refused",
        "drift": "compare a stack with its cluster; fails where they differ",
    }.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("stack")
        command.add_argument("--comment", type=Path, help="write the Markdown here too, short enough for GitHub")
    post = commands.add_parser("post", help="put a stack's comment on the pull request")
    post.add_argument("stack")
    post.add_argument("--comment", type=Path, required=True)
    return parser


def _environment() -> dict[str, str]:
    from local.tools import client_tools, ensure_tools
    from preview.engine import SALT_OF_STATE

    directory, _ = ensure_tools(client_tools())
    return {**SALT_OF_STATE, **os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}


def _look(arguments: argparse.Namespace) -> int:
    from local.platform import build_jars
    from preview import engine
    from preview.comment import comment, refusals

    file = stack_file(arguments.stack)
    command, title = (engine.PREVIEW, "Preview") if arguments.command == "run" else (engine.DRIFT, "Drift")
    try:
        settings = load_file(file)
        if isinstance(settings, EnvironmentSettings):
            build_jars(settings)  # the names of job images follow from the jars
        with tempfile.TemporaryDirectory() as scratch:  # Pulumi writes to the file that it is given
            copy = shutil.copy(file, scratch)
            found = engine.look(command, arguments.stack, ["--config-file", copy], _environment())
    except (LocalError, SettingsError, PolicyConfigError) as error:
        found = Preview(errors=(plain(str(error)),), result="failed")  # to be read where the others are
    say(comment(found, arguments.stack, limit=None, what=title))
    if arguments.comment:
        arguments.comment.write_text(comment(found, arguments.stack, what=title), encoding="utf-8")
    return 1 if refusals(found) else 0


def _posted(stack: str, file: Path) -> str:
    """The comment with the commit that it is of: it stays when a later commit has no preview."""
    from preview.comment import failed

    text = file.read_text(encoding="utf-8") if file.exists() else failed(stack)
    commit = os.environ.get("HEAD_COMMIT")
    return f"{text}\nOf commit {commit}.\n" if commit else text


def _run(arguments: argparse.Namespace) -> int:
    # Imported here so that --help and bad arguments answer at once.
    match arguments.command:
        case "stacks":
            from preview.stacks import kinds, touched

            source = arguments.changed_files
            text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8") if source else ""
            say(json.dumps(touched(ROOT, text.splitlines()) if source else list(kinds(ROOT))))
        case "preflight":
            from preview import preflight

            preflight.check(arguments.stack, _environment())
            say(f"{arguments.stack}: all that its preview needs is there")
        case "post":
            from preview import github

            say(github.from_environment().put(arguments.stack, _posted(arguments.stack, arguments.comment)))
        case _:
            return _look(arguments)
    return 0


def main() -> int:
    """Run one command; what the user can act on is one message, without a traceback."""
    arguments = _parser().parse_args()
    try:
        return _run(arguments)
    except (LocalError, SettingsError, PolicyConfigError) as error:
        print(f"preview {arguments.command}: {masked(str(error))}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
