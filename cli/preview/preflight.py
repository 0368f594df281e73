"""A check of what a preview on a runner needs, before anything runs: each missing item, and its remedy."""

import json
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from console.paths import ROOT
from console.progress import LocalError, run
from stacks.settings import ClusterSettings, EnvironmentSettings, load_file, read_file, stack_file

SECONDS = 5  # for a connection to the API server


def check(stack: str, environment: Mapping[str, str]) -> str:
    """Return the credentials that a preview of a stack opens beside the stack's own secrets, by the stack's file; empty
    if none.

    Raises LocalError with all that is missing for the preview.
    """
    file = stack_file(stack)
    settings = load_file(file)
    found = missing(read_file(file), settings, environment)
    if not found:
        try:
            found = unreachable(kubeconfig(stack, settings, environment))
        except LocalError as error:
            found = [f"the backend does not answer for the stack {stack}: {str(error).splitlines()[-1]}"]
    if found:
        raise LocalError("\n".join([f"{stack} cannot be previewed here:", *(f"  - {each}" for each in found)]))
    return opens_more(stack, settings)


def opens_more(stack: str, settings: ClusterSettings | EnvironmentSettings) -> str:
    """Return what a preview opens beside the stack's own secrets, with the remedy; empty if nothing."""
    if isinstance(settings, ClusterSettings) or settings.kubeconfig is not None:
        return ""
    return (
        f"a preview of {stack} reads the outputs of {settings.cluster_stack}, and so can open the kubeconfigs of all "
        "environments. If the authors of pull requests must not have these, give the environment the setting "
        "`kubeconfig`, and a passphrase or key of its own"
    )


def missing(
    file: Mapping[str, object], settings: ClusterSettings | EnvironmentSettings, environment: Mapping[str, str]
) -> list[str]:
    """Return what the environment and the stack's file lack, each with its remedy."""
    found: list[str] = []
    backend = environment.get("PULUMI_BACKEND_URL", "")
    if not backend:
        found.append(
            "PULUMI_BACKEND_URL is not set: name the backend that all share, such as s3://bucket. GitHub hides secrets "
            "from forks and from Dependabot: push the branch to this repository"
        )
    elif backend.startswith("file://") and not Path(backend.removeprefix("file://")).is_dir():
        found.append(f"PULUMI_BACKEND_URL is {backend}, which is not on this machine: name one that all share")
    if backend.startswith("https://"):
        if not environment.get("PULUMI_ACCESS_TOKEN"):
            found.append(f"PULUMI_ACCESS_TOKEN is not set: {backend} asks for one")
    elif "secretsprovider" not in file and not any(
        environment.get(name) for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
    ):
        found.append("PULUMI_CONFIG_PASSPHRASE is not set: it opens the secrets in the stack's state")
    if isinstance(settings, ClusterSettings):
        path = environment.get("KUBECONFIG", "")
        if not path or not Path(path).is_file():
            found.append(f"KUBECONFIG is {path!r}, which is no file: it must name one that may read the whole cluster")
    return found


def kubeconfig(stack: str, settings: ClusterSettings | EnvironmentSettings, environment: Mapping[str, str]) -> str:
    """The kubeconfig with which the stack's preview will go to the API server."""
    if isinstance(settings, ClusterSettings):
        return Path(environment["KUBECONFIG"]).read_text(encoding="utf-8")
    env = {**os.environ, **environment}
    if settings.kubeconfig is not None:
        words = ["pulumi", "config", "get", "streaming-platform:kubeconfig", "--stack", stack]
        return run(words, cwd=ROOT, env=env)
    words = ["pulumi", "stack", "output", "kubeconfigs", "--json", "--show-secrets", "--stack", settings.cluster_stack]
    kubeconfigs: dict[str, str] = json.loads(run(words, cwd=ROOT, env=env))
    if settings.environment not in kubeconfigs:
        raise LocalError(f"stack {settings.cluster_stack} has no kubeconfig for {settings.environment}: apply it first")
    return kubeconfigs[settings.environment]


def unreachable(text: str) -> list[str]:
    """Return what is wrong with the way to the API server that a kubeconfig names; empty if it takes connections."""
    document = yaml.safe_load(text)
    servers = [str(cluster["cluster"]["server"]) for cluster in document["clusters"]]
    found: list[str] = []
    for server in servers:
        at = urlsplit(server)
        try:
            socket.create_connection((at.hostname or "", at.port or 443), timeout=SECONDS).close()
        except OSError as error:
            reason = re.sub(r"^\[.*?\] ", "", str(error))
            found.append(
                f"the API server {server} takes no connection from here: {reason}; use a runner that reaches it, or "
                "open the way to it, see docs/pull-requests.md"
            )
    return found
