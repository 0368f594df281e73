"""Previews stacks of growing size, with and without the policy pack, beside `kubectl diff` of the same manifests.

The stack `dev` of a platform that runs is previewed with Flink clusters and topics added. Nothing is applied.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.common import figures
from bench.common.claims import claims
from bench.common.program import add_target, positive, program
from cli import platform, prove
from cli.kube import Kube
from cli.platform import Target
from cli.preview.events import Preview, parse
from cli.pulumi import Workspace
from console.progress import LocalError, say
from policies.pack import PACK
from stacks.settings import merge

_SMALL = {"partitions": 1, "replicas": 1, "config": {"retention.bytes": 262144, "segment.bytes": 262144}}
_NO_BOUND = {"namespace-memory-limit": "advisory"}  # a hundred clusters exceed the quota; nothing is applied


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one run: seconds on the clock, and seconds of CPU of Pulumi or kubectl with all their children."""

    how: str
    clusters: int
    topics: int
    resources: int
    wall_seconds: float
    user_seconds: float
    system_seconds: float


def _timed(run: Callable[[], int], how: str, clusters: int, topics: int) -> Cost:
    """Run, and return the cost; `run` returns the number of resources."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    resources = run()
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = Cost(
        how=how,
        clusters=clusters,
        topics=topics,
        resources=resources,
        wall_seconds=round(wall, 2),
        user_seconds=round(after.ru_utime - before.ru_utime, 2),
        system_seconds=round(after.ru_stime - before.ru_stime, 2),
    )
    say(
        f"  {how:<24} {clusters:>4} clusters {topics:>4} topics {resources:>5} resources: {cost.wall_seconds:.1f} s, "
        f"user {cost.user_seconds:.1f} s, system {cost.system_seconds:.1f} s"
    )
    return cost


def _preview(work: Workspace, scratch: Path, options: Sequence[str]) -> Preview:
    events = scratch / "events"
    events.unlink(missing_ok=True)
    # The flag for the event log exists only in this mode.
    environment = {**work.environment(prove.STACK), "PULUMI_DEBUG_COMMANDS": "true"}
    words = work.words("preview", prove.STACK, "--non-interactive", "--event-log", str(events), *options)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    with events.open(encoding="utf-8") as lines:
        found = parse(lines)
    if done.returncode or found.errors:
        raise LocalError(f"the preview failed: {found.errors or found.violations or done.stdout[-2000:]}")
    return found


def _manifests(found: Preview) -> str:
    """The Kubernetes objects that a preview would create, as a list."""
    objects = [
        {key: value for key, value in step.new.items() if key != "__defaults"}
        for step in found.steps
        if step.op == "create" and step.type.startswith("kubernetes:") and step.new
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def _diff(at: Kube, manifests: Path) -> int:
    """Run `kubectl diff`, whose exit code 1 says that something differs; return the number of objects."""
    words = ["kubectl", "--kubeconfig", str(at.kubeconfig), "-n", at.namespace]
    words += ["diff", "--server-side", "--force-conflicts", "-f", str(manifests)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise LocalError(f"kubectl diff: {done.stderr[-500:]}")
    return len(json.loads(manifests.read_text())["items"])


def _added(clusters: int, topics: int) -> Mapping[str, Any]:
    """Flink clusters and topics to add to the stack."""
    names = [f"scale-{n}" for n in range(clusters)]
    return {
        "flink": {"clusters": {name: claims(name, source="events", sink="results") for name in names}},
        "kafka": {"topics": {f"scale-{n}": _SMALL for n in range(topics)}},
    }


def _run(arguments: argparse.Namespace) -> int:
    target = Target(arguments.name, arguments.context)
    work, costs = platform.workspace(target), list[Cost]()
    at, _ = prove.kube(target)
    with tempfile.TemporaryDirectory(prefix="bench-preview-") as directory:
        scratch = Path(directory)
        levels = scratch / "levels.json"
        levels.write_text(json.dumps(_NO_BOUND))
        pack = ["--policy-pack", str(PACK), "--policy-pack-config", str(levels)]
        sizes = [(0, 0), *((n, 0) for n in arguments.clusters), *((0, n) for n in arguments.topics)]
        for clusters, topics in sizes:
            overlay = merge(work.overlay, {prove.STACK: _added(clusters, topics)})
            sized = replace(work, overlay=overlay)
            last: list[Preview] = []

            def preview(options: Sequence[str], sized: Workspace = sized, last: list[Preview] = last) -> int:
                last.append(_preview(sized, scratch, options))
                return last[-1].same + len(last[-1].steps)

            costs.append(_timed(lambda: preview([]), "preview", clusters, topics))
            costs.append(_timed(lambda: preview(pack), "preview, with the pack", clusters, topics))
            if clusters:
                manifests = scratch / "manifests.json"
                manifests.write_text(_manifests(last[-1]))
                costs.append(_timed(lambda m=manifests: _diff(at, m), "kubectl diff", clusters, topics))
    say(f"\n  raw figures: {figures.write(arguments.out, 'preview', arguments, [asdict(each) for each in costs])}")
    return 0


def main() -> int:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.preview", description=__doc__)
    add_target(parser)
    sizes: dict[str, list[int]] = {"--clusters": [1, 10, 100], "--topics": [10, 100, 500]}
    for name, default in sizes.items():
        text = f"{name[2:]} to add (default: {' '.join(map(str, default))})"
        parser.add_argument(name, type=positive, nargs="*", default=default, help=text)
    figures.add_out(parser, "preview")
    arguments = parser.parse_args()
    return program("bench.preview", lambda: _run(arguments))


if __name__ == "__main__":
    sys.exit(main())
