"""Kubeconfigs of roles: what is asked of the administrator's kubectl, what is written, and what is refused."""

import json
import shutil
import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest

from cli import access
from cli.platform import Target
from cli.pulumi import Workspace
from components.isolation.roles import ROLES
from console.paths import ROOT
from console.progress import LocalError

# It answers as kubectl does, and writes down what it was asked.
KUBECTL = """#!/bin/sh
echo "$*" >>"$(dirname "$0")/asked"
case "$*" in
  *"config view"*) echo '{"clusters": [{"name": "a", "cluster": {"server": "https://10.0.0.1:6443"}}]}' ;;
  *"-n test create token"*) echo 'error: serviceaccounts "viewer" not found' >&2; exit 1 ;;
  *) echo "token-$3-$4-$7" ;;
esac
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Target, "state", property(lambda _: tmp_path))
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    work = Workspace(state=tmp_path, bin=tmp_path, kubeconfig=tmp_path / "admin.kubeconfig", overlay={})
    monkeypatch.setattr(access, "workspace", Mock(return_value=work))
    return tmp_path


def test_a_kubeconfig_has_the_roles_context_and_a_token_that_expires(kubectl: Path) -> None:
    file = access.role_kubeconfig(Target("local", ""), "dev", "developer", 8)
    document = json.loads(file.read_text())
    assert file.stat().st_mode & 0o777 == 0o600
    assert document["current-context"] == "dev-developer"
    assert document["contexts"] == [
        {
            "name": "dev-developer",
            "context": {"cluster": "streaming-platform", "namespace": "dev", "user": "dev-developer"},
        }
    ]
    assert document["clusters"][0]["cluster"] == {"server": "https://10.0.0.1:6443"}
    admin = f"--kubeconfig {kubectl / 'admin.kubeconfig'}"
    assert f"{admin} -n dev create token developer --duration=8h" in (kubectl / "asked").read_text()


def test_what_has_no_account_yet_is_named(kubectl: Path) -> None:
    with pytest.raises(LocalError, match=r"environment test has no account viewer yet: apply the stack cluster"):
        access.role_kubeconfig(Target("local", ""), "all", "viewer", 8)
    asked = (kubectl / "asked").read_text()
    assert "-n dev create token" in asked


@pytest.mark.parametrize(
    ("stack", "role", "hours", "said"),
    [
        ("dev", "admin", 8, "ROLE=admin: there is no such role"),
        (
            "nope",
            "viewer",
            8,
            r"STACK=nope: ROLE goes with the stack of an environment \(dev, ops, test\), or with all",
        ),
        ("cluster", "viewer", 8, "STACK=cluster: ROLE goes with the stack of an environment"),
        ("dev", "viewer", 0, "HOURS=0: a token is valid for an hour or more"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_asked(
    kubectl: Path, stack: str, role: str, hours: int, said: str
) -> None:
    with pytest.raises(LocalError, match=said) as caught:
        access.role_kubeconfig(Target("local", ""), stack, role, hours)
    assert hours == 0 or ", ".join(ROLES) in str(caught.value)
    assert not (kubectl / "asked").exists()


def test_make_hands_role_and_hours_over() -> None:
    make = shutil.which("make")
    assert make
    words = [make, "-n", "kubeconfig", "STACK=dev", "ROLE=viewer", "HOURS=2"]
    printed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 'kubeconfig "dev" --role "viewer" --hours "2"' in printed
