"""Flink clusters on the real node, once through each scenario that `bench/` repeats and measures."""

import sys
from pathlib import Path

from local.paths import ROOT
from local.platform import Target
from local.progress import run


def test_nothing_is_lost_and_no_survivor_restarts_when_processes_die_or_stand_still(
    target: Target, tmp_path: Path
) -> None:
    """A TaskManager and the leading JobManager are killed; a TaskManager that pauses for 2 s goes unnoticed."""
    harness = [sys.executable, "-m", "bench.rescale", "--name", target.name, "--settings", "ours", "--repeat", "1"]
    events = ["--events", "process-killed", "jobmanager-killed", "--pause", "2"]
    run([*harness, *events, "--rate", "500", "--out", tmp_path], cwd=ROOT)


def test_an_upgrade_takes_effect_and_keeps_state_even_if_it_is_killed_half_way(target: Target) -> None:
    run([sys.executable, "-m", "bench.upgrades", "--name", target.name, "--upgrades", "1"], cwd=ROOT)
