"""The log sidecar: what is refused, what the pods get, and what the agents are told."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from cli.fluentd import dry_run, render
from components.base import OWN_DISK_MIB
from components.flink.cluster import FlinkCluster
from components.logging.collector import collector_configuration
from components.logging.destinations.base import Agent
from components.logging.files import GC_EVENT, GC_START, ORIGIN, TEXT_EVENT, TEXT_START, LogFiles
from components.logging.fluentd import fluentd_configuration, positions_script
from components.logging.settings import DESTINATIONS, DestinationSettings, LoggingSettings
from components.logging.sidecar import LogSidecar, state_mib
from components.quantities import number
from console.progress import LocalError
from local.tools import ensure_packages
from stacks.settings import EnvironmentSettings, SettingsError, log_image, parse
from tests.unit import building
from tests.unit.recording import Recording, record
from tests.waiting import eventually
from versions import COLLECTOR_IMAGE

COLLECTOR = "opentelemetryCollector"
VOLUMES = {"to-volume": "/mnt/to-volume"}
FILES = LogFiles(volume="log", directory="/opt/flink/log", gcs=("*.gc",))
EVERY: dict[str, dict[str, Any]] = {
    "kafka": {"bootstrapServers": "broker:9093", "tls": True, "sasl": "SCRAM-SHA-512", "secret": "kafka-login"},
    "s3": {"bucket": "archive", "endpoint": "http://store:9000", "secret": "store-keys"},
    "hdfs": {"host": "namenode", "tls": True},
    "elasticsearch": {"urls": ["https://search:9200"], "secret": "search-login"},
    "opensearch": {"urls": ["https://search:9200"], "secret": "search-login"},
    "forward": {"host": "aggregator", "tls": True, "secret": "aggregator-key"},
    "volume": {"claim": "archive"},
}
KINDS = [(agent, kind) for agent, kinds in DESTINATIONS.items() for kind in kinds]


def settings(**given: Any) -> LoggingSettings:
    return LoggingSettings.model_validate_json(json.dumps(given))


def everywhere(agent: Agent, **given: Any) -> LoggingSettings:
    """An agent with one destination of each kind that it has."""
    destinations = {f"to-{kind}": {kind: EVERY[kind]} for kind in DESTINATIONS[agent]}
    return settings(agent=agent, destinations=destinations, **given)


def refused(logging: dict[str, Any], **more: Any) -> str:
    given = {"kind": "environment", "environment": "dev", "logging": logging, **more}
    with pytest.raises(SettingsError) as caught:
        parse({f"streaming-platform:{key}": value for key, value in given.items()})
    return str(caught.value)


def environment(**given: Any) -> EnvironmentSettings:
    loaded = parse({"streaming-platform:kind": "environment", "streaming-platform:environment": "dev"} | given)
    assert isinstance(loaded, EnvironmentSettings)
    return loaded


def collector(given: LoggingSettings) -> dict[str, Any]:
    return yaml.safe_load(
        collector_configuration(given, FILES, kafka="kafka:9092", state="/var/lib/logs", volumes=VOLUMES)
    )


def fluentd(given: LoggingSettings) -> str:
    return fluentd_configuration(given, FILES, kafka="kafka:9092", state="/var/lib/logs", volumes=VOLUMES)


def stores(text: str) -> list[str]:
    return re.findall(r"<store.*?</store>", text, re.DOTALL)


def parameters(text: str) -> dict[str, str]:
    return dict(re.findall(r"^ *([@a-z_0-9]+) +(\S.*)$", text, re.MULTILINE))


def test_the_module_of_each_destination_is_in_the_list() -> None:
    folder = Path(__file__).parents[2] / "components" / "logging" / "destinations"
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__", "base", "collector", "fluentd"}
    listed = {each.annotation for each in DestinationSettings.model_fields.values()}
    assert {get_args(each)[0].__module__.rpartition(".")[2] for each in listed} == modules
    assert EVERY.keys() == DestinationSettings.model_fields.keys()


@pytest.mark.parametrize("kind", ["hdfs", "opensearch", "forward"])
def test_a_destination_that_the_agent_lacks_is_refused_by_name(kind: str) -> None:
    message = refused({"agent": COLLECTOR, "destinations": {"archive": {kind: EVERY[kind]}}})
    assert message == (
        f"streaming-platform:logging.destinations.archive.{kind}: agent {COLLECTOR} cannot write there: use one of "
        "kafka, s3, elasticsearch, volume, or agent fluentd"
    )


@pytest.mark.parametrize(
    ("logging", "words"),
    [
        ({"destinations": {}}, "logging.destinations: is empty"),
        ({"destinations": {"a": {}}}, "logging.destinations.a: has no destination: give exactly one of kafka, s3"),
        ({"destinations": {"a": {"kafka": {}, "s3": EVERY["s3"]}}}, "logging.destinations.a: has kafka and s3"),
        (
            {"destinations": {"a": {"kafka": {"secret": "login"}}}},
            "logging.destinations.a.kafka.secret: 'login' beside",
        ),
        ({"destinations": {"a": {"s3": {"bucket": "B"}}}}, "logging.destinations.a.s3.bucket: 'B' does not match"),
        ({"agent": "fluent-bit"}, "logging.agent: 'fluent-bit' is not 'fluentd' or 'opentelemetryCollector'"),
        ({"cpu": 1, "cpuLimit": 0.5}, "logging.cpu: 1.0 is above cpuLimit, 0.5"),
        ({"memoryMib": 32}, "logging.memoryMib: 32 is below 64"),
    ],
)
def test_mistakes_are_reported_with_key_value_and_remedy(logging: dict[str, Any], words: str) -> None:
    assert words in refused(logging)


def test_two_buckets_with_keys_are_too_many_for_the_collector() -> None:
    two = {name: {"s3": EVERY["s3"]} for name in ("a", "b")}
    assert "logging.destinations.b.s3.secret: the collector takes one" in refused(
        {"agent": COLLECTOR, "destinations": two}
    )
    assert settings(destinations=two)


def test_a_topic_of_the_users_is_not_taken_for_logs() -> None:
    topics = {"topics": {"logs": {"partitions": 1, "replicas": 1}}}
    assert "logging.destinations.kafka.kafka.topic: 'logs' is one of kafka.topics" in refused({}, kafka=topics)


def test_by_default_logs_go_to_a_bounded_topic_of_the_stacks_own_kafka() -> None:
    topic = environment().topics["logs"]
    assert (topic.partitions, topic.replicas, topic.retention_millis) == (4, 3, 3 * 24 * 3600 * 1000)
    assert int(topic.properties["retention.bytes"]) * topic.partitions == 512 * 1024 * 1024
    assert int(topic.properties["segment.bytes"]) * 4 <= int(topic.properties["retention.bytes"])
    assert "logs" not in environment(**{"streaming-platform:logging": {"enabled": False}}).topics


def test_the_image_of_fluentd_is_named_by_its_sources() -> None:
    registry = {"streaming-platform:images": {"registry": "registry.example"}}
    assert re.fullmatch(
        r"registry\.example/streaming-platform/fluentd:[0-9a-f]{16}", log_image(environment(**registry))
    )
    given = environment(**{"streaming-platform:logging": {"agent": COLLECTOR}})
    assert log_image(given) == COLLECTOR_IMAGE
    assert log_image(environment(**{"streaming-platform:logging": {"image": "mine:1"}})) == "mine:1"


def test_every_plug_in_of_the_image_is_pinned() -> None:
    recipe = (Path(__file__).parents[2] / "images" / "fluentd" / "Dockerfile").read_text()
    gems = dict(re.findall(r"^ +([a-z0-9-]+):([0-9.]+) ", recipe, re.MULTILINE))
    needed = {
        "kafka2": "kafka",
        "s3": "s3",
        "webhdfs": "webhdfs",
        "elasticsearch": "elasticsearch",
        "opensearch": "opensearch",
    }
    used = {re.findall(r"@type (\S+)", store)[0] for store in stores(fluentd(everywhere("fluentd")))}
    assert used == {*needed, "file", "forward"}
    assert {f"fluent-plugin-{name}" for name in needed.values()} <= gems.keys()
    assert re.search(r"^FROM \S+:v1\.16\.\d+-debian-", recipe, re.MULTILINE)


def sidecar(agent: Agent, **given: Any) -> Recording:
    args = building.log_sidecar_args(everywhere(agent, **given))
    made: list[LogSidecar] = []
    recording = record(lambda: made.append(LogSidecar("claims-logs", args)))
    flink = replace(building.flink_args(), additions=made[0].additions)
    both = record(lambda: FlinkCluster("claims", flink))
    return replace(recording, resources=recording.resources + both.resources)


@pytest.mark.parametrize("agent", list(DESTINATIONS))
def test_the_agent_starts_first_stops_last_and_is_kept_small(agent: Agent) -> None:
    recording = sidecar(agent, flushSeconds=7)
    plain = dict(building.flink().pod_templates())
    for name, template in recording.pod_templates():
        spec = template["spec"]
        first, *others = spec["initContainers"]
        assert first["name"] == "logs"
        assert all(each["restartPolicy"] == "Always" for each in spec["initContainers"])
        assert [each["name"] for each in others] == (["logs-last"] if agent == COLLECTOR else [])
        for each in spec["initContainers"]:
            assert each["securityContext"]["readOnlyRootFilesystem"] is True
            assert each["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}
        mounts = {mount["mountPath"]: mount for mount in first["volumeMounts"]}
        assert mounts["/opt/flink/log"] == {"name": "log", "mountPath": "/opt/flink/log", "readOnly": True}
        grace = plain[name]["spec"]["terminationGracePeriodSeconds"]
        assert spec["terminationGracePeriodSeconds"] == grace + 7


@pytest.mark.parametrize("agent", list(DESTINATIONS))
def test_its_volume_holds_all_buffers(agent: Agent) -> None:
    recording = sidecar(agent, bufferMib=100)
    for _, template in recording.pod_templates():
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        limit = volumes["logs-state"]["emptyDir"]["sizeLimit"]
        assert limit == f"{2 * 100 * len(DESTINATIONS[agent]) + 32}Mi"
        assert volumes["logs-to-to-volume"] == {
            "name": "logs-to-to-volume",
            "persistentVolumeClaim": {"claimName": "archive"},
        }
    assert state_mib(settings(bufferMib=100)) == 232


@pytest.mark.parametrize("agent", list(DESTINATIONS))
def test_full_volumes_and_each_containers_own_output_fit_into_what_a_pod_may_write(agent: Agent) -> None:
    for name, template in sidecar(agent, bufferMib=100).pod_templates():
        spec = template["spec"]
        all_of_them = [*spec["initContainers"], *spec["containers"]]
        bounds = [number(each["emptyDir"]["sizeLimit"]) for each in spec["volumes"] if "emptyDir" in each]
        limits = [number(each["resources"]["limits"]["ephemeral-storage"]) for each in all_of_them]
        assert sum(limits) == sum(bounds) + len(all_of_them) * OWN_DISK_MIB * 2**20, name


def test_secrets_reach_the_agent_by_reference_only() -> None:
    for agent in DESTINATIONS:
        recording = sidecar(agent)
        files = recording.inputs("ConfigMap", "claims-logs")["data"]
        config = files["fluent.conf" if agent == "fluentd" else "collector.yaml"]
        containers = {name: each for name, each in recording.containers() if name.endswith("/logs")}
        for container in containers.values():
            keys = {each["name"]: each.get("valueFrom", {}).get("secretKeyRef") for each in container["env"]}
            for variable in re.findall(r"(?:ENV\['|env:)([A-Z0-9_]+)", config):
                assert variable in keys
            s3 = "TO_S3" if agent == "fluentd" else "AWS"
            assert keys[f"{s3}_ACCESS_KEY_ID"] == {"name": "store-keys", "key": "access-key-id"}
            assert keys["TO_KAFKA_PASSWORD"] == {"name": "kafka-login", "key": "password"}


@pytest.mark.parametrize("agent", list(DESTINATIONS))
def test_another_configuration_rolls_the_pods(agent: Agent) -> None:
    before, after = sidecar(agent), sidecar(agent, bufferMib=99)
    for (name, old), (_, new) in zip(before.pod_templates(), after.pod_templates(), strict=True):
        assert old["metadata"]["annotations"] != new["metadata"]["annotations"], name


def test_an_event_that_was_cut_fits_into_a_batch_and_into_kafkas_limit() -> None:
    """Whatever its bytes are: three for each that is no text, six for a control character in JSON; and its fields."""
    document = collector(everywhere(COLLECTOR))
    for name, receiver in document["receivers"].items():
        largest = receiver["max_log_size"]
        assert [each["field"] for each in receiver["operators"] if "if" in each][-1] == "body.cut", name
        for exporter in document["exporters"].values():
            if "sending_queue" in exporter:
                assert 3 * largest + 64 * 1024 <= exporter["sending_queue"]["batch"]["max_size"]
            if "producer" in exporter:
                assert 6 * largest + 64 * 1024 <= exporter["producer"]["max_message_bytes"]


def test_the_collector_neither_drops_nor_fills_the_disk() -> None:
    document = collector(everywhere(COLLECTOR, bufferMib=32))
    for name, receiver in document["receivers"].items():
        assert receiver["storage"] == "file_storage", name
        assert receiver["retry_on_failure"] == {"enabled": True, "max_elapsed_time": 0}, name
    for name, exporter in document["exporters"].items():
        if not name.startswith("file/"):
            queue = exporter["sending_queue"]
            assert (queue["storage"], queue["sizer"], queue["queue_size"]) == ("file_storage", "bytes", 32 * 2**20), (
                name
            )
            assert queue["block_on_overflow"] is True, name
            assert queue["batch"]["max_size"] <= queue["queue_size"], name


def test_destinations_do_not_wait_for_each_other() -> None:
    pipelines = collector(everywhere(COLLECTOR))["service"]["pipelines"]
    assert len(pipelines) == len(DESTINATIONS[COLLECTOR])
    readers = [reader for pipeline in pipelines.values() for reader in pipeline["receivers"]]
    assert len(readers) == len(set(readers)) == 2 * len(pipelines)
    assert all(len(pipeline["exporters"]) == 1 for pipeline in pipelines.values())


@pytest.mark.parametrize("kind", DESTINATIONS["fluentd"])
def test_fluentd_buffers_on_disk_within_bounds_and_flushes_when_it_stops(kind: str) -> None:
    (store,) = stores(fluentd(settings(destinations={"a": {kind: EVERY[kind]}}, bufferMib=40)))
    buffer = parameters(store[store.index("<buffer") :])
    assert buffer["@type"] == "file"
    assert buffer["total_limit_size"] == "40m"
    assert buffer["overflow_action"] == "drop_oldest_chunk"
    assert buffer["flush_at_shutdown"] == "true"
    assert (buffer["retry_type"], buffer["retry_forever"]) == ("exponential_backoff", "true")


@pytest.mark.parametrize(("agent", "kind"), KINDS)
@pytest.mark.parametrize("layout", ["text", "json"])
def test_each_agent_is_configured_for_each_destination(agent: str, kind: str, layout: str) -> None:
    given = settings(agent=agent, layout=layout, destinations={"to-volume": {kind: EVERY[kind]}})
    words = {
        "kafka": ("broker:9093", "logs"),
        "s3": ("archive", "http://store:9000", "%Y/%m/%d"),
        "hdfs": ("namenode", "9870", "%Y-%m-%d"),
        "elasticsearch": ("https://search:9200",),
        "opensearch": ("https://search:9200",),
        "forward": ("aggregator", "24224"),
        "volume": ("/mnt/to-volume/logs/",),
    }
    text = fluentd(given) if agent == "fluentd" else yaml.safe_dump(collector(given), width=1000)
    for word in words[kind]:
        assert word in text
    if agent == "fluentd":
        opened = [re.findall(r"[\w]+", line)[0] for line in text.splitlines() if re.match(r" *<\w", line)]
        closed = [re.findall(r"[\w]+", line)[0] for line in text.splitlines() if re.match(r" *</", line)]
        assert sorted(opened) == sorted(closed)
        assert ("%iso8601" in text) == (layout == "json")


TEXT = "2026-11-21T05:31:35.123Z WARN  com.example.Job [main] - it broke"
TRACE = "java.lang.IllegalStateException: why\n\tat a.B.c(B.java:1)\nCaused by: x.Y: 2026\n\t... 3 more"


@pytest.mark.parametrize(
    ("line", "starts"),
    [
        (TEXT, True),
        ("2026-11-21 05:31:35,123 INFO  old", True),
        ('{"@timestamp": "2026"}', True),
        *((line, False) for line in TRACE.splitlines()),
        ("", False),
        (" 2026-11-21 05:31:35,123 indented", False),
    ],
)
def test_an_event_starts_where_a_time_stamp_does(line: str, starts: bool) -> None:
    assert bool(re.match(TEXT_START, line)) is starts


@pytest.mark.parametrize(
    ("line", "starts"),
    [
        ("[2026-11-21T05:31:35.123+0000][0.010s][info][gc,init] CardTable entry size: 512", True),
        ("[2026-11-21T05:31:35.123+0000][0.010s][info][gc] Using Serial", True),
        ("[2026-11-21T05:31:36.123+0000][1.010s][info][gc,start    ] GC(0) Pause Young", True),
        ("[2026-11-21T05:31:36.124+0000][1.011s][info][gc,heap     ] GC(0) DefNew: 1K", False),
        ("[2026-11-21T05:31:36.125+0000][1.012s][info][gc          ] GC(0) Pause Young 4ms", False),
        ("[2026-11-21T05:31:36.125+0000][1.012s][info][gc,cpu      ] GC(0) User=0.01s", False),
    ],
)
def test_a_collection_is_one_event(line: str, starts: bool) -> None:
    assert bool(re.match(GC_START, line)) is starts
    found = re.match(GC_EVENT, line)
    assert found
    assert found["level"] == "info"
    assert found["zone"] == "+0000"


def test_time_zone_and_level_are_read_from_an_event() -> None:
    found = re.match(TEXT_EVENT, f"{TEXT}\n{TRACE}")
    assert found
    assert found.groupdict() == {"time": "2026-11-21T05:31:35.123", "zone": "Z", "level": "WARN"}


def _write(path: Path, numbers: range) -> None:
    """Numbered lines; after the 300th a stack trace."""
    with path.open("a") as file:
        for n in numbers:
            file.write(f"2026-11-21T05:31:35.{n:03}Z INFO  x.Y [main] - number {n:03}\n")
            if n == 300:
                file.write(TRACE + "\n")


def _roll(path: Path, number: int) -> None:
    """As log4j does."""
    path.rename(f"{path}.{number}")
    path.touch()


def on_path(program: str) -> str:
    """Where a program is. Without it the test did not run, and the report says so: no registry here has fluentd."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"NOT RUN: {program} is not on PATH; install it to have this checked")
    return found


class Fluentd:
    """A real one, by the configuration of the sidecar, in a directory of its own."""

    def __init__(self, program: str, place: Path, layout: str) -> None:
        for name in ("log", "state", "out"):
            (place / name).mkdir()
        self.log, self.out, self.state = place / "log" / "flink.log", place / "out", place / "state"
        files = LogFiles(volume="log", directory=str(place / "log"), gcs=("*.gc",))
        given = settings(layout=layout, destinations={"out": {"volume": {"claim": "any"}}})
        dry_run(given, files, place)
        self.command = [program, *render(given, files, place)[1:]]
        origin = {name.upper(): name for name in ORIGIN}
        self.environment = {**origin, "PATH": f"{Path(program).parent}:/usr/bin:/bin", "LANG": "C.UTF-8"}

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self.command, "--no-supervisor"], env=self.environment)

    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for path in self.out.rglob("pod.log") for line in path.read_text().splitlines()]

    def numbers(self) -> list[int]:
        """In the lines that have arrived."""
        return [int(n) for each in self.documents() for n in re.findall(r"number (\d+)", each["message"])]


def test_fluentd_is_configured_to_lose_no_lines() -> None:
    text = fluentd(settings(agent="fluentd"))
    source = parameters(text[text.index("<source>") : text.index("<parse>")])
    assert source["follow_inodes"] == source["read_from_head"] == source["emit_unmatched_lines"] == "true"
    paths = [path.removeprefix("/opt/flink/log/") for path in source["path"].split(",")]
    assert paths[:4] == ["*.log.?", "*.out.?", "*.log.??", "*.out.??"]  # the oldest first: in_tail sorts as text
    assert paths[8:] == ["*.log", "*.log.*", "*.out", "*.out.*"]
    # It looks at each file once a second: see the comment there.
    assert 1 < int(source["refresh_interval"].removesuffix("s")) < int(source["rotate_wait"].removesuffix("s"))
    recording = sidecar("fluentd")
    assert "positions.rb" in recording.inputs("ConfigMap", "claims-logs")["data"]
    commands = [" ".join(each["command"]) for name, each in recording.containers() if name.endswith("/logs")]
    assert commands
    assert all("-r /etc/logs/positions.rb" in each for each in commands)


SAYS = """#!/bin/sh
[ -s "$2" ] && [ -s "$4" ] && [ "$TO_KAFKA_PASSWORD$NAMESPACE" = xx ] || exit 3
"""


@pytest.mark.parametrize(
    ("says", "refused"),
    [
        ("echo 'finished dry run mode'", ""),
        ("echo '[error]: config error'", "exit code 0.*config error"),
        ("echo no such plugin; exit 1", "exit code 1.*no such plugin"),
    ],
)
def test_a_dry_run_of_every_destination_prints_what_fluentd_reports(
    says: str, refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that checks a configuration; here fluentd is a script."""
    program = tmp_path / "fluentd"
    program.write_text(f"{SAYS}{says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    place = tmp_path / "place"
    place.mkdir()
    if refused:
        with pytest.raises(LocalError, match=f"(?s)refuses the configuration .{refused}"):
            dry_run(everywhere("fluentd"), FILES, place)
    else:
        assert "dry run" in dry_run(everywhere("fluentd"), FILES, place)


@pytest.mark.parametrize("image", ["", "registry.example/fluentd:1"])
def test_a_dry_run_without_fluentd_or_container_engine_names_what_is_missing(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match="on PATH"):
        dry_run(everywhere("fluentd"), FILES, tmp_path, image)


@pytest.mark.parametrize("layout", ["text", "json"])
def test_fluentd_takes_the_configuration_and_reads_rolled_files(layout: str, tmp_path: Path) -> None:
    """By a real one."""
    program = on_path("fluentd")
    fluentd = Fluentd(program, tmp_path, layout)
    agent = fluentd.start()
    try:
        eventually("fluentd to read", (fluentd.state / "text.pos").exists, 60)
        for roll in range(3):
            _write(fluentd.log, range(200 * roll, 200 * (roll + 1)))
            _roll(fluentd.log, roll)
            time.sleep(2)
    finally:
        agent.terminate()
        agent.wait(60)
    assert sorted(fluentd.numbers()) == list(range(600))
    (traced,) = [each for each in fluentd.documents() if TRACE in each["message"]]
    assert traced["@timestamp"] == "2026-11-21T05:31:35.300Z"
    assert (traced["level"], traced["pod"], traced["component"]) == ("INFO", "pod", "component")


def test_a_killed_fluentd_resumes_where_it_was(tmp_path: Path) -> None:
    """By a real one. New files get the inodes of files that were deleted while it was away."""
    program = on_path("fluentd")
    fluentd = Fluentd(program, tmp_path, "text")
    agent = fluentd.start()
    try:
        for roll in range(3):
            _write(fluentd.log, range(100 * roll, 100 * (roll + 1)))
            _roll(fluentd.log, roll)
        eventually("fluentd to ship", lambda: len(fluentd.numbers()) == 300, 60)
        for n in range(300, 350):  # killed while it puts an event together
            _write(fluentd.log, range(n, n + 1))
            time.sleep(0.05)
        agent.kill()
        agent.wait(60)
        _write(fluentd.log, range(350, 400))
        for roll in range(3, 6):
            Path(f"{fluentd.log}.{roll - 3}").unlink()
            _roll(fluentd.log, roll)
            _write(fluentd.log, range(100 * roll + 100, 100 * roll + 200))
        agent = fluentd.start()
        eventually("fluentd to go on", lambda: max(fluentd.numbers()) >= 690, 60)
    finally:
        agent.terminate()
        agent.wait(60)
    numbers = fluentd.numbers()
    assert sorted(set(numbers)) == list(range(700))
    assert len(numbers) <= 702  # what it was putting together, or had not noted


def test_positions_that_a_killed_fluentd_left_are_put_right(tmp_path: Path) -> None:
    """By Ruby itself, which Debian has."""
    ensure_packages({"ruby": "ruby"})
    ruby = shutil.which("ruby")
    assert ruby
    (tmp_path / "state").mkdir()
    files = LogFiles(volume="log", directory=str(tmp_path))
    script, positions, log = tmp_path / "positions.rb", tmp_path / "state" / "text.pos", tmp_path / "flink.log"
    script.write_text(positions_script(files, str(positions.parent)))
    _write(log, range(299, 302))
    inode, size, traced = log.stat().st_ino, log.stat().st_size, log.read_text().index("2026-11-21T05:31:35.300Z")
    after = log.read_text().index("2026-11-21T05:31:35.301Z")

    def put_right(entries: Sequence[tuple[int, int]], seconds: float) -> list[tuple[int, int]]:
        """Entries (position, inode) of a position file that was last written so long after the log was made."""
        positions.write_text("".join(f"{log}\t{at:016x}\t{number:016x}\n" for at, number in entries))
        written = log.stat().st_mtime + seconds
        os.utime(positions, (written, written))
        subprocess.run([ruby, script], check=True)
        lines = [line.split("\t") for line in positions.read_text().splitlines()]
        assert all(line[0] == str(log) for line in lines)
        return [(int(line[1], 16), int(line[2], 16)) for line in lines]

    # To the start of the last event, a stack trace included; a file that was cut is in_tail's own concern.
    assert put_right([(size, inode)], 1) == [(after, inode)]
    assert put_right([(after, inode)], 1) == [(traced, inode)]
    assert put_right([(0, inode)], 1) == [(0, inode)]
    assert put_right([(size + 1, inode)], 1) == [(size + 1, inode)]
    # Of files that are gone, and of one that had the inode before this one.
    assert put_right([(5, inode + 1), (2**64 - 1, inode)], 1) == []
    assert put_right([(size, inode)], -1) == []
    # Whatever else is there, it starts: a name that is no text, no position at all, a directory for a file.
    (tmp_path / "more.log").mkdir()
    positions.write_bytes(b"/\xff.log\t0\t1\n\x00\n")
    assert subprocess.run([ruby, script], check=False).returncode == 0
    assert positions.read_text() == ""
    positions.unlink()
    positions.mkdir()
    done = subprocess.run([ruby, script], check=False, capture_output=True, text=True)
    assert (done.returncode, "left as it is" in done.stderr) == (0, True)
