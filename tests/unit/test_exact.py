"""Texts that mean something exact: for each kind, some that are good and some that are not."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from components import exact
from components.flink.pod_settings import PodSettings
from components.settings import Image

NOTHING = ["", " ", "a b", "a\0", "a\n", " a"]
KINDS: dict[str, tuple[Any, list[str], list[str]]] = {
    "object": (exact.ObjectName, ["fast", "s3-keys.v1", "0a"], ["Fast", "a_b", "-a", "a-", "a..b", "a/b", "a" * 254]),
    "label": (
        exact.LabelName,
        ["disk", "node.kubernetes.io/instance-type", "A_b.c", "a" * 63],
        ["a/b/c", "/a", "a/", "-a", "a" * 64, "A.b/c"],
    ),
    "registry": (
        exact.Registry,
        ["localhost", "registry.example:5000/team/a", "10.0.0.1:5000", "[::1]:5000", "eu.gcr.example/my-project"],
        ["https://registry.example", "registry.example/", "registry.example:99999", "registry.example/Team", "a//b"],
    ),
    "image": (
        Image,
        [
            *(
                "flink:2.3.0-java17",
                "registry.example:5000/a/b_c:1.0",
                "a:1@sha256:" + "0" * 64,
                "a@sha256:" + "f" * 64,
            ),
            *("localhost/a:x_Y.z", "a__b:1", "a--b:1"),
        ],
        ["flink", "Flink:1", "a b:1", "a:1@sha256:1", "https://a/b:1", "a/:1", "a: 1", "a..b:1"],
    ),
    "stack": (exact.StackName, ["organization/streaming-platform/cluster"], ["cluster", "a/b", "a//b", "a/b/c/d"]),
    "class": (
        exact.JavaClass,
        ["Job", "com.example.Job", "com.example.Outer$Inner", "_a.b1", "com.exämple.Job"],
        [
            "com.example.",
            ".Job",
            "1a",
            "com..Job",
            "com.example.Job;",
            "com/example/Job",
            "a-b",
            "com.example.Job.class()",
        ],
    ),
    "jar": (exact.Jar, ["jobs/target/job.jar", "my job.jar"], ["job", "job.jar/", "job.zip", "a\n.jar"]),
    "directory of a node": (
        exact.NodePath,
        ["/mnt", "/mnt/fast-1/x", "/mnt/"],
        ["mnt", "/", "/a/../b", "/a/./b", "/a:b", "//a", "/a\0"],
    ),
    "relative path": (exact.RelativePath, ["logs", "a/b=c/d.e"], ["/a", "a/", "..", "a/../b", "a//b", "."]),
    "metric": (
        exact.Metric,
        ["kafka_consumergroup_lag", "s0-kafka-claims", "job:lag:sum"],
        ["1a", "a/b", "a%", "{a}", "-a"],
    ),
    "host": (exact.Host, ["kafka", "a.b-c.example", "10.0.0.1"], ["a_b", "-a", "a:1", "http://a", "a..b"]),
    "hosts": (exact.Hosts, ["kafka:9092", "a.b:1,10.0.0.1:65535"], ["kafka", "a:0", "a:65536", "a:1,", "a:1, b:2"]),
    "URL": (
        exact.Url,
        ["http://minio:9000", "https://s3.example"],
        ["minio:9000", "http://u:p@h", "http://h/", "ftp://h"],
    ),
    "API server": (
        exact.ServerUrl,
        ["https://10.0.0.1:6443", "https://a.example/k8s/clusters/c-1", "https://[::1]:6443"],
        ["http://a", "https://", "https://a:70000", "https://a b"],
    ),
    "snapshot": (
        exact.Snapshot,
        [
            *("file:///flink-data/savepoints/savepoint-1a2b3c-4d5e6f", "file:/flink-data/checkpoints/0f/chk-12"),
            *(
                "s3://bucket/flink/dev/claims/savepoints/savepoint-1",
                "nothing",
                "nothing#2",
                "file:/d/savepoint-1#again",
            ),
        ],
        [
            *("file:///flink-data/savepoints", "file:///flink-data/savepoints/", "/flink-data/savepoints/savepoint-1"),
            *("file:///d/savepoint-1/", "file:///d/chk-x", "file:///d/savepoint-1/_metadata", "s3://b/a b/chk-1"),
            *("nothing#", "#2", "none", "file:/d#x/savepoint-1", "file:/d/savepoint-1#a b"),
        ],
    ),
}


def accepts(kind: Any, text: str) -> bool:
    try:
        return TypeAdapter(kind).validate_python(text, strict=True) == text
    except ValidationError as error:
        return not any(remedy in str(error) for remedy in ("write it so", "choose a shorter one", "names no version"))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_accepts_its_own_values_only(kind: str) -> None:
    type_, good, bad = KINDS[kind]
    assert [text for text in good if not accepts(type_, text)] == []
    assert [text for text in (*bad, *NOTHING) if accepts(type_, text)] == []


def test_a_kube_context_may_have_blanks_in_it_and_not_be_one() -> None:
    assert [text for text in ("my context", "kind-dev", "a@b/c:d") if not accepts(exact.Context, text)] == []
    assert [text for text in ("", " ", "a\n", "a\0") if accepts(exact.Context, text)] == []


def test_the_schema_has_the_pattern_for_editors() -> None:
    schema = TypeAdapter(exact.ObjectName).json_schema()
    assert schema["pattern"].startswith("^(")
    assert schema["maxLength"] == 253


def test_labels_of_nodes_may_be_empty() -> None:
    labels = {"node-role.kubernetes.io/worker": "", "cores": "8"}
    assert PodSettings.model_validate({"nodeSelector": labels}).node_selector == labels
    with pytest.raises(ValidationError, match="the value of a label"):
        PodSettings.model_validate({"nodeSelector": {"a": "b c"}})
