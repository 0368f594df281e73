"""Reaching the cluster from a dynamic provider: where the kubeconfig comes from, and kubectl with it."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components import reach
from components.reach import UnreachableError, kubeconfig_of, kubectl


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `pulumi` that knows two stacks, and the file in which it notes how it was called."""
    program = tmp_path / "pulumi"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"open({str(tmp_path / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        "if sys.argv[-1] == 'organization/p/cluster':\n"
        '    print(\'{"dev": "of the stack"}\')\n'
        "elif sys.argv[-1] == 'organization/p/dev':\n"
        "    print('of the file')\n"
        "else:\n"
        "    sys.exit('warning: something\\nerror: no stack named ' + sys.argv[-1] + ' found')\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(reach, "_answers", dict[tuple[str, ...], str]())
    return tmp_path / "calls"


def test_credentials_are_read_when_needed(pulumi: Path) -> None:
    def found(credentials: str, setting: str | None, namespace: str = "dev") -> str:
        return kubeconfig_of(credentials, namespace, setting)

    assert found("stack:organization/p/cluster", None) == "of the stack"
    assert found("config:organization/p/dev", "of the engine") == "of the file"
    assert found("config:organization/p/other", "of the engine") == "of the engine"
    assert pulumi.read_text().splitlines()[:2] == [
        "--non-interactive stack output kubeconfigs --show-secrets --json --stack organization/p/cluster",
        "--non-interactive config get kubeconfig --stack organization/p/dev",
    ]
    with pytest.raises(UnreachableError, match="no stack named organization/p/gone found"):
        found("stack:organization/p/gone", None)
    with pytest.raises(UnreachableError, match="no stack named organization/p/gone found"):
        found("config:organization/p/gone", None)
    with pytest.raises(UnreachableError, match="has none for the namespace test"):
        found("stack:organization/p/cluster", None, namespace="test")
    for credentials in ("", "stack", "stack:", "config", "file:/x"):
        with pytest.raises(UnreachableError, match="must be stack:<stack> or config:<stack>"):
            found(credentials, None)


def test_pulumi_is_asked_once_for_an_answer_and_again_after_a_failure(pulumi: Path) -> None:
    with ThreadPoolExecutor(4) as pool:  # as the engine does
        asked = [pool.submit(kubeconfig_of, "stack:organization/p/cluster", "dev", None) for _ in range(20)]
    assert {each.result() for each in asked} == {"of the stack"}
    for _ in range(2):
        with pytest.raises(UnreachableError):
            kubeconfig_of("stack:organization/p/gone", "dev", None)
    assert [line.rsplit("/", 1)[-1] for line in pulumi.read_text().splitlines()] == ["cluster", "gone", "gone"]


def test_credentials_without_pulumi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_answers", dict[tuple[str, ...], str]())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnreachableError, match=r"no kubeconfig: `pulumi .*No such file"):
        kubeconfig_of("stack:organization/p/cluster", "dev", None)


def test_kubectl_asks_with_the_deployers_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "kubectl"
    program.write_text(
        '#!/bin/sh\nread -r text <"$2"; echo "$text $*" >"$0.calls"\n'
        '[ "$text" = good ] || { echo "error: You must be logged in" >&2; exit 1; }\necho answer\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with kubectl("good\n", "dev") as at:
        assert at("get", "pods") == "answer\n"
    assert "--namespace dev --request-timeout=15s get pods" in (tmp_path / "kubectl.calls").read_text()
    with kubectl("bad\n", "dev") as at, pytest.raises(UnreachableError, match="You must be logged in"):
        at("get", "pods")
    monkeypatch.setenv("PATH", "/nowhere")
    with kubectl("good\n", "dev") as at, pytest.raises(UnreachableError, match="kubectl"):
        at("get", "pods")
