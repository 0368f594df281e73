"""The HorizontalPodAutoscaler of a Flink cluster: when TaskManagers are added and removed."""

import pulumi_kubernetes as k8s

from components.flink.settings import LagSettings
from components.quantities import thousands

# A job that (re)starts compiles hot code and catches up on what it missed: with one CPU that takes half a minute, in
# which it uses all the CPU it can get. A peak must last longer than that to count. Measured from the lowest (highest)
# recommendation of that time, so that load that stays is answered after it, and a peak not at all.
_SCALE_UP_WINDOW_SECONDS = 60
# Fewer TaskManagers means a restart under load that may come back: wait out three such restarts.
_SCALE_DOWN_WINDOW_SECONDS = 180


def autoscaler_spec(
    deployment: str, *, container: str, minimum: int, maximum: int, cpu_percent: int, lag: LagSettings | None = None
) -> k8s.autoscaling.v2.HorizontalPodAutoscalerSpecArgsDict:
    """Scale a Deployment so that the mean CPU use of a container stays near `cpu_percent` of its request.

    Only that container is measured, so that a sidecar's use does not hide or feign load. With `lag` the larger of the
    two numbers counts: a job that waits for something else than CPU has a backlog that CPU does not show.
    """
    metrics: list[k8s.autoscaling.v2.MetricSpecArgsDict] = [
        {
            "type": "ContainerResource",
            "container_resource": {
                "container": container,
                "name": "cpu",
                "target": {"type": "Utilization", "average_utilization": cpu_percent},
            },
        },
    ]
    if lag is not None:
        metrics.append(
            {
                "type": "External",
                "external": {
                    "metric": {"name": lag.metric, "selector": {"match_labels": dict(lag.labels)}},
                    "target": {"type": "AverageValue", "average_value": thousands(lag.records_per_task_manager)},
                },
            }
        )
    return {
        "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": deployment},
        "min_replicas": minimum,
        "max_replicas": maximum,
        "metrics": metrics,
        "behavior": {
            # Each step restarts the job from its last checkpoint: few large ones up, single ones down.
            "scale_up": {
                "stabilization_window_seconds": _SCALE_UP_WINDOW_SECONDS,
                "policies": [{"type": "Percent", "value": 100, "period_seconds": _SCALE_UP_WINDOW_SECONDS}],
            },
            "scale_down": {
                "stabilization_window_seconds": _SCALE_DOWN_WINDOW_SECONDS,
                "policies": [{"type": "Pods", "value": 1, "period_seconds": _SCALE_UP_WINDOW_SECONDS}],
            },
        },
    }
