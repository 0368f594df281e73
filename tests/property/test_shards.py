"""Rendezvous hashing: each scrape job has one shard, and one more shard takes jobs without moving others."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from components.monitoring.jobs import flink_jobs
from components.monitoring.shards import shard_of, shared_out

NAMES = st.lists(st.text(min_size=1, max_size=40), max_size=60, unique=True)
SHARDS = st.integers(1, 20)


@given(NAMES, SHARDS)
def test_each_job_is_in_exactly_one_shard(jobs: list[str], shards: int) -> None:
    found = shared_out(jobs, shards)
    assert len(found) == shards
    assert Counter(job for own in found for job in own) == Counter(jobs)


@given(NAMES, SHARDS)
def test_one_more_shard_moves_only_what_goes_to_it(jobs: list[str], shards: int) -> None:
    for job in jobs:
        before, after = shard_of(job, shards), shard_of(job, shards + 1)
        assert after in (before, shards)


@given(NAMES, SHARDS)
def test_a_shard_does_not_depend_on_the_other_jobs(jobs: list[str], shards: int) -> None:
    alone = {job: shared_out([job], shards) for job in jobs}
    together = shared_out(sorted(jobs, key=len), shards)
    for job, own in alone.items():
        assert [job in each for each in together] == [job in each for each in own]


def test_the_jobs_of_many_clusters_are_spread() -> None:
    jobs = [job.name for n in range(50) for job in flink_jobs(f"cluster-{n}")]
    sizes = [len(own) for own in shared_out(jobs, 4)]
    # 400 jobs: 100 each on average, and 9 of standard deviation.
    assert min(sizes) > 65
    assert max(sizes) < 135
