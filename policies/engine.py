"""Between the policy SDK and the rules: properties become plain, and what cannot be judged becomes a note."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pulumi.runtime.rpc import UNKNOWN
from pulumi_policy import ReportViolation, ResourceValidationArgs, StackValidationArgs, proxy

from policies.pack import Configuration
from policies.resources import Resource, Stack
from policies.rules import Finding, Rule
from policies.unknown import Unknown

_UNKNOWN = {value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_")} | {UNKNOWN}


def plain(value: Any, path: str = "") -> Any:
    """A property as dicts and lists, with Unknown where the engine has no value yet.

    The policy SDK hands out proxies, which are no dicts, and which raise when an unknown value is touched: that would
    end a rule for all of a stack.
    """
    if isinstance(value, str):
        return Unknown(path) if value in _UNKNOWN else value
    if isinstance(value, Mapping):
        items: dict[Any, Any] = _target(value)
        return {str(key): plain(item, f"{path}.{key}" if path else str(key)) for key, item in items.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        elements: list[Any] = _target(value)
        return [plain(item, f"{path}[{index}]") for index, item in enumerate(elements)]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # on the wire all numbers are floats
    return value if isinstance(value, bool | int | float | None) else str(value)


def _target(value: Any) -> Any:
    """What a proxy of the policy SDK stands for, whose items do not raise; anything else is itself."""
    return value["__target"] if type(value).__module__ == proxy.__name__ else value


class UnjudgedError(proxy.UnknownValueError):
    """What the SDK makes a note of, whatever the rule's level: it stops nothing, and is not silent."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__(proxy.UNKNOWN_OBJECT_VALUE, [])
        self.message = "\n".join(finding.text for finding in findings)


class Judge:
    """Runs rules on what the engine hands over.

    Rules of one object are run before it is made, rules of the stack at the end. The engine shows a stack's outputs to
    those, in which the API server has filled in what nobody wrote (such as `replicas`), and an autoscaler's decisions.
    They are judged as they were written: the inputs are kept from before.

    `configured` gives what the stack files say of a stack's bounds, by the name of the stack, which is in each URN. A
    ValueError of it is a violation of each rule that needs it, once.
    """

    def __init__(self, configured: Callable[[str], Configuration]) -> None:
        self._configured = configured
        self._refused: set[tuple[str, str]] = set()
        self._written: dict[str, Stack] = {}
        self._stack = Stack(())

    def resource(self, rule: Rule, args: ResourceValidationArgs, report: ReportViolation) -> None:
        """Run a rule on one resource."""
        alone = self._written.get(args.urn)
        resource = Resource(type=args.resource_type, name=args.name, urn=args.urn, properties=plain(args.props))
        if alone is None or alone.resources != (resource,):
            self._written[args.urn] = alone = Stack((resource,))
        _report(self._judge(rule, alone, args.urn, args.get_config()), report)

    def stack(self, rule: Rule, args: StackValidationArgs, report: ReportViolation) -> None:
        """Run a rule on all resources of a stack."""
        resources = tuple(
            self._written[each.urn].resources[0]
            if each.urn in self._written
            else Resource(type=each.resource_type, name=each.name, urn=each.urn, properties=plain(each.props))
            for each in args.resources
        )
        if resources != self._stack.resources:
            self._stack = Stack(resources)
        urn = resources[0].urn if resources else ""
        _report(self._judge(rule, self._stack, urn, args.get_config()), report)

    def _judge(self, rule: Rule, of: Stack, urn: str, given: Mapping[str, Any]) -> list[Finding]:
        sourced = {name for name, setting in rule.settings.items() if setting.source}
        if not sourced or not urn:
            return rule.judge(of, given)
        try:
            said = self._configured(_stack_of(urn)).bounds(rule)
        except ValueError as error:
            first = (rule.id, str(error)) not in self._refused
            self._refused.add((rule.id, str(error)))
            return [Finding(rule.id, "", str(error))] if first else []
        return rule.judge(of, {**given, **{name: value for name, value in said.items() if name in sourced}})


def _stack_of(urn: str) -> str:
    return urn.removeprefix("urn:pulumi:").partition("::")[0]


def _report(findings: list[Finding], report: Callable[[str, str | None], None]) -> None:
    for finding in findings:
        if not finding.open:
            report(finding.text, finding.urn or None)
    unjudged = [finding for finding in findings if finding.open]
    if unjudged:
        raise UnjudgedError(unjudged)
