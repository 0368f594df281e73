"""The reference job as harnesses run it: small, and with a checkpoint every few seconds."""

from typing import Any

from stacks.settings import merge

CHECKPOINT_SECONDS = 5


def claims(name: str, *, source: str, sink: str, guarantee: str = "AT_LEAST_ONCE", **more: Any) -> dict[str, Any]:
    """Settings of the Flink cluster `name` in a stack file, from topic `source` to `sink`; `more` goes over them."""
    arguments = {
        "--bootstrap-servers": "kafka:9092",
        "--input-topic": source,
        "--output-topic": sink,
        "--dead-letter-topic": f"{name}-dead-letters",
        "--group-id": name,
        "--delivery-guarantee": guarantee,
        "--transaction-timeout-millis": "900000",
        "--transactional-id-prefix": name,
    }
    common = {
        "jar": "jobs/target/reference-job.jar",
        "mainClass": "streaming.jobs.ClaimsJob",
        "arguments": [word for pair in arguments.items() for word in pair],
        "taskManagers": {"min": 1, "memoryMib": 1728, "cpu": 0.2, "cpuLimit": 1},
        "jobManager": {"memoryMib": 1024, "cpu": 0.2, "cpuLimit": 1},
        "checkpointIntervalSeconds": CHECKPOINT_SECONDS,
        "storageMib": 1024,
    }
    return merge(common, more)
