"""The stack files of examples/: each is valid, builds its stack, breaks no rule, and is in the index."""

from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from policies.pack import judge
from stacks import cluster, environment
from stacks.bounds import configured, of_cluster
from stacks.settings import ROOT, ClusterSettings, EnvironmentSettings, load_file, schema
from tests.policy.examples import stack_of
from tests.unit import building
from tests.unit.recording import Recording, record
from tests.unit.test_stacks import KUBECONFIG, export, reference

HERE = ROOT / "examples" / "stacks"
FILES = sorted(HERE.glob("*.yaml"))


def built(file: Path) -> tuple[str, Recording]:
    """The stack whose rules hold for an example, and what it asks the engine for."""
    settings = load_file(file)
    if isinstance(settings, ClusterSettings):
        with_server = settings.model_copy(update={"server": building.SERVER})
        return "cluster", record(lambda: export(cluster.build(with_server)), building.TOKEN)
    known = reference({settings.environment: KUBECONFIG})
    known["random:index/randomId:RandomId"]["hex"] = building.LEASES
    with mock.patch.object(environment, "log_image", return_value="registry.example/fluentd:1.0"):
        return settings.environment, record(lambda: export(environment.build(settings)), known)


def rules_broken(file: Path) -> list[str]:
    """The rules that an example breaks, or that cannot judge it."""
    stack, recording = built(file)
    said, settings = configured(stack), load_file(file)
    if isinstance(settings, ClusterSettings):  # it has one environment more than the stack of this project
        said = said.with_bounds(of_cluster(settings.environments))
    of = stack_of(recording.resources)
    return [finding.rule for finding in judge(of, said)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_is_built_and_breaks_no_rule(file: Path) -> None:
    assert rules_broken(file) == []


def test_an_example_with_a_mistake_would_be_found(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text((HERE / "small-dev.yaml").read_text().replace("orders:1.0", "orders:latest"))
    assert set(rules_broken(bad)) == {"image-pinned"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_names_its_purpose_and_the_schema(file: Path) -> None:
    schema, intent, *_ = file.read_text().splitlines()
    assert schema == "# yaml-language-server: $schema=../../stacks/schema.json"
    assert intent.startswith("# ")


def test_the_index_names_every_example() -> None:
    index = (HERE / "README.md").read_text()
    assert [file.name for file in FILES if f"[{file.name}]({file.name})" not in index] == []


def test_there_is_an_example_for_each_destination_of_logs() -> None:
    definitions: Any = schema()["$defs"]
    kinds = list(definitions["DestinationSettings"]["properties"])
    assert len(kinds) > 5
    for kind in kinds:
        settings = load_file(HERE / f"logs-to-{kind}.yaml")
        assert isinstance(settings, EnvironmentSettings)
        assert [each.model_fields_set for each in settings.logging.destinations.values()] == [{kind}]
