"""One local cluster with the whole platform on it, for all integration tests; taken down before the summary."""

from collections.abc import Generator
from typing import Any

import pytest

from cli import platform, prove
from cli.kube import Kube
from cli.platform import Target
from cli.pulumi import Workspace
from local.node import lifecycle
from local.node.config import Layout

TARGET = Target("test", "")


@pytest.fixture(scope="session")
def target(pytestconfig: pytest.Config) -> Generator[Target]:
    """The platform, freshly made by what `make up` does, with its progress on the terminal."""
    capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    lifecycle.down(TARGET.name, delete_data=True)
    try:
        with capture.global_and_fixture_disabled():
            print()
            platform.up(TARGET)
        yield TARGET
    finally:
        lifecycle.down(TARGET.name, delete_data=True)


@pytest.fixture(scope="session")
def node(target: Target) -> Layout:
    """The node that carries the platform."""
    return lifecycle.layout(target.name, platform.get_tools(node=True)[0])


@pytest.fixture(scope="session")
def work(target: Target) -> Workspace:
    """The platform's Pulumi workspace."""
    return platform.workspace(target)


@pytest.fixture(scope="session")
def admin(node: Layout) -> Kube:
    """kubectl as the administrator, in a namespace for scratch pods."""
    kube = Kube(bin=node.bin, kubeconfig=lifecycle.kubeconfig(node), namespace="scratch")
    kube.run("create", "namespace", "scratch")
    return kube


@pytest.fixture(scope="session")
def dev(target: Target) -> Kube:
    """kubectl as the deployer of `dev`."""
    return prove.kube(target)[0]
