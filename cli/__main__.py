"""The commands behind the Makefile: python -m cli COMMAND."""

import argparse
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from components.kafka.admin import KafkaUnreachableError
from components.secrets.mask import masked
from console.progress import LocalError, Terminated, say
from policies.pack import PolicyConfigError
from stacks.settings import SettingsError

if TYPE_CHECKING:
    from cli.platform import Target


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cli", description="Brings the streaming platform up on a cluster.")
    parser.add_argument("--name", default="local", help="name of the local cluster")
    parser.add_argument("--context", default="", help="kube context of a cluster that exists; empty: the local one")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in {
        "up": "tools, local Kubernetes, stacks, proof",
        "prove": "10,000 records through the platform",
        "status": "what runs",
        "dashboard": "a page with the figures of Prometheus",
        "jars": "build the project's Java",
        "images": "pull or build the images",
        "checksums": "record the checksums of downloads",
        "env": "print the export lines for pulumi and kubectl",
    }.items():
        commands.add_parser(name, help=text)
    for name in ("preview", "destroy", "refresh"):
        commands.add_parser(name, help=f"{name} of a stack").add_argument("stack")
    access = commands.add_parser("kubeconfig", help="kubeconfig of a stack")
    access.add_argument("stack", help="a stack; with --role also: all")
    access.add_argument("--role", default="", help="a role of the environment; empty: the stack's deployer")
    access.add_argument("--hours", type=int, default=8, help="how long a role's token is valid")
    commands.add_parser("down", help="stop the local cluster").add_argument("--data", choices=["keep", "delete"])
    commands.add_parser("test", help="run the tests").add_argument("level", nargs="?", default="")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    # Imported here so that --help and bad arguments answer at once.
    from cli import dashboard, platform, prove, status, testing

    target = platform.Target(arguments.name, arguments.context)
    match arguments.command:
        case "up":
            with platform.alone(target, "make up"):
                proved = prove.forget_proof(target)
                changed = platform.up(target)
                prove.after_up(target, proved=proved and not changed)
                status.show(target, compare=False)  # it just was
        case "prove":
            prove.prove(target)
        case "status":
            status.show(target)
        case "dashboard":
            dashboard.show(target)
        case "jars" | "images" | "checksums":
            _prepare(arguments.command)
        case "preview":
            platform.preview(target, arguments.stack)
        case "refresh" | "destroy":
            with platform.alone(target, f"make {arguments.command}"):
                platform.workspace(target).pulumi(arguments.command, arguments.stack, "--yes")
        case "down":
            if arguments.context:
                raise LocalError("CONTEXT goes with make destroy STACK=...: make down is for the local cluster only")
            platform.down(target, arguments.data)
        case "kubeconfig":
            say(f"export KUBECONFIG={shlex.quote(str(_kubeconfig(target, arguments)))}")
        case "env":
            say("\n".join(platform.export_lines(target)))
        case _:
            return testing.run_tests(target, arguments.level)
    return 0


def _kubeconfig(target: "Target", arguments: argparse.Namespace) -> Path:
    """The file that the command `kubeconfig` names."""
    from cli import access, platform

    if arguments.role:
        return access.role_kubeconfig(target, arguments.stack, arguments.role, arguments.hours)
    return platform.deployer_kubeconfig(target, arguments.stack)


def _prepare(command: str) -> None:
    """Run a command that is about no platform: it makes or records what platforms are made of."""
    from cli import platform
    from cli.pulumi import environment_settings, stack_file
    from local import jars, tools

    match command:
        case "jars":
            jars.build_all()
        case "images":
            platform.tell_ways({}, platform.get_images(environment_settings(stack_file("dev")), public=True))
        case _:
            tools.record_checksums()


def _stop(_signal: int, _frame: object) -> None:
    raise Terminated


def main() -> int:
    """Run one command; what the user can act on is one message, without a traceback."""
    arguments = _parser().parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        return _run(arguments)
    except (LocalError, SettingsError, PolicyConfigError, KafkaUnreachableError, KafkaException) as error:
        print(f"\n{Path(sys.argv[0]).parent.name} {arguments.command}: {masked(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: the same command can simply be run again", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
