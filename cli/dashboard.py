"""The dashboard: a page on this machine that draws the figures of an environment."""

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from cli.figures import charts, figures, refusal
from cli.platform import Target
from cli.prove import STACK, kube
from components.monitoring.panels import PANELS
from console.progress import LocalError, say

LONGEST_MINUTES = 60 * 24 * 30
DEFAULT_MINUTES = 30
_PAGE = Path(__file__).with_name("dashboard.html")

Data = Callable[[float], Mapping[str, object]]
"""The figures of the last seconds."""


def show(target: Target) -> None:
    """Serve the dashboard until it is interrupted. Raises LocalError where the platform has no Prometheus."""
    at, settings = kube(target)
    if reason := refusal(settings, STACK):
        raise LocalError(f"{reason}{target.words}")
    with figures(at, settings) as found:
        found.targets()  # what cannot be reached is told here, and not on an empty page
        with serving(lambda seconds: charts(found, PANELS, seconds)) as (address, thread):
            say(f"  the figures of {at.namespace}: {address}   (Ctrl-C ends it)")
            try:
                thread.join()
            except KeyboardInterrupt:
                say("")


@contextmanager
def serving(data: Data) -> Generator[tuple[str, Thread]]:
    """Serve the page and its figures at a free port of the loopback address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(data))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", thread
    finally:
        server.shutdown()
        server.server_close()


def minutes_asked(query: str) -> int:
    """The minutes that a query such as `minutes=30` asks for. Raises ValueError for none that can be drawn."""
    asked = parse_qs(query).get("minutes", [str(DEFAULT_MINUTES)])[0]
    if not asked.isascii() or not asked.isdigit() or not 1 <= int(asked) <= LONGEST_MINUTES:
        raise ValueError(f"minutes={asked!r}: give a whole number from 1 to {LONGEST_MINUTES}")
    return int(asked)


def _handler(data: Data) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, urlsplit(self.path).query
            # A page of another site can have its name point here: it would read the figures, and must not.
            if self.headers.get("Host", "").rpartition(":")[0] not in ("127.0.0.1", "localhost"):
                self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"ask for 127.0.0.1\n")
            elif path == "/":
                self._answer(HTTPStatus.OK, "text/html; charset=utf-8", _PAGE.read_bytes())
            elif path == "/figures.json":
                try:
                    found = data(60 * minutes_asked(query))
                except ValueError as error:
                    self._answer(HTTPStatus.BAD_REQUEST, "text/plain", f"{error}\n".encode())
                else:
                    self._answer(HTTPStatus.OK, "application/json", json.dumps(found).encode())
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"there are / and /figures.json\n")

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
            """Print nothing: the page asks every few seconds."""

    return Handler
