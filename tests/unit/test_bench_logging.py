"""Counting what arrived."""

import json

from bench.logging.tally import tally

ORIGIN = dict.fromkeys(("@timestamp", "level", "namespace", "cluster", "component", "pod", "container", "file"), "x")


def line(start: str, n: int, *, frames: int = 0, **more: str) -> bytes:
    text = f"2026-11-21T05:31:35.123Z INFO  streaming.jobs.LogLinesJob [a (1/1)#0] - line {start} {n} xxx 0"
    return json.dumps({**ORIGIN, "message": text + "\n\tat a" * frames, **more}).encode()


def test_every_line_of_every_start_counts_once() -> None:
    documents = [*(line("aaaaaaaa", n) for n in range(3)), line("bbbbbbbb", 0), line("bbbbbbbb", 0)]
    found = tally(documents, {"aaaaaaaa": 3, "bbbbbbbb": 2}, 100)
    assert (found.logged, found.missing, found.repeated, found.broken) == (5, 1, 1, 0)
    assert not found.holds


def test_lines_of_other_runs_do_not_count() -> None:
    other = json.dumps({**ORIGIN, "message": "line aaaaaaaa 0 of somebody else"}).encode()
    found = tally([other, line("cccccccc", 0), line("aaaaaaaa", 0)], {"aaaaaaaa": 1}, 100)
    assert found.holds
    assert found.repeated == 0


def test_a_stack_trace_is_whole_or_broken() -> None:
    whole = [line("aaaaaaaa", 0), line("aaaaaaaa", 1, frames=60)]
    assert tally(whole, {"aaaaaaaa": 2}, 2).traces == 1
    assert tally(whole, {"aaaaaaaa": 2}, 2).holds
    cut = tally([whole[0], line("aaaaaaaa", 1, frames=59)], {"aaaaaaaa": 2}, 2)
    assert (cut.traces, cut.broken) == (0, 1)


def test_an_event_without_its_origin_is_broken() -> None:
    assert tally([line("aaaaaaaa", 0, pod="")], {"aaaaaaaa": 1}, 100).broken == 1


def test_nothing_logged_proves_nothing() -> None:
    assert not tally([], {}, 100).holds
