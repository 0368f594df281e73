"""Programs that use the library: each comes up beside the platform, with its own Pulumi state, and goes again."""

import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from confluent_kafka.admin import AdminClient

from cli import job, prove
from cli.kube import Kube
from cli.platform import Target
from cli.pulumi import Workspace
from components.kafka.admin import forward
from console.paths import ROOT
from console.progress import run
from local.tools import ensure_tools, yaml_host
from stacks.settings import STATE_RECORD, flink_image, read_file
from tests.waiting import eventually

PULUMI_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Program:
    """A copy of a program, outside of the checkout, with a backend and a passphrase of its own."""

    directory: Path
    bin: Path
    host: Path | None = None  # where the language host is, if it is not Python's

    def pulumi(self, *words: str, stdin: str | None = None) -> str:
        """Run pulumi in the program's directory and return what it prints. Raises LocalError with that if it fails."""
        environment = {
            **os.environ,
            "PATH": ":".join(map(str, filter(None, [self.host, self.bin, os.environ["PATH"]]))),
            "PULUMI_BACKEND_URL": f"file://{self.directory}",
            "PULUMI_CONFIG_PASSPHRASE": "of this test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONPATH": str(ROOT),  # where `components` is, which is not installed in the virtual environment
            "KUBECONFIG": os.devnull,
        }
        words = ("pulumi", "--non-interactive", *words)
        return run(words, cwd=self.directory, env=environment, stdin=stdin, timeout=PULUMI_SECONDS)


def topics_of(target: Target) -> set[str]:
    """The names of the topics in the platform's Kafka."""
    at, settings = prove.kube(target)
    with forward(prove.connection_of(settings), at.kubeconfig.read_text()) as bootstrap:
        return set(AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=30).topics)


@contextmanager
def brought_up(made: Program, target: Target) -> Generator[Program]:
    """A program's stack `dev`, with the deployer's kubeconfig; what it makes goes with the test."""
    at, _ = prove.kube(target)
    made.pulumi("stack", "init", "dev")
    made.pulumi("config", "set", "--secret", "kubeconfig", stdin=at.kubeconfig.read_text())
    try:
        yield made
    finally:
        made.pulumi("destroy", "--yes")


@pytest.fixture
def python(work: Workspace, target: Target, tmp_path: Path) -> Generator[Program]:
    """The example program, told of the platform."""
    made = Program(directory=tmp_path / "program", bin=work.bin)
    shutil.copytree(ROOT / "examples" / "program", made.directory)
    (made.directory / ".venv").symlink_to(ROOT / ".venv")
    _, settings = prove.kube(target)
    file = made.directory / "Pulumi.dev.yaml"
    document = read_file(file)
    document["config"]["orders:kafkaAdminPort"] = settings.kafka.admin_port
    document["config"]["orders:stateRecord"] = str(STATE_RECORD)
    document["config"]["orders:cluster"]["image"] = flink_image(settings, prove.CLUSTER)
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    with brought_up(made, target) as ready:
        yield ready


@pytest.fixture
def other_language(work: Workspace, target: Target, tmp_path: Path) -> Generator[Program]:
    """The example in YAML, and a provider whose packages are there: `pulumi install` gets them from a registry."""
    directory, _ = ensure_tools([yaml_host()])
    for name in ("components", "pyproject.toml", "state-record"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "provider", tmp_path / "provider", ignore=shutil.ignore_patterns(".venv"))
    (tmp_path / "provider" / ".venv").symlink_to(ROOT / ".venv")
    made = Program(directory=tmp_path / "examples" / "yaml", bin=work.bin, host=directory)
    shutil.copytree(ROOT / "examples" / "yaml", made.directory)
    at, settings = prove.kube(target)
    with brought_up(made, target) as ready:
        ready.pulumi("config", "set", "--secret", "kubernetes:kubeconfig", stdin=at.kubeconfig.read_text())
        ready.pulumi("config", "set", "image", flink_image(settings, prove.CLUSTER))
        ready.pulumi("config", "set", "adminPort", str(settings.kafka.admin_port))
        yield ready


@pytest.mark.parametrize("language", ["python", "other_language"])
def test_a_program_runs_beside_the_platform_and_is_removed_again(
    language: str, request: pytest.FixtureRequest, target: Target, dev: Kube
) -> None:
    program: Program = request.getfixturevalue(language)
    program.pulumi("up", "--yes")
    assert {"orders", "order-results"} <= topics_of(target)
    assert job.look(dev, "orders").runs
    program.pulumi("preview", "--expect-no-changes")

    program.pulumi("destroy", "--yes")
    assert not {"orders", "order-results"} & topics_of(target)
    kinds = "deployments,hpa,services,configmaps,persistentvolumeclaims,serviceaccounts,pods"
    eventually(
        "nothing is left of the cluster",
        lambda: dev.items(kinds, "-l", "app.kubernetes.io/instance=orders") == [],
        60,
    )
    assert not json.loads(program.pulumi("stack", "export"))["deployment"].get("resources")
