"""The project's own Java, and the agent that runs in Kafka: made with Maven where their sources changed since."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from console.paths import ROOT, cache, lock
from console.progress import LocalError, run, step


@dataclass(frozen=True)
class Module:
    """A Maven project of this checkout: its directory, and what its jar is called."""

    directory: Path
    name: str

    @property
    def jar(self) -> Path:
        return self.directory / "target" / f"{self.name}.jar"


REFERENCE_JOB = Module(ROOT / "jobs", "reference-job")
STATE_RECORD = Module(ROOT / "state-record", "state-record")
METRICS_AGENT = Module(ROOT / "components" / "kafka" / "agent", "metrics-agent")


def build(module: Module) -> None:
    """Build a jar, unless it is there and its sources are those that it was built from. Raises LocalError."""
    digest = hashlib.sha256()
    for path in sorted([module.directory / "pom.xml", *(module.directory / "src").rglob("*.*")]):
        digest.update(path.read_bytes())
    stamp = module.jar.with_suffix(".sources")
    with lock(cache() / ".jobs.lock"):
        if module.jar.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
            return
        if not shutil.which("mvn"):
            raise LocalError(f"mvn: not found on PATH. Building {module.jar.name} needs Java 17 and Maven")
        with step(f"{module.jar.name}: building with Maven"):
            run(["mvn", "-q", "-B", "-f", module.directory / "pom.xml", "-DskipTests", "package"])
        stamp.write_text(digest.hexdigest())


def build_for(clusters: Sequence[str | None]) -> None:
    """Build what an environment runs of this project, where its sources changed since it was built.

    `clusters` has the path of each Flink cluster's jar, and None for a cluster that names an image instead.
    """
    build(METRICS_AGENT)
    if clusters:
        build(STATE_RECORD)
    if REFERENCE_JOB.jar in {ROOT / jar for jar in clusters if jar}:
        build(REFERENCE_JOB)


def build_all() -> None:
    """Build all of it."""
    for module in (STATE_RECORD, METRICS_AGENT, REFERENCE_JOB):
        build(module)
