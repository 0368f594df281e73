"""Applying the stacks: changes made outside of Pulumi are undone after it, also when Pulumi failed over them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cli import platform
from cli.drift import Change, Drift
from cli.platform import Target
from cli.preview.events import Preview
from cli.pulumi import environment_settings, stack_file
from console.progress import LocalError
from stacks.settings import EnvironmentSettings

CHANGED = Drift(
    changes=(Change(where="StatefulSet kafka", path="spec.replicas", live=0, ours=1, manager="kubectl"),),
    to_apply=({"kind": "StatefulSet", "metadata": {"name": "kafka"}},),
)


class Stacks:
    """A workspace whose updates change nothing, or fail."""

    bin = Path("/b")
    kubeconfig = Path("/k")

    def __init__(self, *failing: str) -> None:
        self.failing = list(failing)
        self.seen = list[str]()  # of which stack each update was handed a preview

    def settings(self, _stack: str) -> EnvironmentSettings:
        return environment_settings(stack_file("dev"))

    def previews(self, stacks: Sequence[str]) -> dict[str, Preview]:
        return {stack: Preview(result=stack) for stack in stacks}

    def up(self, stack: str, watch: object, found: Preview | None = None) -> bool:
        assert (watch is None) == (stack == "cluster")
        self.seen.append(found.result if found else "")
        if stack in self.failing:
            self.failing.remove(stack)
            raise LocalError("the Kafka brokers cannot be reached")
        return False


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    written: list[str] = []

    def reset(_: object, found: Drift) -> None:
        written.extend(map(str, found.changes))

    monkeypatch.setattr(platform, "reset", reset)
    return written


def _let(monkeypatch: pytest.MonkeyPatch, work: Stacks, found: dict[str, Any]) -> None:
    def drift(_target: Target, _work: object, stack: str) -> tuple[Any, Drift]:
        told = found.get(stack, Drift())
        if isinstance(told, LocalError):
            raise told
        return None, told

    def workspace(_: Target) -> Stacks:
        return work

    monkeypatch.setattr(platform, "workspace", workspace)
    monkeypatch.setattr(platform, "drift", drift)


def test_objects_as_applied_show_no_change(monkeypatch: pytest.MonkeyPatch, applied: list[str]) -> None:
    _let(monkeypatch, Stacks(), {})
    assert not platform.apply(Target("b", ""))
    assert applied == []


@pytest.mark.parametrize(
    ("found", "seen"),
    [({}, ["cluster", "dev"]), ({"cluster": CHANGED}, ["cluster", ""])],
    ids=["nothing changed", "the first was reset"],
)
def test_previews_made_side_by_side_count_until_something_changes(
    found: dict[str, Any], seen: list[str], monkeypatch: pytest.MonkeyPatch, applied: list[str]
) -> None:
    work = Stacks()
    _let(monkeypatch, work, found)
    platform.apply(Target("b", ""), there=True)
    assert work.seen == seen
    assert bool(applied) == bool(found)


def test_undoing_a_change_is_a_change_and_is_reported(
    monkeypatch: pytest.MonkeyPatch, applied: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _let(monkeypatch, Stacks(), {"dev": CHANGED})
    assert platform.apply(Target("b", ""))
    assert applied == ["StatefulSet kafka spec.replicas: 0 -> 1 (changed by kubectl)"]
    assert f"set back: {applied[0]}" in capsys.readouterr().out


def test_an_update_that_failed_over_an_undone_change_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, applied: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _let(monkeypatch, Stacks("dev"), {"dev": CHANGED})
    assert platform.apply(Target("b", ""))
    assert applied
    assert (
        "brokers cannot be reached\n  trying again, as the changes that were undone may be" in capsys.readouterr().out
    )


def test_an_update_is_tried_again_once(monkeypatch: pytest.MonkeyPatch, applied: list[str]) -> None:
    _let(monkeypatch, Stacks("dev", "dev"), {"dev": CHANGED})
    with pytest.raises(LocalError, match=r"^the Kafka brokers cannot be reached$"):
        platform.apply(Target("b", ""))


@pytest.mark.parametrize("found", [Drift(), LocalError("no such stack")])
def test_an_update_that_failed_for_itself_says_so_alone(
    found: Any, monkeypatch: pytest.MonkeyPatch, applied: list[str]
) -> None:
    _let(monkeypatch, Stacks("dev"), {"dev": found})
    with pytest.raises(LocalError) as error:
        platform.apply(Target("b", ""))
    assert str(error.value) == "the Kafka brokers cannot be reached"
    assert applied == []


def test_a_deleted_claim_is_reported_with_the_way_to_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, applied: list[str]
) -> None:
    _let(monkeypatch, Stacks(), {"dev": Drift(lost_claims=("PersistentVolumeClaim data-kafka-0",))})
    says = (
        r"PersistentVolumeClaim data-kafka-0: deleted outside of Pulumi.*make refresh NAME=b STACK=dev.*make up NAME=b"
    )
    with pytest.raises(LocalError, match=says):
        platform.apply(Target("b", ""))
    assert applied == []
