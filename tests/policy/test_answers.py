"""Three answers and no fourth: fine, broken, or not known yet. Known and unreadable is broken, by the option's name."""

import json
from pathlib import Path
from typing import Any

import pytest

from policies import pack
from policies.pack import Configuration, PolicyConfigError, configuration, judge
from policies.rules import Finding
from policies.unknown import Unknown
from tests.policy.examples import BROKER, CONFIG, DEV, HPA, JM, KAFKA, MAIN, TM, ZK, Bad, Document, changed, stack

POD = "spec/template/spec"


def found(at: str, path: str, value: Any) -> list[Finding]:
    documents, _ = changed(Bad("", at, path, value))
    return judge(stack(documents), DEV)


def told(findings: list[Finding]) -> dict[str, list[str]]:
    """Violations by rule."""
    rules: dict[str, list[str]] = {}
    for finding in findings:
        if not finding.open:
            rules.setdefault(finding.rule, []).append(finding.text)
    return rules


@pytest.mark.parametrize(
    ("rule", "at", "path", "value", "said"),
    [
        *(
            ("container-memory-bounded", "DaemonSet/agent", f"{MAIN}/resources/limits/memory", memory, said)
            for memory, said in {
                "1GB": "resources.limits.memory = '1GB' is no quantity",
                "1 Gi": "is no quantity",
                "-1Gi": "is no quantity",
                "": "is no quantity",
                "0": "is 0, which means that there is none",
                "512m": "below 4 MiB (minMib)",
                "100": "below 4 MiB",
                "1Ki": "below 4 MiB",
            }.items()
        ),
        *(
            ("delivery-transaction-timeout", JM, f"{MAIN}/args/6", text, "--transaction-timeout-millis = ")
            for text in ("15m", "900s", "9e5", "900000.0", "", "900_000")
        ),
        *(
            ("delivery-transaction-timeout", JM, f"{MAIN}/args/4", text, "--delivery-guarantee = ")
            for text in ("EXACTLYONCE", " EXACTLY_ONCE")
        ),
        ("flink-failure-detection", *CONFIG, ("timeout: 5 s", "timeout: soon"), "heartbeat.timeout = 'soon'"),
        (
            "flink-failure-detection",
            *CONFIG,
            ("web:", "heartbeat.rpc-failure-threshold: two\nweb:"),
            "heartbeat.rpc-failure-threshold = 'two' is no whole number",
        ),
        (
            "flink-restart-strategy",
            *CONFIG,
            (
                "restart-strategy.type: exponential-delay",
                "restart-strategy: {type: fixed-delay, fixed-delay.attempts: many}",
            ),
            "restart-strategy.fixed-delay.attempts = 'many'",
        ),
        ("flink-restart-strategy", *CONFIG, ("exponential-delay", "sometimes"), "restart-strategy.type = 'sometimes'"),
        ("flink-maximum-usable", *CONFIG, ("max-parallelism: 16", "max-parallelism: lots"), "pipeline.max-parallelism"),
        ("flink-maximum-usable", *CONFIG, ("numberOfTaskSlots: 2", "numberOfTaskSlots: two"), "numberOfTaskSlots"),
        ("flink-maximum-usable", HPA, "spec/maxReplicas", "three", "maxReplicas of HorizontalPodAutoscaler"),
        ("flink-maximum-usable", HPA, "spec/maxReplicas", [3], "maxReplicas of HorizontalPodAutoscaler"),
        ("flink-limit-holds-process", *CONFIG, ("process.size: 1728m", "process.size: 1.5g"), "is no size"),
        ("delivery-transaction-timeout", *BROKER, ("=3600000", "=15m"), "transaction.max.timeout.ms = '15m'"),
        ("broker-defaults-survive-a-broker", *BROKER, ("replicas=2", "replicas=two"), "min.insync.replicas = 'two'"),
        ("broker-defaults-survive-a-broker", *BROKER, ("factor=3", "factor=three"), "default.replication.factor"),
        ("topic-survives-a-broker", "KafkaTopic/orders", "spec/replicas", "three", "replicas = 'three'"),
        (
            "topic-claim-check",
            "KafkaTopic/orders",
            "spec/config/max.message.bytes",
            "many",
            "max.message.bytes = 'many'",
        ),
        (
            "disruption-budget",
            "PodDisruptionBudget/zookeeper",
            "spec/maxUnavailable",
            "half",
            "maxUnavailable = 'half'",
        ),
        ("ensemble-odd", ZK, "spec/replicas", "three", "spec.replicas = 'three'"),
        ("jvm-heap-leaves-room", ZK, f"{MAIN}/env/0/value", "lots", "ZK_SERVER_HEAP = 'lots'"),
        ("jvm-heap-leaves-room", KAFKA, f"{MAIN}/env/0/value", "-Xmx2gb", "-Xmx = '2gb'"),
        ("no-secret-in-config-map", "ConfigMap/kafka-config", "binaryData", {"a": "x"}, "is no base64"),
    ],
)
def test_a_known_value_that_cannot_be_read_is_a_violation(rule: str, at: str, path: str, value: Any, said: str) -> None:
    findings = found(at, path, value)
    assert any(said in text for text in told(findings).get(rule, [])), [finding.text for finding in findings]
    assert not [finding.text for finding in findings if finding.open]


def test_an_unreadable_value_hides_no_other_violation() -> None:
    both = ("interval: 500 ms, timeout: 5 s", "interval: 10 s, timeout: soon")
    texts = told(found(*CONFIG, both))["flink-failure-detection"]
    assert len(texts) == 2
    assert any("heartbeat.timeout = 'soon'" in text for text in texts)
    assert any("a dead TaskManager is noticed after 20000 ms" in text for text in texts)


def test_an_unknown_value_hides_no_violation_of_the_same_object() -> None:
    variables = [
        {"name": "API_TOKEN", "value": Unknown("the token")},
        {"name": "DB_PASSWORD", "value": "hunter2"},
    ]
    documents, document = changed(Bad("", "Pod/shell", "spec/containers/0/image", "registry.example/team/tools:2.0"))
    of = stack(documents)
    resource = next(each for each in of.resources if each.properties == document)
    resource.properties["spec"]["containers"][0]["env"] = variables
    findings = [each for each in judge(of, DEV) if each.rule == "no-secret-in-environment"]
    assert [finding.open for finding in findings] == [True, False]
    assert "the token is not known yet" in findings[0].text
    assert "DB_PASSWORD" in findings[1].text


@pytest.mark.parametrize("memory", ["17179869184000000u", "1e9", "+1Gi", "1.5G", "1500M", "12E3k", "128974848"])
def test_every_quantity_of_kubernetes_is_read(memory: str) -> None:
    rules = told(found("DaemonSet/agent", f"{MAIN}/resources/limits/memory", memory))
    assert rules.keys() <= {"container-memory-limit", "namespace-memory-limit"}


@pytest.mark.parametrize(
    "words",
    [
        ["--target", "taskmanager"],
        ["--x", "zkServer.sh"],
        ["-D", "scheduler-mode=x", "-Dheartbeat.timeout=50s", "-D", "web.submit.enable=true"],
        ["-Dexecution.checkpointing.interval=0"],
        ["taskmanager.sh"],
    ],
)
def test_words_of_the_job_decide_nothing_but_delivery(words: list[str]) -> None:
    start = ["standalone-job", "--job-classname", "com.example.Orders", "--"]
    guarantee = ["--delivery-guarantee", "EXACTLY_ONCE", "--transaction-timeout-millis"]
    assert found(JM, f"{MAIN}/args", [*start, *words, *guarantee, "1800000"]) == []
    rules = told(found(JM, f"{MAIN}/args", [*start, *words, *guarantee, "1"]))
    assert rules.keys() == {"delivery-transaction-timeout"}


def _unprobed(**container: Any) -> list[Finding]:
    documents, document = changed(Bad("", TM, f"{MAIN}/readinessProbe", {"tcpSocket": {"port": 6122}}))
    body = document["spec"]["template"]["spec"]["containers"][0]
    del body["readinessProbe"], body["args"]
    body.update(container)
    return judge(stack(documents), DEV)


@pytest.mark.parametrize(
    "container",
    [
        {"command": ["bash", "-c", 'exec "$FLINK_HOME/bin/taskmanager.sh" start-foreground']},
        {"command": ["bash", "-c", "/opt/flink/bin/taskmanager.sh start-foreground; sleep 1"]},
        {"command": ["tini", "--", "/docker-entrypoint.sh", "taskmanager"]},
        {"args": ["$(ROLE)"], "env": [{"name": "ROLE", "value": "taskmanager"}]},
        {"command": ["/opt/kafka/kafka_run.sh"], "image": "registry.example/kafka:4.1"},
        {"image": "confluentinc/cp-server:8.0.0"},
    ],
)
def test_programs_are_recognised_behind_quotes_variables_and_known_scripts(container: Document) -> None:
    assert "container-probed" in told(_unprobed(**container))


def test_a_native_sidecar_is_judged() -> None:
    documents, document = changed(Bad("", TM, f"{MAIN}/readinessProbe", {"tcpSocket": {"port": 6122}}))
    pod = document["spec"]["template"]["spec"]
    sidecar = {**pod["containers"][0], "name": "beside", "restartPolicy": "Always"}
    del sidecar["livenessProbe"]
    pod["initContainers"] = [sidecar]
    texts = told(judge(stack(documents), DEV))["container-probed"]
    assert len(texts) == 1
    assert "container beside" in texts[0]


def test_a_container_that_may_be_a_known_program_is_reported() -> None:
    findings = _unprobed(command=["/scripts/run.sh"], image="flink:2.3.0-java17")
    assert any(finding.open and "/scripts/run.sh" in finding.text for finding in findings)


def _configured(volume: Any, **changes: Any) -> dict[str, list[str]]:
    documents, _ = changed(Bad("", TM, f"{POD}/volumes/0", {"name": "conf", **volume}))
    for document in documents:
        if document["metadata"]["name"] == "flink-config" and changes:
            text = document["data"]["config.yaml"]
            document["data"]["config.yaml"] = text.replace(*changes["config"])
    findings = judge(stack(documents), DEV)
    rules = told(findings)
    for finding in findings:
        if finding.open:
            rules.setdefault(finding.rule, []).append(f"open: {finding.text}")
    return rules


def test_a_projected_configuration_is_read() -> None:
    projected = {"projected": {"sources": [{"configMap": {"name": "flink-config"}}]}}
    assert "flink-task-off-heap" not in _configured(projected)
    rules = _configured(projected, config=("process.size: 1728m", "process.size: 8g"))
    assert "flink-limit-holds-process" in rules


def test_a_configuration_in_another_volume_cannot_be_judged() -> None:
    rules = _configured({"secret": {"secretName": "conf"}})
    assert all(text.startswith("open: ") for text in rules["flink-limit-holds-process"])
    assert "which is no ConfigMap" in rules["flink-limit-holds-process"][0]


@pytest.mark.parametrize(
    ("variable", "read"),
    [
        ({"env": [{"name": "FLINK_PROPERTIES", "valueFrom": {"configMapKeyRef": {"name": "p", "key": "P"}}}]}, True),
        ({"envFrom": [{"configMapRef": {"name": "q"}}]}, True),
        ({"env": [{"name": "FLINK_PROPERTIES", "valueFrom": {"secretKeyRef": {"name": "p", "key": "P"}}}]}, False),
        ({"envFrom": [{"secretRef": {"name": "q"}}]}, False),
    ],
)
def test_properties_from_other_objects_are_read_or_said_to_be_unknown(variable: Document, read: bool) -> None:
    documents, document = changed(Bad("", TM, f"{MAIN}/volumeMounts", [{"name": "log", "mountPath": "/opt/flink/log"}]))
    document["spec"]["template"]["spec"]["containers"][0] |= variable
    for name, key in (("p", "P"), ("q", "FLINK_PROPERTIES")):
        data = {key: "taskmanager.memory.process.size: 8g\n"}
        meta = {"name": name, "namespace": "dev"}
        documents.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    findings = [each for each in judge(stack(documents), DEV) if each.rule == "flink-limit-holds-process"]
    assert [finding.open for finding in findings] == [not read]
    assert read == ("8192 MiB" in findings[0].text)


@pytest.mark.parametrize(
    ("at", "path", "value", "said"),
    [
        (TM, f"{MAIN}/env", [{"name": "_JAVA_OPTIONS", "value": "-Xmx9g"}], "what -Xmx9216m makes"),
        (*CONFIG, ("web:", "env.java.default-opts.taskmanager: -Xmx9g\nweb:"), "what -Xmx9216m makes"),
        (*CONFIG, ("web:", "env.java.default-opts.all: -Xmx9g\nweb:"), "what -Xmx9216m makes"),
        (*CONFIG, ("web:", "env.java.opts.taskmanager: -Xms2g\nweb:"), "-Xms2048m is above the largest heap"),
        (*CONFIG, ("web:", "env.java.opts.taskmanager: -Xmx2gb\nweb:"), "-Xmx = '2gb' is no size of a JVM"),
    ],
)
def test_a_heap_is_found_wherever_it_is_set(at: str, path: str, value: Any, said: str) -> None:
    texts = told(found(at, path, value))["flink-limit-holds-process"]
    assert any(said in text for text in texts), texts


def test_a_property_that_only_looks_like_a_heap_is_none() -> None:
    assert found(*CONFIG, ("web:", "env.java.opts.taskmanager: -Dx=-Xmx9g\nweb:")) == []


@pytest.mark.parametrize(
    "backend",
    [
        "RocksDB",
        "org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackendFactory",
        "org.apache.flink.state.forst.ForStStateBackendFactory",
    ],
)
def test_a_state_backend_is_known_by_its_class_too(backend: str) -> None:
    name = "forst" if "ForSt" in backend else "rocksdb"
    changes = ("type: rocksdb", f"type: {backend}", "web:", f"state.backend.{name}.memory.managed: false\nweb:")
    assert told(found(*CONFIG, changes)).keys() == {"flink-rocksdb-bounded"}


@pytest.mark.parametrize(
    ("old", "new", "bad"),
    [
        ("task_attempt_id;task_attempt_num", "task_attempt_id:task_attempt_num", True),
        ("task_attempt_id;task_attempt_num", "task_attempt_id,task_attempt_num", True),
        ("task_attempt_id;task_attempt_num", "task_attempt_idx;task_attempt_num2", True),
        ("task_attempt_id;task_attempt_num", "host; task_attempt_num ;task_attempt_id", False),
        ("task_attempt_id;task_attempt_num;tm_id", "[task_attempt_id, task_attempt_num, tm_id]", False),
        (
            "org.apache.flink.metrics.prometheus.PrometheusReporterFactory\n",
            "org.apache.flink.metrics.influxdb.InfluxdbReporterFactory\n",
            False,
        ),
        (";tm_id", "", True),
    ],
)
def test_excluded_labels_of_reporters_are_a_list_as_flink_reads_it(old: str, new: str, bad: bool) -> None:
    assert told(found(*CONFIG, (old, new))).keys() == ({"flink-metrics-bounded"} if bad else set())


@pytest.mark.parametrize(
    "kind", ["prometheus.PrometheusPushGatewayReporterFactory", "influxdb.InfluxdbReporterFactory"]
)
def test_who_pushes_tells_processes_apart_by_their_id(kind: str) -> None:
    assert found(*CONFIG, ("prometheus.PrometheusReporterFactory", kind, ";tm_id", "")) == []


def test_reporters_of_other_kinds_make_labels_too_and_one_that_is_not_loaded_makes_none() -> None:
    other = ("prometheus.PrometheusReporterFactory", "otel.OpenTelemetryMetricReporterFactory", "attempt_id;", "x;")
    assert told(found(*CONFIG, other)).keys() == {"flink-metrics-bounded"}
    unloaded = ("attempt_id;", "x;", "web:", "metrics.reporters: another\nweb:")
    assert found(*CONFIG, unloaded) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{,}", "is not JSON"),
        ("[]", "is not a mapping of rules"),
        (json.dumps({"image-pinned": None}), "image-pinned: None is neither a level nor a mapping"),
        (json.dumps({"image-pinned": ["x"]}), "is neither a level nor a mapping"),
        (json.dumps({"image-pinned": 5}), "image-pinned: 5 is neither"),
        (json.dumps({"image-pinned": {"digest": "no"}}), "image-pinned: digest = 'no' is no true or false"),
        (json.dumps({"container-memory-bounded": {"minMib": "4Gi"}}), "minMib = '4Gi' is no whole number"),
        (json.dumps({"container-memory-bounded": {"minMib": "10m"}}), "minMib = '10m' is no whole number"),
        (json.dumps({"namespace-of-platform": {"namespaces": ["dev"]}}), "set it there, and take it out here"),
        (json.dumps({"image-pinned": {"digset": True}}), "it has no bound digset: its bounds are digest"),
        (json.dumps({"image-pined": "advisory"}), "there is no such rule"),
        (json.dumps({"image-pinned": "soft"}), "'soft' is no level"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_one_message(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "_FILES", tmp_path)
    (tmp_path / "dev.json").write_text(text)
    with pytest.raises(PolicyConfigError) as error:
        configuration("dev")
    assert said in str(error.value)
    assert "dev.json" in str(error.value)


def test_a_bound_of_another_type_from_the_engine_is_a_violation_and_not_the_end() -> None:
    documents, _ = changed(Bad("", TM, f"{MAIN}/readinessProbe", {"tcpSocket": {"port": 6122}}))
    said = Configuration({**DEV.overrides, "flink-task-off-heap": {"minMib": "64m"}})
    (finding,) = judge(stack(documents), said)
    assert not finding.open
    assert "minMib = '64m' is no whole number" in finding.text
