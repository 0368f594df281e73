"""One Flink cluster on which people act, and what they see of it."""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.common.claims import claims
from bench.common.cluster import BenchCluster
from bench.common.flink import Flink, wait_for
from cli.health import last_log
from components.flink.cluster import job_id
from components.flink.directories import SCRIPTS_DIR
from components.flink.status import why_not
from components.last_words import last_words
from console.progress import LocalError

CLUSTER = "state"
SOURCE, SINK = f"{CLUSTER}-events", f"{CLUSTER}-results"
TOPICS: dict[str, Any] = {
    topic: {"partitions": 2, "replicas": 1} for topic in (SOURCE, SINK, f"{CLUSTER}-dead-letters")
}
_SEEN_SECONDS = 120.0
_RESTORE_FROM = re.compile(r"set restoreFrom: (\S+)")
_REFUSED = 403


@dataclass(kw_only=True)
class Scene:
    """The cluster as it is applied now, with the project's defaults: two JobManagers, no savepoint on a stop."""

    added: BenchCluster
    flink: Flink
    settings: dict[str, Any]

    @property
    def on_s3(self) -> bool:
        """Return whether the cluster's state is on S3, and not on a volume."""
        return "s3" in self.settings

    def apply(self, **more: Any) -> None:
        """Change the cluster's settings; return when its pods are ready: when the job runs."""
        self.settings = {**self.settings, **more}
        self.added.apply(self.cluster(), TOPICS)

    def apply_in_vain(self, said: str, **more: Any) -> str:
        """Change the settings, for now, to such as the job does not start with; return why not, once it is said."""
        before, self.settings = self.settings, {**self.settings, **more}
        told: list[str] = []

        def seen() -> bool:
            told[:] = [text for text in self.why() if said in text]
            return bool(told)

        self.added.apply_and_be_killed(self.cluster(), TOPICS, seen)
        self.settings = before
        return told[0]

    def cluster(self) -> dict[str, Any]:
        """The settings as in a stack file."""
        cluster = claims(
            CLUSTER,
            source=SOURCE,
            sink=SINK,
            guarantee="EXACTLY_ONCE",
            **{"taskManagers": {"max": 1}, **self.settings},
        )
        if "image" in cluster:
            del cluster["jar"]
        return cluster

    def act(self, command: str) -> str:
        """Run job.sh in a JobManager's container."""
        words = ["-c", "jobmanager", "--", "bash", f"{SCRIPTS_DIR}/job.sh", command]
        return self.flink.at.run("exec", self.job_manager(), *words).strip()

    def job_manager(self) -> str:
        """A JobManager's pod."""
        for pod in self.flink.pods():
            if pod.role == "jobmanager" and not pod.ending and pod.ip:
                return pod.name
        raise LocalError(f"Flink {CLUSTER}: there is no JobManager")

    def why(self) -> list[str]:
        """Return the reasons that the JobManagers give for a job that does not run, from those that run and from the
        logs of those that ended."""
        told: list[str] = []
        for item in self.flink.at.items("pods", "-l", f"app.kubernetes.io/instance={CLUSTER}"):
            for status in item.get("status", {}).get("containerStatuses", []):
                if status["name"] != "jobmanager" or "deletionTimestamp" in item["metadata"]:
                    continue
                pod = item["metadata"]["name"]
                if "running" in status.get("state", {}):
                    told.append(self._ready(pod))
                if "terminated" in {**status.get("state", {}), **status.get("lastState", {})}:
                    told.append(last_words(last_log(self.flink.at, pod, "jobmanager")))
        return told

    def _ready(self, pod: str) -> str:
        try:
            return why_not(self.flink.at.run, pod)
        except LocalError:  # it ended in between
            return ""

    def ended(self) -> str:
        """Wait until a JobManager says that the job ended; return the request that lets it go on."""

        def asked() -> str | None:
            return next((found[1] for text in self.why() if (found := _RESTORE_FROM.search(text))), None)

        return wait_for("the word that the job ended", asked, _SEEN_SECONDS)

    def replace_job_managers(self) -> None:
        """Delete all JobManagers' pods at once, with no time to stop; return when others run."""
        before = {pod.name for pod in self.flink.pods() if pod.role == "jobmanager"}
        self.added.administrator.run("delete", "pod", *before, "--force", "--grace-period=0")

        def others() -> bool | None:
            pods = [pod for pod in self.flink.pods() if pod.role == "jobmanager" and pod.name not in before]
            return True if pods and all(pod.ip for pod in pods) else None

        wait_for("new JobManagers", others, _SEEN_SECONDS)

    def silent(self, results: Callable[[], int], seconds: float) -> bool:
        """Return whether no result arrives for `seconds`."""
        before = results()
        time.sleep(seconds)
        return results() == before

    def strangers(self) -> list[str]:
        """Ask REST for all that would end a job or delete its state, as any pod may; return what was not refused."""
        job = job_id(self.flink.at.namespace, CLUSTER)
        requests = (
            ("PATCH", f"/jobs/{job}?mode=cancel", None),
            ("GET", f"/jobs/{job}/yarn-cancel", None),
            ("POST", f"/jobs/{job}/stop", {"drain": False}),
            ("POST", f"/jobs/{job}/savepoints", {"cancel-job": True}),
            ("POST", "/savepoint-disposal", {"savepoint-path": "file:///flink-data/savepoints/savepoint-1"}),
            ("DELETE", "/cluster", None),
        )
        open_to_all: list[str] = []
        with self.flink.at.forward(f"svc/{CLUSTER}-jobmanager", 8081) as address:
            for method, path, body in requests:
                data = None if body is None else json.dumps(body).encode()
                request = urllib.request.Request(f"http://{address}{path}", data, method=method)
                try:
                    with urllib.request.urlopen(request, timeout=10) as answer:
                        open_to_all.append(f"{method} {path}: {answer.status}")
                except urllib.error.HTTPError as error:
                    if error.code != _REFUSED:
                        open_to_all.append(f"{method} {path}: {error.code}")
        return open_to_all
