"""Acts on a job as people do, and checks each time that it goes on from its newest state, or says why it does not.

The job counts the claims that it has seen, and each result has that number. Records missing, records that come twice,
and counts that begin again or come twice are all told.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import yaml

from bench.common import figures
from bench.common.cluster import bench_cluster
from bench.common.flink import Flink, wait_for
from bench.common.program import add_target, program, verdict
from bench.common.topics import Reader
from bench.state.ledger import Ledger
from bench.state.scene import CLUSTER, SINK, SOURCE, Scene
from cli import prove
from cli.platform import Target
from cli.waiting import until_it_runs
from components.flink.directories import DATA_DIR
from components.kafka.admin import forward
from console.progress import LocalError, say

_RECORDS = 500
_SILENT_SECONDS = 12.0  # two checkpoints: results are committed with them
# A new ensemble refuses clients that saw later transactions of the old one. Those of TaskManagers give up after their
# session's 60 s. The process ends after 5 min without a JobManager (taskmanager.registration.timeout).
_NEW_ENSEMBLE_SECONDS = 420.0


def _upgrade(scene: Scene, ledger: Ledger) -> None:
    """Another argument, with records on their way."""
    ledger.send(_RECORDS)
    scene.apply(maxParallelism=128, configuration={"metrics.latency.interval": "1 min"})


def _stop(scene: Scene, ledger: Ledger) -> None:
    """A stop with a savepoint. All JobManagers are replaced; the job stays ended, and goes on when it is asked to."""
    savepoint = scene.act("stop")
    _stays_ended(scene, ledger, savepoint)


def _cancel(scene: Scene, ledger: Ledger) -> None:
    """A cancellation, with a standby there. The job stays ended, and goes on when it is asked to."""
    scene.act("cancel")
    _stays_ended(scene, ledger, None)


def _stays_ended(scene: Scene, ledger: Ledger, state: str | None) -> None:
    scene.ended()
    ledger.send(_RECORDS)
    scene.replace_job_managers()
    asked = scene.ended()
    if state is not None and asked != state:
        raise LocalError(f"the job is to go on from {asked}, and not from {state}")
    if not scene.silent(lambda: len(ledger.results()), _SILENT_SECONDS):
        raise LocalError("the job runs, though it ended and was not asked to continue")
    scene.apply(restoreFrom=asked)


def _strangers(scene: Scene, ledger: Ledger) -> None:
    """Requests of strangers to end the job, or to delete its state."""
    ledger.send(_RECORDS)
    if granted := scene.strangers():
        raise LocalError(f"REST did not refuse: {', '.join(granted)}")


def _other_election(scene: Scene, ledger: Ledger) -> None:
    """Leaders elected elsewhere, and then where they were before, with an older place still there."""
    kinds = ("kubernetes", "zookeeper")
    was = scene.settings.get("highAvailability", "zookeeper")
    for kind in (kinds[1 - kinds.index(was)], was):
        ledger.send(_RECORDS)
        scene.apply(highAvailability=kind)
        if wrong := ledger.settle():
            raise LocalError(f"highAvailability: {kind}: {wrong}")
    ledger.send(_RECORDS)


def _ensemble_lost(scene: Scene, ledger: Ledger) -> None:
    """ZooKeeper loses all that it holds, while JobManagers live."""
    ledger.send(_RECORDS)
    members = [f"zookeeper-{n}" for n in range(scene.added.settings.zookeeper.members)]
    for member in members:
        scene.added.administrator.run("exec", member, "--", "sh", "-c", "rm -rf /data/version-2")
    scene.added.administrator.run("delete", "pod", *members, "--force", "--grace-period=0")
    until_it_runs(scene.added.at, scene.added.settings, _NEW_ENSEMBLE_SECONDS)
    wait_for("the job", lambda: True if any(pod.ready for pod in scene.flink.pods()) else None, 120)


def _job_managers_lost(scene: Scene, ledger: Ledger) -> None:
    """All JobManagers die at once, and, on a volume, an old checkpoint's time is made the newest."""
    ledger.send(_RECORDS)
    if not scene.on_s3:
        old = f"{DATA_DIR}/checkpoints/{'0' * 32}/chk-1"
        _in_volume(scene, f"mkdir -p {old} && touch {old}/_metadata")
    scene.replace_job_managers()


def _unreadable(scene: Scene, ledger: Ledger) -> None:
    """The record cannot be listed: the job does not start, and does when it can."""
    ledger.send(_RECORDS)
    _in_volume(scene, f"chmod 333 {DATA_DIR}/record")
    scene.replace_job_managers()
    wait_for("why", lambda: next((w for w in scene.why() if "cannot be read" in w), None), 120)
    _in_volume(scene, f"chmod 755 {DATA_DIR}/record")


def _missing(scene: Scene, ledger: Ledger) -> None:
    """A missing state to start from, and a version whose main method fails: both are reported, and nothing is lost."""
    ledger.send(_RECORDS)
    root = scene.settings["s3"]["path"] if scene.on_s3 else f"file://{DATA_DIR}"
    nowhere = f"{root}/savepoints/savepoint-none"
    say(f"    said: {scene.apply_in_vain('no completed savepoint', restoreFrom=nowhere)}")
    arguments = [*scene.cluster()["arguments"], "--no-such-argument", "1"]
    say(f"    said: {scene.apply_in_vain('--no-such-argument', arguments=arguments)[-200:]}")
    scene.apply()


def _savepoint_on_stop(scene: Scene, ledger: Ledger) -> None:
    """An upgrade of a cluster that is to take a savepoint each time: it is there afterwards."""
    scene.apply(jobManager={"savepointOnStop": True})
    count = f"find {DATA_DIR}/savepoints -name _metadata | wc -l"
    before = int(_in_volume(scene, count))
    ledger.send(_RECORDS)
    scene.apply(configuration={"metrics.latency.interval": "2 min"})
    if int(_in_volume(scene, count)) <= before:
        raise LocalError("no savepoint was taken")


_ON_A_VOLUME = ("unreadable", "savepoint-on-stop")


def _in_volume(scene: Scene, script: str) -> str:
    pod = scene.flink.task_managers()[0].name
    return scene.flink.at.run("exec", pod, "-c", "taskmanager", "--", "sh", "-c", script)


ACTS: Mapping[str, Callable[[Scene, Ledger], None]] = {
    "strangers": _strangers,
    "upgrade": _upgrade,
    "stop": _stop,
    "cancel": _cancel,
    "job-managers-lost": _job_managers_lost,
    "missing": _missing,
    "unreadable": _unreadable,
    "other-election": _other_election,
    "ensemble-lost": _ensemble_lost,
    "savepoint-on-stop": _savepoint_on_stop,
}


def _run(arguments: argparse.Namespace) -> int:
    target = Target(arguments.name, arguments.context)
    problems: list[str] = []
    done: list[dict[str, Any]] = []
    with bench_cluster(target, CLUSTER) as added, ExitStack() as stack:
        flink = stack.enter_context(Flink(added.at, CLUSTER))
        elections: str = arguments.high_availability
        settings = {"highAvailability": elections, **arguments.settings}
        scene = Scene(added=added, flink=flink, settings=settings)
        scene.apply()
        bootstrap = stack.enter_context(forward(prove.connection_of(added.settings), added.at.kubeconfig.read_text()))
        reader = stack.enter_context(Reader(bootstrap, committed=True))
        ledger = Ledger(reader=reader, bootstrap=bootstrap, source=SOURCE, sink=SINK)
        ledger.send(_RECORDS)
        for act in arguments.acts:
            if scene.on_s3 and act in _ON_A_VOLUME:
                say(f"\n  {act}: not on S3, as it changes files of the volume")
                continue
            if wrong := ledger.settle():
                raise LocalError(f"before {act}: {wrong}")
            say(f"\n  {act}: {ACTS[act].__doc__}")
            try:
                ACTS[act](scene, ledger)
                wrong = ledger.settle()
            except LocalError as error:
                wrong = str(error)
            done.append({"act": act, "wrong": wrong, "claims": ledger.counted})
            figures.write(arguments.out, "state-s3" if scene.on_s3 else f"state-{elections}", arguments, done)
            say(f"  {act}: {wrong or f'right, {ledger.counted} claims counted'}")
            if wrong:
                problems.append(f"{act}: {wrong}")
                break  # what comes after it would be wrong for the same reason
            ledger.send(_RECORDS)
    say(f"\n  raw figures: {arguments.out}")
    return verdict(problems)


def _settings(file: str) -> dict[str, Any]:
    try:
        found: object = yaml.safe_load(Path(file).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{file} has no settings")
    return cast(dict[str, Any], found)


def main() -> int:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.state", description=__doc__)
    add_target(parser)
    parser.add_argument(
        "--acts", nargs="+", choices=ACTS, default=list(ACTS), help="which, in this order (default: all)"
    )
    parser.add_argument(
        "--high-availability", choices=("zookeeper", "kubernetes"), default="zookeeper", help="default: %(default)s"
    )
    parser.add_argument(
        "--settings",
        type=_settings,
        default={},
        metavar="FILE",
        help="YAML: more settings of the cluster, such as s3, and an image with its plug-in",
    )
    figures.add_out(parser, "state")
    arguments = parser.parse_args()
    return program("bench.state", lambda: _run(arguments))


if __name__ == "__main__":
    sys.exit(main())
