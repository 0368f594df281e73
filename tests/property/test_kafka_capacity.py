"""What topics may keep, against a disk that is filled segment by segment."""

from hypothesis import given
from hypothesis import strategies as st

from components.kafka.topic_capacity import Kept, capacity_problem

MIB = 1024 * 1024


@st.composite
def topics(draw: st.DrawFn) -> Kept:
    config: dict[str, str] = {}
    if draw(st.booleans()):
        config["retention.bytes"] = str(draw(st.integers(-1, 64 * MIB)))
    if draw(st.booleans()):
        config["segment.bytes"] = str(draw(st.integers(MIB, 16 * MIB)))
    return Kept(partitions=draw(st.integers(1, 9)), replicas=draw(st.integers(1, 3)), config=config)


@given(topics(), st.lists(st.integers(1, 16 * MIB), max_size=60))
def test_a_partition_never_keeps_more(kept: Kept, records: list[int]) -> None:
    """Written to record by record, and cut as a broker does it: a whole segment, if what is left is still the bound."""
    most = kept.partition_bytes
    if most is None:
        return
    bound, size = int(kept.config["retention.bytes"]), int(kept.config.get("segment.bytes", 1024 * MIB))
    segments = [0]
    for record in (min(each, size) for each in records):
        if segments[-1] + record > size:
            segments.append(0)
        segments[-1] += record
        while len(segments) > 1 and sum(segments) - segments[0] >= bound:
            segments.pop(0)
        assert sum(segments) <= most


@given(st.dictionaries(st.text("abc", min_size=1), topics()), st.integers(3, 9), st.integers(256, 65536))
def test_refused_sizes_fit_after_the_remedy_of_the_message(
    all_topics: dict[str, Kept], brokers: int, storage: int
) -> None:
    problem = capacity_problem(all_topics, brokers=brokers, storage_mib=storage)
    most = sum(kept.mib_of_broker(brokers) for kept in all_topics.values())
    assert (problem is None) == (most <= int(storage * 0.9))
    if problem:
        asked = int(problem.split("raise storageMib to ")[1].split(",")[0])
        assert asked > storage
        assert capacity_problem(all_topics, brokers=brokers, storage_mib=asked) is None
        assert capacity_problem(all_topics, brokers=brokers, storage_mib=asked - 2)


def test_topics_bounded_by_time_or_keys_count_nothing() -> None:
    for config in ({}, {"retention.bytes": "-1"}, {"retention.bytes": "5", "cleanup.policy": "compact"}):
        kept = Kept(partitions=4, replicas=1, config=config)
        assert kept.mib_of_broker(1) == 0
        assert kept.grows == ("cleanup.policy" not in config)
    both = Kept(partitions=4, replicas=1, config={"retention.bytes": "5", "cleanup.policy": "compact,delete"})
    assert both.mib_of_broker(1) == 4 * 1024
    assert not both.grows
