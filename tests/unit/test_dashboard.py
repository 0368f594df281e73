"""The dashboard's page and its figures, with a Prometheus of its own for each shard."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from cli import dashboard, figures
from cli.figures import Figures, Shard, charts
from cli.kube import Kube
from cli.status import figures_of
from components.monitoring.panels import CPU, LAG, PANELS, RECORDS, Panel
from console.progress import LocalError
from stacks.settings import EnvironmentSettings, parse

PANEL = Panel(title="A", unit="u", query="sum by (cluster) (a)")


@dataclass
class FakeShard:
    """A Prometheus: the series that it knows, by query."""

    series: Mapping[str, list[dict[str, Any]]]
    asked: list[dict[str, list[str]]] = field(default_factory=list[dict[str, list[str]]])

    @contextmanager
    def serving(self) -> Generator[str]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                words = parse_qs(urlsplit(self.path).query)
                fake.asked.append(words)
                known = words["query"][0] in fake.series
                body = {"data": {"result": fake.series[words["query"][0]]}} if known else {"error": "no such query"}
                self.send_response(200 if known else 400)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@dataclass
class FakeKube:
    """kubectl whose port-forwards lead to fake shards, by pod; without one it fails."""

    shards: dict[str, FakeShard]
    forwards: list[str] = field(default_factory=list[str])

    @contextmanager
    def forward(self, target: str, port: int, *, seconds: float) -> Generator[str]:
        self.forwards.append(target)
        pod = target.removeprefix("pod/")
        if pod not in self.shards:
            raise LocalError(f"no port-forward to {target}: not running\nmore")
        with self.shards[pod].serving() as address:
            yield address


def reaching(shards: dict[str, FakeShard]) -> FakeKube:
    return FakeKube(shards)


def asking(kube: FakeKube, pods: int = 2) -> Figures:
    return Figures([Shard(cast("Kube", kube), f"prometheus-{n}") for n in range(pods)], 15)


def range_of(value: str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "values": [[100, value], [115, "NaN"], [130, "+Inf"], [145, "2"]], "value": [145, value]}


def test_lines_of_all_shards_are_drawn_and_what_is_no_number_is_a_gap() -> None:
    kube = reaching(
        {
            "prometheus-0": FakeShard({PANEL.query: [range_of("1.5", cluster="claims")]}),
            "prometheus-1": FakeShard({PANEL.query: [range_of("7", cluster="other")]}),
        }
    )
    found = asking(kube)
    lines, silent = found.lines(PANEL, 600)
    assert silent == []
    assert [(line.name, line.points) for line in lines] == [
        ("claims", [(100.0, 1.5), (145.0, 2.0)]),
        ("other", [(100.0, 7.0), (145.0, 2.0)]),
    ]
    found.lines(PANEL, 600)
    assert kube.forwards == ["pod/prometheus-0", "pod/prometheus-1"]
    for shard in found.shards:
        shard.close()


@pytest.mark.parametrize(("seconds", "step"), [(300, 15), (48 * 3600, 720)])
def test_a_line_has_no_more_points_than_can_be_drawn(seconds: int, step: int) -> None:
    kube = reaching({"prometheus-0": FakeShard({PANEL.query: []})})
    found = asking(kube, 1)
    found.lines(PANEL, seconds)
    found.shards[0].close()
    (asked,) = kube.shards["prometheus-0"].asked
    assert float(asked["end"][0]) - float(asked["start"][0]) == pytest.approx(seconds)
    assert float(asked["step"][0]) == step


def test_a_shard_that_is_silent_is_named_and_the_others_are_drawn() -> None:
    kube = reaching({"prometheus-1": FakeShard({PANEL.query: [range_of("7", cluster="other")]})})
    found = asking(kube)
    drawn = cast("dict[str, Any]", charts(found, [PANEL, PANEL], 600))
    assert drawn["silent"] == ["prometheus-0 cannot be reached: no port-forward to pod/prometheus-0: not running"]
    assert [line["name"] for line in drawn["panels"][0]["lines"]] == ["other"]
    # Not asked again for each panel: a pod that is not there takes its time to say so.
    assert kube.forwards.count("pod/prometheus-0") == 1
    with pytest.raises(LocalError, match="prometheus-0 cannot be reached"):
        found.now(PANEL)
    found.shards[1].close()


def test_a_port_forward_that_broke_is_made_again() -> None:
    kube = reaching({"prometheus-0": FakeShard({PANEL.query: [range_of("1", cluster="claims")]})})
    found = asking(kube, 1)
    assert found.lines(PANEL, 60)[1] == []
    forward = found.shards[0]
    forward._address = "127.0.0.1:1"  # pyright: ignore[reportPrivateUsage]  where nothing listens
    assert "prometheus-0 does not answer" in found.lines(PANEL, 60)[1][0]
    assert found.lines(PANEL, 60)[1] == []
    assert len(kube.forwards) == 2
    forward.close()


def test_an_error_of_prometheus_is_told_and_the_forward_kept() -> None:
    kube = reaching({"prometheus-0": FakeShard({})})
    found = asking(kube, 1)
    for _ in range(2):
        assert "no such query" in found.lines(PANEL, 60)[1][0]
    assert len(kube.forwards) == 1
    found.shards[0].close()


def test_the_status_has_the_figures_of_each_cluster() -> None:
    series = {
        RECORDS.promql(15): [range_of("1234.5", cluster="claims"), range_of("3", cluster="other")],
        LAG.promql(15): [range_of("17", cluster="claims")],
        CPU.promql(15): [
            range_of("0.25", cluster="claims", instance="a"),
            range_of("0.75", cluster="claims", instance="b"),
        ],
    }
    found = asking(reaching({"prometheus-0": FakeShard(series)}), 1)
    assert figures_of(found) == {"claims": "1,234 records/s, 17 wait, 0.50 cores of each TaskManager"}
    found.shards[0].close()


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The address of a dashboard whose figures say how many seconds were asked for."""
    with dashboard.serving(lambda seconds: {"seconds": seconds}) as (address, _):
        yield address


def got(address: str, host: str = "") -> tuple[int, str]:
    request = urllib.request.Request(address, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_page_and_its_figures_are_served(page: str) -> None:
    assert page.startswith("http://127.0.0.1:")
    status, text = got(f"{page}/")
    assert (status, text) == (200, Path(dashboard.__file__).with_name("dashboard.html").read_text(encoding="utf-8"))
    assert got(f"{page}/figures.json?minutes=5") == (200, '{"seconds": 300}')
    assert got(f"{page}/figures.json") == (200, '{"seconds": 1800}')
    assert got(f"{page}/other")[0] == 404


@pytest.mark.parametrize("minutes", ["0", "-1", "x", "1e9", "nan", "99999999", "5;6"])
def test_a_time_that_cannot_be_drawn_is_refused(page: str, minutes: str) -> None:
    assert got(f"{page}/figures.json?minutes={minutes}") == (
        400,
        f"minutes={minutes!r}: give a whole number from 1 to 43200\n",
    )


def test_a_page_of_another_site_gets_no_figures(page: str) -> None:
    assert got(f"{page}/figures.json", host="evil.example:80")[0] == 403
    port = page.rpartition(":")[2]
    assert got(f"{page}/figures.json", host=f"localhost:{port}")[0] == 200


def test_the_page_loads_nothing_from_elsewhere_and_writes_names_as_text() -> None:
    text = Path(dashboard.__file__).with_name("dashboard.html").read_text(encoding="utf-8")
    links = [word for word in text.replace('"', " ").replace("'", " ").split() if "://" in word]
    assert links == ["http://www.w3.org/2000/svg"]  # a name, not an address
    assert "innerHTML" not in text


def test_an_environment_without_prometheus_is_told_how_to_get_one() -> None:
    def settings(**more: Any) -> EnvironmentSettings:
        document = {"kind": "environment", "environment": "dev", **more}
        found = parse({f"streaming-platform:{key}": value for key, value in document.items()})
        assert isinstance(found, EnvironmentSettings)
        return found

    reason = figures.refusal(settings(), "dev")
    assert "streaming-platform:monitoring: {enabled: true}" in reason
    assert reason.endswith("and run make up")
    assert figures.refusal(settings(monitoring={"enabled": True}), "dev") == ""


def test_the_first_four_panels_are_those_of_a_job() -> None:
    words = ("pendingRecords", "numRecordsIn", "CPU_Time", "numRegisteredTaskManagers")
    assert [word in panel.query for word, panel in zip(words, PANELS[:4], strict=True)] == [True] * 4
