"""The settings of the ZooKeeper ensemble."""

from typing import Annotated

from pydantic import AfterValidator, Field

from components.settings import Cores, Section, Storage


def _odd(members: int) -> int:
    """The number of members. Raises ValueError for an even one, which survives no more failures than one less."""
    if members % 2 == 0:
        raise ValueError(
            f"{members} is even, and survives no more failures than {members - 1}: "
            f"use an odd number from 1 to 7, such as {members + 1 if members < 7 else 7}"
        )
    return members


class ZooKeeperSettings(Section):
    """The ZooKeeper ensemble, in which Flink's JobManagers elect their leader."""

    members: Annotated[int, Field(ge=1, le=7), AfterValidator(_odd)] = 3
    """Number of members. It must be odd: an even number survives no more failures than the odd one below it."""
    memory_mib: Annotated[int, Field(ge=192, le=65536)] = 512
    """Memory limit of a member, in MiB; half of it is heap."""
    cpu: Cores = 0.1
    """CPU request of a member, in cores."""
    storage_mib: Annotated[Storage, Field(ge=512)] = 2048
    """Claim of a member, in MiB. Three snapshots are kept, and each transaction log takes 64 MiB (preAllocSize)."""
