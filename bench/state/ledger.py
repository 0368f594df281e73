"""The books of a job that counts: what went in, and whether its results count on from where they were."""

import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

from bench.common.topics import Offsets, Reader
from cli import prove

_PATIENCE_SECONDS = 480.0  # a new ensemble stops a job for up to 6 minutes
_GRACE_SECONDS = 7.0  # more than a checkpoint: what comes twice would come by then
_PAYLOAD = "file:///etc/hostname"  # each pod has it, wherever the cluster's state is


@dataclass(kw_only=True)
class Ledger:
    """Sends claims to the reference job, of one subtask, and reads its results: each says how many its state knows.

    State that is lost shows as a count that begins again, state that went back as counts that come twice, though no
    record is missing and none repeated.
    """

    reader: Reader
    bootstrap: str
    source: str
    sink: str
    counted: int = 0
    _run: str = ""
    _sent: int = 0
    _waiting: int = 0
    _since: Offsets | None = None

    def send(self, records: int) -> None:
        """Send claims; their results are looked at later."""
        self._run = self._run or uuid.uuid4().hex[:8]
        self._since = self._since or self.reader.ends(self.sink)
        first = self._sent
        self._sent += records
        self._waiting += records
        keys = (f"{self._run}-{n}" for n in range(first, self._sent))
        claims = (prove.message(key, _PAYLOAD, key) for key in keys)
        prove.send(self.bootstrap, self.source, claims)

    def results(self) -> list[dict[str, Any]]:
        """The results since the claims were sent that are waited for."""
        assert self._since is not None
        found = self.reader.messages(self.sink, self._since, self.reader.ends(self.sink))
        return [json.loads(message.value() or b"{}") for message in found]

    def settle(self) -> str:
        """Wait for the results of what was sent; return what is wrong with them, or nothing."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len({result["id"] for result in self.results()}) < self._waiting and time.monotonic() < deadline:
            time.sleep(1)
        time.sleep(_GRACE_SECONDS)
        results = self.results()
        times = Counter(result["id"] for result in results)
        missing, repeated = self._waiting - len(times), sum(times.values()) - len(times)
        counts = sorted(result["count"] for result in results)
        expected = list(range(self.counted + 1, self.counted + self._waiting + 1))
        self.counted += self._waiting
        self._waiting, self._since = 0, None
        if counts == expected and not missing and not repeated:
            return ""
        seen = f"{counts[0]} to {counts[-1]}" if counts else "none"
        return f"missing {missing}, repeated {repeated}, counts {seen} instead of {expected[0]} to {expected[-1]}"
