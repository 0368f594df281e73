"""The Pulumi program: reads the settings of the selected stack, builds that kind of stack, exports its outputs."""

import pulumi

from stacks import cluster, environment
from stacks.settings import ClusterSettings, SettingsError, load


def _quiet(*_: object, **__: object) -> None:
    """Send nothing: the SDK's debug messages are a round trip to the engine each, a fifth of the program's time."""


def main() -> None:
    """Build the selected stack; bad settings end as one message, without a traceback."""
    pulumi.log.debug = _quiet
    try:
        settings = load()
        outputs = cluster.build(settings) if isinstance(settings, ClusterSettings) else environment.build(settings)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    for name, value in outputs.items():
        pulumi.export(name, value)


main()
