"""The step between the policy SDK and the rules: plain properties, and the bounds of the stack's environment."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from pulumi.runtime.rpc import UNKNOWN
from pulumi_policy import proxy

from policies.pack import Configuration
from policies.resources import Resource, Stack
from policies.rules import Finding, Rule
from policies.unknown import Unknown

_UNKNOWN = {value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_")} | {UNKNOWN}


def plain(value: Any, path: str = "") -> Any:
    """Return a property as dicts, lists and scalars, with Unknown where the engine has no value yet."""
    if isinstance(value, str):
        return Unknown(path) if value in _UNKNOWN else value
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {str(key): plain(item, f"{path}.{key}" if path else str(key)) for key, item in items}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(item, f"{path}[{index}]") for index, item in enumerate(cast("Sequence[Any]", value))]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # on the wire all numbers are floats
    return value if isinstance(value, bool | int | float | None) else str(value)


class Judge:
    """Runs rules on the resources that the engine reports.

    Rules of one object run before it is made, rules of the stack at the end. For the latter the engine reports each
    resource's outputs, in which the API server has filled in defaults (such as `replicas`), and an
    autoscaler's decisions. Resources are judged as they were written: the inputs are kept from before.

    `configured` returns the bounds that the stack files have for a stack, by the name of the stack, which is in each
    URN. A ValueError from it is a violation of each rule that needs these bounds, once.
    """

    def __init__(self, configured: Callable[[str], Configuration]) -> None:
        self._configured = configured
        self._refused: set[tuple[str, str]] = set()
        self._written: dict[str, Stack] = {}

    def written(self, resource: Resource) -> Stack:
        """Keep the inputs of a resource, and return them as a stack of one."""
        alone = self._written[resource.urn] = Stack((resource,))
        return alone

    def stack(self, outputs: Iterable[tuple[str, Callable[[], Resource]]]) -> Stack:
        """Return all resources as they were written; `outputs` has the URN of each, and how to read it otherwise."""
        return Stack(
            self._written[urn].resources[0] if urn in self._written else read_outputs() for urn, read_outputs in outputs
        )

    def findings(self, rule: Rule, of: Stack, given: Mapping[str, Any]) -> list[Finding]:
        """Run a rule on one resource or on all, with the bounds that the engine was `given` for it."""
        sourced = {name for name, setting in rule.settings.items() if setting.source}
        if not sourced or not of.resources:
            return rule.judge(of, given)
        try:
            said = self._configured(_stack_of(of.resources[0].urn)).bounds(rule)
        except ValueError as error:
            first = (rule.id, str(error)) not in self._refused
            self._refused.add((rule.id, str(error)))
            return [Finding(rule.id, "", str(error))] if first else []
        return rule.judge(of, {**given, **{name: value for name, value in said.items() if name in sourced}})


def _stack_of(urn: str) -> str:
    return urn.removeprefix("urn:pulumi:").partition("::")[0]
