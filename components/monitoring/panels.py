"""The panels of the dashboard: what is drawn, and the query for it."""

from dataclasses import dataclass

WINDOW = "WINDOW"  # in a query: the time over which a rate is taken


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A chart: `query` is PromQL, and `legend` are the labels that tell its lines apart.

    A query reads the series of one scrape job for each cluster. So a single shard knows the answer for a cluster, and
    the lines of all shards together are those of the platform.
    """

    title: str
    unit: str
    query: str
    legend: tuple[str, ...] = ("cluster",)

    def promql(self, scrape_seconds: int) -> str:
        """The query for Prometheus: a rate needs two scrapes, and has four where one of them fails."""
        return self.query.replace(WINDOW, f"{max(60, 4 * scrape_seconds)}s")


_OPERATOR = "flink_taskmanager_job_task_operator"
_TASK = "flink_taskmanager_job_task"
_JVM = "flink_taskmanager_Status_JVM"
_TASK_MANAGER = ("cluster", "instance")

# A record is counted where it comes into the job: all further operators would count it again.
LAG = Panel(title="Records that wait in Kafka", unit="records", query=f"sum by (cluster) ({_OPERATOR}_pendingRecords)")
RECORDS = Panel(
    title="Records read",
    unit="records/s",
    query=f'sum by (cluster) (rate({_OPERATOR}_numRecordsIn{{operator_name=~"Source:.*"}}[WINDOW]))',
)
CPU = Panel(
    title="CPU of each TaskManager",
    unit="cores",
    # The JVM counts nanoseconds.
    query=f"sum by (cluster, instance) (rate({_JVM}_CPU_Time[WINDOW])) / 1e9",
    legend=_TASK_MANAGER,
)

PANELS = (
    LAG,
    RECORDS,
    CPU,
    Panel(title="TaskManagers", unit="", query="max by (cluster) (flink_jobmanager_numRegisteredTaskManagers)"),
    Panel(
        title="Last checkpoint",
        unit="s",
        # Flink says -1 as long as there is none.
        query="clamp_min(max by (cluster) (flink_jobmanager_job_lastCheckpointDuration), 0) / 1000",
    ),
    Panel(title="Restarts of the job", unit="", query="max by (cluster) (flink_jobmanager_job_numRestarts)"),
    Panel(
        title="Busy, the busiest subtask of each task",
        unit="%",
        query=f"max by (cluster, task_name) ({_TASK}_busyTimeMsPerSecond) / 10",
        legend=("cluster", "task_name"),
    ),
    Panel(
        title="Back-pressured, the worst subtask of each task",
        unit="%",
        query=f"max by (cluster, task_name) ({_TASK}_backPressuredTimeMsPerSecond) / 10",
        legend=("cluster", "task_name"),
    ),
    Panel(
        title="Heap used by each TaskManager",
        unit="MiB",
        query=f"sum by (cluster, instance) ({_JVM}_Memory_Heap_Used) / 2^20",
        legend=_TASK_MANAGER,
    ),
    Panel(
        title="Into Kafka, by topic",
        unit="KiB/s",
        query='sum by (topic) (rate(kafka_server_brokertopicmetrics_bytesin_total{topic!=""}[WINDOW])) / 2^10',
        legend=("topic",),
    ),
    Panel(
        title="ZooKeeper, mean latency of each member",
        unit="ms",
        query="max by (instance) (avg_latency)",
        legend=("instance",),
    ),
)
