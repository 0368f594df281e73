"""Continuity: a resource that records which objects hold an environment's data, and refuses changes that would lose it.

A dynamic resource, see components/dynamic.py: the state has its provider by module and name. It changes nothing itself:
ZooKeeper, Kafka and Flink depend on it, so that nothing is changed before it has been checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    UpdateResult,
)
from pulumi.runtime.rpc import UNKNOWN

from components.continuity import live
from components.continuity.rules import Asked, Found, controllers, problems
from components.dynamic import Provider, UserError, say_once, stored, user_errors
from components.kafka.admin import PodConnection, topics
from components.reach import kubeconfig_of, kubectl


@dataclass(frozen=True, kw_only=True)
class ContinuityArgs:
    """The requested state (see rules.Asked), the names of the StatefulSets, and how to reach the brokers."""

    members: int
    brokers: int
    cluster_id: pulumi.Input[str]
    storage_class: str | None
    access_mode: str
    places: Mapping[str, str]
    named: Mapping[str, str]
    sizes: Mapping[str, int]
    zookeeper: str
    connection: PodConnection


class Continuity(Resource, module="platform", name="Continuity"):
    """See the head of this module."""

    def __init__(self, name: str, args: ContinuityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {
            "members": args.members,
            "brokers": args.brokers,
            "clusterId": args.cluster_id,
            # No null: the engine would drop it, and find a difference each time.
            "storageClass": args.storage_class or "",
            "accessMode": args.access_mode,
            "places": dict(args.places),
            "named": dict(args.named),
            "sizes": dict(args.sizes),
            "zookeeper": args.zookeeper,
            "connection": args.connection.to_properties(),
        }
        super().__init__(ContinuityProvider(), name, properties, opts)


class ContinuityProvider(Provider):
    """The dynamic provider that the engine calls."""

    @user_errors
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        asked, state = _asked(news), _asked(_olds) if _olds else None
        if asked == state:  # nothing that holds data is about to change
            return CheckResult(news, [])
        connection = PodConnection.from_properties(news["connection"])
        found, stuck = self._found(connection, news["zookeeper"], asked)
        before = found.brokers if found else state and state.brokers
        holding = None
        if before and asked.brokers < before and controllers(asked.brokers) == controllers(before):
            holding = self._holding(replace(connection, brokers=before))
        failures = problems(asked, state, found, holding, stuck)
        return CheckResult(news, [CheckFailure(name, text) for name, text in failures])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=stored(_olds) != stored(_news), replaces=[])

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult("continuity", stored(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, stored(props), stored(props))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(stored(_news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Do nothing: the objects that hold the data are deleted by their own resources."""

    def _found(self, connection: PodConnection, zookeeper: str, asked: Asked) -> tuple[Found | None, Mapping[str, str]]:
        """Return what there is, and which of its claims cannot become what is asked for."""
        try:
            kubeconfig = kubeconfig_of(connection.credentials, connection.namespace, self._setting)
            with kubectl(kubeconfig, connection.namespace) as at:
                found = live.ask(at, zookeeper=zookeeper, kafka=connection.stateful_set)
                return found, live.stuck(at, found.claims, asked.sizes)
        except UserError as error:
            say_once(
                f"the cluster could not be asked what there is in {connection.namespace} ({error}): numbers of members "
                "and brokers were compared with Pulumi's state alone"
            )
            return None, {}

    def _holding(self, connection: PodConnection) -> Mapping[int, Sequence[str]] | None:
        try:
            with topics(connection, self._setting) as kafka:
                return kafka.placement()
        except UserError as error:
            say_once(str(error))
            return None


def _asked(properties: Mapping[str, Any]) -> Asked:
    """Return what the properties ask for; the engine hands numbers over as floats."""
    cluster_id = properties["clusterId"]  # the SDK hands a value that is not known yet over as an object of its own
    return Asked(
        members=int(properties["members"]),
        brokers=int(properties["brokers"]),
        cluster_id=cluster_id if isinstance(cluster_id, str) and cluster_id != UNKNOWN else None,
        storage_class=properties["storageClass"] or None,
        access_mode=properties["accessMode"],
        # State of earlier versions has none of these.
        places=dict(properties.get("places", {})),
        named=dict(properties.get("named", {})),
        sizes={claim: int(mib) for claim, mib in properties.get("sizes", {}).items()},
    )
