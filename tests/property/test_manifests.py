"""Objects of pods with something changed: what settings accept, the SDK takes; what it does not, they name."""

import asyncio
import copy
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pulumi_kubernetes as k8s
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.runtime import rpc
from pydantic import ValidationError

from components.flink.pod_settings import PodSettings
from stacks.problems import explain

GOOD: dict[str, list[dict[str, Any]]] = {
    "env": [
        {"name": "TZ", "value": "UTC"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName", "apiVersion": "v1"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a", "optional": True}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    ],
    "volumes": [
        {"name": "a", "emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}},
        {"name": "b", "configMap": {"name": "x", "defaultMode": 420, "items": [{"key": "k", "path": "p", "mode": 1}]}},
        {"name": "c", "secret": {"secretName": "x", "optional": False}},
        {"name": "d", "projected": {"sources": [{"configMap": {"name": "x"}}, {"secret": {"name": "y"}}]}},
        {"name": "e", "persistentVolumeClaim": {"claimName": "x", "readOnly": True}},
        {"name": "f", "csi": {"driver": "d", "volumeAttributes": {"a": "b"}}},
        {"name": "g", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {
            "name": "h",
            "ephemeral": {
                "volumeClaimTemplate": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                }
            },
        },
        {"name": "i", "iscsi": {"targetPortal": "p", "iqn": "q", "lun": 0, "portals": ["x"]}},
    ],
    "volumeMounts": [
        {"name": "log", "mountPath": "/a", "subPath": "x", "readOnly": True},
        {"name": "log", "mountPath": "/opt/flink/plugins/x", "subPathExpr": "$(POD_NAME)", "mountPropagation": "None"},
    ],
    "tolerations": [
        {"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute", "tolerationSeconds": 60},
        {"operator": "Exists"},
    ],
}
TYPES: dict[str, Any] = {
    "env": Sequence[k8s.core.v1.EnvVarArgs],
    "volumes": Sequence[k8s.core.v1.VolumeArgs],
    "volumeMounts": Sequence[k8s.core.v1.VolumeMountArgs],
    "tolerations": Sequence[k8s.core.v1.TolerationArgs],
}
OTHERS: list[Any] = [True, False, 0, 5, 1.5, "", "x", "a b", "\0", None, [], ["a"], [1], [{}], {}, {"k": 1}, {"a": 0}]
VALUES = st.integers(0, len(OTHERS) - 1).map(lambda index: copy.deepcopy(OTHERS[index]))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place of an object: what holds it, and its key or index."""
    keys: list[Any] = []
    if isinstance(value, dict | list):
        keys = list(cast("dict[str, Any]", value) if isinstance(value, dict) else range(len(cast("list[Any]", value))))
    for key in keys:
        yield value, key
        yield from places(value[key])


def snake(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """A list of objects in which one or two things are not as they were."""
    kind = draw(st.sampled_from(sorted(GOOD)))
    chosen = draw(st.lists(st.integers(0, len(GOOD[kind]) - 1), min_size=1, max_size=3))
    objects: list[Any] = copy.deepcopy([GOOD[kind][index] for index in chosen])
    for _ in range(draw(st.integers(1, 2))):
        holder, key = draw(st.sampled_from(list(places(objects))))
        value = holder[key]
        match draw(st.sampled_from(["value", "key", "gone"])) if isinstance(holder, dict) else "value":
            case "value":
                holder[key] = draw(VALUES)
            case how:
                del holder[key]
                if how == "key":
                    holder[draw(st.sampled_from([snake(key), f"{key}s", "val", "", "é"]))] = value
    return kind, objects


def refusal(kind: str, objects: list[Any]) -> str | None:
    try:
        PodSettings.model_validate({kind: tuple(objects)})
    except ValidationError as error:
        return explain(PodSettings, error)
    return None


def serialize(kind: str, objects: list[Any]) -> None:
    """What the SDK does on the way to the engine."""
    asyncio.run(rpc.serialize_property(objects, [], kind, None, typ=TYPES[kind]))


@settings(max_examples=200, deadline=None)
@given(changed())
def test_accepted_manifests_are_accepted_by_the_sdk(case: tuple[str, list[Any]]) -> None:
    kind, objects = case
    message = refusal(kind, objects)
    if message is None:
        serialize(kind, objects)
    else:
        assert all(line.startswith(f"streaming-platform:{kind}") for line in message.splitlines()), message


@pytest.mark.parametrize("kind", GOOD)
def test_manifests_as_they_should_be_are_accepted(kind: str) -> None:
    assert refusal(kind, GOOD[kind]) is None
    serialize(kind, GOOD[kind])


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        ("env", {"name": "A", "value": True}, "env.0.value: true is true or false: write text, in quotes"),
        ("env", {"name": "A", "value": 5}, "env.0.value: 5 is a whole number: write text, in quotes"),
        ("env", {"name": "A", "value": 1.5}, "env.0.value: 1.5 is a number: write text, in quotes"),
        ("env", {"name": "A", "value": {"k": 1}}, "env.0.value: is a mapping: write text"),
        ("env", {"name": "A", "value": ["a"]}, "env.0.value: is a list: write text"),
        ("env", {"name": "A", "val": "x"}, "env.0.val: is no key that Kubernetes knows here: did you mean value?"),
        (
            "env",
            {"name": "A", "value_from": {}},
            "env.0.value_from: is no key that Kubernetes knows here: did you mean ",
        ),
        ("env", {"name": "A", "value": None}, "env.0.value: is empty"),
        ("env", {"name": "", "value": "x"}, "env.0.name: '' is no name of a variable"),
        ("env", {"name": "1 a", "value": "x"}, "env.0.name: '1 a' is no name of a variable"),
        ("env", {"name": "PATH", "value": "x"}, "env.0.name: 'PATH' is taken by the platform"),
        ("env", {"name": "JVM_ARGS", "value": "x"}, "use env.java.opts.taskmanager"),
        ("env", {"name": "A", "value": "a\0b"}, "NUL"),
        ("env", {"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}, "give one of them"),
        ("env", {"name": "A", "valueFrom": {}}, "env.0.valueFrom: of A names none: give exactly one source"),
        (
            "volumes",
            {"name": "x", "configMap": {"items": {"k": "v"}}},
            "volumes.0.configMap.items: is a mapping: write",
        ),
        ("volumes", {"name": "x"}, "volumes.0: 'x' names none: give exactly one kind"),
        ("volumes", {"name": "x", "emptyDir": {}, "configMap": {}}, "names configMap and emptyDir"),
        ("volumes", {"name": "tmp", "emptyDir": {}}, "'tmp' is taken by the platform"),
        ("volumes", {"name": "logs-to-s3", "emptyDir": {}}, "is taken by the platform"),
        ("volumes", {"name": "A_b", "emptyDir": {}}, "volumes.0.name: 'A_b' is no name of a volume"),
        ("volumes", {"name": "x", "configmap": {"name": "y"}}, "volumes.0.configmap: is no key"),
        ("volumeMounts", {"name": "log", "mountPath": "tmp"}, "'tmp' is no absolute path"),
        ("volumeMounts", {"name": "log", "mountPath": "/tmp"}, "'/tmp' would hide the platform's /tmp"),
        ("volumeMounts", {"name": "log", "mountPath": "/opt/flink/"}, "would hide the platform's /opt/flink/bin"),
        (
            "volumeMounts",
            {"name": "log", "mountPath": "//opt//platform"},
            "would hide the platform's /opt/platform/conf",
        ),
        ("volumeMounts", {"name": "log", "mountPath": "/a/../tmp"}, "no absolute path"),
        ("volumeMounts", {"name": "cache", "mountPath": "/a"}, "'cache' is none of volumes (none): add it there"),
        ("tolerations", {"key": "a", "effect": "noSchedule"}, "use one of NoSchedule"),
        ("tolerations", {"key": "a", "operator": "In"}, "use Equal or Exists"),
        ("tolerations", {"value": "a"}, "tolerations.0.key: is missing"),
        ("tolerations", {"key": "a", "tolerationSeconds": 5}, "NoExecute alone"),
        ("tolerations", {"operator": "Exists", "value": "a"}, "leave one of them out"),
    ],
)
def test_mistakes_are_reported_with_their_place(kind: str, given: dict[str, Any], told: str) -> None:
    message = refusal(kind, [given])
    assert message is not None
    assert told in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [  # pyright: ignore[reportUnknownArgumentType]
        ("env", [{"name": "TZ", "value": "a"}, {"name": "TZ", "value": "b"}], "env.1.name: 'TZ' is listed 2 times"),
        ("volumes", [{"name": "x", "emptyDir": {}}] * 3, "volumes.2.name: 'x' is listed 3 times: give it once"),
        (
            "volumeMounts",
            [{"name": "log", "mountPath": "/a/b"}, {"name": "log", "mountPath": "/a//b/"}],
            "volumeMounts.1.mountPath: '/a/b' is listed 2 times",
        ),
    ],
)
def test_duplicates_are_named(kind: str, given: list[Any], told: str) -> None:
    assert told in (refusal(kind, given) or "")
