from dataclasses import replace

import pytest

from bench.autoscaling.samples import Sample, problems

FIRST = Sample(seconds=0, phase="low", load=100, throughput=100, lag=0, cpu=0.1, wanted=1, ready=1, parallelism=1)


def run(*steps: tuple[str, int]) -> list[Sample]:
    """A sample for each phase and number of TaskManagers, all of which the job uses."""
    return [
        replace(FIRST, seconds=n * 100, phase=phase, wanted=number, ready=number, parallelism=number)
        for n, (phase, number) in enumerate(steps)
    ]


def test_a_cluster_that_grows_and_shrinks_one_at_a_time_is_right() -> None:
    steps = [("low", 1), ("high", 1), ("high", 3), ("low again", 3), ("low again", 2), ("low again", 1)]
    assert problems(run(*steps), minimum=1, shrinks=True) == []


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([("low", 1), ("high", 1), ("low again", 1)], "did not make the job use more"),
        ([("low", 1), ("high", 3), ("high", 2), ("low again", 1)], "under load, 3 TaskManagers became 2"),
        ([("low", 1), ("high", 2), ("low again", 1), ("low again", 2), ("low again", 1)], "without load, 1 Task"),
        ([("low", 1), ("high", 3), ("low again", 1)], "2 TaskManagers left at once"),
        ([("low", 1), ("high", 2), ("low again", 2)], "2 TaskManagers were left"),
    ],
)
def test_problems_are_reported(steps: list[tuple[str, int]], said: str) -> None:
    (problem,) = problems(run(*steps), minimum=1, shrinks=True)
    assert said in problem


def test_task_managers_that_the_job_does_not_use_are_no_help() -> None:
    samples = run(("low", 1), ("high", 2), ("high", 3))
    samples[-1] = replace(samples[-1], parallelism=2)
    assert problems(samples, minimum=1, shrinks=False) == ["3 TaskManagers were ready in the end, and the job used 2"]
