"""What users may not name in pods is what the platform's own pods have."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from components.flink.cluster import FlinkCluster
from components.flink.pod_settings import PATHS, VARIABLES, VOLUMES, PodSettings
from components.logging.settings import LoggingSettings
from components.logging.sidecar import LogSidecar
from tests.unit import building
from tests.unit.recording import Recording, record

KINDS: list[dict[str, Any]] = [
    {},
    {"highAvailability": "kubernetes"},
    {"s3": {"path": "s3://checkpoints"}},
    {"taskManagers": {"stateDirectory": {"hostPath": "/mnt"}}, "jobManager": {"savepointOnStop": True}},
]


def shipping(agent: str) -> Recording:
    """A cluster whose logs go somewhere, by a sidecar."""
    settings = LoggingSettings.model_validate({"agent": agent})

    def build() -> FlinkCluster:
        sidecar = LogSidecar("claims-logs", building.log_sidecar_args(settings))
        return FlinkCluster("claims", replace(building.flink_args(), additions=sidecar.additions))

    return record(build)


def pods(recording: Recording) -> list[dict[str, Any]]:
    return [each.inputs["spec"]["template"]["spec"] for each in recording.all("Deployment")]


@pytest.mark.parametrize("kind", [*KINDS, "fluentd", "opentelemetryCollector"])
def test_names_in_use_by_the_platforms_pods_are_refused(kind: Any) -> None:
    made = shipping(kind) if isinstance(kind, str) else building.flink(**kind)
    assert len(pods(made)) == 2
    for pod in pods(made):
        assert {each["name"] for each in pod["volumes"]} <= {*VOLUMES}
        (main,) = pod["containers"]
        assert {each["name"] for each in main["env"]} <= VARIABLES.keys()
        assert {each["mountPath"] for each in main["volumeMounts"]} <= {*PATHS}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_of_the_platform_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"'{name}' is taken by the platform"):
        PodSettings.model_validate({"env": ({"name": name, "value": "x"},)})


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_the_platform_and_those_above_are_refused(path: str) -> None:
    above = path.rpartition("/")[0] or "/"
    for taken in (path, f"{path}/", above):
        with pytest.raises(ValidationError, match="would hide the platform's"):
            PodSettings.model_validate({"volumeMounts": ({"name": "log", "mountPath": taken},)})
    PodSettings.model_validate({"volumeMounts": ({"name": "log", "mountPath": f"{path}/mine"},)})
