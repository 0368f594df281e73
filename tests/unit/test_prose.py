"""The English of the code: how docstrings begin, and that each setting is described."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.paths import ROOT
from stacks import reference
from tests.unit.test_arrows import modules

# A docstring names the thing, or says what the function does or returns. With these words it begins as a fragment.
FRAGMENT = re.compile(
    r"(Of|Who|Whoever|What|Whatever|Whether|How|Where|When|Which|Why|For|As|In|On|To|By|With|From|That|At|Between|After"
    r"|Before|Until|Since|If|So|Nothing|Everything|Everybody|Nobody|Somebody)\b"
)
MODULES = sorted(file for name, file in modules().items() if not name.startswith("tests"))


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each docstring: those of attributes, too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for each in node.body:
                if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
                    yield each.lineno, str(each.value.value).strip()


def fragments(source: str) -> list[str]:
    return [f"line {line}: {text.splitlines()[0]}" for line, text in docstrings(source) if FRAGMENT.match(text)]


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_docstrings_begin_with_a_name_or_a_verb(file: Path) -> None:
    assert fragments(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        '"""What this module has."""',
        'def f():\n    """Whether it is so."""',
        'class A:\n    b = 1\n    """Of the main container."""',
    ],
)
def test_a_docstring_that_is_a_fragment_is_found(source: str) -> None:
    assert len(fragments(source)) == 1


def test_every_setting_is_described() -> None:
    rows = [line for line in reference.text().splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    assert [row for row in rows if row.endswith("| - |")] == []
