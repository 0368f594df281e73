"""Check with a real fluentd what a stack's settings make of its configuration: python -m cli.fluentd STACK.

Where no fluentd with the plug-ins is on PATH, `--image` names one that docker or podman runs.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from components.flink.directories import LOG_DIR
from components.logging.files import LogFiles
from components.logging.fluentd import fluentd_configuration, positions_script
from components.logging.settings import LoggingSettings
from console.progress import LocalError, say
from stacks.settings import EnvironmentSettings, SettingsError, load_file, stack_file


def render(settings: LoggingSettings, files: LogFiles, place: Path, *, kafka: str = "kafka:9092") -> list[str]:
    """Write what fluentd reads into a directory; return its command line."""
    state, volumes = str(place / "state"), {name: str(place / "out") for name in settings.destinations}
    (place / "fluent.conf").write_text(
        fluentd_configuration(settings, files, kafka=kafka, state=state, volumes=volumes), encoding="utf-8"
    )
    (place / "positions.rb").write_text(positions_script(files, state), encoding="utf-8")
    return ["fluentd", "-r", str(place / "positions.rb"), "-c", str(place / "fluent.conf")]


def dry_run(settings: LoggingSettings, files: LogFiles, place: Path, image: str = "") -> str:
    """Return what fluentd says of the configuration of these settings. Raises LocalError where it refuses it."""
    command = [*render(settings, files, place), "--dry-run"]
    names = re.findall(r"ENV\['(\w+)'\]", (place / "fluent.conf").read_text(encoding="utf-8"))
    given = dict.fromkeys(names, "x")  # the sidecar's variables, secrets among them: what they hold does not matter
    if image:
        engine = shutil.which("docker") or shutil.which("podman")
        if engine is None:
            raise LocalError("neither docker nor podman is on PATH: install one of them to run the image")
        words = [word for name, value in given.items() for word in ("-e", f"{name}={value}")]
        place.chmod(0o777)  # the image's user is another one
        command = [engine, "run", "--rm", "-v", f"{place}:{place}", *words, image, *command]
    elif shutil.which("fluentd") is None:
        raise LocalError("fluentd is not on PATH: install it with the gems of images/fluentd, or name an --image")
    done = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode != 0 or "[error]" in said:
        raise LocalError(f"fluentd refuses the configuration (exit code {done.returncode}):\n{said.strip()}")
    return said


def main() -> int:
    """Check one stack's; one line says that fluentd takes it, or what it says instead."""
    parser = argparse.ArgumentParser(prog="python -m cli.fluentd", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("stack")
    parser.add_argument("--image", default="", help="an image of fluentd with the plug-ins, for docker or podman")
    arguments = parser.parse_args()
    try:
        settings = load_file(stack_file(arguments.stack))
        if not isinstance(settings, EnvironmentSettings) or settings.logging.agent != "fluentd":
            raise LocalError(f"{arguments.stack}: its settings do not ship logs by fluentd")
        with tempfile.TemporaryDirectory() as place:
            files = LogFiles(volume="log", directory=LOG_DIR, gcs=("*.gc",))
            dry_run(settings.logging, files, Path(place), arguments.image)
    except (LocalError, SettingsError) as error:
        print(f"fluentd: {error}", file=sys.stderr)
        return 1
    say(f"{arguments.stack}: fluentd accepts its configuration")
    return 0


if __name__ == "__main__":
    sys.exit(main())
