"""Prints docs/policies.md: python -m policies.docs > docs/policies.md"""

from policies.admission import WORKLOADS
from policies.pack import RULES, configuration, configurations
from policies.rules import Level, Rule, Setting

_HEAD = """\
# Policies

The platform refuses unsafe objects twice: the policy pack (`policies/`) at preview, for whatever is about to be
applied; and the API server, for whatever reaches the cluster another way. Both come from the same rules. So does this
page, by `make generate`.

## At preview and at `up`

`make preview` and `make up` run the pack. By hand: `pulumi preview --policy-pack policies`, and `--policy-pack-config
policies/config/<environment>.json` where there is such a file. The rules check topics, and every Kubernetes object of
a program, wherever it comes from: a raw manifest, a chart (`helm.v4.Chart`) or a custom resource with a pod template
is judged like our own. Flink, ZooKeeper and Kafka are recognised by the commands of their containers. Plain secrets
are found by the same patterns that mask them in previews (`components/secrets`).

- **Bounds** that the stack `cluster` has for an environment (its name, `hostPaths`, `priorityClasses`, and some of
  `limits` and `quota`) are read from `stacks/Pulumi.cluster.yaml`, by the name of the stack. They are written nowhere
  else. A stack without such an environment is refused.
- **Levels** of an environment, and other bounds, are in `policies/config/<environment>.json`, if there is such a file:
  a level (`mandatory` blocks, `advisory` warns, `disabled` does not check) or a mapping with `enforcementLevel` and
  bounds. What is left out has its default. Pulumi checks the file against the rules' schema.
- **There are three answers.** What is right passes. What is wrong is reported with the rule's id and the figures.
  **Unknown values are reported**, as a note that does not block: a value that is not known before the update, a
  ConfigMap, a variable or a volume whose content is not part of the stack, a Helm release whose objects the provider
  makes, a script in an unknown image of Flink, Kafka or ZooKeeper. A known value that cannot be read is wrong, such as
  `15m` for a number of milliseconds. A note does not hide the violations of the same object.
- **Arguments after a bare `--`** on a command line are the job's. Only the rules on delivery (`delivery-...`) read
  them.
- **Objects are judged as they were written.** For rules of the whole stack, the engine reports what the API server
  made of the objects, with `replicas` filled in and an autoscaler's decisions. The pack keeps the inputs from before.

## In the cluster

The stack `cluster` makes a ValidatingAdmissionPolicy of each rule that can be judged on one object. It binds each to
the environments' namespaces, with the bounds of their configuration. The setting `admission` of an environment is the
action: `deny` (the default) refuses, `warn` admits with a warning. A rule that is `advisory` for the pack warns; one
that is `disabled` is not bound. System namespaces are never checked. The message starts with the rule's id and ends
with the same remedy:

    The daemonsets "agent" is invalid: : ValidatingAdmissionPolicy 'image-pinned.streaming-platform' with binding
    'deny.image-pinned.streaming-platform' denied request: [image-pinned] container agent: the image has the tag latest,
    or none; name a version, such as :1.0, or a digest (@sha256:...)

Existing objects are checked again when their spec changes, and so are containers that `kubectl debug` adds to a pod.
Pods that Kubernetes' own controllers make from a template were judged when the template was written: a stricter rule
refuses the next change of a workload, and does not keep a running workload from replacing a pod. Such a request is
recognised by the account that sends it, not by the owner that an object names. The rules that replace Pod Security
(`container-not-root` to `pod-confined`) judge every pod, as Pod Security does. So does `pod-not-deployer`: after the
deployer's token has been changed, no pod gets the new one.

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
