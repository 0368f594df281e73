"""Versions are written once, in versions.py: what else says one is compared with it, by file and line."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import versions
from console.paths import ROOT

# What was so at a time, and what tests make up.
NOT_COMPARED = ("CHANGELOG.md", "docs/adr/", "tests/", "versions.py", "renovate.json")


@dataclass(frozen=True)
class Said:
    """How a version is written in other files: a pattern whose groups are the versions that it says."""

    pattern: str
    expected: tuple[str, ...]
    files: str = ""
    """A pattern of the files that say it so; by default all."""
    part: bool = False
    """Whether the first numbers of the version are enough, as in `Flink 2.3`."""

    def wrong(self, file: str, text: str) -> Iterator[str]:
        """Yield each place of a file that says another version."""
        for found in re.finditer(self.pattern, text, re.MULTILINE):
            for said, expected in zip(found.groups(), self.expected, strict=True):
                same = expected == said or (self.part and expected.startswith(f"{said}."))
                if not same:
                    line = text.count("\n", 0, found.start()) + 1
                    yield f"{file}:{line}: {found[0].split()[-1]} says {said}, and versions.py {expected}"


_MINOR_OF_LIBRARIES = versions.KUBERNETES.replace("1.", "0.", 1)  # Kubernetes 1.34.4 is made of libraries 0.34.4
_TOOLS = r"local/modules/tools/go\.mod"
_RUNTIMES = (versions.FLINK, versions.JAVA)

SAID = (
    Said(r"\bflink:(\d[\d.]*)-java(\d+)", _RUNTIMES),
    Said(r"\bapache/kafka:([\w.-]+)", (versions.KAFKA,)),
    Said(r"(?<![\w/.-])zookeeper:(\d+\.[\w.-]+)", (versions.ZOOKEEPER,)),
    Said(r"\bopentelemetry-collector-contrib:([\w.-]+)", (versions.COLLECTOR,)),
    Said(r"\bprom/prometheus:v([\w.-]+)", (versions.PROMETHEUS,)),
    Said(r"\bfluent/fluentd:([\w.-]+)", (versions.FLUENTD,)),
    # In the words of pages and comments.
    Said(r"\bFlink\s(\d+\.\d+(?:\.\d+)?)", (versions.FLINK,), part=True),
    Said(r"\bKafka\s(\d+\.\d+(?:\.\d+)?)", (versions.KAFKA,), part=True),
    Said(r"\bPython\s(\d+\.\d+)", (versions.PYTHON,)),
    Said(r"\bJava\s(\d+)\b(?! MiB)", (versions.JAVA,)),
    # Java.
    Said(r"<flink\.version>(.+)<", (versions.FLINK,)),
    Said(r"<flink\.connector\.kafka\.version>(.+)<", (versions.FLINK_CONNECTOR_KAFKA,)),
    Said(r"<maven\.compiler\.release>(.+)<", (versions.JAVA,)),
    Said(r'java-version: "(.+)"', (versions.JAVA,), r"\.github/workflows/"),
    Said(
        r"<artifactId>jmx_prometheus_javaagent</artifactId>\s*(?:<!--.*-->\s*)?<version>(.+)<",
        (versions.METRICS_AGENT,),
        r"components/kafka/agent/",
    ),
    # The images that are built here.
    Said(r"^apache-flink-libraries==(\S+)", (versions.FLINK,), r"local/images/flink/"),
    Said(r"<artifactId>kafka[\w.-]*</artifactId>\s*<version>(.+)<", (versions.KAFKA,), r"local/images/kafka/"),
    Said(r"<artifactId>zookeeper[\w.-]*</artifactId>\s*<version>(.+)<", (versions.ZOOKEEPER,), "local/images/zookeep"),
    Said(r"/apache-zookeeper-([\d.]+)-bin", (versions.ZOOKEEPER,), r"local/images/zookeeper/"),
    Said(r"/opentelemetry-collector-contrib/\S+ v(\S+)", (versions.COLLECTOR,), r"local/images/collector/go\.mod"),
    Said(r"go\.opentelemetry\.io/collector/service v(\S+)", (versions.COLLECTOR,), r"local/images/collector/go\.mod"),
    Said(r"\bopenjdk-(\d+)-jre", (versions.JAVA,), r"local/images/"),
    # Python, and its packages.
    Said(r'(?:python-version: |pythonVersion = |requires-python = )">?=?(.+)"', (versions.PYTHON,)),
    Said(r"--python-version (\S+)", (versions.PYTHON,)),
    Said(r'target-version = "py3(\d+)"', (versions.PYTHON.partition(".")[2],)),
    Said(r"^pulumi==([^\s;]+)", (versions.PULUMI,), r"requirements.*"),
    Said(r"^pulumi-kubernetes==([^\s;]+)", (versions.PULUMI_KUBERNETES,), r"requirements.*"),
    Said(r"^pulumi-random==([^\s;]+)", (versions.PULUMI_RANDOM,), r"requirements.*"),
    Said(r"^pulumi-policy==([^\s;]+)", (versions.PULUMI_POLICY,), r"requirements.*"),
    # Go modules of the tools.
    Said(r"github\.com/pulumi/pulumi/(?:pkg|sdk)/v3 v(\S+)", (versions.PULUMI,), _TOOLS),
    Said(
        r"github\.com/pulumi/pulumi/(?:pkg|sdk)/v3 v(\S+)",
        (versions.PULUMI_LANGUAGE_HOST,),
        r"local/modules/pulumi-language-python/go\.mod",
    ),
    Said(r'^const version = "(.+)"', (versions.PULUMI_KUBERNETES,), r"local/modules/tools/pulumi-resource-kubernetes/"),
    Said(r'^const Version = "(.+)"', (versions.PULUMI_RANDOM,), r"local/modules/tools/pulumi-resource-random/"),
    Said(r"k8s\.io/kubernetes v(\S+)", (versions.KUBERNETES,), _TOOLS),
    Said(r"k8s\.io/\S+ => k8s\.io/\S+ v(\S+)", (_MINOR_OF_LIBRARIES,), _TOOLS),
    Said(r"go\.etcd\.io/etcd/server/v3 v(\S+)", (versions.ETCD,), _TOOLS),
    Said(r"github\.com/coredns/coredns v(\S+)", (versions.COREDNS,), _TOOLS),
    Said(r"github\.com/containerd/containerd/v2 v(\S+)", (versions.CONTAINERD,), _TOOLS),
    Said(r"github\.com/cloudnativelabs/kube-router/v2 v(\S+)", (versions.KUBE_ROUTER,), _TOOLS),
    Said(r"sigs\.k8s\.io/metrics-server v(\S+)", (versions.METRICS_SERVER,), _TOOLS),
    Said(r"github\.com/rancher/local-path-provisioner v(\S+)", (versions.LOCAL_PATH_PROVISIONER,), _TOOLS),
    Said(r"github\.com/rhysd/actionlint v(\S+)", (versions.ACTIONLINT,), r"local/modules/actionlint/go\.mod"),
)


def written() -> dict[str, str]:
    """The files of the project that may say a version, with their text."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = [name for name in names.split("\0") if name and not name.startswith(NOT_COMPARED)]
    return {
        name: (ROOT / name).read_text(encoding="utf-8")
        for name in files
        if (ROOT / name).is_file() and not name.endswith((".png", "go.sum"))
    }


FILES = written()


def of(said: Said) -> dict[str, str]:
    """The files in which a version may be written in one way."""
    return {name: text for name, text in FILES.items() if re.match(said.files, name)}


def literals(text: str) -> dict[str, str]:
    """The constants of a module that are written as text."""
    return {
        node.targets[0].id: node.value.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def test_no_file_says_another_version() -> None:
    assert [each for said in SAID for name, text in of(said).items() for each in said.wrong(name, text)] == []


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.pattern)
def test_each_way_to_write_a_version_is_in_use(said: Said) -> None:
    assert any(re.search(said.pattern, text, re.MULTILINE) for text in of(said).values())


def test_each_version_that_files_repeat_is_compared() -> None:
    """A version that a file outside the code holds in a way that nobody compares is found."""
    compared = {each for said in SAID for each in said.expected}
    assert set(literals((ROOT / "versions.py").read_text(encoding="utf-8")).values()) - compared == set()


def test_another_version_is_reported_with_file_and_line() -> None:
    said = Said(r"<flink\.version>(.+)<", ("2.3.0",))
    assert list(said.wrong("jobs/pom.xml", "<a>\n  <flink.version>2.3.0</flink.version>\n")) == []
    (told,) = said.wrong("jobs/pom.xml", "<a>\n  <flink.version>2.2.0</flink.version>\n")
    assert told.startswith("jobs/pom.xml:2: ")
    assert told.endswith(" says 2.2.0, and versions.py 2.3.0")
    words = Said(r"\bFlink\s(\d+\.\d+(?:\.\d+)?)", ("2.3.0",), part=True)
    assert list(words.wrong("a.md", "Flink 2.3 and Flink 2.3.0")) == []
    assert [each.split(" says ")[1] for each in words.wrong("a.md", "Flink 2.2\nFlink 2.3.1")] == [
        "2.2, and versions.py 2.3.0",
        "2.3.1, and versions.py 2.3.0",
    ]


def manager() -> tuple[list[re.Pattern[str]], list[re.Pattern[str]]]:
    """The files that Renovate's manager of versions reads, and what it finds in them, as patterns of Python."""
    (said,) = json.loads((ROOT / "renovate.json").read_text(encoding="utf-8"))["customManagers"]
    document: dict[str, Any] = said
    assert document["customType"] == "regex"
    files = [re.compile(each.strip("/")) for each in document["managerFilePatterns"]]
    return files, [_pattern(each) for each in document["matchStrings"]]


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text.replace("(?<", "(?P<"))


def found_by_renovate(text: str) -> list[dict[str, str | None]]:
    return [each.groupdict() for pattern in manager()[1] for each in pattern.finditer(text)]


def test_renovate_reads_every_version() -> None:
    text = (ROOT / "versions.py").read_text(encoding="utf-8")
    assert any(each.search("versions.py") for each in manager()[0])
    found = found_by_renovate(text)
    assert [each["currentValue"] for each in found] == list(literals(text).values())
    assert len({each["depName"] for each in found}) == len(found)
    for each in found:
        assert each["datasource"]
        if extract := each["extractVersion"]:
            matched = _pattern(extract).fullmatch(f"v{each['currentValue']}")
            assert matched, each
            assert matched["version"] == each["currentValue"]


@pytest.mark.parametrize(
    "text",
    [
        'FLINK = "2.3.0"\n',
        '# renovate: depName=flink\nFLINK = "2.3.0"\n',
        '# renovate: datasource=docker depName=flink\n\nFLINK = "2.3.0"\n',
    ],
)
def test_a_version_without_its_comment_is_not_read(text: str) -> None:
    assert found_by_renovate(text) == []


# What one of these modules needs at another version than the rest: Pulumi's language host, and the collector itself.
_APART = ("github.com/pulumi/", "go.opentelemetry.io/collector/")


def _required(file: str) -> dict[str, str]:
    text = (ROOT / "local" / file).read_text(encoding="utf-8")
    return dict(re.findall(r"^\t(\S+) (v\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("file", ["modules/pulumi-language-python/go.mod", "images/collector/go.mod"])
def test_a_module_that_several_tools_need_has_one_version(file: str) -> None:
    shared = _required("modules/tools/go.mod")
    common = {path: version for path, version in _required(file).items() if path in shared}
    assert len(common) > 50
    for path, version in common.items():
        assert version == shared[path] or path.startswith(_APART), f"{path} is compiled once for each version"
