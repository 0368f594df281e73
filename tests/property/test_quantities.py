import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.quantities import cores, jemalloc_arenas, mib, number

# The form in which apimachinery's Quantity prints itself: an integer and the largest suffix that leaves it whole.
BINARY = {"Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4, "Pi": 1024**5, "Ei": 1024**6}
DECIMAL = {"m": 1, "": 1000, "k": 1000**2, "M": 1000**3, "G": 1000**4}


def split(quantity: str) -> tuple[int, str]:
    match = re.fullmatch(r"(\d+)([A-Za-z]*)", quantity)
    assert match, quantity
    return int(match[1]), match[2]


@given(st.integers(min_value=1, max_value=1 << 40))
def test_mib_is_the_same_number_of_bytes_with_the_largest_suffix(mebibytes: int) -> None:
    value, suffix = split(mib(mebibytes))
    assert value * BINARY[suffix] == mebibytes * 1024**2
    assert value % 1024 != 0 or suffix == "Ei"


@given(st.integers(min_value=1, max_value=1 << 40))
def test_cores_are_the_same_number_of_thousandths_with_the_largest_suffix(thousandths: int) -> None:
    value, suffix = split(cores(thousandths / 1000))
    assert value * DECIMAL[suffix] == thousandths
    assert value % 1000 != 0 or suffix == "G"


@pytest.mark.parametrize(
    ("mebibytes", "quantity"), [(0, "0"), (256, "256Mi"), (1024, "1Gi"), (1728, "1728Mi"), (2048, "2Gi")]
)
def test_mib_examples(mebibytes: int, quantity: str) -> None:
    assert mib(mebibytes) == quantity


@pytest.mark.parametrize(("cpus", "quantity"), [(0.05, "50m"), (0.5, "500m"), (1, "1"), (1.5, "1500m"), (1000, "1k")])
def test_cores_examples(cpus: float, quantity: str) -> None:
    assert cores(cpus) == quantity


@given(st.integers(max_value=-1))
def test_negative_quantities_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="negative: use 0 or more"):
        mib(number)


@given(st.floats(min_value=0.001, max_value=1024), st.floats(min_value=0.001, max_value=1024))
def test_more_cpu_never_means_fewer_arenas(one: float, other: float) -> None:
    fewer, more = sorted((one, other))
    assert 1 <= jemalloc_arenas(fewer) <= jemalloc_arenas(more)


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", 0.5), ("2", 2), ("16Gi", 16 * 2**30), ("1500Mi", 1500 * 2**20), ("3k", 3000), ("0", 0)],
)
def test_answers_of_the_api_server_are_read(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "1GB", "1 Gi", "-1Gi", "1_000", "inf", "Mi", "1e", "one"])
def test_invalid_quantities_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        number(text)


@given(st.integers(min_value=0, max_value=1 << 40))
def test_written_documents_are_read_back(mebibytes: int) -> None:
    assert number(mib(mebibytes)) == mebibytes * 2**20
