"""Prometheus on a real node: all that the platform serves is scraped once, and the dashboard has it while records flow.

Two shards, so that what is seen is put together from both.
"""

import dataclasses
import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli import dashboard, prove, waiting
from cli.figures import Figures, charts, figures
from cli.kube import Kube
from cli.platform import Target
from cli.pulumi import Workspace
from cli.status import figures_of
from components.monitoring.jobs import FLINK_ROLES
from components.monitoring.panels import PANELS, RECORDS
from components.ports import FLINK_SCOPES
from console.progress import run
from local.tools import ensure_packages
from stacks.settings import EnvironmentSettings, merge
from tests.waiting import eventually

SHARDS = 2


@pytest.fixture(scope="module")
def settings(work: Workspace, target: Target) -> Iterator[EnvironmentSettings]:
    """The settings of `dev` with two shards of Prometheus; one again afterwards."""
    two = {"monitoring": {"shards": SHARDS}}
    sharded = dataclasses.replace(work, overlay=merge(work.overlay, {"dev": two}))
    sharded.up("dev")
    found = sharded.settings("dev")
    waiting.until_it_runs(prove.kube(target)[0], found)
    yield found
    work.up("dev")


@pytest.fixture(scope="module")
def found(dev: Kube, settings: EnvironmentSettings) -> Iterator[Figures]:
    """Both shards."""
    with figures(dev, settings) as reached:
        yield reached


def test_every_target_is_up_and_belongs_to_one_shard(found: Figures, settings: EnvironmentSettings) -> None:
    flink = {("claims", role, scope) for role in FLINK_ROLES for scope in FLINK_SCOPES}
    members = {"zookeeper": settings.zookeeper.members, "kafka": settings.kafka.brokers, "prometheus": SHARDS}

    def all_up() -> bool:
        targets = found.targets()
        labels = [each["labels"] for each in targets]
        seen = Counter((each["cluster"], each["component"], each["scope"]) for each in labels)
        there = Counter(cluster for cluster, _, _ in seen.elements())
        return (
            seen.keys() >= flink
            and all(there[name] == count for name, count in members.items())
            and {each["health"] for each in targets} == {"up"}
        )

    eventually("all targets are up", all_up, 120)
    urls = Counter(each["scrapeUrl"] for each in found.targets())
    assert max(urls.values()) == 1
    assert all(shard.get("targets", state="active")["activeTargets"] for shard in found.shards)


def test_prometheus_itself_accepts_the_configuration_of_each_shard(dev: Kube) -> None:
    for shard in range(SHARDS):
        pod = f"prometheus-{shard}"
        said = dev.run("exec", pod, "--", "promtool", "check", "config", f"/etc/prometheus/shards/{pod}.yaml")
        assert "SUCCESS" in said


def test_each_panel_has_data_while_records_flow(dev: Kube, found: Figures, settings: EnvironmentSettings) -> None:
    with ThreadPoolExecutor(1) as pool:
        proof = pool.submit(prove.run_proof, dev, settings, 10_000)

        def empty() -> list[str]:
            return [panel.title for panel in PANELS if not found.lines(panel, 300)[0]]

        eventually("each panel has data", lambda: empty() == [], 60)
        eventually("records are counted", lambda: sum(found.now(RECORDS).get("claims", [])) > 0, 60)
        assert figures_of(found).keys() == {"claims"}
        assert proof.result().holds


def test_the_dashboard_serves_its_page_and_the_figures(found: Figures) -> None:
    with dashboard.serving(lambda seconds: charts(found, PANELS, seconds)) as (address, _):
        with urllib.request.urlopen(f"{address}/", timeout=10) as answer:
            assert b"<main" in answer.read()
        with urllib.request.urlopen(f"{address}/figures.json?minutes=15", timeout=30) as answer:
            drawn = json.load(answer)
    assert drawn["silent"] == []
    assert [panel["title"] for panel in drawn["panels"]] == [panel.title for panel in PANELS]
    assert [panel["title"] for panel in drawn["panels"] if not panel["lines"]] == []


def browsed(address: str, profile: Path) -> str:
    """The page as a browser has it, some seconds after it was opened."""
    ensure_packages({"chromium": "chromium"})
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync", "--disable-quic", f"--user-data-dir={profile}"]
    return run(["chromium", *options, "--virtual-time-budget=4000", "--dump-dom", address], timeout=120)


def test_a_browser_draws_each_panel(found: Figures, tmp_path: Path) -> None:
    with dashboard.serving(lambda seconds: charts(found, PANELS, seconds)) as (address, _):
        page = browsed(f"{address}/", tmp_path)
    assert "as of " in page
    assert page.count("<svg") == len(PANELS)
    assert page.count("<path") >= len(PANELS)
    for panel in PANELS:
        assert f">{panel.title}<" in page


def test_a_shard_that_starts_again_has_what_it_had_and_is_reached_again(dev: Kube, found: Figures) -> None:
    before = len(found.lines(RECORDS, 600)[0][0].points)
    for shard in range(SHARDS):
        dev.run("exec", f"prometheus-{shard}", "--", "sh", "-c", "kill 1")

    def back() -> bool:
        lines, silent = found.lines(RECORDS, 600)
        return not silent and bool(lines) and len(lines[0].points) >= before

    eventually("both shards answer, with the old points", back, 120)
