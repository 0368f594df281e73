"""The command line and the exit code of a harness."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaException

from components.kafka.admin import KafkaUnreachableError
from console.progress import LocalError, Terminated, say
from stacks.settings import SettingsError


def program(name: str, run: Callable[[], int]) -> int:
    """Run it, and return its exit code; what the user can act on is one message, without a traceback.

    A harness that is asked to end cleans up first.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        return run()
    except (LocalError, SettingsError, KafkaUnreachableError, KafkaException) as error:
        print(f"\n{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: the cluster was taken away again", file=sys.stderr)
        return 130


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which platform: `name` and `context`."""
    parser.add_argument("--name", default="local", help="name of the local cluster (default: local)")
    parser.add_argument("--context", default="", help="kube context of a cluster that exists; empty: the local one")


def positive(text: str) -> int:
    """Return a number above 0, for argparse."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number above 0")
    return int(text)


def verdict(problems: Sequence[str]) -> int:
    """Tell what is not right; return the exit code."""
    for problem in problems:
        say(f"  NOT RIGHT: {problem}")
    return 1 if problems else 0


def _stop(_signal: int, _frame: object) -> None:
    raise Terminated
