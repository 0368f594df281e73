"""The documentation: its form, its links, its examples, and the pages that the code determines."""

import re
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import pytest

from stacks import reference
from stacks.settings import ROOT, SettingsError, load_file, read_file

WIDEST = 120
PREFIX = "streaming-platform:"
STATUSES = ("Accepted", "Superseded by", "Proposed", "Rejected")


def markdown() -> list[Path]:
    """The pages of the project: what Git has or would have, without what the tests write."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file())


PAGES = markdown()
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name


@dataclass(frozen=True)
class Line:
    """A line of a page: its number, and what it is part of (`text`, `table`, `code`, or the language of a block)."""

    number: int
    text: str
    part: str


def lines(text: str) -> Iterator[Line]:
    fence = ""
    for number, each in enumerate(text.splitlines(), start=1):
        marker = re.match(r"\s*```(\w*)", each)
        if marker:
            fence = "" if fence else (marker[1] or "code")
            yield Line(number, each, "fence")
        elif fence:
            yield Line(number, each, fence)
        elif each.startswith("    ") and not re.match(r"\s*([-*]|\d+\.) ", each):
            yield Line(number, each, "code")
        else:
            yield Line(number, each, "table" if each.startswith("|") else "text")


def too_long(text: str) -> list[int]:
    return [each.number for each in lines(text) if each.part == "text" and len(each.text) > WIDEST]


def prose(text: str) -> str:
    """What is neither code nor a code span."""
    return re.sub(r"`[^`]*`", "", "\n".join(each.text for each in lines(text) if each.part in ("text", "table")))


def commands(text: str) -> str:
    """What is code: blocks, and code spans in the prose."""
    code = [each.text for each in lines(text) if each.part not in ("text", "table", "fence")]
    spans = re.findall(r"`([^`]*)`", "\n".join(each.text for each in lines(text) if each.part in ("text", "table")))
    return "\n".join([*code, *(" ".join(each.split()) for each in spans)])


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for each in lines(text):
        heading = re.match(r"#+\s+(.*)", each.text) if each.part == "text" else None
        if heading:
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).strip().lower()
            anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
            count = sum(
                other == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", other) is not None for other in found
            )
            found.add(f"{anchor}-{count}" if count else anchor)
    return found


def links(text: str) -> list[str]:
    """The targets in this repository of a page's links and pictures."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(text))
    return [each for each in targets if not re.match(r"[a-z]+:", each)]


def broken(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere."""
    found: list[str] = []
    for target in links(text):
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        is_page = path.suffix == ".md" and path.exists()
        if not path.exists() or (anchor and not (is_page and anchor in anchors(path.read_text(encoding="utf-8")))):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_lines_are_not_too_long(page: Path) -> None:
    assert too_long(page.read_text(encoding="utf-8")) == []


def test_a_line_that_is_too_long_is_found() -> None:
    wide = "x" * (WIDEST + 1)
    assert too_long(f"# head\n\n{wide}\n") == [3]
    assert too_long(f"- {wide}\n\n| {wide} |\n\n```\n{wide}\n```\n\n    {wide}\n") == [1]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    page = ROOT / "docs" / "README.md"
    text = (
        "[a](gone.md) [b](README.md#gone) [c](#here) [d](https://x.example) `[e](gone.md)`\n\n# Here\n\n# It's `x.y`\n"
    )
    assert broken(page, text) == ["gone.md", "README.md#gone", "#here"]
    assert anchors(text) == {"here", "its-xy"}
    assert anchors("# A\n## A\n") == {"a", "a-1"}


@pytest.mark.parametrize(
    ("index", "pages"),
    [
        ("docs/README.md", sorted((ROOT / "docs").glob("*.md"))),
        ("docs/adr/README.md", DECISIONS),
        ("docs/README.md", [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "examples/stacks/README.md"]),
        ("README.md", [ROOT / "docs/README.md", ROOT / "CONTRIBUTING.md"]),
    ],
)
def test_every_page_is_in_its_index(index: str, pages: list[Path]) -> None:
    page = ROOT / index
    known = {(page.parent / each.partition("#")[0]).resolve() for each in links(page.read_text(encoding="utf-8"))}
    assert [name(each) for each in pages if each != page and each.resolve() not in known] == []
    assert pages


def pages_by_task() -> list[Path]:
    """The pages in docs/ that the first table of the index names."""
    index = ROOT / "docs" / "README.md"
    tasks, _, _ = index.read_text(encoding="utf-8").partition("Reference:")
    return [index.parent / each for each in links(tasks) if "/" not in each]


@pytest.mark.parametrize("page", pages_by_task(), ids=name)
def test_a_page_by_task_begins_with_something_to_paste(page: Path) -> None:
    head = list(lines(page.read_text(encoding="utf-8")))[:8]
    assert any(each.part not in ("text", "table", "fence") for each in head), "begin with a command, or with settings"


def test_there_are_pages_by_task() -> None:
    assert {"your-job.md", "s3-checkpoints.md", "symptoms.md"} <= {page.name for page in pages_by_task()}


@dataclass(frozen=True)
class Block:
    """A block of YAML in a page: lines of a stack's `config`, or a whole stack file."""

    page: Path
    number: int
    text: str

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.number}"


def blocks(page: Path, text: str) -> list[Block]:
    found: list[Block] = []
    inside: list[Line] = []
    for each in [*lines(text), Line(0, "", "fence")]:
        if each.part in ("yaml", "yml"):
            inside.append(each)
        elif inside:
            found.append(Block(page, inside[0].number, "\n".join(line.text for line in inside) + "\n"))
            inside = []
    return found


BLOCKS = [block for page in PAGES for block in blocks(page, page.read_text(encoding="utf-8"))]


def check(block: Block, at: Path) -> None:
    """Load a block as settings. Raises SettingsError.

    A block with `config` is a whole stack file. All others are lines of a stack's `config`, put over the file that the
    first line names (`# stacks/Pulumi.ops.yaml`), by default that of `dev`.
    """
    file = at / "Pulumi.block.yaml"
    if re.search(r"(?m)^config:", block.text):
        file.write_text(block.text, encoding="utf-8")
        load_file(file)
        return
    named = re.match(r"# (stacks/Pulumi\.\w+\.yaml)\n", block.text)
    stack = ROOT / (named[1] if named else "stacks/Pulumi.dev.yaml")
    file.write_text("config:\n" + textwrap.indent(block.text, "  "), encoding="utf-8")
    config = cast("dict[str, object]", read_file(file).get("config") or {})
    if strangers := [key for key in config if not key.startswith(PREFIX)] or not config:
        raise SettingsError(f"{block}: {strangers}: begin with a key of config, such as {PREFIX}flink")
    load_file(stack, {key.removeprefix(PREFIX): value for key, value in config.items()})


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_yaml_in_the_pages_is_valid(block: Block, tmp_path: Path) -> None:
    check(block, tmp_path)


def test_there_are_blocks_of_yaml_in_the_pages_by_task() -> None:
    with_yaml = {name(block.page) for block in BLOCKS}
    assert {"README.md", "docs/your-job.md", "docs/s3-checkpoints.md", "jobs/README.md"} <= with_yaml


@pytest.mark.parametrize(
    "text",
    [
        "streaming-platform:kafka:\n  topics:\n    orders: {partitions: 4}\n",
        "streaming-platform:flink:\n  clusters:\n    claims: {restoreForm: nothing}\n",
        "streaming-platform:flink:\n  clusters:\n    claims:\n      taskManagers: {min: 5, max: 3}\n",
        "streaming-platform:flink:\n  clusters:\n    claims:\n      arguments: [on]\n",
        "# stacks/Pulumi.cluster.yaml\nstreaming-platform:environments:\n  Staging: {}\n",
        "flink:\n  clusters: {}\n",
        "config:\n  streaming-platform:kind: environment\n",
    ],
)
def test_yaml_that_is_not_valid_is_found(text: str, tmp_path: Path) -> None:
    page = ROOT / "docs" / "README.md"
    (block,) = blocks(page, f"# head\n\n```yaml\n{text}```\n")
    with pytest.raises(SettingsError):
        check(block, tmp_path)


@cache
def targets() -> frozenset[str]:
    return frozenset(re.findall(r"(?m)^([.a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8")))


def made(text: str) -> set[str]:
    """The targets of `make` that a page names."""
    return set(re.findall(r"(?:^|[\s($;&|])make (?:-s )?(?:[A-Z]+=\S+ )*([.a-z][a-z-]*)", commands(text), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_target_of_make_that_a_page_names_is_there(page: Path) -> None:
    assert made(page.read_text(encoding="utf-8")) - targets() == set()


def test_a_target_of_make_that_is_not_there_is_found() -> None:
    text = 'To make nothing: `make gone`, `make -s env`.\n\n    make up && make went A=b\n    eval "$(make -s lost)"\n'
    assert made(text) - targets() == {"gone", "went", "lost"}
    assert {"up", "generate", ".venv"} <= targets()


@pytest.mark.parametrize("page", DECISIONS, ids=name)
def test_a_decision_has_a_status_and_a_date_and_is_in_the_index(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    head = re.match(r"# (.*)\n\n- Status: (.*)\n- Date: (\d{4}-\d{2}-\d{2})\n\n", text, re.ASCII)
    assert head
    title, status, date = head.groups()
    number, _, what = title.partition(". ")
    assert page.name.startswith(f"{int(number):04}-")
    assert status.startswith(STATUSES)
    index = (page.parent / "README.md").read_text(encoding="utf-8")
    assert f"| {number} | [{what}]({page.name}) | {date} | {status} |" in index.splitlines()


def test_the_reference_of_settings_is_current() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == reference.text(), "run: make generate"


def test_every_setting_is_in_the_reference_with_its_bounds() -> None:
    rows = {tuple(each.split(" | ")[:4]) for each in reference.text().splitlines()}
    assert ("| `members`", "whole number", "`3`", "from 1 to 7") in rows
    assert ("| `partitions`", "whole number", "**required**", "from 1 to 10000") in rows
    assert ("| `registry`", "text", "-") in {row[:3] for row in rows}
    assert any(row[0] == "| `mainClass`" and row[3].startswith("the name of a Java class") for row in rows)
    assert any(row[0] == "| `labels`" and row[3].endswith("at least 1 of them") for row in rows)
    assert ("| `highAvailability`", "`zookeeper` or `kubernetes`", "`zookeeper`", "-") in rows
    assert ("| `destinations`", "mapping of sections", "`{kafka: {kafka: {}}}`") in {row[:3] for row in rows}
    headings = {each for each in reference.text().splitlines() if each.startswith("### ")}
    assert "### `flink.clusters.<name>.taskManagers.memory`" in headings
    assert "### `environments.<name>.quota`" in headings


def test_no_page_has_an_em_dash() -> None:
    assert [name(page) for page in PAGES if "\u2014" in page.read_text(encoding="utf-8")] == []
