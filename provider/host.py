"""The provider itself, and its schema: `python -m provider.host` prints it."""

import json
import tomllib
from pathlib import Path

import pulumi
from pulumi.errors import InputPropertiesError
from pulumi.provider import ConstructResult
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ComponentInitError

from provider.inputs import described, refused
from provider.resources import COMPONENTS, PACKAGE, TAKES

_PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


class Components(ComponentProvider):
    """All components, with a schema that has the descriptions of their settings."""

    def __init__(self) -> None:
        version = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"]
        super().__init__(COMPONENTS, PACKAGE, version=version)
        assert self.schema
        self.schema = described(self.schema, TAKES)

    def construct(
        self, name: str, resource_type: str, inputs: pulumi.Inputs, options: pulumi.ResourceOptions | None = None
    ) -> ConstructResult:
        """Make a component. What a user can correct ends as one message, without a traceback."""
        try:
            return super().construct(name, resource_type, inputs, options)
        except ComponentInitError as error:
            if isinstance(error.inner, InputPropertiesError):
                raise error.inner from None
            if isinstance(error.inner, ValueError):
                raise refused({"": str(error.inner)}) from None
            raise


def schema() -> str:
    """The schema as provider/schema.json has it."""
    return json.dumps(json.loads(str(Components().schema)), indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
