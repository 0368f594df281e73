"""The Prometheus reporters of Flink's processes: one for each scope, at a port of its own.

A large job has a few series for each process and thousands for its operators: apart, each scope can be scraped at its
own rate, or not at all. A series keeps its labels over restarts: what a label would say anew each time is left out.
"""

from collections.abc import Mapping

# Flink's logical scopes. Each has further ones below it, such as taskmanager.Status.JVM.CPU. The JobManager has the
# coordinators of operators, such as the one that hands out a source's splits.
_JOB = ("jobmanager.job", "taskmanager.job")
_TASK = ("taskmanager.job.task",)
_OPERATOR = ("jobmanager.job.operator", "taskmanager.job.task.operator")

# Each reporter, what it reports (nothing stands for all), and what it leaves to the others.
_SCOPES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "process": ((), _JOB),
    "job": (_JOB, _TASK + _OPERATOR),
    "task": (_TASK, _OPERATOR),
    "operator": (_OPERATOR, ()),
}

# Variables that would be labels. Those of an attempt are others after each restart of the job. A TaskManager's id has
# the address of its pod and, where the process was started again in the same pod, another end. `host` is the address
# of the pod. Whom a series is of is told by the target that it was scraped from: one process has one TaskManager, and
# in reactive mode one attempt of a subtask at a time.
EXCLUDED_VARIABLES = ("task_attempt_id", "task_attempt_num", "tm_id", "host")


def reporters(ports: Mapping[str, int]) -> dict[str, str]:
    """Return Flink's options for one reporter for each scope, at the ports given by scope."""
    options = {"metrics.reporters": ",".join(ports)}
    for scope, port in ports.items():
        included, excluded = _SCOPES[scope]
        filters = {"includes": included, "excludes": excluded}
        own = {
            "factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
            "port": str(port),
            "scope.variables.excludes": ";".join(EXCLUDED_VARIABLES),
            **{f"filter.{kind}": _filters(scopes) for kind, scopes in filters.items() if scopes},
        }
        options |= {f"metrics.reporter.{scope}.{key}": value for key, value in own.items()}
    return options


def _filters(scopes: tuple[str, ...]) -> str:
    """Filters for scopes and all that is below them."""
    return ";".join(f"{scope}{below}" for scope in scopes for below in ("", ".*"))
