"""The server that the engine asks: that of the SDK, which here converts each resource once, and not once for each rule.

The SDK decodes a resource's properties again for each of a pack's policies, and all of a stack's for each policy of the
stack. With 40 rules that is most of the time of a preview. Levels, bounds and messages stay the SDK's.
"""

# pyright: reportPrivateUsage=false, reportIncompatibleMethodOverride=false
# The SDK has no public way to another server: the pinned version's own class is extended.

from collections.abc import Callable, Mapping
from typing import Any, Literal

from google.protobuf import json_format
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import EnforcementLevel, Policy, PolicyConfigSchema, ResourceValidationPolicy, StackValidationPolicy
from pulumi_policy import policy as sdk
from pulumi_policy.deserialize import deserialize_properties

from policies.engine import Judge, plain
from policies.pack import RULES, Configuration
from policies.resources import Resource, Stack
from policies.rules import Finding, Rule


class _ResourcePolicy(ResourceValidationPolicy):
    """A rule of one object, as the engine lists it."""


class _StackPolicy(StackValidationPolicy):
    """A rule of the whole stack, as the engine lists it."""


def policy(rule: Rule) -> Policy:
    """Return what the engine lists of a rule: its level, its bounds and its texts."""
    schema: Mapping[str, dict[str, Any]] = {
        name: setting.schema for name, setting in rule.settings.items() if not setting.source
    }
    options: dict[str, Any] = {
        "name": rule.id,
        "description": rule.description,
        "enforcement_level": EnforcementLevel(rule.level.value),
        "config_schema": PolicyConfigSchema(dict(schema)) if schema else None,
        "remediation_steps": rule.remedy,
    }
    return _ResourcePolicy(**options) if rule.scope == "object" else _StackPolicy(**options)


class Server(sdk._PolicyAnalyzerServicer):
    """Answers the engine's questions about resources with the findings of the rules."""

    judge: Judge

    def Analyze(self, request: Any, _context: object) -> Any:  # noqa: N802  the protocol's name
        """Judge one resource by its inputs, before it is made."""
        alone = self.judge.written(_resource(request))
        return self._response("object", alone)

    def AnalyzeStack(self, request: Any, _context: object) -> Any:  # noqa: N802  the protocol's name
        """Judge all resources together, at the end."""
        return self._response("stack", self.judge.stack((each.urn, _reader(each)) for each in request.resources))

    def Remediate(self, _request: object, _context: object) -> Any:  # noqa: N802  the protocol's name
        """Change nothing: no rule has a remediation that a program could apply."""
        return analyzer_pb2.RemediateResponse()

    def _response(self, scope: Literal["object", "stack"], of: Stack) -> Any:
        response = analyzer_pb2.AnalyzeResponse()
        for rule in RULES:
            level = self._get_enforcement_level(_POLICIES[rule.id])
            if rule.scope == scope and level is not EnforcementLevel.DISABLED:
                findings = self.judge.findings(rule, of, self._get_policy_config(rule.id) or {})
                self._report(rule, findings, level, response)
        return response

    def _report(self, rule: Rule, findings: list[Finding], level: EnforcementLevel, response: Any) -> None:
        """Report violations at the rule's level, and what could not be judged as a note that does not block."""
        violated = self._create_report_violation(response, rule.id, rule.description, level)
        noted = self._create_report_violation(response, rule.id, rule.description, EnforcementLevel.ADVISORY)
        for each in findings:
            (noted if each.open else violated)(each.text, each.urn or None)


_POLICIES = {rule.id: policy(rule) for rule in RULES}


def _resource(each: Any) -> Resource:
    properties = deserialize_properties(json_format.MessageToDict(each.properties))
    return Resource(type=each.type, name=each.name, urn=each.urn, properties=plain(properties))


def _reader(each: Any) -> Callable[[], Resource]:
    return lambda: _resource(each)


def serve(configured: Callable[[str], Configuration]) -> None:
    """Serve the pack until the engine ends it; `configured` has the bounds of the stack files, by name of the stack."""
    Server.judge = Judge(configured)
    sdk._PolicyAnalyzerServicer = Server
    sdk.PolicyPack("streaming-platform", list(_POLICIES.values()))
