"""The ports of the platform's processes, by name: Services, probes, network policies and Prometheus use these.

Prometheus finds the ports of metrics by their names: they begin with `metrics`, and no others do. A name has at most 15
characters.
"""

ZOOKEEPER = {"client": 2181, "peer": 2888, "election": 3888}
ZOOKEEPER_METRICS = {"metrics": 7000}
KAFKA = {"internal": 9092, "controller": 9093}
KAFKA_METRICS = {"metrics": 9094}
PROMETHEUS = {"http": 9090}
# `query-service` is where the JobManager asks for the metrics that its UI shows. Flink picks most of these ports at
# random by default.
_QUERY_SERVICE = {"query-service": 6125}
JOB_MANAGER = {"rpc": 6123, "blob": 6124, **_QUERY_SERVICE, "rest": 8081}
TASK_MANAGER = {"rpc": 6122, "data": 6121, **_QUERY_SERVICE}
# Of both: the reporter of each scope.
FLINK_SCOPES = {"process": 9250, "job": 9251, "task": 9252, "operator": 9253}
FLINK_METRICS = {f"metrics-{scope.replace('operator', 'op')}": port for scope, port in FLINK_SCOPES.items()}
