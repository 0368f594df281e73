"""kubectl, as one deployer in one namespace."""

import json
import re
import select
import subprocess
import urllib.request
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, cast

from console.progress import LocalError, run

_LIMIT_SECONDS = 600  # longer than any of our --timeout: a stream that never ends must not hold a command for ever
_FORWARD_SECONDS = 90  # longer than kubectl's own minute for a pod to run


def field(document: Any, *path: str, default: Any = None) -> Any:
    """The value at a path of a parsed document, or the default where a step of the path is missing."""
    for name in path:
        if not isinstance(document, dict):
            return default
        document = cast("dict[str, Any]", document).get(name)
    return default if document is None else document


@dataclass(frozen=True, kw_only=True)
class Kube:
    """A kubeconfig and a namespace."""

    bin: Path
    kubeconfig: Path
    namespace: str

    def words(self, *words: str) -> list[str]:
        """A kubectl command line."""
        return [str(self.bin / "kubectl"), "--kubeconfig", str(self.kubeconfig), "-n", self.namespace, *words]

    def run(self, *words: str, stdin: str | None = None) -> str:
        """Run kubectl and return what it prints. Raises LocalError when it fails, or does not end in ten minutes."""
        return run(self.words(*words), stdin=stdin, timeout=_LIMIT_SECONDS)

    def get(self, *words: str) -> dict[str, Any]:
        """`kubectl get` as parsed JSON; an object that is not there is empty."""
        text = self.run("get", *words, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else {}

    def items(self, *words: str) -> list[dict[str, Any]]:
        """The objects of a kind or of several, such as `pods -l app=x`; none is an empty list."""
        # kubectl prints nothing at all for an empty list when asked to ignore what is not found.
        return self.get(*words).get("items", [])

    @contextmanager
    def forward(self, target: str, port: int, *, seconds: float = _FORWARD_SECONDS) -> Generator[str]:
        """Forward a free local port to a pod's or Service's port, within `seconds`; yields `127.0.0.1:<local port>`."""
        words = self.words("port-forward", "--address", "127.0.0.1", target, f":{port}")
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert child.stdout
            ready, _, _ = select.select([child.stdout], [], [], seconds)
            first = child.stdout.readline() if ready else f"nothing within {seconds:g} s"
            found = re.search(r"127\.0\.0\.1:(\d+)", first)
            if not found:
                child.kill()
                raise LocalError(f"no port-forward to {target}: {first}{child.stdout.read()}")
            # It prints a line for each connection, and would stop where nobody reads them.
            Thread(target=deque[str], args=(child.stdout, 0), daemon=True).start()
            yield f"127.0.0.1:{found[1]}"
        finally:
            child.terminate()
            child.wait()

    def rest(self, target: str, port: int, *paths: str) -> list[Any]:
        """GET JSON documents from a pod's HTTP port."""
        with self.forward(target, port) as address:
            answers: list[Any] = []
            for path in paths:
                with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
                    answers.append(json.load(answer))
            return answers
