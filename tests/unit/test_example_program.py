"""The example program: what it builds from the library alone, and what the policies say to it."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from pulumi.runtime import set_all_config
from pydantic import ValidationError

from console.paths import ROOT
from policies.pack import judge
from stacks.bounds import configured
from stacks.settings import read_file
from tests.policy.examples import stack_of
from tests.unit.recording import Recording, record

PROGRAM = ROOT / "examples" / "program"
# Logs are the example's one omission: they need an image of a log agent.
KNOWN = {"flink-logs-shipped"}


def build(tmp_path: Path, **changed: Any) -> Recording:
    """Run the program with its stack file, some settings changed, as the engine hands them over."""
    record_jar = tmp_path / "state-record.jar"
    record_jar.write_bytes(b"jar")
    config: dict[str, Any] = read_file(PROGRAM / "Pulumi.dev.yaml")["config"]
    own = {key.removeprefix("orders:"): value for key, value in config.items()}
    own |= {"kubeconfig": "apiVersion: v1", "stateRecord": str(record_jar), **changed}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in own.items()}

    def program() -> None:
        # The project of the recorder.
        set_all_config({f"streaming-platform:{key}": value for key, value in texts.items()}, [])
        runpy.run_path(str(PROGRAM), run_name="__main__")

    return record(program)


def test_it_makes_two_topics_a_flink_cluster_and_waits_for_its_job(tmp_path: Path) -> None:
    recording = build(tmp_path)
    topics = {each.name: each for each in recording.all("Topic")}
    assert topics.keys() == {"orders", "order-results"}
    assert {each.inputs["connection"]["namespace"] for each in topics.values()} == {"dev"}
    assert topics["orders"].inputs["config"]["retention.ms"] == "86400000"
    (cluster,) = recording.all("FlinkCluster")
    assert {topic.urn for topic in topics.values()} <= set(cluster.depends_on)
    (job,) = recording.all("RunningJob")
    deployments = {each.urn for each in recording.all("Deployment") if each.parent == cluster.urn}
    assert len(deployments) == 2
    assert deployments <= set(job.depends_on)
    assert len(list(recording.pod_templates())) == 2


def test_its_image_is_that_of_its_settings_and_nothing_is_left_behind(tmp_path: Path) -> None:
    recording = build(tmp_path)
    mains = [each for name, each in recording.containers() if name.endswith(("/jobmanager", "/taskmanager"))]
    assert [each["image"] for each in mains] == ["registry.example/jobs/orders:1.0"] * 2
    assert not any(each.protect or each.retain for each in recording.resources)


def test_the_policies_find_nothing_but_logs_that_are_not_shipped(tmp_path: Path) -> None:
    of = stack_of(build(tmp_path).resources)
    assert {finding.rule for finding in judge(of, configured("dev"))} == KNOWN
    assert len(of.pods) == 2


def test_its_settings_are_checked_by_the_platforms_own_models(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="give exactly one of jar and image"):
        build(tmp_path, cluster={"mainClass": "com.example.Orders"})
    with pytest.raises(ValidationError, match="partitions"):
        build(tmp_path, topics={"orders": {"replicas": 1}})


def test_it_uses_the_library_alone_and_is_short() -> None:
    text = (PROGRAM / "__main__.py").read_text(encoding="utf-8")
    imported = set(re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE))
    assert imported == {"pathlib", "pulumi", "pulumi_kubernetes", "pydantic", "components"}
    assert len(text.splitlines()) <= 65


def test_the_library_installs_with_every_file_that_it_reads(tmp_path: Path) -> None:
    """The wheel has the scripts of the pods, too, and nothing of the project beside `components`."""
    source = tmp_path / "source"
    copied = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "components", "pyproject.toml"]
    listed = subprocess.run(copied, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    build_wheel = "import setuptools.build_meta as backend; print(backend.build_wheel('..'))"
    environment = {**os.environ, "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", build_wheel], cwd=source, check=True, capture_output=True, env=environment)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == files - {"pyproject.toml"}
