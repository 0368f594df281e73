"""Fixtures of all levels, and what each level took."""

from collections import Counter, defaultdict

import pytest
from hypothesis import settings

from local import jars

# How long an example takes says more about the machine than about the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

_seconds = defaultdict[str, float](float)
_tests: Counter[str] = Counter()


@pytest.fixture(scope="session", autouse=True)
def state_record() -> None:
    """The jars that every stack with Kafka and a Flink cluster reads, as `make` builds them before each command."""
    jars.build(jars.STATE_RECORD)
    jars.build(jars.METRICS_AGENT)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add a test's seconds to its level, `tests/<level>/...`."""
    level = report.nodeid.split("/")[1]
    _seconds[level] += report.duration
    _tests[level] += report.when == "call"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each level took."""
    terminalreporter.section("levels")
    for level, seconds in _seconds.items():
        terminalreporter.line(f"{level:<12} {_tests[level]:>5} tests {seconds / 60:>6.1f} min")
