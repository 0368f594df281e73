"""The proof goes through the reference job: settings that leave nothing to prove are recognised, and said."""

from collections.abc import Callable

import pytest

from cli import prove
from cli.pulumi import environment_settings, stack_file
from stacks.settings import EnvironmentSettings

DEV = environment_settings(stack_file("dev"))


def _claims(**changes: object) -> EnvironmentSettings:
    return environment_settings(stack_file("dev"), {"flink": {"clusters": {"claims": changes}}})


def test_the_platform_as_it_comes_can_be_proved() -> None:
    assert prove.unprovable(DEV) == ""


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (lambda: _claims(mainClass="orders.Job"), "streaming.jobs.ClaimsJob, which dev does not have"),
        (lambda: _claims(s3={"path": "s3://states/dev"}), "whose state is in S3"),
        (
            lambda: DEV.model_copy(update={"kafka": DEV.kafka.model_copy(update={"topics": {}})}),
            "needs the topics events, results, dead-letters, which dev does not have",
        ),
        (
            lambda: DEV.model_copy(update={"flink": DEV.flink.model_copy(update={"clusters": {}})}),
            "which dev does not have",
        ),
    ],
)
def test_what_cannot_be_proved_is_recognised(settings: Callable[[], EnvironmentSettings], reason: str) -> None:
    assert reason in prove.unprovable(settings())
