"""Memory of containers: without a limit one container takes the node's, without a request the scheduler guesses."""

from collections.abc import Iterator, Mapping
from typing import Any

from policies.rules import Rule, containers, field


def _bounded(resource_type: str, properties: Mapping[str, Any]) -> Iterator[str]:
    for container in containers(resource_type, properties):
        for kind in ("requests", "limits"):
            if not field(container, "resources", kind, "memory"):
                yield (
                    f"container {field(container, 'name')}: resources.{kind}.memory is not set; "
                    "set request and limit to what the process needs at most"
                )


CONTAINER_MEMORY = Rule(
    id="container-memory-bounded",
    description="A container without a memory request and limit takes its neighbours' memory, and is killed for it.",
    judge=_bounded,
)

RULES = (CONTAINER_MEMORY,)
