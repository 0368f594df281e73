"""The preparation of a preview on this machine, without any secret: the tools, and the jar that names an image."""

from pathlib import Path

from local.jars import build_for
from local.tools import client_tools, ensure_tools
from stacks.declared import check
from stacks.settings import EnvironmentSettings, load_file, stack_file


def prepare(stack: str) -> Path:
    """Get the tools and build the stack's jar; return the directory of the tools.

    Raises SettingsError for a stack file that is refused, or an environment that the cluster does not have, and
    LocalError for what cannot be had.
    """
    settings = load_file(stack_file(stack))
    check(stack)
    if isinstance(settings, EnvironmentSettings):
        build_for(settings.flink.jars)
    directory, _ = ensure_tools(client_tools())
    return directory
