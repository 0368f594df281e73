"""The project's Java has tests of its own, which Maven runs."""

import re
import xml.etree.ElementTree as ET

import pytest

from console.progress import run
from local import jars


@pytest.mark.parametrize(("module", "least"), [(jars.REFERENCE_JOB, 100), (jars.STATE_RECORD, 40)])
def test_its_own_tests_pass(module: jars.Module, least: int) -> None:
    run(["mvn", "-q", "-B", "-f", module.directory / "pom.xml", "test"], timeout=600)
    reports = list((module.directory / "target" / "surefire-reports").glob("TEST-*.xml"))
    counts = [ET.parse(report).getroot().attrib for report in reports]
    assert sum(int(count["tests"]) for count in counts) >= least
    assert not [count["name"] for count in counts if re.search("[1-9]", count["failures"] + count["errors"])]
