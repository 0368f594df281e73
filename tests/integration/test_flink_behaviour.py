"""Flink clusters on the real node, once through each scenario that `bench/` repeats and measures."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from local.paths import ROOT
from local.platform import Target
from local.progress import run


def test_nothing_is_lost_when_the_leader_dies_and_a_long_pause_goes_unnoticed(target: Target, tmp_path: Path) -> None:
    """The leading JobManager is killed and no survivor restarts; a TaskManager pauses for 2 s and the job runs on."""
    harness = [sys.executable, "-m", "bench.rescale", "--name", target.name, "--settings", "ours", "--repeat", "1"]
    events = ["--events", "jobmanager-killed", "--pause", "2"]
    run([*harness, *events, "--rate", "500", "--out", tmp_path], cwd=ROOT)


def test_upgrades_keep_state_killed_half_way_refused_or_taken_back_to_a_savepoint(target: Target) -> None:
    upgrades(target, "--ways-back")


@pytest.mark.parametrize(
    ("election", "acts"),
    [
        ("zookeeper", ["strangers", "upgrade", "stop", "cancel", "missing", "unreadable", "ensemble-lost"]),
        ("kubernetes", ["stop", "cancel", "job-managers-lost", "other-election", "savepoint-on-stop"]),
    ],
)
def test_a_job_goes_on_from_its_newest_state_whatever_people_do(
    target: Target, election: str, acts: Sequence[str]
) -> None:
    """With the project's defaults; lost, repeated and forgotten claims all show in the results."""
    harness = [sys.executable, "-m", "bench.state", "--name", target.name, "--high-availability", election]
    run([*harness, "--acts", *acts], cwd=ROOT)


def upgrades(target: Target, *words: str) -> None:
    run([sys.executable, "-m", "bench.upgrades", "--name", target.name, "--upgrades", "1", *words], cwd=ROOT)
