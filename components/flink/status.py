"""What JobManagers say of their job, and the words in which Flink and the state record say that it ended."""

from collections.abc import Callable

from components.flink.directories import SCRIPTS_DIR

ENDED_STATES = ("FINISHED", "CANCELED")  # Flink's words; one that failed is started again
STAYS_ENDED = "the job ended"  # how the state record begins to say so, once Flink has forgotten the job

_SAYS = "the job does not run: "  # how ready.sh begins


def why_not(kubectl: Callable[..., str], pod: str) -> str:
    """Why the job does not run, as a JobManager says; empty while it runs. `kubectl` runs a command of the cluster.

    The text is Flink's state of the job, then, behind a semicolon and a blank, the reason of the state record.
    """
    script = f"bash {SCRIPTS_DIR}/ready.sh || :"
    said = kubectl("exec", pod, "--container", "jobmanager", "--", "bash", "-c", script)
    return said.strip().removeprefix(_SAYS)
