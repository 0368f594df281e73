"""Tools that their publishers have in container images only: pulled for real, from a registry that the test serves."""

import gzip
import hashlib
import http.server
import io
import json
import platform
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.progress import LocalError
from local import install
from local.install import InImage, Tool, ensure
from local.tools import ensure_packages

PROGRAM = b"#!/bin/sh\necho example 1.2.3\n"
_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _layer() -> bytes:
    """A layer with the program, as a registry holds it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        info = tarfile.TarInfo("usr/bin/example")
        info.size, info.mode = len(PROGRAM), 0o755
        tar.addfile(info, io.BytesIO(PROGRAM))
    return raw.getvalue()


@pytest.fixture
def registry() -> Iterator[str]:
    """The address of a registry with one image, `example:1.2.3`."""
    layer = _layer()
    packed = gzip.compress(layer)
    config = json.dumps(
        {"architecture": _ARCH, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]}}
    ).encode()
    kind = "application/vnd.oci.image"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": {"mediaType": f"{kind}.config.v1+json", "digest": _digest(config), "size": len(config)},
            "layers": [{"mediaType": f"{kind}.layer.v1.tar+gzip", "digest": _digest(packed), "size": len(packed)}],
        }
    ).encode()
    served = {
        "/v2/": (b"{}", "application/json"),
        "/v2/example/manifests/1.2.3": (manifest, f"{kind}.manifest.v1+json"),
        f"/v2/example/blobs/{_digest(config)}": (config, "application/octet-stream"),
        f"/v2/example/blobs/{_digest(packed)}": (packed, "application/octet-stream"),
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content, form = served.get(self.path, (b"", ""))
            self.send_response(200 if form else 404)
            self.send_header("Content-Type", form)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_packages({"buildah": "buildah"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(install, "_hosts", dict[str, bool]())


def _tool(registry: str, image: str = "example:1.2.3", path: str = "/usr/bin/example") -> Tool:
    def build(into: Path) -> None:
        (into / "example").write_text("built")

    source = InImage(registry=registry, image=image, path=path)
    return Tool(name="example", version="1.2.3", programs=["example"], modules=[], build=build, download=source)


def test_a_program_is_taken_out_of_its_publishers_image(registry: str) -> None:
    directory, way = ensure(_tool(registry))
    assert (directory / "example").read_bytes() == PROGRAM
    assert (directory / "example").stat().st_mode & 0o111
    assert way == "downloaded from 127.0.0.1 (checksum its publisher's)"


@pytest.mark.parametrize(
    ("image", "path", "said"),
    [("example:9", "/usr/bin/example", "example:9"), ("example:1.2.3", "/usr/bin/other", "/usr/bin/other")],
)
def test_an_image_without_the_program_falls_over_to_the_build(
    registry: str, image: str, path: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    directory, way = ensure(_tool(registry, image, path))
    assert ((directory / "example").read_text(), way) == ("built", "built from its Go module")
    assert said in capsys.readouterr().err


def test_another_program_than_the_recorded_one_is_refused(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = _tool(registry)
    assert tool.download
    known = {tool.download.url: "ab" * 32}
    monkeypatch.setattr(install, "recorded", lambda: known)
    with pytest.raises(LocalError, match=r"/usr/bin/example.*and (ab){32} is recorded in local/checksums.json"):
        ensure(tool)
