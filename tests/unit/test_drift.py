"""Changes, deletions and additions outside of Pulumi are found by path and manager; fields of others are left alone."""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cli.drift import Drift, find, objects, reset

OURS: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"namespace": "dev", "name": "app", "labels": {"a": "b"}},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "x:1",
                        "resources": {"limits": {"memory": "1Gi"}},
                        "env": [{"name": "OURS", "value": "1"}],
                    }
                ]
            }
        }
    },
}
_ENV = 'k:{"name":"OURS"}'
_OWNED: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:a": {}}},
    "f:spec": {
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"main"}': {
                        ".": {},
                        "f:name": {},
                        "f:image": {},
                        "f:resources": {"f:limits": {"f:memory": {}}},
                        "f:env": {_ENV: {".": {}, "f:name": {}, "f:value": {}}},
                    }
                }
            }
        }
    },
}


def _entry(manager: str, fields: Mapping[str, Any], operation: str = "Update", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


def _in_container(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"main"}': fields}}}}}


def _live(*others: dict[str, Any]) -> dict[str, Any]:
    live = copy.deepcopy(OURS)
    live["metadata"] |= {
        "uid": "1",
        "generation": 3,
        "managedFields": [_entry("streaming-platform", copy.deepcopy(_OWNED), "Apply"), *others],
    }
    live["spec"]["replicas"] = 2
    live["status"] = {"replicas": 2}
    return live


def _main(document: Mapping[str, Any]) -> dict[str, Any]:
    return document["spec"]["template"]["spec"]["containers"][0]


class Server:
    """kubectl in front of an API server that holds one object, and knows what applying ours makes of it."""

    def __init__(self, live: dict[str, Any] | None, applied: dict[str, Any] | None = None) -> None:
        self.live, self.applied = live, applied or live
        self.written: list[str] = []

    def __call__(self, *words: str, stdin: str) -> str:
        if words[0] == "get":
            return json.dumps({"items": [self.live]} if self.live else {"items": []})
        assert words[:2] == ("apply", "--server-side")
        assert "--force-conflicts" in words
        if "--dry-run=server" in words:
            return json.dumps(self.applied)  # kubectl prints one object without a list
        self.written += [each["metadata"]["name"] for each in json.loads(stdin)["items"]]
        return ""


def _found(server: Server, ignored: Sequence[str] = ()) -> Drift:
    return find(server, [(OURS, ignored)])


def test_objects_as_applied_show_no_drift() -> None:
    applied = _live()
    applied["metadata"] |= {"generation": 4, "managedFields": [], "resourceVersion": "7"}
    server = Server(_live(), applied)
    found = _found(server)
    assert found == Drift()
    reset(server, found)
    assert server.written == []


def test_a_changed_field_is_reported_with_both_values_and_its_manager_and_undone() -> None:
    live = _live(_entry("kubectl-set", _in_container({"f:resources": {"f:limits": {"f:memory": {}}}})))
    del live["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]  # an update takes the field from us
    _main(live)["resources"]["limits"]["memory"] = "1100Mi"
    server = Server(live, _live())
    found = _found(server)
    told = "Deployment app spec.template.spec.containers[main].resources.limits.memory: 1100Mi -> 1Gi"
    assert [str(change) for change in found.changes] == [f"{told} (changed by kubectl-set)"]
    assert found.foreign == ()
    reset(server, found)
    assert server.written == ["app"]


def test_a_field_that_was_taken_away_comes_back() -> None:
    live = _live()
    del _main(live)["env"]
    found = _found(Server(live, _live()))
    assert [change.path for change in found.changes] == ["spec.template.spec.containers[main].env"]


def test_an_added_field_is_reported_with_its_manager_and_a_command_to_remove_it() -> None:
    added: dict[str, Any] = {"f:env": {'k:{"name":"TOKEN"}': {".": {}, "f:name": {}, "f:value": {}}}}
    live = _live(_entry("kubectl-set", _in_container(added)))
    _main(live)["env"].append({"name": "TOKEN", "value": "hush"})
    found = _found(Server(live))
    assert found.changes == ()
    assert found.to_apply == ()
    (foreign,) = found.foreign
    assert (foreign.path, foreign.manager) == ("spec.template.spec.containers[main].env[TOKEN]", "kubectl-set")
    place = "/spec/template/spec/containers/0/env/1"
    patch = [{"op": "test", "path": f"{place}/name", "value": "TOKEN"}, {"op": "remove", "path": place}]
    assert foreign.command == f"kubectl -n dev patch deployment app --type json -p '{json.dumps(patch)}'"
    assert "hush" not in str(foreign)


def test_fields_written_by_controllers_are_theirs() -> None:
    entries = (
        _entry("kube-controller-manager", {"f:spec": {"f:replicas": {}}}, subresource="scale"),
        _entry("kube-controller-manager", {"f:status": {"f:replicas": {}}}, subresource="status"),
        _entry("kube-controller-manager", {"f:spec": {"f:volumeName": {}}}),
        _entry("kubectl-patch", {"f:spec": {"f:replicas": {}}}),  # as we tell to, where it was scaled to 0
        _entry("kubectl-rollout", {"f:metadata": {"f:annotations": {"f:x": {}}}}),
        _entry(
            "kubectl-rollout",
            {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}}},
        ),
        _entry("kubectl-set", _in_container({"f:image": {}})),  # the same value as ours: shared
    )
    assert _found(Server(_live(*entries))) == Drift()


def test_a_mapping_made_by_others_that_we_wrote_into_is_ours() -> None:
    fields = _in_container({"f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}, "f:memory": {}}}})
    live = _live(_entry("kubectl-edit", fields))
    _main(live)["resources"]["limits"]["cpu"] = "2"
    assert [each.path.rpartition(".")[2] for each in _found(Server(live)).foreign] == ["cpu"]


def test_objects_whose_contents_others_write_are_left_alone() -> None:
    live = _live(_entry("okhttp", {"f:spec": {"f:paused": {}}}))
    live["spec"]["paused"] = True
    _main(live)["image"] = "x:2"
    assert _found(Server(live, _live()), ["spec"]) == Drift()


def test_a_deleted_object_is_made_again_but_not_a_claim() -> None:
    server = Server(None)
    found = _found(server)
    assert found.missing == ("Deployment app",)
    reset(server, found)
    assert server.written == ["app"]
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data-kafka-0"}}
    found = find(server, [(claim, [])])
    assert found == Drift(lost_claims=("PersistentVolumeClaim data-kafka-0",))


def test_secrets_are_compared_and_never_shown() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": "b2xk"}}
    found = find(Server({**secret, "data": {"key": "bmV3"}}, secret), [(secret, [])])
    assert [str(change) for change in found.changes] == ["Secret s data.key: a secret -> another"]


def test_objects_come_from_the_state_with_secrets_in_the_clear() -> None:
    secret = {
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
        "plaintext": json.dumps({"key": ["a"]}),
    }
    kind = "kubernetes:core/v1:Secret"
    resources: list[dict[str, Any]] = [
        {"type": "pulumi:providers:kubernetes", "custom": True, "inputs": {}},
        {"type": "kafka:index:Topic", "custom": True, "inputs": {}},
        {"type": kind, "custom": True, "inputs": {"data": secret}, "ignoreChanges": ["metadata.labels"]},
        {"type": kind, "custom": True, "external": True, "inputs": {}},
        {"type": kind, "custom": True, "delete": True, "inputs": {}},
    ]
    state = {"deployment": {"resources": resources}}
    assert objects(state) == [({"data": {"key": ["a"]}}, ["metadata.labels"])]
    assert objects({"deployment": {}}) == []
