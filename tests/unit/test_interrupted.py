"""Operations that an interrupted run did not end are forgotten before the next one, and only then."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli import pulumi
from cli.pulumi import Workspace


@pytest.mark.parametrize("pending", [[], [{"type": "creating", "resource": {"urn": "urn:pulumi:dev::p::t::orders"}}]])
def test_pending_operations_go_and_the_rest_stays(
    pending: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment: dict[str, Any] = {"resources": [{"urn": "a"}], "secrets_providers": {"type": "passphrase"}}
    state = {"version": 3, "deployment": {**deployment, **({"pending_operations": pending} if pending else {})}}
    imported: list[Any] = []

    def run(words: list[str], *, stdin: str | None = None, **_: Any) -> str:
        if words[:3] == ["pulumi", "stack", "import"]:
            assert stdin
            imported.append(json.loads(stdin))
        return json.dumps(state)

    monkeypatch.setattr(pulumi, "run", run)
    work = Workspace(state=tmp_path, bin=tmp_path, kubeconfig=tmp_path / "k", overlay={})
    work.forget_interrupted("dev")
    assert imported == ([{"version": 3, "deployment": deployment}] if pending else [])
    assert ("creating orders" in capsys.readouterr().err) == bool(pending)
