"""Asks the cluster which objects hold an environment's data."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from components.continuity.rules import Claim, Found, members_of
from components.names import PROJECT
from components.quantities import number
from components.reach import Kubectl, UnreachableError


def ask(at: Kubectl, *, zookeeper: str, kafka: str) -> Found:
    """Return what there is of the ensemble and the brokers of these names. Raises UnreachableError."""
    kinds = "statefulsets,configmaps,persistentvolumeclaims"
    answer = at("get", kinds, "--selector", f"app.kubernetes.io/part-of={PROJECT}", "--output", "json")
    return found(json.loads(answer)["items"], zookeeper=zookeeper, kafka=kafka)


def found(items: list[dict[str, Any]], *, zookeeper: str, kafka: str) -> Found:
    """Return what a namespace's StatefulSets, ConfigMaps and claims say."""
    objects = {(each["kind"], each["metadata"]["name"]): each for each in items}

    def data(name: str) -> Mapping[str, str]:
        return objects.get(("ConfigMap", f"{name}-config"), {}).get("data", {})

    def claimed(name: str) -> int:
        return sum(kind == "PersistentVolumeClaim" and each.startswith(f"data-{name}-") for kind, each in objects)

    # Members count by the configuration: a set that was scaled by hand has not lost any.
    members, brokers = members_of(data(zookeeper).get("zoo.cfg", "")), len(_node_files(data(kafka)))
    return Found(
        members=(members or claimed(zookeeper)) if claimed(zookeeper) else None,
        brokers=(brokers or claimed(kafka)) if claimed(kafka) else None,
        cluster_id=_cluster_id(objects.get(("StatefulSet", kafka), {})),
        claims=tuple(_claim(each) for (kind, _), each in objects.items() if kind == "PersistentVolumeClaim"),
    )


def _node_files(data: Mapping[str, str]) -> list[str]:
    return [name for name in data if name.removesuffix(".properties").isdecimal()]


def _cluster_id(stateful_set: Mapping[str, Any]) -> str | None:
    template = stateful_set.get("spec", {}).get("template", {})
    for container in template.get("spec", {}).get("containers", []):
        for variable in container.get("env", []):
            if variable["name"] == "CLUSTER_ID":
                return variable.get("value")
    return None


def _claim(claim: Mapping[str, Any]) -> Claim:
    spec = claim["spec"]
    return Claim(
        name=claim["metadata"]["name"],
        storage_class=spec.get("storageClassName"),
        access_modes=tuple(spec["accessModes"]),
        mib=math.ceil(number(spec["resources"]["requests"]["storage"]) / 2**20),
    )


def stuck(at: Kubectl, claims: Iterable[Claim], sizes: Mapping[str, int]) -> Mapping[str, str]:
    """The claims that are to grow and cannot, and what the API server says when it is asked without doing it."""
    said: dict[str, str] = {}
    for claim in claims:
        mib = sizes.get(claim.name, claim.mib)
        if mib > claim.mib:
            grown = json.dumps({"spec": {"resources": {"requests": {"storage": f"{mib}Mi"}}}})
            try:
                at("patch", "persistentvolumeclaim", claim.name, "--patch", grown, "--dry-run=server")
            except UnreachableError as error:
                said[claim.name] = str(error)
    return said
