"""Raw figures of a run, with what it ran on. `bench/tables.py` makes the documentation's tables from such files."""

import argparse
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from console.paths import ROOT

_NOT_RECORDED = ("name", "context", "out")


@dataclass(frozen=True, kw_only=True)
class Record:
    """The figures of a run, with its date, its commit, its machine and its arguments."""

    date: str
    commit: str
    cpus: int
    memory_mib: int
    arguments: Mapping[str, Any]
    totals: Mapping[str, Any]
    figures: Sequence[Mapping[str, Any]]


def add_out(parser: argparse.ArgumentParser, harness: str) -> None:
    """Add the option `out`: the directory for raw figures, which Git ignores by default."""
    default = ROOT / "bench" / "results" / harness
    parser.add_argument("--out", type=Path, default=default, help="directory for raw figures (default: %(default)s)")


def write(
    out: Path,
    name: str,
    arguments: argparse.Namespace,
    figures: Sequence[Mapping[str, Any]],
    totals: Mapping[str, Any] | None = None,
) -> Path:
    """Write `<out>/<name>.json`, one figure or sample a line, and return its path."""
    head = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _commit(),
        "cpus": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "arguments": {key: value for key, value in vars(arguments).items() if key not in _NOT_RECORDED},
        "totals": totals or {},
    }
    lines = ",\n".join(json.dumps(each) for each in figures)
    text = f'{json.dumps(head, default=str)[:-1]}, "figures": [\n{lines}\n]}}\n'
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{name}.json"
    file.write_text(text)
    return file


@cache  # a harness writes after each repetition, and its code is that of its start
def _commit() -> str:
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def read(file: Path) -> Record:
    """Return what `write` wrote."""
    return Record(**json.loads(file.read_text()))
