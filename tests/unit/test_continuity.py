"""Continuity: what the cluster says, what is refused, and what happens where it cannot be asked. Live: integration."""

import base64
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.output import Unknown
from pulumi.runtime.rpc import UNKNOWN

from components import dynamic
from components.continuity import live
from components.continuity import resource as module
from components.continuity.live import found
from components.continuity.resource import Continuity, ContinuityArgs, ContinuityProvider
from components.continuity.rules import NOTHING, Claim, Found
from components.kafka.admin import PodConnection
from components.reach import Kubectl, UnreachableError
from tests.unit import building
from tests.unit.recording import record

CONNECTION = PodConnection(
    namespace="dev", stateful_set="kafka", brokers=1, admin_port=19092, credentials="stack:organization/p/cluster"
)
ARGS = ContinuityArgs(
    members=1,
    brokers=1,
    cluster_id="abc",
    storage_class=None,
    access_mode="ReadWriteOnce",
    places={"claims": ""},
    named={},
    sizes={"data-zookeeper-0": 1024, "data-kafka-0": 1024, "claims-data": 1024},
    zookeeper="zookeeper",
    connection=CONNECTION,
)
MOVED = {"places": {"claims": "s3://a/flink"}, "named": {"claims": "s3://a/flink/savepoint-1#1"}}
PROPERTIES = record(lambda: Continuity("continuity", ARGS)).one("Continuity", "continuity").inputs
PICKLED = base64.b64decode(PROPERTIES.pop("__provider"))


def claims(*names: str, storage_class: str = "standard") -> tuple[Claim, ...]:
    modes = ("ReadWriteOnce",)
    return tuple(Claim(name=name, storage_class=storage_class, access_modes=modes, mib=1024) for name in names)


RUNNING = Found(
    members=1, brokers=1, cluster_id="abc", claims=claims("data-kafka-0", "data-zookeeper-0", "claims-data", "old-data")
)


class Cluster:
    """What the provider asks: what there is, or the error; and the topics on each broker."""

    def __init__(self) -> None:
        self.found: Found | Exception = RUNNING
        self.holding: Mapping[int, Sequence[str]] | Exception = {}
        self.asked = 0

    def ask(self, at: Kubectl, *, zookeeper: str, kafka: str) -> Found:
        assert (at.namespace, zookeeper, kafka) == ("dev", "zookeeper", "kafka")
        self.asked += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def stuck(self, at: Kubectl, claims: Iterable[Claim], sizes: Mapping[str, int]) -> Mapping[str, str]:
        assert at.namespace == "dev"
        return {claim.name: "forbidden" for claim in claims if claim.storage_class == "standard"}

    def placement(self) -> Mapping[int, Sequence[str]]:
        if isinstance(self.holding, Exception):
            raise self.holding
        return self.holding


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()

    @contextmanager
    def topics(connection: PodConnection, setting: str | None) -> Generator[Cluster]:
        yield cluster

    monkeypatch.setattr(live, "ask", cluster.ask)
    monkeypatch.setattr(live, "stuck", cluster.stuck)
    monkeypatch.setattr(module, "topics", topics)
    monkeypatch.setattr(module, "kubeconfig_of", Mock(return_value="text"))
    monkeypatch.setattr(dynamic, "_shown", set[str]())
    return cluster


@pytest.fixture
def provider() -> ContinuityProvider:
    provider = ContinuityProvider()
    provider.configure(ConfigureRequest(Config({}, "streaming-platform")))
    return provider


def stored(**changes: Any) -> dict[str, Any]:
    """Properties as the engine hands them over: with its own key, and numbers as floats."""
    return {
        name: float(value) if isinstance(value, int) else value
        for name, value in {**PROPERTIES, "__provider": "x", **changes}.items()
    }


def refused(provider: ContinuityProvider, olds: dict[str, Any], **news: Any) -> dict[str, str]:
    return {failure.property: failure.reason for failure in provider.check(olds, stored(**news)).failures}


def test_old_state_finds_the_provider_by_its_name() -> None:
    assert b"components.continuity.resource" in PICKLED
    assert b"ContinuityProvider" in PICKLED
    assert len(PICKLED) < 100


def test_nothing_is_asked_where_nothing_changes(provider: ContinuityProvider, cluster: Cluster) -> None:
    assert refused(provider, stored()) == {}
    assert cluster.asked == 0
    assert provider.diff("continuity", stored(), stored()).changes is False
    assert provider.diff("continuity", stored(), stored(members=3)).changes is True
    assert provider.create(stored()).outs == PROPERTIES == provider.update("", {}, stored()).outs
    assert provider.read("continuity", stored()).inputs == PROPERTIES


def test_a_first_creation_and_a_platform_from_before_are_fine(provider: ContinuityProvider, cluster: Cluster) -> None:
    assert refused(provider, {}) == {}
    cluster.found = NOTHING
    assert refused(provider, {}, members=3, brokers=3, clusterId=UNKNOWN) == {}


@pytest.mark.parametrize("olds", [{}, stored()])
def test_another_number_of_members_is_refused(
    provider: ContinuityProvider, cluster: Cluster, olds: dict[str, Any]
) -> None:
    reason = refused(provider, olds, members=3)["members"]
    assert "ZooKeeper has 1 members, and cannot become 3" in reason
    assert "Keep zookeeper.members: 1" in reason
    assert "docs/runbook.md, Another number of ZooKeeper members" in reason


@pytest.mark.parametrize("olds", [{}, stored()])
def test_another_set_of_voters_is_refused(provider: ContinuityProvider, cluster: Cluster, olds: dict[str, Any]) -> None:
    reason = refused(provider, olds, brokers=3)["brokers"]
    assert "1 to 3 brokers would change Kafka's controllers from 1 to 3" in reason
    assert "Keep kafka.brokers at 1 or 2" in reason
    assert refused(provider, olds, brokers=2) == {}


def test_fewer_brokers_are_refused_as_long_as_topics_lie_there(provider: ContinuityProvider, cluster: Cluster) -> None:
    cluster.found = replace(RUNNING, brokers=5)
    cluster.holding = {0: ["events"], 3: ["__consumer_offsets", "events"], 4: ["results"]}
    reason = refused(provider, stored(brokers=5), brokers=3)["brokers"]
    assert reason.startswith(
        "there are topics on brokers 3 to 4, which would be lost with their data: __consumer_offsets, events, r"
    )
    assert "there are topics on broker 4," in refused(provider, stored(brokers=5), brokers=4)["brokers"]
    cluster.holding = {0: ["events"]}
    assert refused(provider, stored(brokers=5), brokers=3) == {}
    cluster.holding = UnreachableError("no")
    assert "could not be asked" in refused(provider, stored(brokers=5), brokers=3)["brokers"]


@pytest.mark.parametrize(
    ("made", "name"),
    [(UNKNOWN, "a new one"), (Unknown(), "a new one"), ("new", "new")],
    ids=["word", "object", "known"],
)
def test_another_cluster_id_than_the_running_one_is_refused(
    provider: ContinuityProvider, cluster: Cluster, made: object, name: str
) -> None:
    reason = refused(provider, {}, clusterId=made)["clusterId"]
    assert f"Kafka here has the cluster id abc, and this stack's state knows {name}: " in reason
    assert "pulumi import random:index/randomId:RandomId kafka-cluster-id -- abc" in reason
    assert "docs/runbook.md, Lost Pulumi state" in reason
    assert refused(provider, {}, clusterId="abc") == {}


def test_a_state_that_knows_its_id_puts_it_back(provider: ContinuityProvider, cluster: Cluster) -> None:
    cluster.found = replace(RUNNING, cluster_id="of somebody else")
    assert refused(provider, stored(), accessMode="ReadWriteOnce", **MOVED) == {}


def test_another_class_is_refused_and_the_same_by_its_name_is_not(
    provider: ContinuityProvider, cluster: Cluster
) -> None:
    assert refused(provider, stored(), storageClass="standard") == {}
    reason = refused(provider, stored(), storageClass="fast")["storageClass"]
    assert "has class standard, and a claim that holds data cannot change it to fast" in reason
    assert "Keep storage.class: standard" in reason
    assert refused(provider, stored(storageClass="standard"), storageClass="") == {}
    cluster.found = replace(RUNNING, claims=claims("old-data"))  # of a Flink cluster that is gone
    assert refused(provider, stored(), storageClass="fast") == {}


def test_another_access_mode_is_refused_where_claims_are_shared(provider: ContinuityProvider, cluster: Cluster) -> None:
    reason = refused(provider, stored(), accessMode="ReadWriteMany")["accessMode"]
    assert reason.startswith("claims-data has accessMode ReadWriteOnce")
    assert refused(provider, stored(), accessMode="ReadWriteMany", **MOVED) == {}


def test_a_claim_that_cannot_be_changed_as_requested_is_refused_with_its_setting(
    provider: ContinuityProvider, cluster: Cluster
) -> None:
    larger, smaller = {"data-kafka-0": 2048.0, "claims-data": 1024.0}, {"data-kafka-0": 1024.0, "claims-data": 512.0}
    assert refused(provider, stored(), sizes=smaller)["sizes"] == (
        "flink.clusters.claims.storageMib: 512 is below what claims-data has, 1024, and no volume shrinks: set 1024"
    )
    reason = refused(provider, stored(), sizes=larger)["sizes"]
    assert reason.startswith("kafka.storageMib: 2048 is above what data-kafka-0 has, 1024, and volumes of the storage ")
    assert "class standard cannot grow (forbidden): set 1024, or allow it there" in reason
    cluster.found = replace(RUNNING, claims=claims("data-kafka-0", storage_class="grows"))
    assert refused(provider, stored(), sizes=larger) == {}


@pytest.mark.parametrize("olds", [{}, stored(), stored(named=MOVED["named"])])
def test_a_cluster_moves_away_from_its_state_only_if_a_state_to_restore_is_named(
    provider: ContinuityProvider, cluster: Cluster, olds: dict[str, Any]
) -> None:
    named = olds.get("named", {})  # named before: that was for once
    assert refused(provider, olds, places=MOVED["places"], named=named)["places"] == (
        "flink.clusters.claims.s3: its state is on the volume claims-data, and the job would begin from nothing in "
        "s3://a/flink. Keep the state where it is, or copy it and name what to go on from: restoreFrom "
        "(docs/s3-checkpoints.md, Move a cluster's state)"
    )
    assert refused(provider, olds, **(MOVED | {"named": {"claims": "s3://a/flink/savepoint-1#2"}})) == {}


def test_a_cluster_stays_in_its_bucket(provider: ContinuityProvider, cluster: Cluster) -> None:
    cluster.found = replace(RUNNING, claims=())
    reason = refused(provider, stored(places=MOVED["places"]), places={"claims": "s3://b"})["places"]
    assert "its state is in s3://a/flink, and the job would begin from nothing in s3://b." in reason
    assert "nothing on the volume claims-data." in refused(provider, stored(places=MOVED["places"]))["places"]
    assert refused(provider, stored(places={}), places={"claims": "", "other": "s3://a"}) == {}


def test_a_setting_of_many_claims_is_refused_once(provider: ContinuityProvider, cluster: Cluster) -> None:
    names = [f"data-zookeeper-{n}" for n in range(3)]
    cluster.found = replace(RUNNING, members=3, claims=claims(*names))
    sizes = dict.fromkeys(names, 512.0)
    failures = provider.check(stored(members=3), stored(members=3, sizes=sizes)).failures
    assert [failure.property for failure in failures] == ["sizes"]


def test_state_of_before_has_no_sizes(provider: ContinuityProvider, cluster: Cluster) -> None:
    olds = {key: value for key, value in stored().items() if key != "sizes"}
    assert refused(provider, olds) == {}
    assert cluster.asked == 1


class Refusing(Kubectl):
    """kubectl on which claims do not grow."""

    def __call__(self, *words: str) -> str:
        assert words[:2] == ("patch", "persistentvolumeclaim")
        assert words[-1] == "--dry-run=server"
        assert '"2048Mi"' in words[4]
        raise UnreachableError("the storageclass that provisions the pvc must support resize")


def test_the_api_server_is_asked_whether_a_claim_can_grow() -> None:
    said = live.stuck(Refusing("dev", "file"), claims("a", "b", "c"), {"a": 2048, "b": 512})
    assert said == {"a": "the storageclass that provisions the pvc must support resize"}


def test_where_it_cannot_be_asked_the_state_decides_and_that_is_said_once(
    provider: ContinuityProvider, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.found = UnreachableError("connection refused")
    assert refused(provider, {}, members=3) == {}
    assert list(refused(provider, stored(), members=3, brokers=3)) == ["members", "brokers"]
    said = capsys.readouterr().err
    assert said.count("the cluster could not be asked what there is in dev (connection refused)") == 1


def _objects(members: int, brokers: int) -> list[dict[str, Any]]:
    """What the API server would return of the ensemble and the brokers that the components make."""
    made = [*building.zookeeper(members=members).resources, *building.kafka(brokers=brokers).resources]
    return [{"kind": each.kind, **each.inputs} for each in made if "metadata" in each.inputs]


@pytest.mark.parametrize(("members", "brokers"), [(1, 1), (3, 2), (5, 3), (7, 11)])
def test_configuration_of_our_components_is_recognised(members: int, brokers: int) -> None:
    told = found(_objects(members, brokers), zookeeper="zookeeper", kafka="kafka")
    assert (told.members, told.brokers, told.cluster_id) == (members, brokers, building.CLUSTER_ID)
    assert len(told.claims) == members + brokers
    assert {claim.storage_class for claim in told.claims} == {None, "fast"}


def test_a_set_that_was_scaled_or_lost_its_configuration_still_holds_its_data() -> None:
    objects = [each for each in _objects(3, 3) if each["kind"] != "ConfigMap"]
    told = found(objects, zookeeper="zookeeper", kafka="kafka")
    assert (told.members, told.brokers) == (3, 3)
    for each in objects:
        if each["kind"] == "StatefulSet":
            each["spec"]["replicas"] = 0
    assert found(objects, zookeeper="zookeeper", kafka="kafka") == told


def test_without_claims_nothing_holds_data() -> None:
    objects = [each for each in _objects(3, 3) if each["kind"] != "PersistentVolumeClaim"]
    told = found(objects, zookeeper="zookeeper", kafka="kafka")
    assert (told.members, told.brokers) == (None, None)
    assert found([], zookeeper="zookeeper", kafka="kafka") == NOTHING
