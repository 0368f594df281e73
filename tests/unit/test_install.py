"""Tools: from PATH, from a publisher, or built; against a local server laid out like a publisher's."""

import dataclasses
import hashlib
import http.server
import io
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.progress import LocalError, step
from local import checksums, install, tools
from local.install import Download, Tool, ensure, expected_checksum, fetch, find


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory and the address under which it is served."""
    root = tmp_path / "publisher"
    root.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(root))  # pyright: ignore[reportArgumentType]

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True).start()
    yield root, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(install, "_hosts", dict[str, bool]())


def _script(version: str) -> bytes:
    return f"#!/bin/sh\necho example {version}\n".encode()


def _publish(root: Path, version: str, *, checksum: str | None = None) -> None:
    """Lay out a release: an archive with the program, and the checksum file beside it."""
    release = root / f"v{version}"
    release.mkdir()
    name = f"example-v{version}.tar.gz"
    with tarfile.open(release / name, "w:gz") as tar:
        info = tarfile.TarInfo("example/example")
        info.size = len(_script(version))
        tar.addfile(info, io.BytesIO(_script(version)))
    digest = checksum or hashlib.sha256((release / name).read_bytes()).hexdigest()
    (release / "checksums.txt").write_text(f"{'0' * 64}  another.tar.gz\n{digest}  {name}\n")


def _tool(base: str | None, version: str = "1.2.3", built: list[str] | None = None) -> Tool:
    def build(into: Path) -> None:
        (into / "example").write_bytes(_script(version))
        (into / "example").chmod(0o755)
        if built is not None:
            built.append(version)

    release = f"{base}/v{version}"
    return Tool(
        name="example",
        version=version,
        programs=["example"],
        modules=[],
        build=build,
        download=Download(
            url=f"{release}/example-v{version}.tar.gz", checksums=f"{release}/checksums.txt", member="example"
        )
        if base
        else None,
    )


def test_a_program_on_path_at_the_pinned_version_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("bin").mkdir()
    program = tmp_path / "bin" / "example"
    program.write_bytes(_script("v1.2.3"))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    assert find(_tool(None)) == program.parent
    assert ensure(_tool(None)) == (program.parent, f"found in {program.parent}")


@pytest.mark.parametrize("other", ["1.2.30", "11.2.3", "1.2.3.4", "1.2.4"])
def test_another_version_on_path_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    program = tmp_path / "example"
    program.write_bytes(_script(other))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find(_tool(None)) is None


def test_the_download_is_verified_and_unpacked(publisher: tuple[Path, str]) -> None:
    root, base = publisher
    _publish(root, "1.2.3")
    built: list[str] = []
    directory, way = ensure(_tool(base, built=built))
    assert (directory / "example").read_bytes() == _script("1.2.3")
    assert (directory / "example").stat().st_mode & 0o111
    assert way == "downloaded from 127.0.0.1 (checksum its publisher's)"
    assert not built


def test_a_wrong_checksum_is_refused_and_not_built_around(publisher: tuple[Path, str]) -> None:
    root, base = publisher
    _publish(root, "1.2.3", checksum="ab" * 32)
    built: list[str] = []
    with pytest.raises(LocalError, match=r"SHA-256 is [0-9a-f]{64}, and (ab){32} is the publisher's: not used"):
        ensure(_tool(base, built=built))
    assert not built


def test_a_publisher_without_the_release_falls_over_to_the_build(
    publisher: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    built: list[str] = []
    _, way = ensure(_tool(publisher[1], built=built))
    assert built == ["1.2.3"]
    assert way == "built from its Go module"
    assert "127.0.0.1" in capsys.readouterr().err


def test_a_host_that_does_not_answer_is_asked_once(capsys: pytest.CaptureFixture[str]) -> None:
    silent = "http://127.0.0.1:9"  # the discard port: nothing listens
    built: list[str] = []
    ensure(_tool(silent, "1.0.0", built))
    ensure(_tool(silent, "2.0.0", built))
    assert built == ["1.0.0", "2.0.0"]
    assert capsys.readouterr().err.count("does not answer") == 1


def test_a_recorded_checksum_counts_and_the_publishers_file_is_not_asked(
    publisher: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, base = publisher
    _publish(root, "1.2.3", checksum="ab" * 32)
    archive = root / "v1.2.3" / "example-v1.2.3.tar.gz"
    known = {f"{base}/v1.2.3/{archive.name}": hashlib.sha256(archive.read_bytes()).hexdigest()}
    monkeypatch.setattr(install, "recorded", lambda: known)
    _, way = ensure(_tool(base))
    assert way == "downloaded from 127.0.0.1 (checksum checked in)"


def test_a_download_other_than_the_recorded_one_is_refused_whatever_its_publisher_says(
    publisher: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, base = publisher
    _publish(root, "1.2.3")
    monkeypatch.setattr(install, "recorded", lambda: {f"{base}/v1.2.3/example-v1.2.3.tar.gz": "ab" * 32})
    with pytest.raises(LocalError, match=r"and (ab){32} is recorded in local/checksums.json: not used"):
        ensure(_tool(base))


def test_checksums_are_recorded_once_and_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "checksums.json"
    file.write_text("{}")
    assert checksums.record({"u2": "b", "u1": "a"}, file) == ["u1", "u2"]
    assert checksums.record({"u1": "a"}, file) == []
    with pytest.raises(LocalError, match="u1: SHA-256 is c, and a is recorded"):
        checksums.record({"u1": "c", "u3": "d"}, file)
    assert checksums.recorded(file) == {"u1": "a", "u2": "b"}


def test_make_checksums_verifies_each_download_and_records_it(
    publisher: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, base = publisher
    _publish(root, "1.2.3")
    file = tmp_path / "checksums.json"
    file.write_text("{}")
    record = checksums.record

    def recording(found: dict[str, str]) -> list[str]:
        return record(found, file)

    monkeypatch.setattr(checksums, "record", recording)
    for name in ("client_tools", "node_tools"):
        monkeypatch.setattr(tools, name, lambda: [_tool(base), _tool(None)])
    for name in ("yaml_host", "actionlint"):
        monkeypatch.setattr(tools, name, lambda: _tool(base))
    tools.record_checksums()
    archive = root / "v1.2.3" / "example-v1.2.3.tar.gz"
    assert checksums.recorded(file) == {
        f"{base}/v1.2.3/example-v1.2.3.tar.gz": hashlib.sha256(archive.read_bytes()).hexdigest()
    }


def test_downloads_run_side_by_side(publisher: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    root, base = publisher
    versions = ("1.0.0", "2.0.0", "3.0.0")
    for version in versions:
        _publish(root, version)
    together = threading.Barrier(len(versions), timeout=10)
    read = install.fetch

    def fetched(*arguments: Any) -> str:
        together.wait()  # fails unless all are at it
        return read(*arguments)

    monkeypatch.setattr(install, "fetch", fetched)
    every = [dataclasses.replace(_tool(base, version), name=f"example-{version}") for version in versions]
    found = install.ensure_all(every)
    assert [(directory / "example").read_bytes() for directory, _ in found] == [_script(each) for each in versions]


def test_what_is_missing_is_named_first_and_counted_down(
    publisher: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    root, base = publisher
    _publish(root, "1.2.3")
    every = [dataclasses.replace(_tool(base), name="one"), dataclasses.replace(_tool(None), name="two")]
    install.ensure_all(every)
    printed = capsys.readouterr().out
    assert printed.startswith("  2 tools to get, once: one, two\n")
    assert "1 tools left" in printed
    assert "0 tools left" in printed
    install.ensure_all(every)
    assert capsys.readouterr().out == ""


def test_a_failed_build_ends_those_that_wait() -> None:
    built: list[str] = []

    def failing(_: Path) -> None:
        time.sleep(0.2)  # the others wait by then
        raise LocalError("it does not compile")

    bad = dataclasses.replace(_tool(None, "0.0.1"), build=failing)
    with pytest.raises(LocalError, match="it does not compile"):
        install.ensure_all([bad, *(_tool(None, f"{n}.0.0", built) for n in range(1, 5))])
    assert len(built) < 4


def test_what_no_publisher_has_is_built_in_the_order_of_the_tools(capsys: pytest.CaptureFixture[str]) -> None:
    built: list[str] = []
    every = [
        dataclasses.replace(_tool(None, f"{n}.0.0", built), name=f"tool-{n}", build_seconds=3600) for n in range(5)
    ]
    install.ensure_all(every)
    assert built == [f"{n}.0.0" for n in range(5)]
    printed = capsys.readouterr().out
    assert "all of it in about 300 min on 2 cores" in printed
    assert "tool-1: built from its Go module; 3 tools left, tool-2 next: about 0 s more to build\n" in printed


def test_a_go_build_says_what_it_compiles_and_why_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\necho example.org/a/v2 >&2\necho '# example.org/b' >&2\necho 'b.go:1: no' >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:{os.environ['PATH']}")
    with step("a build") as this, pytest.raises(LocalError) as failed:
        install.go_build(tmp_path, program="b", package="example.org/b", module=tmp_path)
    assert this.about.startswith("3 packages compiled")
    assert str(failed.value).endswith("exit code 1\n# example.org/b\nb.go:1: no\n")


def test_downloads_are_not_repeated(publisher: tuple[Path, str]) -> None:
    root, base = publisher
    _publish(root, "1.2.3")
    first, _ = ensure(_tool(base))
    for path in root.rglob("*"):
        if path.is_file():
            path.unlink()
    assert ensure(_tool(base))[0] == first


def test_a_build_that_makes_nothing_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    tool = Tool(name="empty", version="1", programs=["empty"], modules=[], build=lambda _: None)
    with pytest.raises(LocalError, match="the build produced no empty"):
        ensure(tool)
    assert not list((tmp_path / "cache" / "streaming-platform" / "tools").glob("empty-*"))


def test_a_plain_program_beside_its_checksum(publisher: tuple[Path, str], tmp_path: Path) -> None:
    root, base = publisher
    (root / "kubectl").write_bytes(b"binary")
    (root / "kubectl.sha256").write_text(hashlib.sha256(b"binary").hexdigest())
    fetch(Download(url=f"{base}/kubectl", checksums=f"{base}/kubectl.sha256"), ["kubectl"], tmp_path)
    assert (tmp_path / "kubectl").read_bytes() == b"binary"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{'a' * 64}  x.tgz\n", "a" * 64),
        (f"{'A' * 64} *x.tgz\n", "a" * 64),
        ("b" * 64, "b" * 64),
        (f"{'a' * 64}  xx.tgz\n", None),
        ("not a checksum", None),
        ("", None),
    ],
)
def test_checksum_files(text: str, found: str | None) -> None:
    assert expected_checksum(text, "x.tgz") == found
