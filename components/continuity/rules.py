"""The rules that tell which changes keep the data: pure functions over the requested and the existing state.

Each problem names a property of the resource (see resource.py), what would happen, and the steps to take instead.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from components.names import state_claim

_RUNBOOK = "docs/runbook.md"
_MOVE = "docs/s3-checkpoints.md, Move a cluster's state"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The state that the settings ask for. `cluster_id` is None for a new one, which is made when the stack is
    applied."""

    members: int
    brokers: int
    cluster_id: str | None
    storage_class: str | None
    access_mode: str
    sizes: Mapping[str, int]
    """Each claim's name, and its size in MiB."""
    places: Mapping[str, str] = field(default_factory=dict[str, str])
    """Each Flink cluster's name, and where its state is: a path of S3, or empty for its own claim."""
    named: Mapping[str, str] = field(default_factory=dict[str, str])
    """The Flink clusters whose settings name a state to go on from, and that state."""

    @property
    def shared(self) -> tuple[str, ...]:
        """The claims that many pods mount, those of Flink clusters: the access mode is theirs."""
        return tuple(state_claim(cluster) for cluster, place in self.places.items() if not place)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim that is there; its class is the cluster's default one where its settings named none."""

    name: str
    storage_class: str | None
    access_modes: tuple[str, ...]
    mib: int
    """The size that was asked for last."""

    @property
    def of_a_set(self) -> bool:
        """Return whether it is a member's or a broker's."""
        return self.name.startswith("data-")


@dataclass(frozen=True, kw_only=True)
class Found:
    """The existing ensemble, brokers and volumes. A part that holds no data is None."""

    members: int | None
    brokers: int | None
    cluster_id: str | None
    claims: tuple[Claim, ...] = ()


NOTHING = Found(members=None, brokers=None, cluster_id=None)


def controllers(brokers: int) -> int:
    """Return how many of the brokers are KRaft controllers, with a vote."""
    return 3 if brokers >= 3 else 1


def majorities_meet(before: int, after: int) -> bool:
    """Return whether each majority of an ensemble has a member in common with each of the ensemble that it becomes.

    Only then nothing is lost: while members restart one by one, some count by the old number and some by the new one.
    What the one majority has agreed on, some member of the other one knows.
    """
    return (before // 2 + 1) + (after // 2 + 1) > max(before, after)


def problems(
    asked: Asked,
    state: Asked | None,
    found: Found | None,
    holding: Mapping[int, Sequence[str]] | None,
    stuck: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with what is asked for.

    `state` is what the last update asked for, None if none is known; `found` is what there is, None if it could not be
    asked, and goes before the state. `holding` are the topics on each broker, None if Kafka could not be asked. `stuck`
    are the claims that cannot grow, and what the API server says.
    """
    members = found.members if found else state and state.members
    brokers = found.brokers if found else state and state.brokers
    if members is not None and (text := _members_problem(members, asked.members)):
        yield "members", text
    if brokers is not None and (text := _brokers_problem(brokers, asked.brokers, holding)):
        yield "brokers", text
    if found and found.cluster_id and (text := _cluster_id_problem(asked, state, found.cluster_id)):
        yield "clusterId", text
    yield from (("places", text) for text in _places(asked, state, found))
    sizes = {setting: text for claim in (found.claims if found else ()) for setting, text in _size(claim, asked, stuck)}
    yield from (("sizes", text) for text in sizes.values())
    for claim in found.claims if found else ():
        if claim.name not in asked.shared and not claim.of_a_set:
            continue  # left by a cluster that is gone: nothing recreates it
        if asked.storage_class is not None and claim.storage_class != asked.storage_class:
            yield "storageClass", _claim_problem(claim, "class", claim.storage_class, asked.storage_class)
        if claim.name in asked.shared and asked.access_mode not in claim.access_modes:
            yield "accessMode", _claim_problem(claim, "accessMode", ", ".join(claim.access_modes), asked.access_mode)


def _places(asked: Asked, state: Asked | None, found: Found | None) -> Iterator[str]:
    """The Flink clusters that would leave their state behind, and begin from nothing in another place."""
    claims = {claim.name for claim in found.claims} if found else set[str]()
    left = {cluster: "" for cluster in asked.places if state_claim(cluster) in claims}
    before = {**left, **(state.places if state else {})}
    for cluster, after in asked.places.items():
        named = asked.named.get(cluster)
        newly = named is not None and not (state and state.named.get(cluster) == named)  # it is asked for once
        if newly or before.get(cluster, after) == after:
            continue
        yield (
            f"flink.clusters.{cluster}.s3: its state is {_place(cluster, before[cluster])}, and the job would begin "
            f"from nothing {_place(cluster, after)}. Keep the state where it is, or copy it and name what to go on "
            f"from: restoreFrom ({_MOVE})"
        )


def _place(cluster: str, path: str) -> str:
    return f"in {path}" if path else f"on the volume {state_claim(cluster)}"


def _size(claim: Claim, asked: Asked, stuck: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The setting of a claim's size and what is wrong with it, if anything."""
    wanted = asked.sizes.get(claim.name, claim.mib)
    of, _, _ = claim.name.removeprefix("data-").rpartition("-")
    of = {"prometheus": "monitoring"}.get(of, of)
    setting = f"{of}.storageMib" if claim.of_a_set else f"flink.clusters.{of}.storageMib"
    if wanted < claim.mib:
        text = f"is below what {claim.name} has, {claim.mib}, and no volume shrinks: set {claim.mib}"
        yield setting, f"{setting}: {wanted} {text}"
    elif wanted > claim.mib and claim.name in stuck:
        yield (
            setting,
            f"{setting}: {wanted} is above what {claim.name} has, {claim.mib}, and volumes of the storage class "
            f"{claim.storage_class or '(none)'} cannot grow ({stuck[claim.name]}): set {claim.mib}, or allow it there "
            "(allowVolumeExpansion: true) if its driver can",
        )


def _members_problem(before: int, after: int) -> str | None:
    if majorities_meet(before, after):
        return None
    return (
        f"ZooKeeper has {before} members, and cannot become {after} while it holds data: {after // 2 + 1} of {after} "
        f"could agree without a member that knows what was agreed on before, and the ensemble would lose its data. "
        f"Keep zookeeper.members: {before}; another number takes a new ensemble: {_RUNBOOK}, Another number of "
        "ZooKeeper members"
    )


def _brokers_problem(before: int, after: int, holding: Mapping[int, Sequence[str]] | None) -> str | None:
    if controllers(before) != controllers(after):
        kept = "1 or 2" if before < 3 else "3 or more"
        return (
            f"{before} to {after} brokers would change Kafka's controllers from {controllers(before)} to "
            f"{controllers(after)}, and a static voter set cannot change while it holds data: new voters could agree "
            f"without a voter that knows the topics. Keep kafka.brokers at {kept}, or create a new Kafka: {_RUNBOOK}, "
            "More brokers"
        )
    if after >= before:
        return None
    leaving = range(after, before)
    which = f"broker {after}" if len(leaving) == 1 else f"brokers {after} to {before - 1}"
    if holding is None:
        return f"Kafka could not be asked about topics on {which}, whose data would be lost: run it again"
    topics = sorted({topic for broker in leaving for topic in holding.get(broker, ())})
    if not topics:
        return None
    shown = ", ".join(topics[:5]) + (f" and {len(topics) - 5} more" if len(topics) > 5 else "")
    return (
        f"there are topics on {which}, which would be lost with their data: {shown}. Move them with "
        f"kafka-reassign-partitions.sh first ({_RUNBOOK}, Fewer brokers), or keep kafka.brokers: {before}"
    )


def _cluster_id_problem(asked: Asked, state: Asked | None, running: str) -> str | None:
    if asked.cluster_id == running or (state and state.cluster_id == asked.cluster_id):
        return None
    new = "a new one" if asked.cluster_id is None else asked.cluster_id
    return (
        f"Kafka here has the cluster id {running}, and this stack's state knows {new}: brokers do not start with "
        f"another id than that of their disks. Import it first ({_RUNBOOK}, Lost Pulumi state): `pulumi import "
        f"random:index/randomId:RandomId kafka-cluster-id -- {running}`"
    )


def _claim_problem(claim: Claim, setting: str, has: str | None, asked: str) -> str:
    return (
        f"{claim.name} has {setting} {has or 'none'}, and a claim that holds data cannot change it to {asked}: it "
        f"would be recreated, and empty. Keep storage.{setting}: {has or '(none)'}; where the data may go, destroy the "
        "stack and bring it up again"
    )


def members_of(zoo_cfg: str) -> int:
    """Return how many members an ensemble's configuration names."""
    return len(re.findall(r"^server\.\d+=", zoo_cfg, re.MULTILINE))
