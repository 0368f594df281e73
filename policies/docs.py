"""Prints docs/policies.md: python -m policies.docs > docs/policies.md"""

from policies.admission import WORKLOADS
from policies.pack import RULES, configuration, configurations
from policies.rules import Level, Rule, Setting

_HEAD = """\
# Policies

Unsafe objects are refused in two places. The policy pack (`policies/`) refuses them at preview, in whatever is about to
be applied. The API server refuses them in whatever reaches the cluster another way. Both work by the same rules, from
which `make generate` also writes this page.

## At preview and at `up`

`make preview` and `make up` run the pack. By hand, run `pulumi preview --policy-pack policies`, and add
`--policy-pack-config policies/config/<environment>.json` where there is such a file. The rules check topics, and every
Kubernetes object of a program, wherever it comes from: a raw manifest, a chart (`helm.v4.Chart`) or a custom resource
with a pod template is judged like the platform's own objects. Flink, ZooKeeper and Kafka are recognised by the commands
of their containers. Plain secrets are found by the same patterns that mask them in previews (`components/secrets`).

- **Bounds** that the stack `cluster` has for an environment (its name, `hostPaths`, `priorityClasses`, and some of
  `limits` and `quota`) are read from its entry in `stacks/Pulumi.cluster.yaml`. They are written nowhere else. A stack
  whose environment has no entry there is refused, unless it has [a kubeconfig of its
  own](environments.md#a-kubeconfig-of-its-own).
- **Levels** of an environment, and all other bounds, are in `policies/config/<environment>.json`, if there is such a
  file. Its keys are ids of rules, or `all` for every rule. A value is a level (`mandatory` blocks, `advisory` warns,
  `disabled` does not check) or a mapping with `enforcementLevel` and bounds. What is left out has its default. Pulumi
  checks the file against the rules' schema.
- **There are three answers.** What is right passes. What is wrong is reported with the rule's id and the figures. What
  is unknown is reported as a note that does not block. Unknown are: a value that is not known before the update; a
  ConfigMap, a variable or a volume whose content is not part of the stack; a Helm release whose objects the provider
  makes; a script in an unknown image of Flink, Kafka or ZooKeeper. A value that is known but cannot be read, such as
  `15m` for a number of milliseconds, is wrong. An object with a note is still judged in all other respects.
- **Arguments after a bare `--`** on a command line are the job's. Only the rules on delivery (`delivery-...`) read
  them.
- **Objects are judged as they were written.** To rules that look at the whole stack, Pulumi's engine hands what the API
  server made of the objects: with `replicas` filled in, and with an autoscaler's decisions. So the pack keeps the
  inputs that it saw before, and judges those.

## In the cluster

The stack `cluster` makes a ValidatingAdmissionPolicy of each rule that can be judged on one object. It binds each to
the environments' namespaces, with the bounds of each environment. The setting `admission` of an environment is the
action: `deny` (the default) refuses, `warn` admits with a warning. A rule that is `advisory` for the pack only warns.
One that is `disabled` is not bound. System namespaces are never checked. The message of a rule starts with its id and
ends with the remedy that the pack names:

    The daemonsets "agent" is invalid: : ValidatingAdmissionPolicy 'image-pinned.streaming-platform' with binding
    'deny.image-pinned.streaming-platform' denied request: [image-pinned] container agent: the image has the tag latest,
    or none; name a version, such as :1.0, or a digest (@sha256:...)

Existing objects are checked again when their spec changes, and so are containers that `kubectl debug` adds to a pod.
Pods that Kubernetes' own controllers make from a template were judged when the template was written: a stricter rule
refuses the next change of a workload, but does not keep a running workload from replacing a pod. Whether a controller
sends a request is recognised by the account that sends it, not by the owner that the pod names. The rules that do the
work of Pod Security (in the table below, from `container-not-root` to `pod-confined`) judge every pod, as Pod Security
does. So does `pod-not-deployer`: after the deployer's token has been changed, no pod gets the new one.

`kubectl scale` cannot be judged, as its request has only a number and no pod template. So deployers have no right to
it. The API server fills in defaults before it asks these policies: a Pod without memory has the namespace's (from its
LimitRange), and a Deployment without `replicas` has one replica. Pods that break `container-not-root`,
`container-unprivileged`, `pod-off-the-host` or `host-path-allowed` are refused by Pod Security before these policies
see them. Pod Security refuses only pods; these policies also refuse the workloads that would make them.

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
