"""Logs on the real node: what is logged arrives, whatever happens to the pod and the sidecar."""

import json

from bench.common.topics import Reader
from cli import prove
from cli.platform import Target
from components.kafka.admin import forward
from tests.integration.harness import bench


def test_flinks_logs_are_in_the_topic_with_their_origin(target: Target) -> None:
    dev, settings = prove.kube(target)
    with (
        forward(prove.connection_of(settings), dev.kubeconfig.read_text()) as bootstrap,
        Reader(bootstrap, committed=False) as reader,
    ):
        documents = [message.value() or b"" for message in reader.messages("logs", {}, reader.ends("logs"))]
    events = [event for document in documents if (event := json.loads(document))["cluster"] == "claims"]
    assert {event["component"] for event in events} == {"jobmanager", "taskmanager"}
    assert {"log", "gc"} <= {part for event in events for part in event["file"].split(".")}
    for event in events:
        assert event["namespace"] == "dev"
        assert event["pod"].startswith(f"claims-{event['component']}-")
        assert event["@timestamp"], event
    assert any("Starting" in event["message"] and event["level"] == "INFO" for event in events)


def test_every_line_arrives_though_the_agent_is_killed_and_the_pod_deleted(target: Target) -> None:
    """Those too that tasks log while their JVM stops: the job goes on logging, and counts, to its very end."""
    bench("logging", target, "--checks", "loss", "--outage", "0", "--lines", "10000", "--per-second", "1500")
