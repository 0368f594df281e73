"""Rules for delivery: guarantees of the job, transactions, replicas, and sizes that Kafka is not made for."""

from collections.abc import Iterator
from dataclasses import dataclass

from policies.flink import FlinkCluster, FlinkProcess, flink_clusters
from policies.kafka import (
    DEFAULT_MAX_TRANSACTION_MILLIS,
    DEFAULT_MESSAGE_BYTES,
    KafkaBrokers,
    Topic,
    kafkas,
    topics,
)
from policies.resources import Stack
from policies.rules import Bounds, Setting, apart, each_of, figure, rule
from policies.unknown import UnreadableError, known, whole

_GUARANTEES = ("NONE", "AT_LEAST_ONCE", "EXACTLY_ONCE")
_JOB = "guarantee and checkpointing are in arguments and in another object"
_NO_OBJECT = "topics are no objects of Kubernetes"
_DEFAULT_TRANSACTION_MILLIS = 3_600_000  # of Flink's KafkaSink
_DEFAULT_CHECKPOINT_TIMEOUT_MILLIS = 600_000
_DEFAULT_HEARTBEAT_TIMEOUT_MILLIS = 50_000


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A job that names a delivery guarantee, and the brokers in its stack."""

    cluster: FlinkCluster
    stack: Stack

    @property
    def urn(self) -> str:
        return self.cluster.urn

    @property
    def where(self) -> str:
        return self.cluster.where

    def argument(self, *endings: str) -> tuple[str, str | None]:
        """Name and value of a job's option whose name ends so: `--name value`, `--name=value` or in its variables."""
        words = self.cluster.job_manager.container.words
        for index, word in enumerate(words):
            name, equals, value = word.partition("=")
            if word.startswith("-") and name.lower().replace("_", "-").endswith(endings):
                return name, value if equals else (words[index + 1] if index + 1 < len(words) else "")
        for name, value in self.cluster.job_manager.container.env.items():
            if name.lower().replace("_", "-").endswith(endings):
                return name, str(known(value))
        return "", None

    @property
    def guarantee(self) -> str:
        """The job's guarantee in the words of Flink's DeliveryGuarantee; NONE if the job names none."""
        name, text = self.argument("delivery-guarantee", "delivery.guarantee")
        found = "NONE" if text is None else text.upper().replace("-", "_")
        if found not in _GUARANTEES:
            raise UnreadableError(name, text, f"guarantee: {', '.join(_GUARANTEES)}")
        return found


def _jobs(stack: Stack) -> Iterator[_Job]:
    return (_Job(cluster=cluster, stack=stack) for cluster in flink_clusters(stack))


def _checkpointed(job: _Job, _: Bounds) -> Iterator[str]:
    if job.guarantee != "NONE" and job.cluster.job_manager.checkpoint_millis <= 0:
        yield f"the delivery guarantee is {job.guarantee}, and checkpointing is off"


CHECKPOINTED = rule(
    id="delivery-needs-checkpoints",
    description=(
        "Flink commits what it wrote with a checkpoint. Without checkpoints EXACTLY_ONCE never shows a record, and "
        "AT_LEAST_ONCE loses what was in flight."
    ),
    remedy="set execution.checkpointing.interval (checkpointIntervalSeconds of a cluster), or the guarantee NONE",
    subjects=_jobs,
    check=_checkpointed,
    scope="stack",
    admission=_JOB,
)


def _transactions(job: _Job, _: Bounds) -> Iterator[str]:
    process = job.cluster.job_manager
    if job.guarantee != "EXACTLY_ONCE" or process.checkpoint_millis <= 0:
        return
    name, text = job.argument("transaction-timeout-millis", "transaction-timeout-ms", "transaction.timeout.ms")
    timeout = _DEFAULT_TRANSACTION_MILLIS if text is None else whole(name, text)
    said = "" if text else ", KafkaSink's default,"

    def admitted(brokers: KafkaBrokers) -> Iterator[str]:
        for file, properties in brokers.files.items():
            name = "transaction.max.timeout.ms"
            most = whole(name, properties.get(name, DEFAULT_MAX_TRANSACTION_MILLIS))
            if timeout > most:
                yield (
                    f"the transaction time-out is {timeout} ms{said} and {brokers.owner.where} ({file}) admits "
                    f"{most} ms ({name}): the job fails when it starts"
                )
                break

    yield from apart(kafkas(job.stack), admitted)
    yield from each_of(lambda: _outlasts(process, timeout))


def _outlasts(process: FlinkProcess, timeout: int) -> Iterator[str]:
    parts = {
        "execution.checkpointing.interval": process.checkpoint_millis,
        "execution.checkpointing.timeout": process.duration(
            "execution.checkpointing.timeout", _DEFAULT_CHECKPOINT_TIMEOUT_MILLIS
        ),
        "heartbeat.timeout": process.duration("heartbeat.timeout", _DEFAULT_HEARTBEAT_TIMEOUT_MILLIS),
    }
    least = sum(parts.values())
    if timeout < least:
        sum_of = " + ".join(f"{figure(value)} {name}" for name, value in parts.items())
        yield (
            f"the transaction time-out is {timeout} ms, below {figure(least)} ms ({sum_of}): records of a long "
            "checkpoint are lost"
        )


TRANSACTIONS = rule(
    id="delivery-transaction-timeout",
    description=(
        "With EXACTLY_ONCE a transaction must outlast the longest checkpoint and a restart, or the broker aborts it "
        "and its records are lost. With a longer timeout than the broker admits, the job does not start."
    ),
    remedy="set the job's transaction.timeout.ms above the longest checkpoint and a restart, and at most to the "
    "brokers' transaction.max.timeout.ms, or raise that",
    subjects=_jobs,
    check=_transactions,
    scope="stack",
    admission=_JOB,
)


def _topic_size(topic: Topic, bounds: Bounds) -> Iterator[str]:
    size, most = topic.number("max.message.bytes"), bounds.number("maxBytes")
    if size is not None and size > most:
        yield f"max.message.bytes is {size}, above {most} (maxBytes)"


TOPIC_SIZE = rule(
    id="topic-claim-check",
    description=(
        "Kafka holds whole records in memory, on brokers and in every client, several at a time. With large records "
        "brokers and clients run out of memory, and checkpoints become slow."
    ),
    remedy="write the payload to storage and send its location (claim-check), as the reference job reads it",
    subjects=topics,
    check=_topic_size,
    scope="stack",
    settings={
        "maxBytes": Setting(DEFAULT_MESSAGE_BYTES, "largest max.message.bytes of a topic and of brokers, in bytes")
    },
    admission=_NO_OBJECT,
)


def _broker_size(brokers: KafkaBrokers, bounds: Bounds) -> Iterator[str]:
    most = bounds.number("maxBytes")
    for file, properties in brokers.files.items():
        size = whole("message.max.bytes", properties.get("message.max.bytes", DEFAULT_MESSAGE_BYTES))
        if size > most:
            yield f"message.max.bytes is {size} in {file}, above {most} (maxBytes)"


BROKER_SIZE = rule(
    id="broker-claim-check",
    description="The brokers' own bound holds for every topic that names none: it admits large records everywhere.",
    remedy="leave message.max.bytes out, write payloads to storage and send their location (claim-check)",
    subjects=kafkas,
    check=_broker_size,
    scope="stack",
    settings=TOPIC_SIZE.settings,
    admission="the brokers' properties are in another object",
)


def _survives(replicas: int, in_sync: int, brokers: int, bounds: Bounds) -> Iterator[str]:
    """Yield what is wrong with a number of replicas, and of replicas that must have a record, for a number of
    brokers."""
    if brokers < 2:
        return
    wanted = min(bounds.number("minReplicas"), brokers)
    needed = min(bounds.number("minInSync"), wanted - 1)
    if replicas < wanted:
        yield f"{replicas} replicas on {brokers} brokers, below {wanted} (minReplicas)"
    elif in_sync >= replicas:
        yield f"min.insync.replicas is {in_sync} of {replicas}: without one broker nothing can be written"
    elif in_sync < needed:
        yield f"min.insync.replicas is {in_sync}, below {needed} (minInSync): a record may be on one broker only"


_SURVIVES = {
    "minReplicas": Setting(3, "least replicas of a topic; with fewer brokers, as many as there are brokers"),
    "minInSync": Setting(2, "least min.insync.replicas; with fewer replicas, one less than the replicas"),
}


def _topic_survives(topic: Topic, bounds: Bounds) -> Iterator[str]:
    replicas = known(topic.replicas)
    if topic.brokers is None or replicas is None:
        return
    in_sync = topic.number("min.insync.replicas")
    yield from _survives(whole("replicas", replicas), 1 if in_sync is None else in_sync, topic.brokers, bounds)


TOPIC_SURVIVES = rule(
    id="topic-survives-a-broker",
    description="A topic on one broker is gone with it, and one that needs all of its brokers stops when one restarts.",
    remedy="use 3 replicas and min.insync.replicas 2 (2 and 1 where there are two brokers)",
    subjects=topics,
    check=_topic_survives,
    scope="stack",
    settings=_SURVIVES,
    admission=_NO_OBJECT,
)

# Replicas of a broker's own topics and defaults, what must be in sync of them, and Kafka's defaults of both.
_BROKER_REPLICAS = (
    ("default.replication.factor", 1, "min.insync.replicas", 1),
    ("offsets.topic.replication.factor", 3, "min.insync.replicas", 1),
    ("transaction.state.log.replication.factor", 3, "transaction.state.log.min.isr", 2),
)


def _broker_survives(brokers: KafkaBrokers, bounds: Bounds) -> Iterator[str]:
    count = brokers.count
    for file, properties in brokers.files.items():

        def survives(
            row: tuple[str, int, str, int], file: str = file, properties: dict[str, str] = properties
        ) -> Iterator[str]:
            factor, factor_default, in_sync, in_sync_default = row
            replicas = whole(factor, properties.get(factor, factor_default))
            needed = whole(in_sync, properties.get(in_sync, in_sync_default))
            for text in _survives(replicas, needed, count, bounds):
                yield f"{factor} in {file}: {text}"

        yield from apart(_BROKER_REPLICAS, survives)


BROKER_SURVIVES = rule(
    id="broker-defaults-survive-a-broker",
    description=(
        "Offsets, transactions and topics without a number of their own follow the brokers' defaults. On one broker "
        "they are lost with it, and every consumer starts from the beginning."
    ),
    remedy="use 3 replicas and 2 in sync (2 and 1 where there are two brokers)",
    subjects=kafkas,
    check=_broker_survives,
    scope="stack",
    settings=_SURVIVES,
    admission="the brokers' properties are in another object",
)

RULES = (CHECKPOINTED, TRANSACTIONS, TOPIC_SIZE, BROKER_SIZE, TOPIC_SURVIVES, BROKER_SURVIVES)
