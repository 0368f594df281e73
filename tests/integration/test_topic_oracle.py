"""Kafka's own code as the oracle for the table of topic configs. The code comes out of the image that brokers run."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.kafka.topic_rules import CONFIGS, config_problems
from tests.integration.oracle import Oracle, Refused, encode, running
from versions import KAFKA_IMAGE

NUMBERS = st.integers(-(2**65), 2**65) | st.integers(-140000, 140000) | st.integers(-3, 24)
EDGES = st.sampled_from([2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**31), 1048575, 1048576, 131072, -131072])
_WORDS = [
        "", "true", "false", "TRUE", "yes", "delete", "compact", "compact,delete", "compact , delete", "Compact",
        "compacted", "delete,delete", "gzip", "GZIP", "lz5", "zstd", "uncompressed", "none", "CreateTime",
        "createtime", "LogAppendTime", "*", "0:1", "0:1,1:2", "0:1 , 1:2", "0", "0:", "many", "1.5", "0.5", "1.0",
        "1e-3", "1e3", "inf", "nan", "-0.5", ".5", "0x1F", "1_000", "+5", "007", "1L", "1 000", " ", "٣",
]  # fmt: skip
WORDS = st.sampled_from(_WORDS)
VALUES = st.builds(str, NUMBERS | EDGES | st.floats(-0.5, 1.5).map(lambda number: round(number, 3))) | WORDS
# Kafka takes any negative number of bytes for no bound, no policy for none, and the words that Java has for numbers.
MORE = re.compile(r"(-[0-9]+|-0\.0|\.5|1L|٣|nan|inf| *|delete,delete)")


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    source = Path(__file__).parent / "KafkaOracle.java"
    jars = re.compile(r"opt/kafka/libs/[^/]+\.jar")
    with running(source, KAFKA_IMAGE, jars, tmp_path_factory.mktemp("kafka")) as process:
        yield Oracle(process)


def _takes(oracle: Oracle, config: Mapping[str, str]) -> bool:
    words = [encode(word) or "-" for pair in config.items() for word in pair]
    try:
        return oracle.request(" ".join(words)) == "taken"
    except Refused:
        return False


def test_the_names_are_kafkas(oracle: Oracle) -> None:
    assert sorted(oracle.request("").split()) == sorted(CONFIGS)


@settings(max_examples=3000, deadline=None)
@given(name=st.sampled_from(sorted(CONFIGS)), value=VALUES)
def test_a_value_is_taken_by_both_or_by_neither(oracle: Oracle, name: str, value: str) -> None:
    ours = not list(config_problems({name: value}))
    theirs = _takes(oracle, {name: value})
    assert ours == theirs or (theirs and MORE.fullmatch(value)), (name, value, ours, theirs)


@settings(max_examples=300, deadline=None)
@given(least=st.integers(0, 5), most=st.integers(1, 5))
def test_two_configs_that_exclude_each_other(oracle: Oracle, least: int, most: int) -> None:
    config = {"min.compaction.lag.ms": str(least), "max.compaction.lag.ms": str(most)}
    assert _takes(oracle, config) == (not list(config_problems(config)))


@pytest.mark.parametrize("name", ["retention.byte", "Retention.Bytes", " retention.bytes", "", "segment.byte", "x"])
def test_an_unknown_name_is_refused_by_both(oracle: Oracle, name: str) -> None:
    assert not _takes(oracle, {name: "1"})
    assert list(config_problems({name: "1"}))
