"""What the rescaling bench makes of arrival times."""

import json

import pytest

from bench.rescale import measure
from bench.rescale.settings import EIGHT_SECONDS, SETTINGS, STOCK, TOPICS, cluster
from components.flink.settings import FlinkClusterSettings
from components.kafka.settings import TopicSettings

STEADY = [(f"r-{n}", 1000 + 10 * n) for n in range(100)]


def _later(arrivals: list[measure.Arrival], millis: int) -> list[measure.Arrival]:
    return [(key, time + millis) for key, time in arrivals]


def test_a_steady_job_is_not_disturbed() -> None:
    figures = measure.disturbance(STEADY, _later(STEADY, 4))
    assert figures == measure.Disturbance(
        gap_millis=10, input_gap_millis=10, latency_millis=4, lost=0, repeated=0, records=100
    )


def test_a_job_that_pauses_shows_as_gap_and_as_latency() -> None:
    # It stops at 1300, goes on at 1700, and repeats the last five records before it stopped.
    outputs = [(key, time if time < 1300 else max(time, 1700)) for key, time in STEADY]
    repeats = [(f"r-{n}", 1700) for n in range(25, 30)]
    figures = measure.disturbance(STEADY, outputs + repeats)
    assert figures.gap_millis == 410
    assert figures.latency_millis == 400
    assert figures.repeated == 5
    assert figures.lost == 0


def test_a_repetition_makes_no_record_late() -> None:
    assert measure.latencies({"a": 100}, [("a", 900), ("a", 105), ("a", 400)]) == {"a": 5}


def test_records_without_output_are_lost_and_those_before_the_window_not_counted() -> None:
    outputs = [("earlier", 1001), ("earlier", 1002), *_later(STEADY[:90], 1)]
    figures = measure.disturbance(STEADY, outputs)
    assert (figures.lost, figures.repeated, figures.records) == (10, 0, 100)


def test_a_gap_of_the_input_is_reported_beside_that_of_the_output() -> None:
    stalled = STEADY[:30] + STEADY[80:]
    figures = measure.disturbance(stalled, _later(stalled, 2))
    assert figures.gap_millis == figures.input_gap_millis == 510


def test_the_window_ends_with_its_input() -> None:
    outputs = [*_later(STEADY, 1), ("later", 60_000)]
    assert measure.disturbance(STEADY, outputs).gap_millis == 10


@pytest.mark.parametrize(("times", "gap"), [([], 0), ([5], 0), ([5, 7, 6], 1), ([1, 1, 9], 8)])
def test_longest_gap(times: list[int], gap: int) -> None:
    assert measure.longest_gap(times) == gap


def test_first_since() -> None:
    assert measure.first_since([30, 10, 20], 15) == 20
    assert measure.first_since([10], 15) is None


def test_throughput_counts_whole_bins_only() -> None:
    assert measure.throughput([0, 99, 100, 240, 250, -1], 0, 250, 100) == [20.0, 10.0]


def test_worst_ages_are_listed_by_the_time_of_input() -> None:
    inputs = [("a", 0), ("b", 90), ("c", 120), ("d", 400)]
    arrivals = [("a", 300), ("a", 999), ("b", 95), ("c", 320), ("x", 50)]
    assert measure.worst_ages(inputs, arrivals, 0, 300, 100) == [300, 200, 0]


def test_spread() -> None:
    assert measure.spread([3, 1, 2]) == measure.Spread(1, 2, 3)


def test_phases_cover_the_interval() -> None:
    assert measure.phases([0.0, 0.5, 0.99, 0.0, 0.5], 5000) == [0, 1500, 2990, 3000, 4500]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("guarantee", ["AT_LEAST_ONCE", "EXACTLY_ONCE"])
def test_each_setting_is_one_that_the_platform_takes(name: str, guarantee: str) -> None:
    settings = FlinkClusterSettings.model_validate_json(json.dumps(cluster(SETTINGS[name], guarantee)))
    assert settings.pod.share_process_namespace
    assert settings.checkpoint_interval_seconds == 5


def test_the_topics_take_the_brokers_time() -> None:
    for topic in TOPICS.values():
        assert (
            TopicSettings.model_validate_json(json.dumps(topic)).properties["message.timestamp.type"] == "LogAppendTime"
        )


def test_eight_seconds_differ_from_stock_in_heartbeats_only() -> None:
    without = {key: value for key, value in EIGHT_SECONDS.items() if key != "failureDetection"}
    assert without == {key: value for key, value in STOCK.items() if key != "failureDetection"}
