"""The scrape jobs of Prometheus, and its configuration: targets are found by DNS.

A headless Service has an address for each of its pods. So Prometheus needs no account at the API server, which would
have to list all pods of the namespace.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from components.names import all_pods
from components.ports import FLINK_SCOPES, PROMETHEUS

FLINK_ROLES = ("jobmanager", "taskmanager")


@dataclass(frozen=True, kw_only=True)
class ScrapeJob:
    """A scrape job: one port of all pods behind a headless Service.

    `name` is that of the job, `host` the Service's, or a pod's below it. The rest become labels of each target.
    """

    name: str
    host: str
    port: int
    cluster: str
    component: str
    scope: str = "process"


def flink_jobs(cluster: str) -> Iterator[ScrapeJob]:
    """Yield the jobs of a Flink cluster: one for each role and scope."""
    for role in FLINK_ROLES:
        for scope, port in FLINK_SCOPES.items():
            yield ScrapeJob(
                name=f"flink/{cluster}/{role}/{scope}",
                host=all_pods(cluster, role),
                port=port,
                cluster=cluster,
                component=role,
                scope=scope,
            )


def member_job(name: str, component: str, port: int) -> ScrapeJob:
    """The job of a StatefulSet, by the Service that its members find each other by."""
    return ScrapeJob(name=name, host=f"{name}-headless", port=port, cluster=name, component=component)


def own_jobs(name: str, shards: int) -> Iterator[ScrapeJob]:
    """Yield a job for each shard of Prometheus itself: any shard may be the one to scrape it."""
    for shard in range(shards):
        yield ScrapeJob(
            name=f"{name}/{shard}",
            host=f"{name}-{shard}.{name}-headless",
            port=PROMETHEUS["http"],
            cluster=name,
            component="shard",
        )


def configuration(jobs: Sequence[ScrapeJob], *, namespace: str, scrape_seconds: int) -> str:
    """The configuration file of a shard that has these jobs."""
    interval = f"{scrape_seconds}s"
    document = {
        # An answer may take most of the interval, and no longer than the next scrape.
        "global": {"scrape_interval": interval, "scrape_timeout": f"{min(10, scrape_seconds)}s"},
        "scrape_configs": [_scrape(job, namespace, interval) for job in jobs],
    }
    return yaml.safe_dump(document, sort_keys=False)


def _scrape(job: ScrapeJob, namespace: str, interval: str) -> Mapping[str, object]:
    labels = {"cluster": job.cluster, "component": job.component, "scope": job.scope}
    return {
        "job_name": job.name,
        # A job must not take the name of another cluster: such labels become exported_...
        "honor_labels": False,
        "dns_sd_configs": [
            {"names": [f"{job.host}.{namespace}.svc"], "type": "A", "port": job.port, "refresh_interval": interval}
        ],
        "relabel_configs": [{"target_label": label, "replacement": value} for label, value in labels.items()],
    }
