"""Asks JobManagers for their job; the words in which Flink and the state record say that it ended."""

from collections.abc import Callable

from components.flink.directories import SCRIPTS_DIR

ENDED_STATES = ("FINISHED", "CANCELED")  # Flink's words; one that failed is started again
STAYS_ENDED = "the job ended"  # how the state record begins to say so, once Flink has forgotten the job

_SAYS = "the job does not run: "  # how ready.sh begins


def why_not(kubectl: Callable[..., str], pod: str) -> str:
    """Ask a JobManager why its job does not run; the answer is empty while the job runs.

    `kubectl` runs a command and returns its output. The answer is the job's state, then a semicolon and a blank, then
    the state record's reason.
    """
    script = f"bash {SCRIPTS_DIR}/ready.sh || :"
    said = kubectl("exec", pod, "--container", "jobmanager", "--", "bash", "-c", script)
    return said.strip().removeprefix(_SAYS)
