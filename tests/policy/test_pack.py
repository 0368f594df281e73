"""Every rule on good and bad stacks: refused with the expected rule, and no other."""

import json
from pathlib import Path

import pytest

from policies import pack
from policies.pack import RULES, Configuration, PolicyConfigError, configuration, judge
from policies.programs import FLINK, ZOOKEEPER, Program, program_of
from policies.programs import KAFKA as KAFKA_BROKER
from policies.resources import Stack
from policies.rules import Finding, Level
from stacks.bounds import configured
from tests.policy.examples import BAD, BROKER, CONFIG, DEV, KAFKA, MAIN, Bad, changed, good, stack

_RULE = {rule.id: rule for rule in RULES}
_REMEDIES = {rule.id: rule.remedy for rule in RULES}


def violations(of: Stack) -> list[Finding]:
    return [finding for finding in judge(of, DEV) if not finding.open]


def test_nothing_is_wrong_with_the_good_stack_and_all_of_it_is_judged() -> None:
    assert judge(stack(good()), DEV) == []


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_stack_is_refused_with_the_expected_rule_and_no_other(bad: Bad) -> None:
    documents, _ = changed(bad)
    found = violations(stack(documents))
    assert {finding.rule for finding in found} == {bad.rule}, [finding.text for finding in found]
    assert all(_REMEDIES[bad.rule] in finding.text for finding in found)


@pytest.mark.parametrize(
    ("at", "path", "value"),
    [
        ("DaemonSet/agent", f"{MAIN}/args", ["nc", "-z", "jobmanager", "8081"]),
        ("DaemonSet/agent", f"{MAIN}/command", ["sh", "-c", "nc -z jobmanager 8081"]),
        ("DaemonSet/agent", f"{MAIN}/args", ["--flink", "http://jobmanager"]),
        ("DaemonSet/agent", f"{MAIN}/env", [{"name": "OAUTH_TOKEN_ENDPOINT", "value": "https://login.example/token"}]),
        ("DaemonSet/agent", f"{MAIN}/env", [{"name": "AWS_CREDENTIALS_PROVIDER", "value": "com.example.WebIdentity"}]),
        (KAFKA, f"{MAIN}/env/0/value", "-XX:MaxRAMPercentage=40"),
        (*CONFIG, ("web:", "fs.s3a.aws.credentials.provider: com.amazonaws.auth.WebIdentity\nweb:")),
        (*BROKER, ("min.insync", "sasl.oauthbearer.token.endpoint.url=https://login.example/token\nmin.insync")),
        ("ConfigMap/kafka-config", "data/pod.yaml", "volumes:\n- secret:\n    secretName: tls\n"),
    ],
)
def test_valid_settings_that_resemble_mistakes_are_accepted(at: str, path: str, value: object) -> None:
    documents, _ = changed(Bad("", at, path, value))
    assert [finding.text for finding in violations(stack(documents))] == []


@pytest.mark.parametrize(
    ("command", "image", "program"),
    [
        (["sh", "-c", "export KAFKA_NODE_ID=0 && exec /etc/kafka/docker/run"], "apache/kafka:4.1.0", KAFKA_BROKER),
        (["sh", "-c", "exec /etc/confluent/docker/run"], "confluentinc/cp-kafka:8.0.0", KAFKA_BROKER),
        (["/etc/confluent/docker/run"], "confluentinc/cp-zookeeper:7.9.0", ZOOKEEPER),
        (["/docker-entrypoint.sh", "taskmanager"], "registry.example/job:1", FLINK),
        (["bash", "-c", "/docker-entrypoint.sh standalone-job"], "registry.example/job:1", FLINK),
        (["/opt/flink/bin/taskmanager.sh", "start-foreground"], "registry.example/job:1", FLINK),
        (["jobmanager"], "flink:2.3.0", FLINK),
        (["sh", "-c", "until nc -z kafka 9092; do sleep 1; done"], "busybox:1.37", None),
        (["kafka-topics.sh", "--list"], "apache/kafka:4.1.0", None),
    ],
)
def test_programs_are_recognised_by_the_commands_of_their_containers(
    command: list[str], image: str, program: Program | None
) -> None:
    documents, _ = changed(Bad("", "Pod/shell", "spec/containers/0", {"name": "a", "image": image, "command": command}))
    (container,) = [each for each in stack(documents).containers if each.pod.owner.kind == "Pod"]
    assert program_of(container) is program


def test_every_rule_has_a_bad_example() -> None:
    assert {rule.id for rule in RULES} - {bad.rule for bad in BAD} == {
        "manifests-visible",
        "program-recognised",
    }  # notes only


# What ops and the cluster may say of bounds. Levels are not among it: see below.
BOUNDS = {
    "namespace-of-platform": {"namespaces"},
    "container-disk-limit": {"maxMib"},
    "container-memory-limit": {"maxMib"},
    "namespace-memory-limit": {"maxMib"},
    "ensemble-odd": {"minMembers"},
}


@pytest.mark.parametrize("stack", ["ops", "cluster"])
def test_environments_that_serve_people_have_every_rule(stack: str) -> None:
    """By a level that stops, whatever a rule's own level is; a bound that is loosened has to be named here too."""
    said = configured(stack)
    assert {rule.id for rule in RULES if said.level(rule) is not Level.MANDATORY} == set()
    for rule in RULES:
        assert set(said.bounds(rule)) <= BOUNDS.get(rule.id, set()), rule.id


def test_ops_is_held_to_no_less_than_the_others() -> None:
    members = {name: configured(name).bounds(_RULE["ensemble-odd"]).get("minMembers", 1) for name in ("dev", "ops")}
    assert members["ops"] >= max(3, members["dev"])
    assert configured("ops").bounds(_RULE["namespace-of-platform"]) == {"namespaces": ["ops"]}


def test_a_bound_with_a_source_has_no_place_in_a_file_of_levels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "_FILES", tmp_path)
    for rule in RULES:
        for name, setting in rule.settings.items():
            (tmp_path / "dev.json").write_text(json.dumps({rule.id: {name: setting.default}}))
            if setting.source:
                with pytest.raises(PolicyConfigError, match=rf"{rule.id}: {name} is in the stack file of the cluster"):
                    configuration("dev")
            else:
                assert configuration("dev").bounds(rule).keys() == {name}


def test_a_level_for_all_holds_beside_bounds() -> None:
    rule = _RULE["container-memory-limit"]
    for said in ("advisory", {"enforcementLevel": "advisory"}):
        made = Configuration({"all": said}).with_bounds({rule.id: {"maxMib": 1}})
        assert (made.level(rule), made.bounds(rule)) == (Level.ADVISORY, {"maxMib": 1})
    own = Configuration({rule.id: "disabled", "all": "advisory"}).with_bounds({rule.id: {"maxMib": 1}})
    assert (own.level(rule), own.bounds(rule)) == (Level.DISABLED, {"maxMib": 1})
