"""The only reader of Pulumi configuration: stack config in, validated and frozen settings out.

Works without an engine: `load_file` reads a stack file, `load` what an engine hands to the program. Both raise
SettingsError, whose message has one line for each problem, with the key as the user wrote it. Run as a program
(`python -m stacks.settings`) it prints the JSON schema of stack files, which stacks/schema.json holds for editors.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import SecretStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema

from components.flink.settings import FlinkClusterSettings
from components.names import PROJECT
from stacks.files import numbers, read_file
from stacks.models import ClusterSettings, EnvironmentSettings, Settings
from stacks.problems import SettingsError, explain, shown, wants_number
from versions import COLLECTOR_IMAGE

__all__ = [
    "OVERLAY",
    "ClusterSettings",
    "EnvironmentSettings",
    "Settings",
    "SettingsError",
    "flink_image",
    "how_back",
    "job_image",
    "load",
    "load_file",
    "log_image",
    "merge",
    "metrics_agent",
    "parse",
    "read_file",
    "schema",
    "stack_file",
    "state_record",
]

ROOT = Path(__file__).resolve().parent.parent

STATE_RECORD = ROOT / "state-record" / "target" / "state-record.jar"
METRICS_AGENT = ROOT / "components" / "kafka" / "agent" / "target" / "metrics-agent.jar"
OVERLAY = "STREAMING_PLATFORM_SETTINGS"
"""The variable with what only this platform knows, {stack: {setting: value}} as JSON; `make` and `make env` set it."""

FLUENTD_RECIPE = ROOT / "images" / "fluentd"

_KINDS: dict[object, type[Settings]] = {"cluster": ClusterSettings, "environment": EnvironmentSettings}
_Overlay = TypeAdapter(dict[str, dict[str, object]])
_PREFIX = f"{PROJECT}:"
_HASH_SHOWN = 16


def stack_file(stack: str) -> Path:
    """Return where the settings of a stack are."""
    return ROOT / "stacks" / f"Pulumi.{stack}.yaml"


def how_back(file: Path) -> str:
    """Return how a stack's file comes back that was there."""
    return f"`git checkout -- stacks/{file.name}` brings back what `pulumi stack rm` deletes (unless --preserve-config)"


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Put one mapping over another, key by key, at every depth."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = merge(cast("dict[str, Any]", below), cast("dict[str, Any]", value))
        else:
            merged[key] = value
    return merged


def parse(config: Mapping[str, object], over: Mapping[str, object] | None = None) -> Settings:
    """The settings in a stack's config, a mapping as in a stack file (`streaming-platform:kind` and so on).

    `over` is put over them, {setting: value}, without that prefix.
    """
    strangers = [key for key in config if not key.startswith((_PREFIX, "pulumi:"))]
    if strangers:
        raise SettingsError(
            "\n".join(
                f"{key}: no such setting (its value is {shown(config[key], key)}): all settings start with {_PREFIX}"
                for key in strangers
            )
        )
    model = _model(config)
    fields = {field.alias: field for field in model.model_fields.values()}
    own = {
        (name := key.removeprefix(_PREFIX)): _decoded(fields.get(name), value)
        for key, value in config.items()
        if key.startswith(_PREFIX)
    }
    try:
        # By way of JSON, because lists may become tuples there.
        return model.model_validate_json(json.dumps(merge(own, over or {})))
    except ValidationError as error:
        raise SettingsError(explain(model, error)) from None


def load_file(path: Path, over: Mapping[str, object] | None = None) -> Settings:
    """The settings in a stack file (Pulumi.<stack>.yaml), with others over them.

    It does not matter whether Pulumi has written to the file since. Secrets stay as encrypted as they are there.
    """
    return parse({key: _encrypted(value) for key, value in _config(path).items()}, over)


def load() -> Settings:
    """The settings of the stack that the engine runs."""
    import pulumi
    from pulumi.runtime import is_config_secret
    from pulumi.runtime.config import CONFIG

    config, stack = CONFIG.get(), pulumi.get_stack()
    over, file = _overlay().get(stack), stack_file(stack)
    if file.exists():
        load_file(file, over)  # the engine hands over what it made of the words there: what was written is seen here
    elif not any(key.startswith(_PREFIX) for key in config):
        raise SettingsError(f"{file} does not exist, and the stack {stack} has no other settings: {how_back(file)}")
    kubeconfig = f"{_PREFIX}kubeconfig"
    if kubeconfig in config and not is_config_secret(kubeconfig):
        raise SettingsError(f"{kubeconfig}: is not encrypted: set it with `pulumi config set --secret kubeconfig`")
    return parse(config, over)


def job_image(*, registry: str | None, cluster: str, flink: str, jar: bytes) -> str:
    """The name of the image that holds a Flink cluster's jar.

    The tag follows from what is inside, the Flink image and the jar: the same content has the same name anywhere.
    """
    content = _digest(flink, jar)
    return f"{registry or 'localhost'}/{PROJECT}/{cluster}:{content[:_HASH_SHOWN]}"


def flink_image(settings: EnvironmentSettings, cluster: str) -> str:
    """The image that the pods of a Flink cluster run.

    Raises SettingsError if it is to be built from a jar that is not there.
    """
    wanted: FlinkClusterSettings = settings.flink.clusters[cluster]
    if wanted.image is not None:
        return wanted.image
    jar = ROOT / str(wanted.jar)
    if not jar.is_file():
        raise SettingsError(
            f"{_PREFIX}flink.clusters.{cluster}.jar: {wanted.jar!r} is no file in {ROOT}: "
            "build it (`make images` builds the reference job), or correct the path"
        )
    images, content = settings.images, _content(jar, jar.stat().st_mtime_ns)
    return job_image(registry=images.registry, cluster=cluster, flink=images.flink, jar=content)


# Many clusters of a stack may run one jar, of tens of megabytes.
@lru_cache(maxsize=8)
def _content(jar: Path, _changed: int) -> bytes:
    return jar.read_bytes()


@lru_cache(maxsize=8)
def _digest(flink: str, jar: bytes) -> str:
    return hashlib.sha256(flink.encode() + b"\n" + jar).hexdigest()


def state_record() -> bytes:
    """The jar that finds and records what a Flink job goes on from. Raises SettingsError if it is not built."""
    return _built(STATE_RECORD, "Flink cluster")


def metrics_agent() -> bytes:
    """The jar by which a broker of Kafka serves its metrics. Raises SettingsError if it is not there."""
    return _built(METRICS_AGENT, "Kafka cluster")


def _built(jar: Path, what: str) -> bytes:
    if not jar.is_file():
        raise SettingsError(
            f"{jar.relative_to(ROOT)} does not exist; every {what} needs it: build it with `make jars` (Java 17 and "
            "Maven)"
        )
    return jar.read_bytes()


def log_image(settings: EnvironmentSettings) -> str:
    """The image of the sidecar that ships logs.

    That of fluentd is built from `images/fluentd`, and its tag follows from what is in there.
    """
    if settings.logging.image is not None:
        return settings.logging.image
    if settings.logging.agent == "opentelemetryCollector":
        return COLLECTOR_IMAGE
    content = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(FLUENTD_RECIPE.iterdir())))
    return f"{settings.images.registry or 'localhost'}/{PROJECT}/fluentd:{content.hexdigest()[:_HASH_SHOWN]}"


def schema() -> dict[str, object]:
    """The JSON schema of stack files."""
    models = (ClusterSettings, EnvironmentSettings)
    _, document = models_json_schema([(model, "validation") for model in models], by_alias=True)
    definitions = document["$defs"]
    for model in models:
        definition = definitions[model.__name__]
        definition["properties"] = {_PREFIX + key: value for key, value in definition["properties"].items()}
        definition["required"] = [_PREFIX + key for key in definition["required"]]
        for each in definition["properties"].values():
            if each.get("type") == "boolean":  # which Pulumi writes as text
                del each["type"]
                each["enum"] = [True, False, "true", "false"]
        definition["patternProperties"] = {"^pulumi:": {}}
    secret = {"type": "object", "properties": {"secure": {"type": "string"}}, "required": ["secure"]}
    definitions[EnvironmentSettings.__name__]["properties"][f"{_PREFIX}kubeconfig"] = secret
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A stack of {PROJECT}",
        "type": "object",
        "properties": {
            "config": {
                "if": {"properties": {f"{_PREFIX}kind": {"const": "cluster"}}},
                "then": {"$ref": f"#/$defs/{ClusterSettings.__name__}"},
                "else": {"$ref": f"#/$defs/{EnvironmentSettings.__name__}"},
            },
            **{key: {"type": "string"} for key in ("encryptedkey", "encryptionsalt", "secretsprovider")},
        },
        "required": ["config"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _model(config: Mapping[str, object]) -> type[Settings]:
    """The model that a stack's config must satisfy. Raises SettingsError without a `kind`."""
    kind = config.get(f"{_PREFIX}kind")
    model = _KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        found = "is missing" if kind is None else f"{shown(kind)} is no kind of stack"
        raise SettingsError(f"{_PREFIX}kind: {found}: use one of {', '.join(map(str, _KINDS))}")
    return model


def _config(path: Path) -> dict[str, object]:
    """The config in a stack file. Raises SettingsError for text written as a number, which would arrive changed."""
    given: object = read_file(path).get("config")
    if not isinstance(given, dict):
        # `pulumi stack init` makes a file of nothing but a salt, where `pulumi stack rm` has deleted the one that was.
        needed = f"add it, with {_PREFIX}kind and what that kind needs"
        raise SettingsError(f"{path}: has no mapping `config`: {needed}. {how_back(path)}")
    config = cast("dict[str, object]", given)
    # Pulumi hands over an empty text for them.
    problems = [f"{key}: is empty: write a value, or leave it out" for key, value in config.items() if value is None]
    problems += [
        f"{'.'.join(keys)}: {number.text} is a number, and would not arrive as it is written: put it in quotes"
        for keys, number in numbers(config)
        if not wants_number(_model(config), [keys[0].removeprefix(_PREFIX), *keys[1:]])
    ]
    if problems:
        raise SettingsError("\n".join(problems))
    return config


def _overlay() -> Mapping[str, Mapping[str, object]]:
    """Return what only this platform knows, by stack. Raises SettingsError if the variable holds something else."""
    try:
        return _Overlay.validate_json(os.environ.get(OVERLAY) or "{}")
    except ValidationError:
        message = f'{OVERLAY} is not {{"stack": {{"setting": value}}}}: run eval "$(make -s env)" again, or unset it'
        raise SettingsError(message) from None


def _encrypted(value: object) -> object:
    """A secret of a stack file, `secure: <text>`, as that text."""
    match value:
        case {"secure": str(text)}:
            return text
        case _:
            return value


def _decoded(field: FieldInfo | None, value: object) -> object:
    """A setting as Pulumi keeps it: what is no text in a model is there as JSON, once Pulumi has written or read it."""
    if not isinstance(value, str) or field is None or _is_text(field.annotation):
        return value
    if not value.startswith(("{", "[")) and value not in ("true", "false"):
        return value
    try:
        return cast("object", json.loads(value))
    except json.JSONDecodeError:
        return value


def _is_text(annotation: Any) -> bool:
    """Return whether a setting is text, or left out."""
    if annotation in (str, SecretStr) or get_origin(annotation) is Literal:
        return True
    return get_origin(annotation) in (Annotated, Union, UnionType) and any(map(_is_text, get_args(annotation)))


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
