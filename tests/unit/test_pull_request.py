"""What the pull-request check is made of beside the comment: stacks, preflight, and posting."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.preview import engine
from cli.preview.__main__ import main as preview_main
from cli.preview.comment import marker
from cli.preview.github import PullRequest
from cli.preview.preflight import missing, opens_more, unreachable
from cli.preview.stacks import among, kinds, touched
from console.paths import ROOT
from console.progress import LocalError
from stacks.settings import load_file, parse

ALL = list(kinds(ROOT))
ENVIRONMENTS = [name for name, kind in kinds(ROOT).items() if kind == "environment"]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("stacks/Pulumi.ops.yaml", ["ops"]),
        ("stacks/Pulumi.gone.yaml", []),
        ("stacks/schema.json", []),
        ("stacks/cluster.py", ["cluster"]),
        ("stacks/environment.py", ENVIRONMENTS),
        ("stacks/models.py", ALL),
        ("components/isolation/namespace.py", ["cluster"]),
        ("components/zookeeper/ensemble.py", ENVIRONMENTS),
        ("components/zookeeper/settings.py", ALL),  # models of both kinds of stack are loaded before the kind is known
        ("components/kafka/admin.py", ENVIRONMENTS),
        ("components/continuity/removed.py", ENVIRONMENTS),
        ("components/kafka/removed.py", ALL),
        ("components/base.py", ALL),
        ("jobs/src/main/java/streaming/jobs/Claim.java", ENVIRONMENTS),
        ("jobs/README.md", []),
        ("__main__.py", ALL),
        ("requirements.txt", ALL),
        ("versions.py", ALL),
        ("requirements.in", []),
        ("requirements-dev.txt", []),
        ("images/fluentd/Dockerfile", ENVIRONMENTS),
        ("images/fluentd/another", ENVIRONMENTS),
        ("policies/memory.py", ["cluster"]),  # by its admission policies; the pack is that of the commit below it
        ("policies/config/ops.json", ["cluster"]),
        ("stacks/bounds.py", ["cluster"]),
        ("stacks/declared.py", ALL),
        ("policies/docs.py", []),
        ("cli/preview/prepare.py", ALL),
        ("cli/preview/comment.py", []),
        ("local/jars.py", ALL),
        ("local/install.py", ALL),
        ("Makefile", ALL),
        ("local/tools.py", ALL),
        ("local/modules/pulumi-resource-random/go.mod", ALL),
        (".github/workflows/preview.yml", ALL),
        ("cli/kube.py", []),
        ("README.md", []),
        ("docs/runbook.md", []),
        ("tests/unit/test_stacks.py", []),
        ("examples/program/__main__.py", []),
        ("provider/resources.py", []),
        ("provider/schema.json", []),
        ("pyproject.toml", []),
        ("", []),
    ],
)
def test_a_file_touches_the_stacks_that_are_built_with_it(file: str, expected: list[str]) -> None:
    assert touched(ROOT, [file]) == expected


def test_the_stacks_of_several_files_are_named_once_and_in_order() -> None:
    assert touched(ROOT, ["stacks/Pulumi.test.yaml", "components/isolation/namespace.py", "README.md"]) == [
        "cluster",
        "test",
    ]
    assert kinds(ROOT).items() >= {"cluster": "cluster", "dev": "environment", "ops": "environment"}.items()


def test_stacks_are_those_that_have_a_file_or_some_of_them() -> None:
    assert among(ROOT, "") == ALL
    assert among(ROOT, '["dev", "cluster"]') == ["dev", "cluster"]
    with pytest.raises(LocalError, match=r"no stack file: gone; there are: cluster, dev, .*Correct the list"):
        among(ROOT, '["dev", "gone"]')
    for text in ("dev", "{}", "[1]"):
        with pytest.raises(LocalError, match=r"no JSON list of stacks: write it like"):
            among(ROOT, text)


READS = """
import sys
from importlib.util import source_from_cache
opened = set()
sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)
from tests.policy.recorded import recorded
for stack in ["imported", *sys.argv[1:]]:
    if stack != "imported":
        recorded(stack)
    for file in opened:
        print(stack, source_from_cache(file) if file.endswith(".pyc") else file)
    opened.clear()
"""


def test_every_file_that_a_stack_is_built_from_touches_it() -> None:
    """By what the program opens while it runs: a file that it begins to read, and nobody told of, is found here."""
    said = subprocess.run([sys.executable, "-c", READS, *ALL], cwd=ROOT, check=True, capture_output=True, text=True)
    read: dict[str, set[str]] = {stack: set() for stack in ["imported", *ALL]}
    for stack, file in (line.split(" ", 1) for line in said.stdout.splitlines()):
        name = file.removeprefix(f"{ROOT}/")
        if name != file and not name.startswith((".venv/", "tests/")):
            read[stack].add(name)
    modules = {file for files in read.values() for file in files if file.endswith(".py")}
    imported = read.pop("imported") | modules  # of both kinds of stack
    assert {file for file in imported if not touched(ROOT, [file])} == set()
    assert {
        (stack, file) for stack in ALL for file in read[stack] - modules if stack not in touched(ROOT, [file])
    } == set()
    assert len(modules) > 10
    assert all(read[stack] - modules for stack in ALL)


def test_a_jar_in_the_checkout_touches_the_stacks_that_name_it(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    cluster = {"jar": "lib/orders.jar", "mainClass": "a.B"}
    named = {"streaming-platform:kind": "environment", "streaming-platform:flink": {"clusters": {"orders": cluster}}}
    for stack, config in {"dev": named, "test": {"streaming-platform:kind": "environment"}}.items():
        (tmp_path / "stacks" / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": config}))
    assert touched(tmp_path, ["lib/orders.jar"]) == ["dev"]
    assert touched(tmp_path, ["lib/other.jar"]) == []


def test_the_preflight_says_whose_secrets_a_preview_opens_too() -> None:
    shared = opens_more("dev", load_file(ROOT / "stacks/Pulumi.dev.yaml"))
    assert "the kubeconfigs of all environments" in shared
    assert "`kubeconfig`" in shared
    assert not opens_more("cluster", load_file(ROOT / "stacks/Pulumi.cluster.yaml"))
    own = {"kind": "environment", "environment": "dev", "kubeconfig": "apiVersion: v1"}
    assert not opens_more("dev", parse({f"streaming-platform:{key}": value for key, value in own.items()}))


def _lacks(stack: str, environment: dict[str, str], file: dict[str, object] | None = None) -> list[str]:
    return [
        each.split(" ")[0] for each in missing(file or {}, load_file(ROOT / f"stacks/Pulumi.{stack}.yaml"), environment)
    ]


def test_the_preflight_names_all_that_is_missing_at_once(tmp_path: Path) -> None:
    ready = {"PULUMI_BACKEND_URL": "s3://states", "PULUMI_CONFIG_PASSPHRASE": "x"}
    assert _lacks("dev", {}) == ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"]
    assert _lacks("dev", {}, {"secretsprovider": "awskms://key"}) == ["PULUMI_BACKEND_URL"]
    assert _lacks("dev", ready) == []
    assert _lacks("dev", {"PULUMI_BACKEND_URL": "https://api.pulumi.com"}) == ["PULUMI_ACCESS_TOKEN"]
    assert _lacks("dev", {**ready, "PULUMI_BACKEND_URL": "file:///not/there"}) == ["PULUMI_BACKEND_URL"]
    assert _lacks("dev", {**ready, "PULUMI_BACKEND_URL": f"file://{tmp_path}"}) == []
    assert _lacks("cluster", ready) == ["KUBECONFIG"]


def test_an_api_server_that_takes_no_connection_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        kubeconfig = json.dumps({"clusters": [{"cluster": {"server": f"https://127.0.0.1:{port}"}}]})
        assert unreachable(kubeconfig) == []
    [found] = unreachable(kubeconfig)
    assert f"https://127.0.0.1:{port} takes no connection from here: Connection refused" in found


class _GitHub(http.server.BaseHTTPRequestHandler):
    """GitHub's comments on one pull request, two to a page."""

    comments: list[dict[str, Any]]

    def _answer(self, value: object, code: int = 200, link: str = "") -> None:
        self.send_response(code)
        if link:
            self.send_header("Link", link)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def _body(self) -> dict[str, str]:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        page = int(self.path.partition("&page=")[2] or 1)
        base = f"http://{self.headers['Host']}{self.path.partition('&page=')[0]}"
        more = f'<{base}&page=1>; rel="first", <{base}&page={page + 1}>; rel="next"'
        self._answer(self.comments[2 * page - 2 : 2 * page], link=more if len(self.comments) > 2 * page else "")

    def do_POST(self) -> None:
        if self.headers["Authorization"] != "Bearer token":
            self._answer({"message": "Resource not accessible by integration"}, 403)
            return
        identity = len(self.comments) + 1
        self.comments.append({"id": identity, "user": {"type": "Bot"}, "html_url": f"new-{identity}", **self._body()})
        self._answer(self.comments[-1], 201)

    def do_PATCH(self) -> None:
        comment = self.comments[int(self.path.rpartition("/")[2]) - 1]
        comment |= self._body()
        self._answer(comment)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def comments() -> Iterator[tuple[list[dict[str, Any]], str]]:
    """The comments of a pull request, and the address of the API that serves them."""
    known: list[dict[str, Any]] = []
    handler = type("Handler", (_GitHub,), {"comments": known})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True).start()
    yield known, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_each_stack_has_one_comment_which_is_updated_in_place(comments: tuple[list[dict[str, Any]], str]) -> None:
    known, api = comments
    pull_request = PullRequest(repository="team/platform", number=7, token="token", api=api)
    pretended = {"id": 1, "user": {"type": "User"}, "html_url": "a", "body": f"{marker('dev')}\nby hand"}
    known += [pretended, {**pretended, "id": 2, "user": {"type": "Bot"}, "body": "another bot"}]
    assert pull_request.put("dev", f"{marker('dev')}\nfirst") == "new-3"
    assert pull_request.put("ops", f"{marker('ops')}\nfirst") == "new-4"
    assert pull_request.put("dev", f"{marker('dev')}\nsecond") == "new-3"
    assert [comment["body"].rpartition("\n")[2] for comment in known] == ["by hand", "another bot", "second", "first"]


@pytest.mark.parametrize("text", [None, f"{marker('dev')}\n### Preview of `dev`: no changes\n"])
def test_a_comment_names_its_commit_and_says_when_there_was_no_preview(
    comments: tuple[list[dict[str, Any]], str], text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, api = comments
    file = tmp_path / "comment.md"
    if text is not None:
        file.write_text(text)
    given = {"GITHUB_REPOSITORY": "team/platform", "GITHUB_TOKEN": "token", "GITHUB_API_URL": api}
    for name, value in {**given, "PULL_REQUEST": "7", "HEAD_COMMIT": "0123abc"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["preview", "post", "dev", "--comment", str(file)])
    assert preview_main() == 0
    (made,) = known
    assert made["body"].startswith(marker("dev"))
    assert made["body"].endswith("\nOf commit 0123abc.\n")
    assert ("no changes" if text else "it did not run") in made["body"]


def test_a_token_without_rights_is_reported_with_the_remedy(comments: tuple[list[dict[str, Any]], str]) -> None:
    pull_request = PullRequest(repository="team/platform", number=7, token="other", api=comments[1])
    with pytest.raises(LocalError, match=r"403 .*: the job needs `permissions: pull-requests: write`"):
        pull_request.put("dev", "text")


def _pulumi(tmp_path: Path, script: str) -> dict[str, str]:
    program = tmp_path / "pulumi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}


def test_an_engine_that_fails_before_its_first_event_is_reported_with_its_output(tmp_path: Path) -> None:
    found = engine.look(engine.PREVIEW, "dev", [], _pulumi(tmp_path, "echo error: incorrect passphrase >&2; exit 255"))
    assert (found.result, found.errors) == ("failed", ("error: incorrect passphrase",))


def test_an_engine_that_ends_well_without_events_is_no_success(tmp_path: Path) -> None:
    assert engine.look(engine.PREVIEW, "dev", [], _pulumi(tmp_path, "exit 0")).result == "failed"
