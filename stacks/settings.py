"""The only reader of Pulumi configuration: stack config in, validated and frozen settings out.

Works without an engine: `load_file` reads a stack file, `load` what an engine hands to the program. Both raise
SettingsError, whose message has one line for each problem, with the key as the user wrote it. Run as a program
(`python -m stacks.settings`) it prints the JSON schema of stack files, which stacks/schema.json holds for editors.
"""

import hashlib
import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError
from pydantic.json_schema import models_json_schema

from components.names import PROJECT
from stacks.flink import FlinkClusterSettings
from stacks.logging import COLLECTOR_IMAGE
from stacks.models import ClusterSettings, EnvironmentSettings, Settings
from stacks.problems import explain

__all__ = [
    "ClusterSettings",
    "EnvironmentSettings",
    "Settings",
    "SettingsError",
    "flink_image",
    "job_image",
    "load",
    "load_file",
    "log_image",
    "parse",
    "read_file",
    "schema",
]

ROOT = Path(__file__).resolve().parent.parent

FLUENTD_RECIPE = ROOT / "images" / "fluentd"

_KINDS: dict[object, type[Settings]] = {"cluster": ClusterSettings, "environment": EnvironmentSettings}
_PREFIX = f"{PROJECT}:"
_HASH_SHOWN = 16


class SettingsError(ValueError):
    """Settings that cannot be built from: one line for each problem, with its key, the value, the bound, the remedy."""


def parse(config: Mapping[str, object]) -> Settings:
    """The settings in a stack's config, a mapping as in a stack file (`streaming-platform:kind` and so on)."""
    own = {key.removeprefix(_PREFIX): value for key, value in config.items() if key.startswith(_PREFIX)}
    strangers = [key for key in config if not key.startswith((_PREFIX, "pulumi:"))]
    if strangers:
        raise SettingsError(
            "\n".join(
                f"{key}: no such setting (its value is {config[key]!r}): all settings start with {_PREFIX}"
                for key in strangers
            )
        )
    kind = own.get("kind")
    model = _KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        found = "is missing" if kind is None else f"{kind!r} is no kind of stack"
        raise SettingsError(f"{_PREFIX}kind: {found}: use one of {', '.join(map(str, _KINDS))}")
    try:
        # By way of JSON, because YAML knows more types than settings have, and JSON's lists may become tuples.
        return model.model_validate_json(json.dumps(own, default=str))
    except ValidationError as error:
        raise SettingsError(explain(model, error)) from None


class _Loader(yaml.SafeLoader):
    """YAML in which a key may stand once: the second `streaming-platform:kafka` would drop the first one's topics."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(self.construct_object(key))  # pyright: ignore
            if name in seen:
                line = key.start_mark.line + 1
                raise SettingsError(f"{name}: stands twice, again in line {line}: put what is below it in one place")
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_file(path: Path) -> dict[str, Any]:
    """A stack file as it is, not validated beyond being a mapping in which no key stands twice."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}: name an existing stack file") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is not YAML: {error}: correct it") from None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}


def load_file(path: Path) -> Settings:
    """The settings in a stack file (Pulumi.<stack>.yaml); secrets stay as encrypted as they are there."""
    config = read_file(path).get("config")
    if not isinstance(config, dict):
        raise SettingsError(f"{path}: has no mapping `config`: add it, with {_PREFIX}kind and what that kind needs")
    return parse({key: _encrypted(value) for key, value in cast("dict[str, object]", config).items()})


def load() -> Settings:
    """The settings of the stack that the engine runs."""
    from pulumi.runtime import is_config_secret
    from pulumi.runtime.config import CONFIG

    config = {key: _decoded(key, value) for key, value in CONFIG.get().items()}
    kubeconfig = f"{_PREFIX}kubeconfig"
    if kubeconfig in config and not is_config_secret(kubeconfig):
        raise SettingsError(f"{kubeconfig}: is not encrypted: set it with `pulumi config set --secret kubeconfig`")
    return parse(config)


def job_image(*, registry: str | None, cluster: str, flink: str, jar: bytes) -> str:
    """The name of the image that holds a Flink cluster's jar.

    The tag follows from what is inside, the Flink image and the jar: the same content has the same name anywhere.
    """
    content = hashlib.sha256(flink.encode() + b"\n" + jar).hexdigest()
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
    images = settings.images
    return job_image(registry=images.registry, cluster=cluster, flink=images.flink, jar=jar.read_bytes())


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


def _encrypted(value: object) -> object:
    """A secret as it stands in a stack file, `secure: <text>`, as that text."""
    match value:
        case {"secure": str(text)}:
            return text
        case _:
            return value


def _decoded(key: str, value: str) -> object:
    """A value as the engine hands it over: structures and booleans are JSON, text is itself."""
    structured = value.startswith(("{", "[")) or value in ("true", "false")
    if not structured or key == f"{_PREFIX}kubeconfig":
        return value
    try:
        return cast("object", json.loads(value))
    except json.JSONDecodeError:
        return value


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
