"""Runs Pulumi code against mocks, and keeps what it asked the engine for.

Each run has an event loop, a context and mocks of its own: nothing is left of it but the recording.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pulumi
from pulumi.runtime import mocks, rpc, set_mocks
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_pulumi_func

Inputs = dict[str, Any]
_SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"  # what marks a wrapped value on the wire; see pulumi's rpc.py


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One registration: `kind` is the last part of its type, `inputs` have the engine's camelCase keys."""

    urn: str
    type: str
    name: str
    inputs: Inputs
    parent: str
    depends_on: tuple[str, ...]
    protect: bool
    retain: bool
    provider: str
    ignore_changes: tuple[str, ...]
    is_component: bool

    @property
    def kind(self) -> str:
        return self.type.rpartition(":")[2]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What was registered, in order, and by URN the outputs of components, and which of them are secret."""

    resources: list[Resource] = field(default_factory=list[Resource])
    outputs: dict[str, Inputs] = field(default_factory=dict[str, Inputs])
    secrets: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def all(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.kind == kind]

    def one(self, kind: str, name: str) -> Resource:
        """The only one of its kind with this name in Kubernetes (or in Pulumi, where it has no metadata)."""
        (found,) = [each for each in self.all(kind) if each.inputs.get("metadata", {}).get("name", each.name) == name]
        return found

    def inputs(self, kind: str, name: str) -> Inputs:
        return self.one(kind, name).inputs

    def component(self) -> Resource:
        """The component under test."""
        (found,) = [resource for resource in self.resources if resource.is_component]
        return found

    def pod_templates(self) -> Iterator[tuple[str, Inputs]]:
        """Of all workloads, with their names."""
        for kind in ("Deployment", "StatefulSet"):
            for workload in self.all(kind):
                yield workload.name, workload.inputs["spec"]["template"]

    def containers(self) -> Iterator[tuple[str, Inputs]]:
        """Of all pods, with names that say whose they are."""
        for name, template in self.pod_templates():
            spec = template["spec"]
            for container in [*spec["containers"], *spec.get("initContainers", [])]:
                yield f"{name}/{container['name']}", container


class _Mocks(pulumi.runtime.Mocks):
    """Every resource comes into being as it was asked for, with what else the test says its provider would add."""

    def __init__(self, provided: Mapping[str, Inputs]) -> None:
        self._provided = provided

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, Inputs]:
        inputs = cast(Inputs, args.inputs)  # pyright: ignore[reportUnknownMemberType]  a bare dict in the SDK
        return f"{args.name}-id", inputs | dict(self._provided.get(args.typ, {}))

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[Inputs, list[tuple[str, str]] | None]:
        raise AssertionError(f"{args.token}: no component calls a provider's function")


class _Monitor(mocks.MockMonitor):
    def __init__(self, provided: Mapping[str, Inputs]) -> None:
        super().__init__(_Mocks(provided))
        self.recording = Recording()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  the engine's name
        response: Any = super().RegisterResource(request)  # pyright: ignore[reportUnknownMemberType]
        if request.type != "pulumi:pulumi:Stack":
            self.recording.resources.append(
                Resource(
                    urn=response.urn,
                    type=request.type,
                    name=request.name,
                    inputs=_plain(rpc.deserialize_properties(request.object, keep_unknowns=True)),
                    parent=request.parent,
                    depends_on=tuple(request.dependencies),
                    protect=request.protect,
                    retain=request.retainOnDelete,
                    provider=request.provider,
                    ignore_changes=tuple(request.ignoreChanges),
                    is_component=not request.custom,
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802  the engine's name
        outputs: Inputs = rpc.deserialize_properties(request.outputs, keep_unknowns=True)
        self.recording.outputs[request.urn] = _plain(outputs)
        self.recording.secrets[request.urn] = {key for key, value in outputs.items() if value != _plain(value)}
        return cast(Any, super().RegisterResourceOutputs(request))  # pyright: ignore[reportUnknownMemberType]


def record(program: Callable[[], object], provided: Mapping[str, Inputs] | None = None) -> Recording:
    """Run a program and return what it registered; `provided` are outputs that providers add, by resource type."""
    return contextvars.copy_context().run(_record, program, provided or {})


def created_before(error: BaseException) -> list[Resource]:
    """What a program that `record` ran had registered when it failed."""
    recording: Recording = error.__dict__["recording"]
    return recording.resources


def _record(program: Callable[[], object], provided: Mapping[str, Inputs]) -> Recording:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    monitor = _Monitor(provided)
    # A program that failed leaves these behind, and asyncio talks about it, which the language host silences too.
    left: Any = SETTINGS
    left.rpc_manager.clear()
    left.outputs.clear()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        set_mocks(monitor.mocks, project="streaming-platform", stack="unit", preview=False, monitor=monitor)
        loop.run_until_complete(run_pulumi_func(lambda: cast(None, program())))
        return monitor.recording
    except Exception as error:
        error.__dict__["recording"] = monitor.recording
        raise
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _plain(value: Any) -> Any:
    """Secrets, as the text that they wrap."""
    if isinstance(value, dict):
        mapping = cast(Inputs, value)
        if _SECRET_SIGNATURE in mapping:
            return _plain(mapping.get("value"))
        return {key: _plain(item) for key, item in mapping.items()}
    if isinstance(value, list):
        return [_plain(item) for item in cast(list[Any], value)]
    return value
