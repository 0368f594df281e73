"""A JVM that runs an image's own code and answers what it makes of something: one request and one answer a line."""

import base64
import json
import re
import subprocess
import tarfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from local import images


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The code does not take this."""


class Oracle:
    """The running JVM; see FlinkOracle.java and KafkaOracle.java for what may be asked."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def request(self, line: str) -> str:
        """What it answers. Raises Refused."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        for answer in self._process.stdout:
            if answer.startswith("answer: "):
                _, verdict, *text = answer.split()
                told = decode(text[0]) if text else ""
                if verdict == "refused":
                    raise Refused(told)
                return told
        pytest.fail(f"the JVM ended with exit code {self._process.wait()}")


@contextmanager
def running(source: Path, image: str, jars: re.Pattern[str], into: Path) -> Generator["subprocess.Popen[str]"]:
    """The JVM with a source file and those jars of an image that the pattern matches whole."""
    classes = ":".join(map(str, _jars(image, jars, into)))
    process = subprocess.Popen(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", classes, source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        if process.wait(timeout=30):
            pytest.fail(f"the JVM ended with exit code {process.returncode}")


def _jars(image: str, wanted: re.Pattern[str], into: Path) -> list[Path]:
    jars: list[Path] = []
    with tarfile.open(images.ensure(image).archive) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest
        for name in json.load(manifest)[0]["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                for member in layer:
                    data = layer.extractfile(member) if wanted.fullmatch(member.name) else None
                    if data:
                        jars.append(into / Path(member.name).name)
                        jars[-1].write_bytes(data.read())
    assert jars, f"{image} has none that match {wanted.pattern}"
    return jars


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decode(text: str) -> str:
    return base64.b64decode(text).decode()
