"""The page of what keeps environments apart, docs/isolation.md: python -m components.isolation.docs prints it."""

from components.isolation.network import FLOWS
from components.isolation.roles import ROLES, rights

_VERBS = ("get", "list", "watch", "create", "patch", "delete")

_HEAD = """\
# What keeps environments apart

```yaml
# stacks/Pulumi.cluster.yaml
streaming-platform:environments:
  dev:
    network:
      egress:
        states: {cidr: 10.20.0.0/24, ports: [9000]} # pods of `dev` may connect to this S3
      ingress:
        ui: {namespace: ingress-nginx, ports: [8081]} # pods of that namespace may connect to Flink's REST port
```

`dev`, `test` and `ops` are namespaces of one Kubernetes cluster. The stack `cluster` makes each of them with an account
for each role, a quota, default limits, network policies and admission policies. `make generate` writes this page from
the lists that the network policies and the roles are made of.

## On the network

No pod of an environment is reached from outside of it, and none connects to anything outside but DNS. Name other peers
in `network` ([settings.md](settings.md)), as above. Port-forwards, `kubectl exec` and probes come from the node, and
need no entry. Within an environment, the platform's pods let this in:

"""

_TAIL = """
- Pods that are none of the platform's (without its label `app.kubernetes.io/part-of`) let in all pods of their
  environment.
- Where an environment has `kubernetesHighAvailability`, Flink's pods may also connect to the API server: to the address
  in `server`, or to `network.apiServer`.
- Names are looked up at the pods `k8s-app: kube-dns` of `kube-system`, or at the address of NodeLocal DNSCache.

The local node enforces network policies with kube-router. On a cluster that exists, the network plug-in must; the
preflight says whether a known one is there. A test sends packets for every row of this table, from pods with each label
and from another environment, and sees that what the table does not name gets no answer.

Labels decide who may connect. Whoever may create pods in an environment may label one as Flink's, and reach what Flink
reaches there. The boundary is the environment, not the pod.

## Roles

"""

_ROLES_TAIL = """
`*` where the environment has `developerExec`. A role has no other rights: not to Secrets, not to tokens of accounts,
roles, quotas or network policies, and none outside of its namespace. Two admission policies take away more:

- **`dry-run-only`**: each request of the account `previewer` that would create, change or delete something is refused,
  unless it is a dry run. So no group can have this role: the policy knows the account by its name.
- **`restart-only`**: whoever may patch a workload, and may not create one, may only restart it (`kubectl rollout
  restart`). Otherwise developers could put a program of their own into a pod, which then has the pod's Secrets.

A test compares the table with what the API server answers, for each role, resource and verb, in the role's own
namespace, in another one, in `kube-system` and outside of namespaces. A right that the table does not name fails it.

- **Port-forward** reaches every port of a pod. Flink's REST API can stop a job, and Kafka's `admin` listener can change
  topics, for a previewer and a developer as well.
- **Exec** has the rights and the Secrets of the pod, and so have the deployer's pods. The rule `pod-not-deployer`
  keeps the accounts of the roles out of pods ([policies.md](policies.md)).
- **Scale** changes a number that Pulumi or an autoscaler sets again.

[environments.md](environments.md) says how people get a role.

## What is not kept apart

- **The node's kernel and disks.** Pods of all environments share them. A hole in the kernel opens all.
- **The API server.** A flood of requests in one environment is felt in the others.
- **CPU beyond the shares that pods request,** and the bandwidth of disks and network.
- **Passphrases.** By default, who may preview `dev` holds what opens the kubeconfigs of all environments:
  [pull-requests.md](pull-requests.md) says how to change that.
- **Directories of nodes.** Where an environment has `hostPaths`, its pods are close to the node's root:
  [policies.md](policies.md).
"""


def text() -> str:
    """Return the page."""
    rows = ["| to | ports | from | why |", "|---|---|---|---|"]
    for flow in FLOWS:
        part = f"{flow.part}, {flow.component}" if flow.component else flow.part
        ports = ", ".join(f"{port} ({name})" for name, port in flow.ports.items())
        rows.append(f"| {part} | {ports} | {', '.join(flow.sources) or 'any pod of the environment'} | {flow.why} |")
    return "".join((_HEAD, "\n".join(rows), "\n", _TAIL, _roles(), _ROLES_TAIL))


def _roles() -> str:
    """The roles, and the table of their rights."""
    always = {role: rights(each.granted(developer_exec=False)) for role, each in ROLES.items()}
    most = {role: rights(each.granted(developer_exec=True)) for role, each in ROLES.items()}
    resources = {key: None for each in most.values() for key in each}
    rows = ["| role | what for |", "|---|---|", *(f"| `{role}` | {each.why} |" for role, each in ROLES.items()), ""]
    rows += [f"| resource | {' | '.join(ROLES)} |", f"|---|{'---|' * len(ROLES)}"]
    for key in sorted(resources):
        cells: list[str] = []
        for role in ROLES:
            verbs = sorted(most[role].get(key, ()), key=_VERBS.index)
            sometimes = "" if key in always[role] or not verbs else " *"
            cells.append((", ".join(verbs) or "-") + sometimes)
        group, resource = key
        rows.append(f"| {resource}{f' ({group})' if group else ''} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(text(), end="")
