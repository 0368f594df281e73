"""Answers of an environment's Prometheus: each shard is asked over a port-forward, and the answers are put together."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import repeat
from threading import Lock
from typing import Any

from cli.kube import Kube
from components.monitoring.panels import Panel
from components.ports import PROMETHEUS
from console.progress import LocalError
from stacks.settings import EnvironmentSettings

STATEFUL_SET = "prometheus"
POINTS = 240  # of each line, at most
_ANSWER_SECONDS = 10.0
_AGAIN_SECONDS = 5.0  # between two attempts to reach a shard


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a panel: what it is of, and its points as seconds and value."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass
class Shard:
    """The API of one shard, over a port-forward that is made when needed, and made again when it broke."""

    at: Kube
    pod: str
    seconds: float = _ANSWER_SECONDS
    _forward: AbstractContextManager[str] | None = None
    _address: str = ""
    _tried: float = 0.0
    _reason: str = ""
    _lock: Lock = field(default_factory=Lock)

    def get(self, path: str, **words: str) -> Any:
        """The data of an answer. Raises LocalError where the shard does not answer."""
        query = urllib.parse.urlencode(words)
        address = self._reached()
        try:
            with urllib.request.urlopen(f"http://{address}/api/v1/{path}?{query}", timeout=self.seconds) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise LocalError(f"{self.pod}: {error.read().decode(errors='replace')[:300]}") from error
        except (OSError, HTTPException, ValueError) as error:
            with self._lock:
                if address == self._address:
                    self._drop()
            raise LocalError(f"{self.pod} does not answer: {error}") from error

    def close(self) -> None:
        """End the port-forward."""
        with self._lock:
            self._drop()

    def _reached(self) -> str:
        with self._lock:
            if not self._forward:
                now = time.monotonic()
                if self._reason and now - self._tried < _AGAIN_SECONDS:
                    raise LocalError(self._reason)
                forward = self.at.forward(f"pod/{self.pod}", PROMETHEUS["http"], seconds=self.seconds)
                try:
                    self._address = forward.__enter__()
                except LocalError as error:
                    self._tried, self._reason = now, f"{self.pod} cannot be reached: {str(error).splitlines()[0]}"
                    raise LocalError(self._reason) from error
                self._forward, self._reason = forward, ""
            return self._address

    def _drop(self) -> None:
        forward, self._forward, self._address = self._forward, None, ""
        if forward:
            forward.__exit__(None, None, None)


@dataclass(frozen=True)
class Figures:
    """All shards of an environment's Prometheus."""

    shards: Sequence[Shard]
    scrape_seconds: int

    def lines(self, panel: Panel, seconds: float) -> tuple[list[Line], list[str]]:
        """The lines of a panel over the last `seconds`, and which shards did not answer, and why."""
        end = time.time()
        step = max(float(self.scrape_seconds), seconds / POINTS)
        words = {"start": f"{end - seconds:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        found, silent = self._each("query_range", query=panel.promql(self.scrape_seconds), **words)
        return [_line(panel, each, each["values"]) for each in found], silent

    def now(self, panel: Panel) -> dict[str, list[float]]:
        """The newest values of a panel, by the first label of its legend. Raises LocalError where a shard is silent."""
        found, silent = self._each("query", query=panel.promql(self.scrape_seconds))
        if silent:
            raise LocalError("; ".join(silent))
        values: dict[str, list[float]] = {}
        for each in found:
            values.setdefault(each["metric"].get(panel.legend[0], ""), []).append(float(each["value"][1]))
        return values

    def targets(self) -> list[dict[str, Any]]:
        """The targets of all shards, and how their last scrape went. Raises LocalError where a shard is silent."""
        return [target for shard in self.shards for target in shard.get("targets", state="active")["activeTargets"]]

    def _each(self, path: str, **words: str) -> tuple[list[dict[str, Any]], list[str]]:
        """The results of all shards: each series is in one of them."""
        results: list[dict[str, Any]] = []
        silent: list[str] = []
        for shard in self.shards:
            try:
                results += shard.get(path, **words)["result"]
            except LocalError as error:
                silent.append(str(error))
        return results, silent


def refusal(settings: EnvironmentSettings, stack: str) -> str:
    """The reason why an environment has no figures, and what helps; nothing if it has."""
    if settings.monitoring.enabled:
        return ""
    return (
        f"{stack} has no Prometheus: add `streaming-platform:monitoring: {{enabled: true}}` to "
        f"stacks/Pulumi.{stack}.yaml, and run make up"
    )


@contextmanager
def figures(at: Kube, settings: EnvironmentSettings, seconds: float = _ANSWER_SECONDS) -> Generator[Figures]:
    """Reach the Prometheus of an environment; `seconds` is the most that one answer takes."""
    monitoring = settings.monitoring
    shards = [Shard(at, f"{STATEFUL_SET}-{shard}", seconds) for shard in range(monitoring.shards)]
    try:
        yield Figures(shards, monitoring.scrape_seconds)
    finally:
        for shard in shards:
            shard.close()


def charts(of: Figures, panels: Sequence[Panel], seconds: float) -> Mapping[str, object]:
    """All panels with their lines, as the dashboard's page reads them."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(of.lines, panels, repeat(seconds)))
    silent = sorted({reason for _, reasons in answers for reason in reasons})
    return {
        "seconds": seconds,
        "step": of.scrape_seconds,
        "points": POINTS,
        "silent": silent,
        "panels": [
            {
                "title": panel.title,
                "unit": panel.unit,
                "query": panel.promql(of.scrape_seconds),
                "lines": [{"name": line.name, "points": line.points} for line in lines],
            }
            for panel, (lines, _) in zip(panels, answers, strict=True)
        ],
    }


def _line(panel: Panel, result: Mapping[str, Any], values: Sequence[tuple[float, str]]) -> Line:
    name = " ".join(result["metric"].get(label, "") for label in panel.legend)
    numbers = [(float(at), float(value)) for at, value in values]
    # JSON has no NaN and no infinity.
    return Line(name=name, points=[(at, value) for at, value in numbers if abs(value) < float("inf")])
