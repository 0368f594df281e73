"""For all levels."""

import pytest
from hypothesis import settings

from local import jars

# How long an example takes says more about the machine than about the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


@pytest.fixture(scope="session", autouse=True)
def state_record() -> None:
    """The jar that every stack with a Flink cluster reads, as `make` builds it before each command."""
    jars.build(jars.STATE_RECORD)
