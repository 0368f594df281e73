"""The pull-request check on a real stack: what a real engine's events become, and what is refused."""

import dataclasses
from unittest.mock import Mock

import pytest

from local import platform
from local.platform import Target
from local.progress import LocalError
from local.pulumi import Workspace
from preview import engine
from preview.comment import comment, refusals
from stacks.settings import merge


def _with(work: Workspace, settings: dict[str, object]) -> Workspace:
    return dataclasses.replace(work, overlay=merge(work.overlay, {"dev": settings}))


def test_a_changed_topic_is_told_and_nothing_else(work: Workspace) -> None:
    events = {"partitions": 6, "retentionMillis": 172800000}
    found = _with(work, {"kafka": {"topics": {"events": events}}}).look(engine.PREVIEW, "dev")
    text = comment(found, "dev")
    assert text.partition("\n\n")[2].startswith("### Preview of `dev`: 1 to update, ")
    assert text.endswith(
        '- update `Topic events`\n  - `config["retention.ms"]`: `86400000` → `172800000`\n  - `partitions`: `4` → `6`\n'
    )
    assert refusals(found) == []


def test_make_preview_refuses_to_lose_protected_data(
    work: Workspace, target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shrunk = _with(work, {"zookeeper": {"members": 1}, "dataProtection": True})
    monkeypatch.setattr(platform, "workspace", Mock(return_value=shrunk))
    with pytest.raises(LocalError, match="dev must not be applied like this: 2 deletions or replacements of protected"):
        platform.preview(target, "dev")
    assert (
        "- **delete `PersistentVolumeClaim data-zookeeper-2`** — its data is lost, and it is" in capsys.readouterr().out
    )
