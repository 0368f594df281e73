"""Previews stacks of growing size, with and without the policy pack, beside `kubectl diff` of the same manifests.

The stack `dev` of a platform that runs is previewed with Flink clusters and topics added. Nothing is applied.
"""

import argparse
import base64
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, TypeVar

from bench.common import figures
from bench.common.claims import claims
from bench.common.program import add_target, positive, program
from cli import platform, prove
from cli.kube import Kube
from cli.platform import Target
from cli.preview import engine
from cli.preview.events import Preview
from cli.pulumi import Workspace
from console.progress import LocalError, say
from policies.pack import PACK
from stacks.settings import merge, state_record

_SMALL = {"partitions": 1, "replicas": 1, "config": {"retention.bytes": 1048576, "segment.bytes": 1048576}}
_NO_BOUND = {"namespace-memory-limit": "advisory"}  # a hundred clusters exceed the quota; nothing is applied

T = TypeVar("T")


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


@dataclass(frozen=True, kw_only=True)
class _Size:
    """The Flink clusters and topics that are added to the stack."""

    clusters: int
    topics: int

    def timed(self, how: str, run: Callable[[], T], count: Callable[[T], int]) -> tuple[T, Cost]:
        """Run, and return the result and its cost; `count` is the number of resources in the result."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        result = run()
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cost = Cost(
            how=how,
            clusters=self.clusters,
            topics=self.topics,
            resources=count(result),
            wall_seconds=round(wall, 2),
            user_seconds=round(after.ru_utime - before.ru_utime, 2),
            system_seconds=round(after.ru_stime - before.ru_stime, 2),
        )
        say(
            f"  {how:<24} {self.clusters:>4} clusters {self.topics:>4} topics {cost.resources:>5} resources: "
            f"{cost.wall_seconds:.1f} s, user {cost.user_seconds:.1f} s, system {cost.system_seconds:.1f} s"
        )
        return result, cost

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of the stack that add them."""
        names = [f"scale-{n}" for n in range(self.clusters)]
        return {
            "flink": {"clusters": {name: claims(name, source="events", sink="results") for name in names}},
            "kafka": {"topics": {f"scale-{n}": _SMALL for n in range(self.topics)}},
        }


def _preview(work: Workspace, checks: Sequence[str]) -> Preview:
    copy, environment = work.prepare(prove.STACK), work.environment(prove.STACK)
    found = engine.look(engine.PREVIEW, prove.STACK, ["--config-file", str(copy), *checks], environment)
    if found.result != "succeeded":
        raise LocalError(f"the preview failed: {found.errors or found.violations}")
    return found


def _of(found: Preview) -> int:
    return found.same + len(found.steps)


def _manifests(found: Preview) -> list[Mapping[str, Any]]:
    """The Kubernetes objects that a preview would create.

    A preview masks binary data, which is the jar that each Flink cluster mounts.
    """
    jar = base64.b64encode(state_record()).decode()
    return [
        {key: dict.fromkeys(value, jar) if key == "binaryData" else value for key, value in step.new.items()}
        for step in found.steps
        if step.op == "create" and step.type.startswith("kubernetes:") and step.new
    ]


def _diff(at: Kube, objects: Sequence[Mapping[str, Any]]) -> int:
    """Run `kubectl diff`, whose exit code 1 says that something differs; return the number of objects."""
    words = ["kubectl", "--kubeconfig", str(at.kubeconfig), "-n", at.namespace]
    words += ["diff", "--server-side", "--force-conflicts", "-f", "-"]
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    done = subprocess.run(words, input=manifests, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise LocalError(f"kubectl diff: {done.stderr[-500:]}")
    return len(objects)


def _run(arguments: argparse.Namespace) -> int:
    target = Target(arguments.name, arguments.context)
    work, costs = platform.workspace(target), list[Cost]()
    at, _ = prove.kube(target)
    sizes = [_Size(clusters=0, topics=0)]
    sizes += [_Size(clusters=n, topics=0) for n in arguments.clusters]
    sizes += [_Size(clusters=0, topics=n) for n in arguments.topics]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as levels:
        json.dump(_NO_BOUND, levels)
        levels.flush()
        pack = ["--policy-pack", str(PACK), "--policy-pack-config", levels.name]
        for size in sizes:
            sized = replace(work, overlay=merge(work.overlay, {prove.STACK: size.settings}))
            _, cost = size.timed("preview", partial(_preview, sized, []), _of)
            found, with_pack = size.timed("preview, with the pack", partial(_preview, sized, pack), _of)
            costs += [cost, with_pack]
            if size.clusters:
                costs.append(size.timed("kubectl diff", partial(_diff, at, _manifests(found)), int)[1])
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
