"""Prometheus of an environment: what each shard scrapes, and how its pods find their configuration."""

from collections import Counter
from typing import Any

import pytest
import yaml

from components.flink.settings import FlinkSettings
from components.monitoring.jobs import FLINK_ROLES
from components.monitoring.panels import PANELS, WINDOW
from components.ports import FLINK_SCOPES
from tests.unit import building
from tests.unit.recording import Recording
from tests.unit.test_stacks import JOB, build_environment


def shards(recording: Recording) -> dict[str, list[dict[str, Any]]]:
    """The scrape jobs of each shard, by the name of its file."""
    data = recording.inputs("ConfigMap", "prometheus-config")["data"]
    return {name: yaml.safe_load(text)["scrape_configs"] for name, text in data.items()}


def labels(job: dict[str, Any]) -> dict[str, str]:
    return {each["target_label"]: each["replacement"] for each in job["relabel_configs"]}


def target(job: dict[str, Any]) -> tuple[str, int]:
    (found,) = job["dns_sd_configs"]
    (name,) = found["names"]
    assert found["type"] == "A"
    return name, found["port"]


@pytest.mark.parametrize("count", [1, 3, 20])
def test_each_target_is_scraped_by_one_shard_and_once(count: int) -> None:
    found = shards(building.prometheus(shards=count))
    assert set(found) == {f"prometheus-{n}.yaml" for n in range(count)}
    jobs = [job for own in found.values() for job in own]
    names = [f"flink/claims/{role}/{scope}" for role in FLINK_ROLES for scope in FLINK_SCOPES]
    names += ["zookeeper", "kafka", *(f"prometheus/{n}" for n in range(count))]
    assert Counter(job["job_name"] for job in jobs) == Counter(names)
    assert max(Counter(map(target, jobs)).values()) == 1
    assert {job["honor_labels"] for job in jobs} == {False}


def test_targets_are_the_pods_of_services_that_there_are() -> None:
    """A name that no Service has would be a target that is never found, and nobody would be told."""
    dev = build_environment(monitoring={"enabled": True, "shards": 2})
    headless = {
        each.inputs["metadata"]["name"]: each.inputs["spec"]["selector"]
        for each in dev.all("Service")
        if each.inputs["spec"].get("clusterIP") == "None" and each.inputs["spec"]["publishNotReadyAddresses"] is True
    }
    pods = [template for _, template in dev.pod_templates()]
    seen: set[tuple[str, str, str]] = set()
    for job in (job for own in shards(dev).values() for job in own):
        name, port = target(job)
        *member, service, namespace, svc = name.split(".")
        assert (namespace, svc) == ("dev", "svc")
        (template,) = [each for each in pods if headless[service].items() <= each["metadata"]["labels"].items()]
        assert port in {each["containerPort"] for own in template["spec"]["containers"] for each in own["ports"]}
        own = labels(job)
        assert own.keys() == {"cluster", "component", "scope"}
        assert own["cluster"] == template["metadata"]["labels"]["app.kubernetes.io/instance"]
        assert member == ([job["job_name"].replace("/", "-")] if own["component"] == "shard" else [])
        seen.add((own["cluster"], own["component"], own["scope"]))
    flink = {(name, role, scope) for name in ("claims", "other") for role in FLINK_ROLES for scope in FLINK_SCOPES}
    rest = {("kafka", "broker", "process"), ("zookeeper", "member", "process"), ("prometheus", "shard", "process")}
    assert seen == flink | rest


def test_a_flink_cluster_without_metrics_is_not_scraped() -> None:
    silent = {**JOB, "metrics": {"enabled": False}}
    dev = build_environment(monitoring={"enabled": True}, flink={"clusters": {"claims": JOB, "silent": silent}})
    clusters = {labels(job)["cluster"] for own in shards(dev).values() for job in own}
    assert clusters == {"claims", "zookeeper", "kafka", "prometheus"}
    services = {each.inputs["metadata"]["name"] for each in dev.all("Service")}
    assert {"claims-jobmanager-pods", "claims-taskmanager-pods"} <= services
    assert not {"silent-jobmanager-pods", "silent-taskmanager-pods"} & services


def test_an_environment_has_no_prometheus_unless_it_asks_for_one() -> None:
    assert not build_environment().all("Prometheus")


def test_the_sizes_of_the_claims_are_looked_at_before_they_change() -> None:
    sizes = build_environment(monitoring={"enabled": True, "shards": 2, "storageMib": 1024}).all("Continuity")[0].inputs
    assert {name: size for name, size in sizes["sizes"].items() if "prometheus" in name} == {
        "data-prometheus-0": 1024,
        "data-prometheus-1": 1024,
    }


def test_a_pod_takes_the_file_of_its_own_name_and_stays_below_its_bounds() -> None:
    recording = building.prometheus(shards=2, memoryMib=500, storageMib=1000, retentionHours=3)
    ((_, container),) = recording.containers()
    assert "--config.file=/etc/prometheus/shards/$(POD_NAME).yaml" in container["args"]
    assert "--storage.tsdb.retention.time=3h" in container["args"]
    assert "--storage.tsdb.retention.size=750MB" in container["args"]
    environment = {each["name"]: each for each in container["env"]}
    assert environment["POD_NAME"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert environment["GOMEMLIMIT"]["value"] == "450MiB"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    ((_, template),) = recording.pod_templates()
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] == "prometheus"
    assert template["spec"]["securityContext"]["runAsUser"] == 65534


def test_it_scrapes_as_often_as_asked_and_gives_up_before_the_next_scrape() -> None:
    for seconds, timeout in ((5, "5s"), (60, "10s")):
        (text,) = building.prometheus(scrapeSeconds=seconds).inputs("ConfigMap", "prometheus-config")["data"].values()
        assert yaml.safe_load(text)["global"] == {"scrape_interval": f"{seconds}s", "scrape_timeout": timeout}


def test_a_flink_cluster_cannot_take_its_name() -> None:
    with pytest.raises(ValueError, match="prometheus"):
        FlinkSettings.model_validate({"clusters": {"prometheus": JOB}})


def test_each_panel_reads_one_metric_so_that_one_shard_knows_all_of_a_line() -> None:
    assert len({panel.title for panel in PANELS}) == len(PANELS) >= 11
    for panel in PANELS:
        assert f"by ({', '.join(panel.legend)})" in panel.query, panel.title
        assert panel.query.count("sum by") + panel.query.count("max by") == 1, panel.title
        assert WINDOW not in panel.promql(15), panel.title
    rates = [panel for panel in PANELS if WINDOW in panel.query]
    assert all("[60s]" in panel.promql(5) and "[240s]" in panel.promql(60) for panel in rates)
