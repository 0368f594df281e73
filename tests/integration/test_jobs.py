"""The reference job's own tests, which Maven runs: arguments, dead letters, state that survives rescaling."""

import re
import xml.etree.ElementTree as ET

from local.paths import ROOT
from local.progress import run


def test_the_reference_jobs_own_tests_pass() -> None:
    run(["mvn", "-q", "-B", "-f", ROOT / "jobs" / "pom.xml", "test"], timeout=600)
    reports = list((ROOT / "jobs" / "target" / "surefire-reports").glob("TEST-*.xml"))
    counts = [ET.parse(report).getroot().attrib for report in reports]
    assert sum(int(count["tests"]) for count in counts) > 100
    assert not [count["name"] for count in counts if re.search("[1-9]", count["failures"] + count["errors"])]
