"""Reading a configuration is the inverse of writing it."""

from dataclasses import asdict

import pytest
from hypothesis import assume, given

from components.flink.config import render
from components.flink.memory import FlinkMemoryError, JobManagerOptions, TaskManagerOptions, flink_options
from components.flink.options import job_manager_options, millis, options_of, size_mib, task_manager_options
from tests import flink_memory


@given(options=flink_memory.task_managers() | flink_memory.job_managers())
def test_written_values_are_read_back(options: TaskManagerOptions | JobManagerOptions) -> None:
    assume(all(value is None or value >= 0 for value in asdict(options).values()))
    written = options_of(render(flink_options(options)))
    read = task_manager_options if isinstance(options, TaskManagerOptions) else job_manager_options
    assert read(written) == options


@pytest.mark.parametrize(
    ("text", "size"),
    [("1728m", 1728), ("2 gb", 2048), ("1gibibytes", 1024), ("1048577", 2), ("1024k", 1), ("1.5g", None), ("m", None)],
)
def test_sizes_are_read_as_flink_reads_them(text: str, size: int | None) -> None:
    assert size_mib(text) == size


@pytest.mark.parametrize(
    ("text", "duration"), [("500 ms", 500), ("10 s", 10_000), ("50000", 50_000), ("1h", 3_600_000), ("soon", None)]
)
def test_durations_are_read_as_flink_reads_them(text: str, duration: float | None) -> None:
    assert millis(text) == duration


def test_nested_and_flat_keys_and_the_old_file_mean_the_same() -> None:
    nested = "web:\n  submit:\n    enable: false\nrest.port: 8081\n"
    flat = "web.submit.enable: false\nrest.port: 8081\n"
    assert options_of(nested) == options_of(flat) == {"web.submit.enable": "false", "rest.port": "8081"}
    assert options_of("# old\nenv.java.opts.all: -Da=b: c\nweb.submit.enable: false\n")["web.submit.enable"] == "false"


def test_flinks_default_of_task_off_heap_memory_is_none() -> None:
    assert task_manager_options({"taskmanager.memory.process.size": "1728m"}).task_off_heap_mib == 0


@pytest.mark.parametrize("value", ["lots", "1.5g"])
def test_invalid_sizes_are_named(value: str) -> None:
    with pytest.raises(FlinkMemoryError, match=r"taskmanager\.memory\.process\.size"):
        task_manager_options({"taskmanager.memory.process.size": value})
