"""The SHA-256 of each download, as it was when it was first verified: local/checksums.json.

A download with a recorded checksum is compared with that. One without is compared with the file that its publisher
serves beside it, which finds a broken download and no bad publisher. `make checksums` downloads every tool for this
kind of machine and records what is missing: run it where the publishers can be reached, and commit the file.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from console.progress import LocalError

FILE = Path(__file__).with_name("checksums.json")


def recorded(file: Path = FILE) -> dict[str, str]:
    """Return the recorded checksums, {URL: SHA-256 in hexadecimal digits}."""
    return json.loads(file.read_text(encoding="utf-8"))


def record(found: Mapping[str, str], file: Path = FILE) -> list[str]:
    """Add checksums, and return the new URLs. Raises LocalError where another one is recorded."""
    known = recorded(file)
    for url, digest in found.items():
        if known.get(url, digest) != digest:
            raise LocalError(
                f"{url}: SHA-256 is {digest}, and {known[url]} is recorded: find out why before you trust it"
            )
    new = sorted(found.keys() - known.keys())
    file.write_text(json.dumps(dict(sorted({**known, **found}.items())), indent=2) + "\n", encoding="utf-8")
    return new
