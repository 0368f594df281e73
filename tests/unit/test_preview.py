"""Comments on pull requests, made from event logs of real previews and drifts, cut down to what matters.

They are what `pulumi preview --event-log` wrote (`refresh --preview-only` for the drift), without debug messages and
what does not change.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.preview.comment import LIMIT, comment, refusals
from cli.preview.diff import changes
from cli.preview.events import Preview, Step, parse
from components.secrets.mask import MASK

LOGS = Path(__file__).parent / "previews"


def recorded(name: str) -> Preview:
    return parse((LOGS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())


def told(name: str) -> str:
    return comment(recorded(name), "dev")


def test_no_change_is_one_line() -> None:
    assert told("no-change") == "<!-- preview of stack dev -->\n\n### Preview of `dev`: no changes, 34 unchanged\n"
    assert refusals(recorded("no-change")) == []


def test_a_topics_change_is_shown_property_by_property() -> None:
    assert told("topic-changed").splitlines()[2:] == [
        "### Preview of `dev`: 1 to update, 33 unchanged",
        "",
        "#### Changed (1)",
        "",
        "- update `Topic events`",
        '  - `config["retention.ms"]`: `86400000` → `172800000`',
        "  - `partitions`: `4` → `6`",
    ]


def test_a_first_creation_is_folded() -> None:
    text = told("first-creation")
    assert "### Preview of `dev`: 32 to create\n\n<details><summary>Created (32)</summary>\n" in text
    assert text.endswith("</details>\n")
    assert "- create `Topic dead-letters`\n" in text
    assert "`kubeconfig`: `[secret]`" in text
    assert "- `apiVersion`" not in text


def test_refused_settings_are_shown_as_written() -> None:
    text = told("memory-too-small")
    assert refusals(recorded("memory-too-small")) == ["the engine failed"]
    assert "a TaskManager of 600 MiB is too small for Flink" in text
    assert "the smallest that works is 1089 MiB" in text
    assert "non-zero exit code" not in text  # says nothing beside the error that brought it about


def test_a_limit_below_the_process_size_is_refused_by_the_pack_with_the_figures() -> None:
    text = told("limit-below-process-size")
    assert refusals(recorded("limit-below-process-size")) == ["1 mandatory policy violation"]
    assert "- **`flink-limit-holds-process`** (mandatory) on `Deployment claims-taskmanager`" in text
    assert "the memory limit is 1528 MiB, below the process size that Flink derives, 1728 MiB" in text
    assert "containers[taskmanager].resources.limits.memory`: `1728Mi` → `1528Mi`" in text
    assert text.index("flink-limit-holds-process") < text.index("#### Changed")


def test_an_ensemble_that_shrinks_loses_data_in_bold_and_its_text_is_a_diff() -> None:
    text = told("ensemble-shrunk")
    assert "- **delete `PersistentVolumeClaim data-zookeeper-1`** — its data is lost; protection was lifted" in text
    assert "    -server.3=zookeeper-2.zookeeper-headless.dev.svc:2888:3888\n" in text
    assert "  - `spec.replicas`: `3` → `1`" in text
    assert text.index("Deleted or replaced") < text.index("Changed")
    assert refusals(recorded("ensemble-shrunk")) == []


def test_the_same_is_refused_where_the_stack_protects_data() -> None:
    lifted = recorded("ensemble-shrunk")
    preview = replace(lifted, config={**lifted.config, "streaming-platform:dataProtection": "true"})
    assert preview.result == "succeeded"  # the engine itself would go on: the claims are not protected in this state
    assert refusals(preview) == ["2 deletions or replacements of protected data"]
    assert "it is protected: keep it, or first apply `dataProtection: false`" in comment(preview, "dev")


def test_deleting_protected_resources_is_refused() -> None:
    preview = recorded("protected-topic-removed")
    assert preview.result == "failed"
    assert refusals(preview) == ["1 deletion or replacement of protected data"]
    assert "**delete `Topic events`** — its data is lost, and it is protected" in comment(preview, "dev")


def test_a_replacement_is_one_step_with_its_reason() -> None:
    text = told("stateful-set-replaced")
    assert "### Preview of `dev`: 1 to replace, " in text
    assert "- **replace `StatefulSet zookeeper`** — all its pods stop; protection was lifted\n" in text
    assert "  - `metadata.name` (**forces the replacement**): `zookeeper` → `zookeeper-ensemble`" in text


def test_a_replacement_that_the_api_server_refuses_comes_with_its_error() -> None:
    text = told("stateful-set-refused")
    assert refusals(recorded("stateful-set-refused")) == ["the engine failed"]
    assert text.index("updates to statefulset spec for fields other than") < text.index("**replace `StatefulSet")


def test_a_secret_that_may_have_changed_is_named_and_not_shown() -> None:
    text = told("secret-changed")
    assert "- update `Provider kubernetes`\n  - `kubeconfig`: `[secret]`, perhaps changed" in text


def test_policy_violations_come_first() -> None:
    preview = recorded("policy-violation")
    text = comment(preview, "dev")
    assert refusals(preview) == ["2 mandatory policy violations"]
    assert text.index("#### Policy violations (2)") < text.index("Created")
    assert "- **`container-memory-bounded`** (mandatory) on `Pod scratch`" in text
    assert "set request and limit to what the process needs at most" in text
    assert "Errors" not in text


def test_an_unmarked_secret_is_masked_by_its_name() -> None:
    assert "not-to-be-shown" in (LOGS / "policy-violation.jsonl").read_text(encoding="utf-8")
    assert "not-to-be-shown" not in told("policy-violation")


def test_a_drift_is_reported_as_drift() -> None:
    preview = recorded("drift")
    text = comment(preview, "dev", what="Drift")
    assert "### Drift of `dev`: 1 drifted, 34 unchanged" in text
    assert "    -tickTime=3000\n    +tickTime=1000\n" in text
    assert refusals(preview) == ["1 resource of the cluster not as the stack left them"]


def test_an_engine_that_was_killed_is_no_success() -> None:
    lines = (LOGS / "topic-changed.jsonl").read_text(encoding="utf-8").splitlines()
    whole = [line for line in lines if '"summaryEvent"' not in line and '"cancelEvent"' not in line]
    assert refusals(parse(whole)) == ["the engine failed"]
    assert refusals(parse([*whole[:-1], whole[-1][:100]])) == ["the engine failed"]
    assert refusals(parse([])) == ["the engine failed"]


def test_a_preview_too_large_for_a_comment_names_what_it_leaves_out() -> None:
    urn = "urn:pulumi:dev::streaming-platform::pulumi-python:dynamic/kafka:Topic::orders-{}"
    made = [
        Step(op="create", urn=urn.format(n), type="pulumi-python:dynamic/kafka:Topic", new={"topic": "x" * 200})
        for n in range(3000)
    ]
    gone = [
        Step(op="delete", urn=urn.format(n), type="pulumi-python:dynamic/kafka:Topic", protected=n == 4999)
        for n in range(3000, 5000)
    ]
    text = comment(Preview(steps=(*made, *gone), result="succeeded"), "dev")
    assert len(text.encode()) <= LIMIT
    assert "### Preview of `dev`: 2000 to delete, 3000 to create" in text
    assert " deletions or replacements are left out: a comment has no room for more." in text
    assert " creations are left out: a comment has no room for more." in text
    assert text.count("<details>") == text.count("</details>") == 1


@pytest.mark.parametrize(
    ("old", "new", "paths", "expected"),
    [
        ({"a": 1}, {"a": 1}, {}, []),
        ({"a": 1}, {"a": "1"}, {}, ["a"]),
        ({"a": None}, {}, {}, ["a"]),
        ({"a": 0}, {"a": False}, {}, ["a"]),
        ({"a.b": 1}, {"a.b": 2}, {}, ['["a.b"]']),
        (
            {"e": [{"name": "x", "v": 1}, {"name": "y"}]},
            {"e": [{"name": "y"}, {"name": "x", "v": 2}]},
            {},
            ["e", "e[x].v"],
        ),
        ({"e": [1, 2]}, {"e": [1]}, {}, ["e[1]"]),
        ({"s": MASK}, {"s": MASK}, {"s": "update"}, ["s"]),
        ({"s": MASK}, {"s": MASK}, {}, ["s"]),
        ({"e": [{"name": "x", "v": 1}]}, {"e": [{"name": "x", "v": 2}]}, {"e[0].v": "update"}, ["e[x].v"]),
    ],
)
def test_properties_that_differ(
    old: dict[str, object], new: dict[str, object], paths: dict[str, str], expected: list[str]
) -> None:
    step = Step(op="update", urn="urn::a", type="t", old=old, new=new, paths=paths)
    assert [change.where for change in changes(step)] == expected


@pytest.mark.parametrize(
    "properties",
    [
        {"password": "hidden"},
        {"env": [{"name": "DB_PASSWORD", "value": "hidden"}]},
        {"args": ["--api-token", "hidden"]},
        {"args": ["--password=hidden"]},
        {"data": {"app.properties": "a=b\nsasl.password = hidden\n"}},
        {"data": {"app.yaml": 'access_key: "hidden"'}},
        {"data": {"tls": "-----BEGIN RSA PRIVATE KEY-----\nhidden\n-----END RSA PRIVATE KEY-----"}},
        {"sasl.jaas.config": 'PlainLoginModule required username="app" password="hidden";'},
        {"data": {"app.json": '{"user": "a", "password": "hidden", "next": 1}'}},
        {"data": {"app.json": r'"{\"user\": \"a\", \"password\": \"hidden\"}"'}},
        {"command": ["sh", "-c", "exec start --id=1 --password=hidden"]},
        {"command": ["sh", "-c", "exec start --id=1 --db-password hidden"]},
        {"data": {"pod.yaml": "env: [{name: DB_PASSWORD, value: hidden}]"}},
        {"data": {"pod.yaml": "env:\n- name: CLIENT_SECRET\n  value: hidden\n"}},
        {"url": "postgres://app:hidden@db/claims"},
        {"env": [{"name": "CLIENT_SECRET", "value": "hidden"}]},
        {"objs": [{"kind": "Secret", "stringData": {"a": "hidden"}}]},
        {"yaml": "apiVersion: v1\nkind: Secret\nstringData:\n  a: hidden\n"},
        {"jwt": "Bearer eyJhbGciOiJub25lIn0.hidden.hidden"},
        {"nested": {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "hidden"}},
    ],
)
def test_secrets_are_masked_wherever_they_stand(properties: dict[str, object]) -> None:
    urn = "urn:pulumi:dev::p::kubernetes:core/v1:ConfigMap::a"
    metadata = {"op": "update", "urn": urn, "type": "kubernetes:core/v1:ConfigMap", "old": {"inputs": {"x": 1}}}
    event = {"resourcePreEvent": {"metadata": {**metadata, "new": {"inputs": properties}}}}
    text = comment(parse([json.dumps(event)]), "dev")
    assert "hidden" not in text
    assert MASK in text


def test_texts_that_resemble_secrets_are_shown() -> None:
    shown = {
        "data": {"a.yaml": "fs.s3a.aws.credentials.provider: com.amazonaws.WebIdentity\nkind: SecretStore\n"},
        "secret": "claims-keys",
        "url": "http://kafka:9092/path@1",
    }
    urn = "urn:pulumi:dev::p::kubernetes:core/v1:ConfigMap::a"
    new = {"inputs": shown}
    metadata = {"op": "create", "urn": urn, "type": "kubernetes:core/v1:ConfigMap", "old": None, "new": new}
    (step,) = parse([json.dumps({"resourcePreEvent": {"metadata": metadata}})]).steps
    assert step.new == shown


def test_a_list_of_secrets_is_masked() -> None:
    urn = "urn:pulumi:dev::p::kubernetes:core/v1:SecretList::a"
    new = {"inputs": {"items": [{"stringData": {"key": "hidden"}}]}}
    metadata = {"op": "create", "urn": urn, "type": "kubernetes:core/v1:SecretList", "old": None, "new": new}
    (step,) = parse([json.dumps({"resourcePreEvent": {"metadata": metadata}})]).steps
    assert step.new == {"items": [{"stringData": {"key": MASK}}]}


def test_a_kubernetes_secret_is_masked_though_nothing_marks_it() -> None:
    urn = "urn:pulumi:dev::p::kubernetes:core/v1:Secret::a"
    metadata = {"op": "create", "urn": urn, "type": "kubernetes:core/v1:Secret", "old": None}
    event = {"resourcePreEvent": {"metadata": {**metadata, "new": {"inputs": {"data": {"key": "aGlkZGVu"}}}}}}
    text = comment(parse([json.dumps(event)]), "dev")
    assert "`data.key`: `[secret]`" in text
    assert "aGlkZGVu" not in text


def unchanged(type_: str, kind: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    metadata = {"op": "same", "urn": f"urn:pulumi:dev::p::{type_}::a", "type": type_, "old": old, "new": new}
    return json.dumps({kind: {"metadata": metadata}})


@pytest.mark.parametrize(
    ("type_", "kind", "old", "new", "differs"),
    [
        ("kafka:Topic", "resourcePreEvent", {"protect": True}, {"protect": True}, False),
        ("kafka:Topic", "resourcePreEvent", {"urn": "a"}, {"urn": "a", "protect": True}, True),
        ("kafka:Topic", "resourcePreEvent", {"urn": "a", "retainOnDelete": True}, {"urn": "a"}, True),
        ("pulumi:pulumi:Stack", "resourcePreEvent", {"outputs": {"a": 1}}, {"urn": "a", "outputs": {}}, False),
        ("pulumi:pulumi:Stack", "resOutputsEvent", {"outputs": {"a": 1}}, {"outputs": {"a": 1}}, False),
        ("pulumi:pulumi:Stack", "resOutputsEvent", {"outputs": {"a": 1}}, {"outputs": {"a": 2}}, True),
    ],
)
def test_an_update_that_changes_the_state_alone_is_a_change(
    type_: str, kind: str, old: dict[str, Any], new: dict[str, Any], differs: bool
) -> None:
    found = parse([unchanged(type_, kind, old, new), json.dumps({"summaryEvent": {"result": "succeeded"}})])
    assert (found.state_differs, found.changes_nothing) == (differs, not differs)


def test_a_preview_without_changes_changes_nothing() -> None:
    assert recorded("no-change").changes_nothing
    assert not recorded("topic-changed").changes_nothing
    assert not recorded("policy-violation").changes_nothing
