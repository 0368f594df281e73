"""The settings of what else the pods of a Flink cluster get, and the names and paths that are the platform's."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Self

from pydantic import AfterValidator, JsonValue, model_validator

from components.exact import LABEL_VALUE, LabelName, ObjectName
from components.flink import java
from components.flink.directories import (
    CONF_DIR,
    DATA_DIR,
    LIBRARY_DIR,
    LOG_DIR,
    PLATFORM_CONF_DIR,
    S3_PLUGIN_DIR,
    SCRIPTS_DIR,
    STATE_DIR,
    STATE_RECORD,
)
from components.manifests import manifest
from components.settings import Section, SectionError, Text

# What the platform gives in the pods of a Flink cluster (components/flink/pods.py, components/logging/sidecar.py), and
# what the image's own scripts go by.
_JAVA_OPTIONS = "use env.java.opts.taskmanager and env.java.opts.jobmanager in configuration"
VARIABLES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("JOB_ID", "LEASES", "MALLOC_CONF", "POD_IP", "POD_NAME", "REST", "S3", "STANDBY_SECONDS", "STATE"),
            *("BASH_ENV", "ENTRY_POINT", "HOSTNAME", "JAVA_HOME", "PATH"),
            *(f"FLINK_{name}" for name in ("BIN_DIR", "CONF_DIR", "HOME", "LIB_DIR", "LOG_DIR", "OPT_DIR")),
            "FLINK_PLUGINS_DIR",
        ),
        "choose another one",
    ),
    # Which the public image's entry point appends to the configuration, or loses.
    "FLINK_PROPERTIES": "use configuration",
    "ENABLE_BUILT_IN_PLUGINS": "mount the plug-in, or use an image that has it",
    **dict.fromkeys(
        ("FLINK_ENV_JAVA_OPTS", "FLINK_ENV_JAVA_OPTS_JM", "FLINK_ENV_JAVA_OPTS_TM", "JVM_ARGS"), _JAVA_OPTIONS
    ),
}
VOLUMES = (
    *("conf", "data", "log", "logs-config", "logs-state", "platform-conf", "platform-library", "platform-scripts"),
    *("state", "tmp"),
)
_DESTINATION = "logs-to-"  # what the volumes of log destinations begin with
_IN_BOTH_ROLES = ("conf", "data", "log", "platform-conf", "platform-library", "platform-scripts", "tmp")
# A volume at one of these, or above, would hide what is there.
PATHS = (
    DATA_DIR,
    STATE_DIR,
    "/opt/flink/bin",
    CONF_DIR,
    f"{CONF_DIR}/config.yaml",
    f"{CONF_DIR}/log4j-console.properties",
    LIBRARY_DIR,
    f"{LIBRARY_DIR}/{STATE_RECORD}",
    LOG_DIR,
    S3_PLUGIN_DIR,
    PLATFORM_CONF_DIR,
    SCRIPTS_DIR,
    "/tmp",
)
_VARIABLE = re.compile(r"[-._A-Za-z][-._A-Za-z0-9]*")
_VOLUME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

Object = Mapping[str, JsonValue]


def _variable(given: Object) -> Object:
    """An environment variable."""
    name, value, source = given["name"], given.get("value"), given.get("valueFrom")
    assert isinstance(name, str)
    # What every version of Kubernetes takes.
    if not _VARIABLE.fullmatch(name):
        raise SectionError("name", f"{name!r} is no name of a variable: use letters, digits and _, no digit first")
    if name in VARIABLES:
        raise SectionError("name", f"{name!r} is taken by the platform: {VARIABLES[name]}")
    if isinstance(value, str) and "\0" in value:
        raise SectionError("value", f"of {name} contains NUL, which would end it: remove it")
    if source is not None and value is not None:
        raise SectionError("value", f"of {name} is given beside valueFrom: give one of them")
    if isinstance(source, Mapping) and len(source) != 1:
        raise SectionError("valueFrom", f"of {name} names {_and(source)}: give exactly one source")
    return given


def _volume(given: Object) -> Object:
    """A volume of the pod."""
    name, sources = str(given["name"]), given.keys() - {"name"}
    if name in VOLUMES or name.startswith(_DESTINATION):
        raise SectionError("name", f"{name!r} is taken by the platform: choose another one")
    if len(name) > 63 or not _VOLUME.fullmatch(name):
        raise SectionError(
            "name", f"{name!r} is no name of a volume: use at most 63 lower-case letters, digits and dashes"
        )
    if len(sources) != 1:
        raise ValueError(f"{name!r} names {_and(sources)}: give exactly one kind, such as emptyDir: {{}}")
    return given


def _mount(given: Object) -> Object:
    """A mount in the main container."""
    path = str(given["mountPath"])
    parts = PurePosixPath(path)
    if not path.startswith("/") or ":" in path or "\0" in path or ".." in parts.parts:
        raise SectionError("mountPath", f"{path!r} is no absolute path without colons and ..: correct it")
    hidden = [each for each in PATHS if PurePosixPath(each).is_relative_to(_clean(path))]
    if hidden:
        raise SectionError("mountPath", f"{path!r} would hide the platform's {hidden[0]}: choose another one")
    if "subPath" in given and "subPathExpr" in given:
        raise SectionError("subPath", f"{given['subPath']!r} is given beside subPathExpr: give one of them")
    return given


def _toleration(given: Object) -> Object:
    """A taint that the pods tolerate."""
    effect, operator = given.get("effect", ""), given.get("operator", "Equal")
    if effect not in ("", *_EFFECTS):
        raise SectionError("effect", f"{effect!r} is none: use one of {', '.join(_EFFECTS)}, or leave it out for all")
    if operator not in ("Equal", "Exists"):
        raise SectionError("operator", f"{operator!r} is none: use Equal or Exists")
    if operator == "Exists" and given.get("value"):
        raise SectionError("value", f"{given['value']!r} is given beside operator Exists: leave one of them out")
    if operator == "Equal" and not given.get("key"):
        raise SectionError("key", "is missing: add it, or use operator: Exists for every taint")
    if "tolerationSeconds" in given and effect != "NoExecute":
        raise SectionError("tolerationSeconds", "counts for effect NoExecute alone: set that, or leave it out")
    return given


class PodSettings(Section):
    """Additions to the pods of a Flink cluster. Objects are written as in a pod's manifest."""

    node_selector: Mapping[LabelName, Annotated[Text, LABEL_VALUE]] = {}
    """Labels of the nodes that the pods may run on."""
    tolerations: tuple[Annotated[Object, AfterValidator(manifest("Toleration")), AfterValidator(_toleration)], ...] = ()
    """Taints of nodes that the pods tolerate."""
    priority_class: ObjectName | None = None
    """PriorityClass of the pods, one of the environment's `priorityClasses` (stack `cluster`); by default the cluster's
    default class."""
    image_pull_secrets: tuple[ObjectName, ...] = ()
    """Names of Secrets of the namespace."""
    env: tuple[Annotated[Object, AfterValidator(manifest("EnvVar")), AfterValidator(_variable)], ...] = ()
    """Environment variables of the Flink container. As in any manifest, `$(NAME)` in a value is another variable, and
    `$$(NAME)` that text."""
    volumes: tuple[Annotated[Object, AfterValidator(manifest("Volume")), AfterValidator(_volume)], ...] = ()
    """Volumes of the pods, for `volumeMounts`."""
    volume_mounts: tuple[Annotated[Object, AfterValidator(manifest("VolumeMount")), AfterValidator(_mount)], ...] = ()
    """Mounts in the Flink container."""
    share_process_namespace: bool = False
    """Let containers of a pod see each other's processes, as for a debugger."""

    @model_validator(mode="after")
    def _once(self) -> Self:
        for key, objects, named in (
            ("env", self.env, "name"),
            ("volumes", self.volumes, "name"),
            ("volumeMounts", self.volume_mounts, "mountPath"),
        ):
            names = [_clean(str(each[named])) if named == "mountPath" else str(each[named]) for each in objects]
            for name, count in Counter(names).items():
                if count > 1:
                    last = len(names) - 1 - names[::-1].index(name)
                    raise SectionError(f"{key}.{last}.{named}", f"{name!r} is listed {count} times: give it once")
        own = [str(each["name"]) for each in self.volumes]
        for index, mount in enumerate(self.volume_mounts):
            if mount["name"] not in (*own, *_IN_BOTH_ROLES):
                raise SectionError(
                    f"volumeMounts.{index}.name",
                    f"{mount['name']!r} is none of volumes ({', '.join(own) or 'none'}): add it there",
                )
        return self

    def java_options(self) -> Iterator[tuple[int, str, str]]:
        """Yield what the JVM reads from its environment: the index in `env`, the variable's name and its value."""
        for index, each in enumerate(self.env):
            name, value = each["name"], each.get("value")
            if name in java.VARIABLES and isinstance(value, str):
                yield index, str(name), value


def _clean(path: str) -> str:
    """One spelling of a path."""
    return str(PurePosixPath("/" + path.lstrip("/")))


def _and(names: Any) -> str:
    return " and ".join(sorted(names)) or "none"
