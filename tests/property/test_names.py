import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.names import DNS_LABEL, check_name, image_version

# From the Kubernetes documentation: RFC 1035 labels, and the values of labels.
LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")

NEAR_MISSES = st.text(alphabet="ab9-_.A ä", max_size=70)
TAGS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,40}[A-Za-z0-9])?", fullmatch=True)


@given(NEAR_MISSES, st.integers(min_value=1, max_value=DNS_LABEL))
def test_a_name_is_taken_whole_or_refused(name: str, limit: int) -> None:
    if LABEL.fullmatch(name) and len(name) <= limit:
        assert check_name(name, limit) == name
    else:
        with pytest.raises(ValueError, match=re.escape(repr(name))):
            check_name(name, limit)


@given(TAGS, st.sampled_from(["flink", "apache/kafka", "registry.example:5000/a/b", "localhost/x"]))
def test_the_version_of_an_image_is_its_tag(tag: str, name: str) -> None:
    assert image_version(f"{name}:{tag}") == tag
    assert image_version(f"{name}:{tag}@sha256:{'0' * 64}") == tag


@given(st.text(alphabet="0123456789abcdef", min_size=64, max_size=64))
def test_the_version_of_an_image_without_a_tag_is_the_start_of_its_digest(digest: str) -> None:
    assert image_version(f"registry.example:5000/a@sha256:{digest}") == digest[:12]


@given(st.from_regex(r"[ab1./-]{0,9}(:[ab1._ -]{0,70})?(@sha256:[0-9a-f]{0,70})?", fullmatch=True))
def test_a_version_always_fits_into_a_label(image: str) -> None:
    with suppress(ValueError):
        version = image_version(image)
        assert version
        assert len(version) <= DNS_LABEL
        assert LABEL_VALUE.fullmatch(version)


@pytest.mark.parametrize("image", ["flink", "registry.example:5000/flink", "flink:", f"flink:{'v' * 64}"])
def test_an_image_without_a_version_is_refused(image: str) -> None:
    with pytest.raises(ValueError, match=r"names no version.*add a tag"):
        image_version(image)
