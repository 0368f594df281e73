"""The real stacks, as their files say, on mocks."""

from unittest import mock

from stacks import cluster, environment
from stacks.settings import ROOT, ClusterSettings, load_file
from tests.unit import building
from tests.unit.recording import Recording, record
from tests.unit.test_stacks import KUBECONFIG, export, reference


def recorded(name: str) -> Recording:
    """What a stack asks the engine for. The jar that gives a job's image its name need not be there."""
    settings = load_file(ROOT / "stacks" / f"Pulumi.{name}.yaml")
    if isinstance(settings, ClusterSettings):
        with_server = settings.model_copy(update={"server": building.SERVER})
        return record(lambda: export(cluster.build(with_server)), building.TOKEN)
    image = "localhost/streaming-platform/claims:0123456789abcdef"
    with mock.patch.object(environment, "flink_image", return_value=image):
        return record(lambda: export(environment.build(settings)), reference({name: KUBECONFIG}))
