"""The proof that the platform works: records of this run go in, and each comes out exactly once."""

import io
import json
import subprocess
import tarfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from cli.kube import Kube
from cli.platform import Target, deployer_kubeconfig, workspace
from cli.waiting import until_it_runs
from components.flink.directories import DATA_DIR
from components.kafka.admin import PodConnection, forward
from console.progress import LocalError, say, step
from stacks.settings import EnvironmentSettings

RECORDS = 10_000
PAYLOADS = 100  # claims share payloads: what is proved is the reading, not the disk
TIMEOUT_SECONDS = 180
GRACE_SECONDS = 8  # after the last id: longer than a checkpoint interval, so that a repetition would show
STACK = "dev"
CLUSTER = "claims"  # the reference job's Flink cluster
JOB = "streaming.jobs.ClaimsJob"
TOPICS = ("events", "results", "dead-letters")
_PROVED = "proved"  # a file in the platform's state


@dataclass(frozen=True)
class Proof:
    """The results for the ids that were sent."""

    sent: int
    missing: int
    repeated: int
    wrong: int  # results whose payload size is not the one that was written
    dead: int  # dead letters of this run
    seconds: float

    @property
    def holds(self) -> bool:
        return not (self.missing or self.repeated or self.wrong or self.dead)


def kube(target: Target) -> tuple[Kube, EnvironmentSettings]:
    """kubectl with the rights of the environment's deployer, and the environment's settings."""
    work = workspace(target)
    settings = work.settings(STACK)
    kubeconfig = deployer_kubeconfig(target, STACK)
    return Kube(bin=work.bin, kubeconfig=kubeconfig, namespace=settings.environment), settings


def forget_proof(target: Target) -> bool:
    """Return whether the platform was proved as it was. No longer so from here on: an update may fail half-way."""
    marker = target.state / _PROVED
    proved = marker.exists()
    marker.unlink(missing_ok=True)
    return proved


def after_up(target: Target, *, proved: bool) -> None:
    """Wait until all runs, whatever changed or did not; prove the platform, or say that it still is proved.

    A platform whose settings leave nothing to prove it by is not proved, and the output says why.
    """
    at, settings = kube(target)
    until_it_runs(at, settings)
    if reason := unprovable(settings):
        say(f"  not proved: {reason}")
        return
    if proved:
        say(f"\n  Nothing changed since the platform was proved: not proved again (make prove{target.words} does it).")
    else:
        _prove(at, settings)
    (target.state / _PROVED).touch()


def unprovable(settings: EnvironmentSettings) -> str:
    """Return why records cannot be sent through an environment: it is changed so that the reference job is not there,
    or cannot read the proof's files; nothing if they can."""
    cluster = settings.flink.clusters.get(CLUSTER)
    if cluster is None or cluster.main_class != JOB:
        return f"the proof goes through the Flink cluster {CLUSTER} with the job {JOB}, which {STACK} does not have"
    if cluster.s3:
        return f"the proof puts files on the volume of the Flink cluster {CLUSTER}, whose state is in S3"
    missing = [topic for topic in TOPICS if topic not in settings.topics]
    return f"the proof needs the topics {', '.join(missing)}, which {STACK} does not have" if missing else ""


def prove(target: Target) -> None:
    """Send records and check the results. Raises LocalError with the counts when the proof fails, and where the
    settings leave nothing to prove it by."""
    at, settings = kube(target)
    if reason := unprovable(settings):
        raise LocalError(reason)
    until_it_runs(at, settings)
    _prove(at, settings)


def _prove(at: Kube, settings: EnvironmentSettings) -> None:
    with step(f"proof: {RECORDS:,} records through events -> {CLUSTER} -> results"):
        proof = run_proof(at, settings, RECORDS)
    text = (
        f"{proof.sent:,} sent, {proof.sent - proof.missing:,} came out in {proof.seconds:.1f} s; "
        f"missing {proof.missing}, repeated {proof.repeated}, wrong {proof.wrong}, dead letters {proof.dead}"
    )
    if not proof.holds:
        raise LocalError(
            f"the proof failed: {text}\nlook at: kubectl -n {at.namespace} logs deploy/{CLUSTER}-taskmanager"
        )
    say(f"  proof: each id arrived exactly once: {text}")


def run_proof(at: Kube, settings: EnvironmentSettings, records: int) -> Proof:
    """Write payloads, send claims that name them, and read results and dead letters from where they ended before."""
    run_id = uuid.uuid4().hex[:8]
    sizes = [64 + 7 * n for n in range(PAYLOADS)]
    directory = f"{DATA_DIR}/payloads/{run_id}"
    write_payloads(at, CLUSTER, directory, sizes)
    connection = connection_of(settings)
    try:
        with forward(connection, at.kubeconfig.read_text()) as bootstrap:
            consumer = reader(bootstrap, TOPICS[1:])
            start = time.monotonic()
            send(bootstrap, TOPICS[0], (claim(run_id, directory, n) for n in range(records)))
            found, dead = _collect(consumer, run_id, records)
            consumer.close()
    finally:
        at.run("exec", f"deploy/{CLUSTER}-jobmanager", "--", "rm", "-rf", directory)
    times = Counter(result["id"] for result in found)
    last = max((result["seen"] for result in found), default=time.monotonic())
    return Proof(
        sent=records,
        missing=records - len(times),
        repeated=sum(count - 1 for count in times.values()),
        wrong=sum(result["bytes"] != sizes[int(result["id"].split("-")[1]) % PAYLOADS] for result in found),
        dead=dead,
        seconds=last - start,
    )


def connection_of(settings: EnvironmentSettings) -> PodConnection:
    """Return how to reach the environment's brokers through the Kubernetes API."""
    return PodConnection(
        namespace=settings.environment,
        stateful_set="kafka",
        brokers=settings.kafka.brokers,
        admin_port=settings.kafka.admin_port,
        credentials="",
    )


def claim(run_id: str, directory: str, n: int) -> tuple[str, str]:
    """Key and value of the n-th record."""
    return message(f"{run_id}-{n}", f"file://{directory}/{n % PAYLOADS}", f"claim {n}")


def message(key: str, location: str, name: str) -> tuple[str, str]:
    """Key and value of the record of a claim, whose payload is at a location."""
    return key, json.dumps({"id": key, "location": location, "name": name})


def write_payloads(at: Kube, cluster: str, directory: str, sizes: Sequence[int]) -> None:
    """Write payload files into a Flink cluster's volume."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for n, size in enumerate(sizes):
            info = tarfile.TarInfo(str(n))
            info.size = size
            tar.addfile(info, io.BytesIO(bytes((n + k) % 251 for k in range(size))))
    unpack = f"mkdir -p {directory} && tar -x -C {directory}"
    words = at.words("exec", "-i", f"deploy/{cluster}-jobmanager", "--", "sh", "-c", unpack)
    done = subprocess.run(words, input=archive.getvalue(), capture_output=True, check=False)
    if done.returncode != 0:
        raise LocalError(f"payloads could not be written into {cluster}-jobmanager: {done.stderr.decode()}")


def send(bootstrap: str, topic: str, records: Any) -> None:
    """Produce records, and wait until every one is acknowledged by all in-sync replicas."""
    failed: list[KafkaError] = []
    quiet = {"log_level": 3}  # errors; a coordinator that still loads is retried and no news
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20, **quiet})
    for key, value in records:
        producer.produce(topic, value, key, on_delivery=lambda error, _: failed.append(error) if error else None)
        producer.poll(0)
    left = producer.flush(60)
    if failed or left:
        raise LocalError(f"{topic}: {len(failed) + left} records were not acknowledged: {failed[:1]}")


def reader(bootstrap: str, topics: Sequence[str]) -> Consumer:
    """A read_committed consumer that starts at the present end of the topics."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"proof-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    known = consumer.list_topics(timeout=30).topics
    assigned: list[TopicPartition] = []
    for topic in topics:
        if topic not in known:
            raise LocalError(f"there is no topic {topic}: make up creates it")
        for partition in known[topic].partitions:
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
            assigned.append(TopicPartition(topic, partition, end))
    consumer.assign(assigned)
    return consumer


def _collect(consumer: Consumer, run_id: str, expected: int) -> tuple[list[dict[str, Any]], int]:
    found: list[dict[str, Any]] = []
    ids: set[str] = set()
    dead = 0
    deadline = time.monotonic() + TIMEOUT_SECONDS
    complete = False
    while time.monotonic() < deadline:
        for message in consumer.consume(1000, timeout=0.5):
            if message.error():
                continue  # the client goes on by itself; what does not come is missing
            value = json.loads(message.value() or b"{}")
            if message.topic() == "dead-letters":
                dead += run_id in value.get("record", "")
            elif value.get("id", "").startswith(f"{run_id}-"):
                found.append({**value, "seen": time.monotonic()})
                ids.add(value["id"])
        if not complete and len(ids) + dead >= expected:
            complete = True
            deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
    return found, dead
