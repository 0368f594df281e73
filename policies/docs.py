"""Prints docs/policies.md: python -m policies.docs > docs/policies.md"""

from policies.admission import WORKLOADS
from policies.pack import RULES, configuration, configurations
from policies.rules import Level, Rule, Setting

_HEAD = """\
# Policies

What the platform refuses, twice: at preview, by the policy pack (`policies/`), whatever is about to be applied; and in
the cluster, by the API server, whatever comes another way. Both are made from the same rules. This page is made from
them too: `python -m policies.docs > docs/policies.md`.

## At preview and at `up`

`make preview` and `make up` run the pack. By hand: `pulumi preview --policy-pack policies`, and
`--policy-pack-config policies/config/<environment>.json` where there is such a file. Rules look at every Kubernetes
object of a program, wherever it comes from, and at topics: a raw manifest, a chart (`helm.v4.Chart`) or a custom
resource with a pod template in it is judged like our own. Flink, ZooKeeper and Kafka are recognised by what their
containers start. Secrets in plain text are found by the list by which previews mask them (`components/secrets`).

- **Bounds** that the stack `cluster` has for an environment (its name, `limits.maxMemoryMib`, `quota.memoryMib`,
  `hostPaths`) are read from `stacks/Pulumi.cluster.yaml`, by the name of the stack. They stand nowhere else. A stack
  whose environment is not there is refused.
- **Levels** of an environment, and other bounds, are in `policies/config/<environment>.json`, if there is such a file:
  a level (`mandatory` stops, `advisory` tells, `disabled` does not look) or a mapping with `enforcementLevel` and
  bounds. What is left out has its default. Pulumi checks the file against the rules' schema.
- **There are three answers.** What is fine passes; what is wrong is told by the rule's id, with the figures; and **what
  cannot be judged is told**, as a note that stops nothing: a value that is not known before the update, a ConfigMap,
  a variable or a volume whose content is not part of the stack, a Helm release whose objects the provider makes, a
  script in an unknown image of Flink, Kafka or ZooKeeper. A value that is known and cannot be read, such as `15m` where
  milliseconds belong, is wrong. None hides another: a note is listed beside the violations of the same object.
- **What follows a bare `--`** on a command line is the job's. Only the rules on delivery (`delivery-...`) read it.
- **Objects are judged as they were written.** The engine shows rules of the whole stack what the API server made of
  them, `replicas` filled in and an autoscaler's decisions among it; the pack keeps the inputs from before.

## In the cluster

The stack `cluster` makes a ValidatingAdmissionPolicy of each rule that can be judged on one object, and binds it to the
environments' namespaces, with the bounds of their configuration. The setting `admission` of an environment says what it
does: `deny` (the default) refuses, `warn` admits and tells. A rule that is `advisory` for the pack warns; one that is
`disabled` is not bound. System namespaces are never looked at. The message starts with the rule's id and ends with the
same remedy:

    The daemonsets "agent" is invalid: : ValidatingAdmissionPolicy 'image-pinned.streaming-platform' with binding
    'deny.image-pinned.streaming-platform' denied request: [image-pinned] container agent: the image has the tag latest,
    or none; name a version, such as :1.0, or a digest (@sha256:...)

Objects that were there before are looked at again when their spec changes; containers that `kubectl debug` puts into a
pod, too. What Kubernetes' own controllers make from a template was judged when the template was written: a rule that
is tightened refuses the next change of a workload, and does not keep the workload that runs from replacing a pod. It is
the account that asks by which such a request is known, not what an object says of its owner. Rules that replace
Pod Security (`container-not-root` to `pod-confined`) judge every pod, as Pod Security does.

`kubectl scale` is not judged, as it has a number and no pods: deployers have no right to it. Before these policies the
API server has filled in defaults: a Pod without memory has been given the namespace's (LimitRange), a Deployment
without `replicas` has one. Pod Security refuses pods, and only pods, that break `container-not-root`,
`container-unprivileged`, `pod-off-the-host` or `host-path-allowed`, before these policies see them; these refuse the
workloads that would make them.

## Rules
"""


def text() -> str:
    """The whole page."""
    lines = [_HEAD]
    lines += ["| id | what goes wrong without it | remedy | API server |", "|---|---|---|---|"]
    lines += [f"| `{rule.id}` | {rule.description} | {_sentence(rule.remedy)} | {_admission(rule)} |" for rule in RULES]
    lines += ["", "Bounds, with their defaults and what environments set instead:", ""]
    lines += ["| id | bound | default | elsewhere | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| `{rule.id}` | `{name}` | {_shown(setting.default)} | {_elsewhere(rule, name, setting)} | "
        f"{setting.description} |"
        for rule in RULES
        for name, setting in rule.settings.items()
    ]
    lines += ["", "Levels that are not `mandatory`:", ""]
    lines += [
        f"- `{rule.id}`: {', '.join(f'{level} in {name}' for name, level in _levels(rule))}"
        for rule in RULES
        if _levels(rule)
    ] or ["- none"]
    return "\n".join(lines) + "\n"


def _sentence(remedy: str) -> str:
    return remedy.replace("|", "\\|") or "-"


def _admission(rule: Rule) -> str:
    if isinstance(rule.admission, str):
        return f"cannot: {rule.admission}"
    kinds = rule.admission(rule.bounds({})).kinds
    return "workloads" if kinds == WORKLOADS else ", ".join(kinds)


def _elsewhere(rule: Rule, name: str, setting: Setting) -> str:
    if setting.source:
        return f"`{setting.source}` in the stack `cluster`"
    said = {each.stem: configuration(each.stem).bounds(rule) for each in configurations()}
    return ", ".join(f"{each}: {_shown(bounds[name])}" for each, bounds in said.items() if name in bounds) or "-"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType]
    return str(value)


def _levels(rule: Rule) -> list[tuple[str, Level]]:
    levels = [(each.stem, configuration(each.stem).level(rule)) for each in configurations()]
    return [(each, level) for each, level in levels if level is not Level.MANDATORY]


if __name__ == "__main__":
    print(text(), end="")
