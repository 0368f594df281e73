"""The commands of the pull-request check: python -m cli.preview COMMAND."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from cli.preview.events import Preview, plain
from components.secrets.mask import masked
from console.paths import ROOT
from console.progress import LocalError, say
from policies.pack import PolicyConfigError
from stacks.settings import SettingsError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cli.preview", description="What a change would do to a stack.")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, text: str, *, stack: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text)
        if stack:
            command.add_argument("stack")
        return command

    stacks = add("stacks", "print the stacks, or those that a change touches, as a JSON list", stack=False)
    stacks.add_argument("--changed-files", help="a file with paths, one a line; - is the standard input")
    stacks.add_argument("--only", default="", help="a JSON list of stacks; empty: all that have a file")
    prepare = add("prepare", "get the tools and build the jar; needs no secret")
    prepare.add_argument("--path", type=Path, help="a file to add the tools' directory to, such as $GITHUB_PATH")
    add("preflight", "check what a preview needs")
    run = add("run", "preview a stack and tell it as Markdown; fails where the change is refused")
    for command in (stacks, run):
        command.add_argument(
            "--checkout",
            type=Path,
            help="of the change, with `prepare` done there and the tools on PATH: this one judges",
        )
    drift = add("drift", "compare a stack with its cluster; fails where they differ")
    for command in (prepare, run, drift):
        command.add_argument("--comment", type=Path, help="write the Markdown here too, short enough for GitHub")
    post = add("post", "put a stack's comment on the pull request")
    post.add_argument("--comment", type=Path, required=True)
    return parser


def _with_tools(directory: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}


def _prepare(arguments: argparse.Namespace) -> None:
    from cli.preview.prepare import prepare

    directory = prepare(arguments.stack)
    if arguments.path:
        with arguments.path.open("a", encoding="utf-8") as file:
            file.write(f"{directory}\n")


def _look(arguments: argparse.Namespace) -> Preview:
    from cli.preview import engine
    from cli.preview.prepare import prepare

    if arguments.command == "run" and arguments.checkout:
        root, environment = arguments.checkout.resolve(), dict(os.environ)
    else:
        root, environment = ROOT, _with_tools(prepare(arguments.stack))
    command = engine.PREVIEW if arguments.command == "run" else engine.DRIFT
    with tempfile.TemporaryDirectory() as scratch:  # Pulumi writes to the file that it is given
        copy = shutil.copy(root / "stacks" / f"Pulumi.{arguments.stack}.yaml", scratch)
        options = engine.options(command, arguments.stack, Path(copy))
        return engine.look(command, arguments.stack, options, {**engine.SALT_OF_STATE, **environment}, root)


def _tell(arguments: argparse.Namespace) -> int:
    """Do what ends in a comment, and tell how it ended: what is wrong is read where the engine's errors are."""
    from cli.preview.comment import comment, refusals

    try:
        if arguments.command == "prepare":
            _prepare(arguments)
            return 0
        found = _look(arguments)
    except (LocalError, SettingsError, PolicyConfigError) as error:
        found = Preview(errors=(plain(str(error)),), result="failed")
    title = "Drift" if arguments.command == "drift" else "Preview"
    say(comment(found, arguments.stack, limit=None, what=title))
    if arguments.comment:
        arguments.comment.write_text(comment(found, arguments.stack, what=title), encoding="utf-8")
    return 1 if refusals(found) else 0


def _posted(stack: str, file: Path) -> str:
    """The comment with the commit that it is of: it stays when a later commit has no preview."""
    from cli.preview.comment import failed

    text = file.read_text(encoding="utf-8") if file.exists() else failed(stack)
    commit = os.environ.get("HEAD_COMMIT")
    return f"{text}\nOf commit {commit}.\n" if commit else text


def _run(arguments: argparse.Namespace) -> int:
    # Imported here so that --help and bad arguments answer at once.
    match arguments.command:
        case "stacks":
            from cli.preview.stacks import among, touched

            source, root = arguments.changed_files, (arguments.checkout or ROOT).resolve()
            text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8") if source else ""
            say(json.dumps(touched(root, text.splitlines()) if source else among(root, arguments.only)))
        case "preflight":
            from cli.preview import engine, preflight
            from local.tools import client_tools, ensure_tools

            environment = {**engine.SALT_OF_STATE, **_with_tools(ensure_tools(client_tools())[0])}
            if more := preflight.check(arguments.stack, environment):
                say(f"::warning title=Secrets of others::{more}" if os.environ.get("GITHUB_ACTIONS") else more)
            say(f"{arguments.stack}: nothing is missing for its preview")
        case "post":
            from cli.preview import github

            say(github.from_environment().put(arguments.stack, _posted(arguments.stack, arguments.comment)))
        case _:
            return _tell(arguments)
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
