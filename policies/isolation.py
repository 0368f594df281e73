"""Rules for what a pod must not do to its node and its neighbours: Pod Security `restricted`, rule by rule."""

from collections.abc import Iterator
from functools import partial

from policies import admission
from policies.admission import listed as cel_list
from policies.resources import Container, Pod
from policies.rules import Bounds, Setting, listed, rule
from policies.unknown import field, items, mapping

_HOST = ("hostNetwork", "hostPID", "hostIPC")
_ADDABLE = ("NET_BIND_SERVICE",)

# As Pod Security does, whoever makes the pod.
of_containers = partial(admission.of_containers, every_pod=True)
of_pods = partial(admission.of_pods, every_pod=True)


def gives_volume_to_user(container: Container, bounds: Bounds) -> bool:
    """An init container that is root to give a directory of the node to the pod's user, where such are allowed."""
    security = mapping(container.body, "securityContext")
    capabilities = mapping(security, "capabilities")
    return (
        bool(bounds.texts("hostPaths"))
        and container.init
        and not container.sidecar
        and [str(word) for word in items(container.body, "command")][:1] == ["chown"]
        and items(capabilities, "add") == ["CHOWN"]
        and items(capabilities, "drop") == ["ALL"]
        and field(security, "allowPrivilegeEscalation") is False
    )


# The same in CEL, over the container `c`, where directories of nodes are allowed.
_GIVES_VOLUME = (
    "(has(variables.spec.initContainers) && variables.spec.initContainers.exists(i, i.name == c.name) && "
    "!has(c.restartPolicy) && has(c.command) && size(c.command) > 0 && c.command[0] == 'chown' && "
    "has(c.securityContext) && has(c.securityContext.capabilities) && "
    "has(c.securityContext.capabilities.add) && c.securityContext.capabilities.add == ['CHOWN'] && "
    "has(c.securityContext.capabilities.drop) && c.securityContext.capabilities.drop == ['ALL'] && "
    "has(c.securityContext.allowPrivilegeEscalation) && !c.securityContext.allowPrivilegeEscalation)"
)

_PATHS = {
    "hostPaths": Setting((), "directories of nodes below which pods may mount, such as /var/lib/flink", "hostPaths")
}


def _exempt(bounds: Bounds) -> str:
    return f"!{_GIVES_VOLUME} && " if bounds.texts("hostPaths") else ""


def _root(container: Container, bounds: Bounds) -> Iterator[str]:
    if gives_volume_to_user(container, bounds):
        return
    pod, own = mapping(container.pod.spec, "securityContext"), mapping(container.body, "securityContext")
    user = own.get("runAsUser", pod.get("runAsUser"))
    non_root = own.get("runAsNonRoot", pod.get("runAsNonRoot"))
    if field(user) == 0:
        yield "runAsUser is 0"
    elif field(non_root) is not True:
        yield "runAsNonRoot is not true"


NOT_ROOT = rule(
    id="container-not-root",
    description="A process that runs as root in a container and gets out of it is root on the node.",
    remedy="set securityContext.runAsNonRoot: true and a runAsUser other than 0",
    subjects=lambda stack: stack.containers,
    check=_root,
    settings=_PATHS,
    admission=lambda bounds: of_containers(
        _exempt(bounds)
        + "((has(c.securityContext) && has(c.securityContext.runAsUser) ? c.securityContext.runAsUser == 0 : "
        "has(variables.spec.securityContext) && has(variables.spec.securityContext.runAsUser) && "
        "variables.spec.securityContext.runAsUser == 0) || "
        "!(has(c.securityContext) && has(c.securityContext.runAsNonRoot) ? c.securityContext.runAsNonRoot : "
        "has(variables.spec.securityContext) && has(variables.spec.securityContext.runAsNonRoot) && "
        "variables.spec.securityContext.runAsNonRoot))",
        "runAsUser is 0, or runAsNonRoot is not true",
        debuggers=True,
    ),
)


def _privileged(container: Container, bounds: Bounds) -> Iterator[str]:
    if gives_volume_to_user(container, bounds):
        return
    security = mapping(container.body, "securityContext")
    if field(security, "privileged"):
        yield "securityContext.privileged is true"
    if field(security, "allowPrivilegeEscalation") is not False:
        yield "securityContext.allowPrivilegeEscalation is not false"
    if "ALL" not in items(security, "capabilities", "drop"):
        yield "securityContext.capabilities.drop has no ALL"
    added = [str(name) for name in items(security, "capabilities", "add") if name not in _ADDABLE]
    if added:
        yield f"securityContext.capabilities.add has {listed(added)}"


UNPRIVILEGED = rule(
    id="container-unprivileged",
    description="A privileged container, or one that may gain rights, has the node and all that runs on it.",
    remedy="set privileged and allowPrivilegeEscalation to false, drop ALL capabilities and add none",
    subjects=lambda stack: stack.containers,
    check=_privileged,
    settings=_PATHS,
    admission=lambda bounds: of_containers(
        _exempt(bounds) + "(!has(c.securityContext) || "
        "(has(c.securityContext.privileged) && c.securityContext.privileged) || "
        "!has(c.securityContext.allowPrivilegeEscalation) || c.securityContext.allowPrivilegeEscalation || "
        "!has(c.securityContext.capabilities) || !has(c.securityContext.capabilities.drop) || "
        "!('ALL' in c.securityContext.capabilities.drop) || "
        "(has(c.securityContext.capabilities.add) && "
        f"c.securityContext.capabilities.add.exists(a, !(a in {cel_list(_ADDABLE)}))))",
        "it is privileged, may gain rights, or keeps capabilities",
        debuggers=True,
    ),
)


def _host(pod: Pod, _: Bounds) -> Iterator[str]:
    shared = [name for name in _HOST if field(pod.spec, name)]
    if shared:
        yield f"{listed(shared)} {'is' if len(shared) == 1 else 'are'} true"
    ports = [
        str(field(port, "hostPort"))
        for container in pod.containers
        for port in items(container.body, "ports")
        if field(port, "hostPort")
    ]
    if ports:
        yield f"hostPort {listed(ports)}"


HOST = rule(
    id="pod-off-the-host",
    description="A pod in the node's network or process table goes past network policies and sees its neighbours.",
    remedy="leave hostNetwork, hostPID, hostIPC and hostPort out",
    subjects=lambda stack: stack.pods,
    check=_host,
    admission=lambda _: of_pods(
        "["
        + ", ".join(f"has(variables.spec.{name}) && variables.spec.{name}" for name in _HOST)
        + "].exists(h, h) || variables.containers.exists(c, has(c.ports) && "
        "c.ports.exists(p, has(p.hostPort) && p.hostPort != 0))",
        "it shares the node's network, processes or ports",
    ),
)


def _paths(pod: Pod, bounds: Bounds) -> Iterator[str]:
    allowed = tuple(path.rstrip("/") for path in bounds.texts("hostPaths"))
    for volume in items(pod.spec, "volumes"):
        path = field(volume, "hostPath", "path")
        if path is None:
            continue
        below = any(path == prefix or str(path).startswith(f"{prefix}/") for prefix in allowed)
        if not below or ".." in str(path).split("/"):
            yield f"volume {field(volume, 'name')} is the node's {path}, and {listed(allowed)} is allowed (hostPaths)"


HOST_PATH = rule(
    id="host-path-allowed",
    description="A directory of the node in a pod is a way to its files: keys of the kubelet, other pods' data.",
    remedy="use a volume claim or an emptyDir, or have the directory added to the environment's hostPaths",
    subjects=lambda stack: stack.pods,
    check=_paths,
    settings=_PATHS,
    admission=lambda bounds: of_pods(
        "has(variables.spec.volumes) && variables.spec.volumes.exists(v, has(v.hostPath) && "
        "(v.hostPath.path.split('/').exists(p, p == '..') || "
        f"!{cel_list(tuple(path.rstrip('/') for path in bounds.texts('hostPaths')))}"
        ".exists(a, v.hostPath.path == a || v.hostPath.path.startsWith(a + '/'))))",
        f"a volume is a directory of the node; allowed: {listed(bounds.texts('hostPaths'))}",
    ),
)

_PROFILES = ("RuntimeDefault", "Localhost")
_SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_VOLUMES = (
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
    "hostPath",  # another rule's
)


def _confined(pod: Pod, _: Bounds) -> Iterator[str]:
    own = mapping(pod.spec, "securityContext")
    contexts = [("the pod", own), *((each.name, mapping(each.body, "securityContext")) for each in pod.containers)]
    for name, context in contexts:
        profile = field(context, "seccompProfile", "type") or (
            context is not own and field(own, "seccompProfile", "type")
        )
        if context is not own and profile not in _PROFILES:
            yield f"seccompProfile of {name} is {profile or 'not set'}"
        if field(context, "appArmorProfile", "type") == "Unconfined":
            yield f"appArmorProfile of {name} is Unconfined"
        if (field(context, "procMount") or "Default") != "Default":
            yield f"procMount of {name} is {field(context, 'procMount')}"
        selinux = mapping(context, "seLinuxOptions")
        if selinux.get("user") or selinux.get("role") or field(selinux, "type") not in (None, *_SELINUX_TYPES):
            yield f"seLinuxOptions of {name} are not the container's own"
        if field(context, "windowsOptions", "hostProcess"):
            yield f"windowsOptions.hostProcess of {name} is true"
    sysctls = [str(field(each, "name")) for each in items(own, "sysctls")]
    if sysctls:
        yield f"sysctls {listed(sysctls)} are set"
    for volume in items(pod.spec, "volumes"):
        kinds = [kind for kind in mapping(volume) if kind != "name" and kind not in _VOLUMES]
        if kinds:
            yield f"volume {field(volume, 'name')} is of the kind {listed(kinds)}"


# In CEL, over a security context `s` that may be absent: each of these is out of bounds.
def _loose(context: str) -> str:
    return (
        f"(has({context}.appArmorProfile) && {context}.appArmorProfile.type == 'Unconfined') || "
        f"(has({context}.seLinuxOptions) && (has({context}.seLinuxOptions.user) || "
        f"has({context}.seLinuxOptions.role) || "
        f"(has({context}.seLinuxOptions.type) && !({context}.seLinuxOptions.type in {cel_list(_SELINUX_TYPES)})))) || "
        f"(has({context}.windowsOptions) && has({context}.windowsOptions.hostProcess) && "
        f"{context}.windowsOptions.hostProcess)"
    )


_POD, _OWN = "variables.spec.securityContext", "c.securityContext"
CONFINED = rule(
    id="pod-confined",
    description=(
        "Without seccomp, AppArmor and SELinux as they come, or with kernel settings and volumes of other kinds, one "
        "fault of the kernel is enough to get out of the container."
    ),
    remedy="set seccompProfile.type: RuntimeDefault, and leave out other options of seccomp, AppArmor and SELinux, "
    "sysctls, and volumes of other kinds",
    subjects=lambda stack: stack.pods,
    check=_confined,
    admission=lambda _: of_pods(
        f"(has({_POD}) && (has({_POD}.sysctls) && size({_POD}.sysctls) > 0 || {_loose(_POD)})) || "
        f"variables.containers.exists(c, (has({_OWN}) && has({_OWN}.seccompProfile) ? "
        f"!({_OWN}.seccompProfile.type in {cel_list(_PROFILES)}) : "
        f"!(has({_POD}) && has({_POD}.seccompProfile) && {_POD}.seccompProfile.type in {cel_list(_PROFILES)})) || "
        f"(has({_OWN}) && ({_loose(_OWN)} || (has({_OWN}.procMount) && {_OWN}.procMount != 'Default')))) || "
        "(has(variables.spec.volumes) && variables.spec.volumes.exists(v, !("
        + " || ".join(f"has(v.{kind})" for kind in _VOLUMES)
        + ")))",
        "a seccomp profile is missing, or sysctls, other security options or other kinds of volumes are set",
        debuggers=True,
    ),
)

RULES = (NOT_ROOT, UNPRIVILEGED, HOST, HOST_PATH, CONFINED)
