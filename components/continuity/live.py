"""Asking the cluster what an environment's data lies in."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any

from components.continuity.rules import Claim, Found, members_of
from components.dynamic import ToldError
from components.names import PROJECT

_SECONDS = 15.0  # for the API server to answer
_PART_OF = f"app.kubernetes.io/part-of={PROJECT}"


class ClusterUnreachableError(ToldError):
    """The API server did not answer, or will not. The message says why."""


def ask(namespace: str, kubeconfig: str, *, zookeeper: str, kafka: str) -> Found:
    """What there is of the ensemble and the brokers of these names. Raises ClusterUnreachableError."""
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as file:  # readable to us only
        file.write(kubeconfig)
        file.flush()
        words = ["kubectl", "--kubeconfig", file.name, "--namespace", namespace, f"--request-timeout={_SECONDS:.0f}s"]
        words += ["get", "statefulsets,configmaps,persistentvolumeclaims", "--selector", _PART_OF, "--output", "json"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=2 * _SECONDS, check=True)
        except subprocess.CalledProcessError as error:
            raise ClusterUnreachableError(" ".join(error.stderr.strip().splitlines()[-1:])) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ClusterUnreachableError(str(error)) from error
    return found(json.loads(done.stdout)["items"], zookeeper=zookeeper, kafka=kafka)


def found(items: list[dict[str, Any]], *, zookeeper: str, kafka: str) -> Found:
    """What a namespace's StatefulSets, ConfigMaps and claims say."""
    objects = {(each["kind"], each["metadata"]["name"]): each for each in items}

    def data(name: str) -> Mapping[str, str]:
        return objects.get(("ConfigMap", f"{name}-config"), {}).get("data", {})

    def claimed(name: str) -> int:
        return sum(kind == "PersistentVolumeClaim" and each.startswith(f"data-{name}-") for kind, each in objects)

    # The configuration is what members count by; a set that somebody scaled has not lost any.
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
    )
