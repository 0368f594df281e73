"""Kubeconfigs for people and runners: one role in one environment or in all, with a token that expires."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.platform import Target, workspace
from cli.pulumi import environment_settings, stack_file, stack_names
from components.isolation.roles import ROLES
from components.names import PROJECT
from console.paths import write
from console.progress import LocalError, run
from stacks.settings import ClusterSettings, load_file

ALL = "all"  # instead of a stack: every environment of the stack `cluster`


def role_kubeconfig(target: Target, stack: str, role: str, hours: int) -> Path:
    """Write a kubeconfig (0600) with a role's context for each environment that `stack` stands for; return its path.

    Each context is called `<environment>-<role>`. The administrator asks for the tokens, which are valid for `hours`
    unless the API server shortens that. Raises LocalError that names the roles, or the stacks, there are.
    """
    if role not in ROLES:
        raise LocalError(f"ROLE={role}: there is no such role; there are: {', '.join(ROLES)}")
    if hours < 1:
        raise LocalError(f"HOURS={hours}: a token is valid for an hour or more")
    environments = _environments(stack)
    work = workspace(target)
    admin = [work.bin / "kubectl", "--kubeconfig", work.kubeconfig]
    view: dict[str, Any] = json.loads(run([*admin, "config", "view", "--minify", "--flatten", "--raw", "-o", "json"]))
    tokens: dict[str, str] = {}
    for environment in environments:
        try:
            words = ["-n", environment, "create", "token", role, f"--duration={hours}h"]
            tokens[environment] = run([*admin, *words]).strip()
        except LocalError as error:
            if "not found" in str(error):
                raise LocalError(
                    f"the environment {environment} has no account {role} yet: apply the stack cluster "
                    f"(make up{target.words})"
                ) from None
            raise
    document = _document(view["clusters"][0]["cluster"], role, tokens)
    path = target.state / f"{stack if stack == ALL else environments[0]}-{role}.kubeconfig"
    write(path, json.dumps(document, indent=2))
    return path


def _environments(stack: str) -> Sequence[str]:
    if stack == ALL:
        cluster = load_file(stack_file("cluster"))
        assert isinstance(cluster, ClusterSettings)
        return list(cluster.environments)
    if stack not in stack_names() or stack == "cluster":
        there = [each for each in stack_names() if not isinstance(load_file(stack_file(each)), ClusterSettings)]
        raise LocalError(
            f"STACK={stack}: ROLE goes with the stack of an environment ({', '.join(there)}), or with {ALL}; "
            f"the roles are: {', '.join(ROLES)}"
        )
    return [environment_settings(stack_file(stack)).environment]


def _document(cluster: object, role: str, tokens: dict[str, str]) -> dict[str, object]:
    """Return the kubeconfig with the tokens by environment; the first one's context is the current one."""
    names = {environment: f"{environment}-{role}" for environment in tokens}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": PROJECT, "cluster": cluster}],
        "users": [{"name": names[environment], "user": {"token": token}} for environment, token in tokens.items()],
        "contexts": [
            {"name": name, "context": {"cluster": PROJECT, "namespace": environment, "user": name}}
            for environment, name in names.items()
        ],
        "current-context": next(iter(names.values())),
    }
