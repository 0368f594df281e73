"""Kubernetes objects in a stack: their pods, wherever the templates stand, and what they mount."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import yaml

from components.quantities import number
from policies.unknown import CannotJudgeError, Unknown, UnreadableError, field, items, known, mapping, mappings_in, part

# Where Kubernetes' own kinds keep the pod or its template. In other kinds it is looked for.
POD_PATHS: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
# Containers whose memory Flink (native mode) or its operator sets, from the sizes in the configuration.
SIZED_BY_FLINK = "flink-main-container"

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource of a Pulumi stack, with plain properties."""

    type: str
    name: str
    urn: str
    properties: Any

    @property
    def where(self) -> str:
        """Its place, in Pulumi's words."""
        return f"{self.type} {self.name}"


@dataclass(frozen=True, kw_only=True)
class KubeObject:
    """A Kubernetes object; `body` may be unknown, or have unknown parts."""

    kind: str
    urn: str
    body: Any
    label: str  # what Pulumi calls it, for an object without a name of its own

    @cached_property
    def name(self) -> str:
        try:
            return str(field(self.body, "metadata", "name") or self.label)
        except CannotJudgeError:
            return self.label

    @cached_property
    def namespace(self) -> str:
        """Empty where the provider's own namespace is meant."""
        try:
            return str(field(self.body, "metadata", "namespace") or "")
        except CannotJudgeError:
            return ""

    @property
    def where(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @cached_property
    def pods(self) -> tuple["Pod", ...]:
        """The pods that the object describes."""
        if self.kind in POD_PATHS:
            template: Any = self.body
            for name in POD_PATHS[self.kind]:
                template = cast("dict[str, Any]", template).get(name) if isinstance(template, dict) else template
            return (Pod(owner=self, template=template, place=""),)
        if self.kind == "ConfigMap":
            return tuple(self._pods_in_files())
        return tuple(
            Pod(owner=self, template=found, place="") for found in mappings_in(self.body) if _holds_containers(found)
        )

    def _pods_in_files(self) -> Iterator["Pod"]:
        data = self.body.get("data") if isinstance(self.body, dict) else None  # pyright: ignore
        for name, text in cast("dict[str, Any]", data if isinstance(data, dict) else {}).items():
            if not isinstance(text, str) or "containers:" not in text:
                continue
            try:
                documents = list(cast("Iterable[Any]", yaml.safe_load_all(text)))
            except yaml.YAMLError:
                continue
            for found in mappings_in(documents):
                if _holds_containers(found):
                    yield Pod(owner=self, template=found, place=f", {name}")


def _holds_containers(value: dict[str, Any]) -> bool:
    """Return whether this is a pod or a template of one: it has a spec with a list of containers, each with a name."""
    spec = value.get("spec")
    containers = cast("dict[str, Any]", spec).get("containers") if isinstance(spec, dict) else None
    return (
        isinstance(containers, list)
        and bool(cast("list[Any]", containers))
        and all(isinstance(each, dict) and "name" in each for each in cast("list[Any]", containers))
    )


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod, or a template of pods; `place` says where in its owner, if not in its spec."""

    owner: KubeObject
    template: Any
    place: str

    @property
    def urn(self) -> str:
        return self.owner.urn

    @property
    def where(self) -> str:
        return f"{self.owner.where}{self.place}"

    @property
    def spec(self) -> Any:
        return field(self.template, "spec")

    @property
    def labels(self) -> dict[str, Any]:
        return mapping(self.template, "metadata", "labels")

    @cached_property
    def containers(self) -> tuple["Container", ...]:
        """Main containers, init containers and sidecars. An unknown list is one unknown container."""
        found: list[Container] = []
        spec: Any = self.template if isinstance(self.template, Unknown) else mapping(self.template).get("spec")
        if isinstance(spec, Unknown):
            return (Container(pod=self, body=spec, init=False),)
        for kind in ("initContainers", "containers"):
            listed = mapping(spec).get(kind)
            bodies = [listed] if isinstance(listed, Unknown) else items(spec, kind)
            found.extend(Container(pod=self, body=body, init=kind == "initContainers") for body in bodies)
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container of a pod; `body` may be unknown."""

    pod: Pod
    body: Any
    init: bool

    @property
    def urn(self) -> str:
        return self.pod.urn

    @property
    def where(self) -> str:
        return f"{self.pod.where}, container {self.name}"

    @property
    def name(self) -> str:
        name = self.body.get("name") if isinstance(self.body, dict) else None  # pyright: ignore
        return name if isinstance(name, str) else "(unknown)"

    @property
    def sized_by_flink(self) -> bool:
        """Return whether its memory follows from Flink's own configuration and not from this template."""
        return self.name == SIZED_BY_FLINK and self.pod.owner.kind not in POD_PATHS

    @property
    def sidecar(self) -> bool:
        """A native one: an init container that goes on."""
        return self.init and field(self.body, "restartPolicy") == "Always"

    @property
    def image(self) -> str:
        return str(field(self.body, "image") or "")

    @property
    def program(self) -> str:
        """The last part of the image's name, without tag and digest."""
        return self.image.partition("@")[0].rpartition("/")[2].partition(":")[0]

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Command and arguments, with the variables that Kubernetes fills in where they are given as plain text."""
        return tuple(self._filled(known(word)) for key in ("command", "args") for word in items(self.body, key))

    def _filled(self, word: Any) -> str:
        def value(found: re.Match[str]) -> str:
            given = self.env.get(found[1]) if "$(" in str(word) else None
            return found[0] if given is None or isinstance(given, Unknown) else str(given)

        return re.sub(r"(?<!\$)\$\(([A-Za-z_][\w.-]*)\)", value, str(word))

    @cached_property
    def env(self) -> dict[str, Any]:
        """Variables that are given as plain text."""
        return {
            str(field(each, "name")): cast("dict[str, Any]", each).get("value")
            for each in items(self.body, "env")
            if isinstance(known(each), dict) and "value" in each
        }

    @cached_property
    def env_elsewhere(self) -> frozenset[str]:
        """Variables whose values are in other objects (valueFrom)."""
        return frozenset(
            str(field(each, "name"))
            for each in items(self.body, "env")
            if isinstance(known(each), dict) and "valueFrom" in each
        )

    @property
    def env_from(self) -> bool:
        """Return whether other objects give variables whose names are not told here."""
        return bool(items(self.body, "envFrom"))

    def memory_mib(self, kind: str) -> float | None:
        """The memory request (`requests`) or limit (`limits`), in MiB; None where there is none."""
        text = field(self.body, "resources", kind, "memory")
        return None if text is None else quantity(f"resources.{kind}.memory", text) / MIB


def quantity(name: str, text: object) -> float:
    """The number of a Kubernetes quantity. Raises UnreadableError for what is none."""
    try:
        return number(str(text))
    except ValueError:
        raise UnreadableError(name, text, "quantity such as 512Mi") from None


class Stack:
    """All resources that a rule may see, and the ways to find one from another."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = tuple(resources)

    @cached_property
    def objects(self) -> tuple[KubeObject, ...]:
        """All Kubernetes objects, those in lists too. Patches are parts of objects, and passed over."""
        return tuple(found for resource in self.resources for found in _objects(resource))

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        return tuple(pod for each in self.objects for pod in each.pods)

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        return tuple(container for pod in self.pods for container in pod.containers)

    def of_kind(self, *kinds: str) -> tuple[KubeObject, ...]:
        return tuple(each for kind in kinds for each in self._by_kind.get(kind, ()))

    def find(self, kind: str, namespace: str, name: str) -> KubeObject | None:
        return self._by_name.get((kind, namespace, name))

    @cached_property
    def _by_kind(self) -> dict[str, list[KubeObject]]:
        found: dict[str, list[KubeObject]] = {}
        for each in self.objects:
            found.setdefault(each.kind, []).append(each)
        return found

    @cached_property
    def _by_name(self) -> dict[tuple[str, str, str], KubeObject]:
        return {(each.kind, each.namespace, each.name): each for each in self.objects}


def _objects(resource: Resource) -> Iterator[KubeObject]:
    package, _, rest = resource.type.partition(":")
    kind = rest.rpartition(":")[2]
    if package != "kubernetes" or "/" not in rest or kind.endswith("Patch"):
        return
    try:
        listed = items(resource.properties, "items") if kind.endswith("List") else []
    except CannotJudgeError:
        listed = []  # reported as an object that cannot be looked into
    for body in listed:
        own = part(body, "kind")
        own = own if isinstance(own, str) else kind.removesuffix("List")
        yield KubeObject(kind=own, urn=resource.urn, body=body, label=resource.name)
    if not listed:
        yield KubeObject(kind=kind, urn=resource.urn, body=resource.properties, label=resource.name)


@dataclass(frozen=True, kw_only=True)
class Process:
    """A container that runs one of the programs that the rules know, and the stack in which its files are looked up."""

    container: Container
    stack: Stack

    @property
    def urn(self) -> str:
        return self.container.urn

    @property
    def where(self) -> str:
        return self.container.where

    @property
    def owner(self) -> KubeObject:
        return self.container.pod.owner


def selects(selector: Any, labels: Mapping[str, Any]) -> bool:
    """Return whether a label selector (matchLabels and matchExpressions) selects an object with these labels."""
    if not mapping(selector):
        return False
    for key, value in mapping(selector, "matchLabels").items():
        if known(labels.get(key)) != known(value):
            return False
    return all(_matches(expression, labels) for expression in items(selector, "matchExpressions"))


def _matches(expression: Any, labels: Mapping[str, Any]) -> bool:
    value = known(labels.get(str(field(expression, "key"))))
    values = items(expression, "values")
    match field(expression, "operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None
