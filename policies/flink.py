"""Flink processes in a stack, joined with the configuration that their pods really get.

That is, each over the one before: the image's own, or the file of the ConfigMap that is mounted; FLINK_PROPERTIES, from
wherever that comes; options of the command line (`-D key=value`).
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from components.flink.directories import CONF_DIR
from components.flink.memory import (
    DEFAULT_JOB_MANAGER_MIB,
    DEFAULT_TASK_MANAGER_MIB,
    JobManagerOptions,
    TaskManagerOptions,
)
from components.flink.options import job_manager_options, millis, options_of, task_manager_options
from policies.programs import FLINK, own_words, surely_runs
from policies.resources import Container, KubeObject, Process, Stack
from policies.scaling import autoscalers_of
from policies.unknown import CannotJudgeError, UnreadableError, field, items, known, mapping

_CONF_FILES = ("config.yaml", "flink-conf.yaml")
# What the public image's config.yaml says of memory.
_IMAGE_DEFAULTS = {
    "jobmanager.memory.process.size": f"{DEFAULT_JOB_MANAGER_MIB}m",
    "taskmanager.memory.process.size": f"{DEFAULT_TASK_MANAGER_MIB}m",
}

_TASK_MANAGER = re.compile(r"(^|[/\s\"'])taskmanager(\.sh)?([\s;&|)\"']|$)|TaskManagerRunner")
_SESSION = re.compile(r"(^|[/\s\"'])jobmanager(\.sh)?([\s;&|)\"']|$)|SessionClusterEntry[pP]oint")
_APPLICATION = re.compile(r"(^|[/\s\"'])standalone-job(\.sh)?([\s;&|)\"']|$)|ApplicationClusterEntry[pP]oint")
_HEAP = re.compile(r"(?:^|[\s\"'])(-Xmx|-XX:MaxHeapSize=|-Xms|-XX:InitialHeapSize=)([^\s\"']*)")
_JVM_SIZE = re.compile(r"(\d+)([kmgt]?)", re.IGNORECASE)
_SHARE = re.compile(r"-XX:MaxRAMPercentage=([0-9.]+)")


@dataclass(frozen=True, kw_only=True)
class FlinkProcess(Process):
    """A container that runs a JobManager or a TaskManager."""

    @property
    def is_task_manager(self) -> bool:
        words = own_words(self.container) or (self.container.program,)
        return any(_TASK_MANAGER.search(word) or word == "flink-taskmanager" for word in words)

    @property
    def is_session(self) -> bool:
        """Return whether it is the JobManager of a session cluster, which takes jobs over REST."""
        words = own_words(self.container)
        application = any(_APPLICATION.search(word) for word in words)
        return not self.is_task_manager and not application and any(_SESSION.search(word) for word in words)

    @cached_property
    def configuration(self) -> dict[str, str]:
        """Flink's options as the process gets them. Raises CannotJudgeError if a part is unknown or elsewhere."""
        files = list(self._mounted_files())
        options: dict[str, str] = {} if files else dict(_IMAGE_DEFAULTS)
        read_only = False
        for directory, text in files:
            options.update(options_of(text))
            read_only = read_only or directory == CONF_DIR
        # The image's entry point writes them into the file, which it cannot where a ConfigMap is mounted.
        properties = None if read_only else variable(self.container, self.stack, "FLINK_PROPERTIES")
        if properties:
            options.update(options_of(re.sub(r"^\s+", "", str(properties), flags=re.MULTILINE)))
        return options | self.arguments

    @cached_property
    def arguments(self) -> dict[str, str]:
        """Flink's options on the command line."""
        words = [part for word in own_words(self.container) for part in (word.split() if " -D" in word else [word])]
        given = [word[2:] for word in words if word.startswith("-D") and len(word) > 2]
        given += [words[index + 1] for index, word in enumerate(words[:-1]) if word == "-D"]
        return {key: value for key, _, value in (each.partition("=") for each in given) if value}

    def _mounted_files(self) -> Iterator[tuple[str, str]]:
        """Flink's configuration files among what the container mounts, with their directories."""
        volumes = {field(volume, "name"): volume for volume in items(self.container.pod.spec, "volumes")}
        elsewhere, found = "", False
        for mount in items(self.container.body, "volumeMounts"):
            at, volume = str(field(mount, "mountPath")).rstrip("/"), volumes.get(field(mount, "name"), {})
            sources = _sources(volume)
            if sources is None:
                if at == CONF_DIR or (posixpath.dirname(at) == CONF_DIR and posixpath.basename(at) in _CONF_FILES):
                    elsewhere = f"its configuration is in volume {field(volume, 'name')}, which is no ConfigMap"
                continue
            for source in sources:
                for file, text in self._files_of(source, at, field(mount, "subPath")):
                    found = True
                    yield at.removesuffix(f"/{file}"), text
        if elsewhere and not found:  # a script may put a ConfigMap's file there
            raise CannotJudgeError(elsewhere)

    def _files_of(self, source: Any, at: str, sub_path: str | None) -> Iterator[tuple[str, str]]:
        """The configuration files in a ConfigMap, as a volume names them."""
        name = str(field(source, "name"))
        found = self.stack.find("ConfigMap", self.owner.namespace, name)
        if found is None:
            if at == CONF_DIR or at.startswith(f"{CONF_DIR}/"):
                raise CannotJudgeError(f"ConfigMap {name}, which it mounts, is not part of this stack")
            return
        data = mapping(found.body, "data")
        renamed = {field(each, "key"): field(each, "path") for each in items(source, "items")}
        for key in data:
            file = str(renamed.get(key, key) if renamed else sub_path or key)
            if file in _CONF_FILES and (not renamed or key in renamed):
                yield file, str(known(data[key]))

    @property
    def memory_options(self) -> TaskManagerOptions | JobManagerOptions:
        """Return what the configuration says of the process's memory. Raises FlinkMemoryError for what is no size."""
        read = task_manager_options if self.is_task_manager else job_manager_options
        return read(self.configuration)

    @property
    def java_options(self) -> str:
        """The user's own options of the JVM that go after Flink's, in their order."""
        role, suffix = ("taskmanager", "TM") if self.is_task_manager else ("jobmanager", "JM")
        names = [f"env.java.default-opts{end}" for end in (".all", f".{role}")]
        names += [f"env.java.opts{end}" for end in ("", ".all", f".{role}")]
        texts = [self.configuration.get(name, "") for name in names]
        variables = ("FLINK_ENV_JAVA_OPTS", f"FLINK_ENV_JAVA_OPTS_{suffix}", "_JAVA_OPTIONS")
        return " ".join([*texts, *(variable(self.container, self.stack, name) or "" for name in variables)])

    @property
    def own_heap_mib(self) -> float | None:
        """The last -Xmx in them, in MiB."""
        return last_heap_mib(self.java_options)

    def duration(self, option: str, default: float) -> float:
        """An option's duration in milliseconds. Raises UnreadableError for what is none."""
        text = self.configuration.get(option)
        found = default if text is None else millis(text)
        if found is None:
            raise UnreadableError(option, text, "duration such as 10 s")
        return found

    @property
    def checkpoint_millis(self) -> float:
        """The time between two checkpoints; 0 if there are none."""
        return self.duration("execution.checkpointing.interval", 0)

    @property
    def cluster(self) -> tuple[object, ...]:
        """The id that all processes of a Flink cluster share: a ConfigMap, else an address of the JobManager."""
        volumes = items(self.container.pod.spec, "volumes")
        maps = sorted(
            str(name)
            for volume in volumes
            if (name := field(volume, "configMap", "name"))
            and (found := self.stack.find("ConfigMap", self.owner.namespace, str(name)))
            and any(file in mapping(found.body, "data") for file in _CONF_FILES)
        )
        return (self.owner.namespace, *(maps or [self.configuration.get("jobmanager.rpc.address", "")]))


def last_heap_mib(text: str, limit_mib: float | None = None) -> float | None:
    """The heap in the options of a JVM, in MiB: the last -Xmx, or a share of the container's limit if that is given."""
    found = _heaps(text, "-Xmx", "-XX:MaxHeapSize=")
    if found is not None:
        return found
    shares = _SHARE.findall(text)
    return float(shares[-1]) / 100 * limit_mib if shares and limit_mib is not None else None


def first_heap_mib(text: str) -> float | None:
    """Return what the heap begins with in the options of a JVM, in MiB: the last -Xms."""
    return _heaps(text, "-Xms", "-XX:InitialHeapSize=")


def _heaps(text: str, *options: str) -> float | None:
    given = [(option, size) for option, size in _HEAP.findall(text) if option in options]
    if not given:
        return None
    option, size = given[-1]
    if "$" in size:
        raise CannotJudgeError(f"{option}{size} follows from a variable")
    found = _JVM_SIZE.fullmatch(size)
    if not found:
        raise UnreadableError(option.rstrip("="), size, "size of a JVM such as 2g: it would not start")
    return int(found[1]) * 1024.0 ** (" kmgt".index(found[2].lower() or " ") - 2)


def _sources(volume: Any) -> list[Any] | None:
    """The ConfigMaps of a volume; None for one that has something else in it."""
    if mapping(volume, "configMap"):
        return [mapping(volume, "configMap")]
    if not mapping(volume, "projected"):
        return None
    return [config for each in items(volume, "projected", "sources") if (config := mapping(each, "configMap"))] or None


def variable(container: Container, stack: Stack, name: str) -> str | None:
    """The value of a variable, from wherever it is read. Raises CannotJudgeError where that is not in this stack."""
    namespace = container.pod.owner.namespace
    for each in reversed(items(container.body, "env")):
        if field(each, "name") == name:
            if "valueFrom" not in known(each):
                return str(field(each, "value") or "")
            key = field(each, "valueFrom", "configMapKeyRef", "key")
            config = key and stack.find(
                "ConfigMap", namespace, str(field(each, "valueFrom", "configMapKeyRef", "name"))
            )
            if not config:
                raise CannotJudgeError(f"the value of variable {name} is in another object")
            return str(field(config.body, "data", str(key)) or "")
    value = None
    for source in items(container.body, "envFrom"):
        prefix, reference = str(field(source, "prefix") or ""), field(source, "configMapRef", "name")
        config = reference and stack.find("ConfigMap", namespace, str(reference))
        if not config:
            raise CannotJudgeError(f"variable {name} may be in the objects of envFrom, which are not in this stack")
        if name.startswith(prefix):
            value = field(config.body, "data", name.removeprefix(prefix)) or value
    return None if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class FlinkCluster:
    """The JobManager of a cluster, and its TaskManagers, as far as they are in the stack."""

    job_manager: FlinkProcess
    task_managers: tuple[FlinkProcess, ...]

    @property
    def urn(self) -> str:
        return self.job_manager.urn

    @property
    def where(self) -> str:
        return self.job_manager.where

    @property
    def configuration(self) -> Mapping[str, str]:
        """The configuration of the JobManager, which decides about the job."""
        return self.job_manager.configuration

    @property
    def is_reactive(self) -> bool:
        return self.configuration.get("scheduler-mode", "").lower() == "reactive"

    @property
    def may_be_reactive(self) -> bool:
        """True if the cluster is reactive, or if that is not known: a rule that needs to know then reports so."""
        try:
            return self.is_reactive
        except CannotJudgeError:
            return True

    def autoscalers(self, task_manager: FlinkProcess) -> list[KubeObject]:
        """The autoscalers of a set of TaskManagers."""
        return list(autoscalers_of(task_manager.stack, task_manager.owner))


@lru_cache(maxsize=2)  # each rule asks again
def flink_processes(stack: Stack) -> tuple[FlinkProcess, ...]:
    """All Flink processes of a stack."""
    return tuple(
        FlinkProcess(container=container, stack=stack)
        for container in stack.containers
        if surely_runs(container, FLINK)
    )


@lru_cache(maxsize=2)  # each rule asks again
def flink_clusters(stack: Stack) -> tuple[FlinkCluster, ...]:
    """All Flink clusters whose JobManager is in the stack."""
    processes = flink_processes(stack)
    workers: dict[tuple[object, ...], list[FlinkProcess]] = {}
    for process in processes:
        if process.is_task_manager:
            workers.setdefault(_key(process), []).append(process)
    return tuple(
        FlinkCluster(job_manager=process, task_managers=tuple(workers.get(_key(process), ())))
        for process in processes
        if not process.is_task_manager
    )


def _key(process: FlinkProcess) -> tuple[object, ...]:
    """A process whose configuration is unknown belongs to no other."""
    try:
        return process.cluster
    except CannotJudgeError:
        return (process.urn, process.container.name)
