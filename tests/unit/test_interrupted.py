"""Operations that an interrupted run did not end are forgotten before the next one, and only then."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cli import pulumi
from cli.pulumi import Workspace

URN = "urn:pulumi:dev::p::t::"
MADE = {"type": "creating", "resource": {"urn": f"{URN}orders"}}
CHANGED = {"type": "updating", "resource": {"urn": f"{URN}claims"}}


@pytest.mark.parametrize(
    ("pending", "read"), [([], []), ([MADE], []), ([MADE, CHANGED], [f"{URN}claims"])], ids=["none", "made", "changed"]
)
def test_pending_operations_are_dropped_and_their_changes_read_from_the_cluster(
    pending: list[dict[str, Any]],
    read: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deployment = {"resources": [{"urn": f"{URN}claims"}], "secrets_providers": {"type": "passphrase"}}
    state = {"version": 3, "deployment": {**deployment, **({"pending_operations": pending} if pending else {})}}
    imported: list[Any] = []
    targets: list[str] = []

    def run(words: list[str], *, stdin: str | None = None, **_: Any) -> str:
        if words[1] == "refresh":
            assert not imported  # else a refresh that fails would be forgotten
            targets.extend(after for word, after in pairwise(words) if word == "--target")
        if words[:3] == ["pulumi", "stack", "import"]:
            assert stdin
            imported.append(json.loads(stdin))
        return json.dumps(state)

    def prepare(_: Workspace, stack: str) -> Path:
        return tmp_path / stack

    monkeypatch.setattr(pulumi, "run", run)
    monkeypatch.setattr(Workspace, "prepare", prepare)
    work = Workspace(state=tmp_path, bin=tmp_path, kubeconfig=tmp_path / "k", overlay={})
    work.forget_interrupted("dev")
    assert imported == ([{"version": 3, "deployment": deployment}] if pending else [])
    assert targets == read
    assert ("creating orders" in capsys.readouterr().err) == bool(pending)
