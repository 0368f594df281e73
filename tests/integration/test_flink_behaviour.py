"""Flink clusters on the real node, once through each scenario that `bench/` repeats and measures."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cli.platform import Target
from tests.integration.harness import bench


def test_nothing_is_lost_when_the_leader_dies_and_a_long_pause_is_no_failure(target: Target, tmp_path: Path) -> None:
    """The leading JobManager is killed and no survivor restarts; a TaskManager pauses for 2 s and the job runs on."""
    once = ["--settings", "ours", "--repeat", "1", "--rate", "500", "--out", tmp_path]
    bench("rescale", target, *once, "--events", "jobmanager-killed", "--pause", "2")


@pytest.mark.parametrize(
    ("election", "acts"),
    [
        ("zookeeper", ["strangers", "upgrade", "stop", "cancel", "job-managers-lost"]),
        ("kubernetes", ["stop"]),
    ],
)
def test_a_job_resumes_from_its_newest_state_after_any_action(
    target: Target, election: str, acts: Sequence[str]
) -> None:
    """With the project's defaults; lost, repeated and forgotten claims all show in the results."""
    bench("state", target, "--high-availability", election, "--acts", *acts)
