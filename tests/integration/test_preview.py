"""The pull-request check on a real stack: what a real engine's events become, and what is refused."""

import dataclasses
import shutil
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml

from cli import platform, pulumi
from cli.platform import Target
from cli.preview import engine
from cli.preview.comment import comment, refusals
from cli.pulumi import Workspace
from console.progress import LocalError
from stacks.settings import merge


def _with(work: Workspace, settings: dict[str, object]) -> Workspace:
    return dataclasses.replace(work, overlay=merge(work.overlay, {"dev": settings}))


def test_a_changed_topic_is_reported_and_nothing_else(work: Workspace) -> None:
    events = {"partitions": 6, "retentionMillis": 172800000}
    found = _with(work, {"kafka": {"topics": {"events": events}}}).look(engine.PREVIEW, "dev")
    text = comment(found, "dev")
    assert text.partition("\n\n")[2].startswith("### Preview of `dev`: 1 to update, ")
    assert text.endswith(
        '- update `Topic events`\n  - `config["retention.ms"]`: `86400000` → `172800000`\n  - `partitions`: `4` → `6`\n'
    )
    assert refusals(found) == []


def test_make_preview_refuses_to_lose_protected_data(
    work: Workspace, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = pulumi.stack_file("dev")
    document = yaml.safe_load(file.read_text())
    del document["config"]["streaming-platform:kafka"]["topics"]["dead-letters"]
    document["config"]["streaming-platform:dataProtection"] = True
    shutil.copytree(file.parent, tmp_path / "stacks")
    (tmp_path / "stacks" / file.name).write_text(yaml.safe_dump(document))
    monkeypatch.setattr(pulumi, "STACK_FILES", tmp_path / "stacks")
    monkeypatch.setattr(platform, "workspace", Mock(return_value=work))
    with pytest.raises(LocalError, match="dev must not be applied like this: 1 deletion or replacement of protected"):
        platform.preview(target, "dev")
    assert "- **delete `Topic dead-letters`** — its data is lost, and it is protected" in capsys.readouterr().out


def test_make_preview_refuses_an_ensemble_that_would_forget(
    work: Workspace, target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(platform, "workspace", Mock(return_value=_with(work, {"zookeeper": {"members": 1}})))
    with pytest.raises(LocalError, match="dev must not be applied like this: the engine failed; see above"):
        platform.preview(target, "dev")
    assert "ZooKeeper has 3 members, and cannot become 1 while it holds data" in capsys.readouterr().out
