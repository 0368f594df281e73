"""Kubernetes quantities in the form in which the API server returns them.

The API server rewrites `1024Mi` to `1Gi` and `0.5` to `500m`. Written that way from the start, a refresh finds no
difference where there is none.
"""

import math
import re

_BINARY = ("Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ("m", "", "k", "M", "G")
_UNITS = {
    "": 1,
    **{"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60},
    **{"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18},
}
# The API server would take a sign; of what is written here, nothing is less than nothing.
_QUANTITY = re.compile(
    r"(?P<number>[+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?P<unit>[numkMGTPE]|[KMGTPE]i)?"
)


def mib(mebibytes: int) -> str:
    """The quantity of a whole, non-negative number of MiB, for example 1024 -> `1Gi`."""
    return _canonical(mebibytes, 1024, _BINARY)


def cores(cpus: float) -> str:
    """The quantity of a number of CPU cores, rounded to thousandths, for example 0.5 -> `500m`."""
    return _canonical(round(cpus * 1000), 1000, _DECIMAL)


def thousands(count: int) -> str:
    """The quantity of a plain number, for example 10000 -> `10k`."""
    return _canonical(count * 1000, 1000, _DECIMAL)


def number(quantity: str) -> float:
    """The plain number of a quantity, for example `500m` -> 0.5, `16Gi`, `2`. Raises ValueError for what is none."""
    found = _QUANTITY.fullmatch(quantity)
    if not found:
        raise ValueError(f"{quantity!r} is no quantity such as 512Mi")
    return float(found["number"]) * _UNITS[found["unit"] or ""]


def jemalloc_arenas(cpu_limit: float) -> int:
    """Return the number of arenas that jemalloc would create if it counted the pod's CPUs and not the host's: 4 for
    each CPU, 1 on one CPU.

    More arenas than threads that run at once only keep freed memory from being used again.
    """
    cpus = math.ceil(cpu_limit)
    return 4 * cpus if cpus > 1 else 1


def _canonical(number: int, base: int, suffixes: tuple[str, ...]) -> str:
    """The largest suffix with which the number stays whole."""
    if number < 0:
        raise ValueError(f"a quantity of {number} is negative: use 0 or more")
    if number == 0:
        return "0"
    step = 0
    while number % base == 0 and step < len(suffixes) - 1:
        number, step = number // base, step + 1
    return f"{number}{suffixes[step]}"
