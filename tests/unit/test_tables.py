"""The tables of measurements: made from the raw figures of published runs, and current in each page."""

import argparse
from pathlib import Path

import pytest

from bench import tables
from bench.common import figures
from console.paths import ROOT


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_the_tables_of_a_page_are_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert tables.page(text) == text, "run `make generate`"


def test_each_table_is_on_a_page_and_each_file_of_figures_is_used() -> None:
    texts = "".join(page.read_text(encoding="utf-8") for page in tables.PAGES)
    assert [name for name in tables.TABLES if f"<!-- begin: {name} -->" not in texts] == []
    source = Path(tables.__file__).read_text(encoding="utf-8")
    assert [file.name for file in tables.PUBLISHED.glob("*.json") if file.stem.partition("-")[0] not in source] == []


def test_a_figure_that_was_edited_by_hand_is_found() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text[text.index("<!-- begin: worst-delays -->") : text.index("<!-- end: worst-delays -->")]
    edited = text.replace(block, block.replace(" s |", " ms |"))
    assert edited != text
    assert tables.page(edited) == text


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    arguments = argparse.Namespace(repeat=[2], out=tmp_path, name="local", context="")
    file = figures.write(tmp_path, "trial", arguments, [{"a": 1}, {"a": None}], {"lost": 0})
    record = figures.read(file)
    assert (record.figures, record.totals, record.arguments) == ([{"a": 1}, {"a": None}], {"lost": 0}, {"repeat": [2]})
    assert record.cpus >= 1
    assert record.memory_mib >= 64
