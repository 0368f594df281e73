"""The shard of each scrape job, by rendezvous hashing.

Each pair of a job and a shard has a weight, and a job belongs to the shard for which its weight is the largest. One
more shard takes jobs from the others, and moves none between them.
"""

import hashlib
from collections.abc import Iterable


def shard_of(job: str, shards: int) -> int:
    """The shard, from 0, that scrapes a job. Raises ValueError where there is none."""
    if shards < 1:
        raise ValueError(f"{shards} shards cannot scrape {job}: there must be one at least")
    return max(range(shards), key=lambda shard: _weight(job, shard))


def shared_out(jobs: Iterable[str], shards: int) -> list[list[str]]:
    """The jobs of each shard, in the order in which they were given."""
    found: list[list[str]] = [[] for _ in range(shards)]
    for job in jobs:
        found[shard_of(job, shards)].append(job)
    return found


def _weight(job: str, shard: int) -> bytes:
    # Python's own hash() is another in each process.
    return hashlib.sha256(f"{shard}/{job}".encode()).digest()
