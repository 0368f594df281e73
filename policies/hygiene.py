"""Rules for what objects must not have: other namespaces, tags that change, plain secrets, unbounded metrics."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from components.flink.directories import LOG_DIR
from components.isolation.cel import quoted
from components.secrets.looks import BEARER, KEY_BLOCK, KEYS, NAME, NO_NAME, NO_VALUE, USER_INFO, WEBHOOK, names_secret
from components.secrets.mask import masked, named, secret_names
from policies.admission import of_containers
from policies.flink import FlinkCluster, FlinkProcess, flink_clusters, flink_processes
from policies.programs import CEL_WORDS, FLINK, cel_runs, unrecognised
from policies.resources import Container, KubeObject, Resource
from policies.rules import Bounds, Note, Setting, apart, listed, rule
from policies.unknown import CannotJudgeError, Unknown, UnreadableError, field, items, known, mapping, part


def _namespace(each: KubeObject, bounds: Bounds) -> Iterator[str]:
    allowed = bounds.texts("namespaces")
    own = field(each.body, "metadata", "name" if each.kind == "Namespace" else "namespace")
    if own is not None and own not in allowed:
        yield f"namespace {own!r} is none of {listed(allowed)} (namespaces)"


NAMESPACE = rule(
    id="namespace-of-platform",
    description=(
        "Other namespaces have no quota, no network policy and no admission policies of the platform; what is put "
        "there runs beside the work of others, without bounds."
    ),
    remedy="use the environment's namespace",
    subjects=lambda stack: stack.objects,
    check=_namespace,
    settings={"namespaces": Setting((), "namespaces that the stack may use", "environments")},
    admission="the policies are bound to the platform's namespaces; elsewhere the deployers have no rights",
)

_DIGEST = "@sha256:"


def _pinned(container: Container, bounds: Bounds) -> Iterator[str]:
    image = container.image
    if not image:
        if not container.sized_by_flink:  # Flink sets that one's image, too
            yield "image is not set"
        return
    _, colon, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    if _DIGEST in image:
        return
    if not colon or tag == "latest":
        yield f"image {image!r} has {'the tag latest' if colon else 'no tag'}"
    elif bounds.flag("digest"):
        yield f"image {image!r} has no digest, which this environment asks for (digest)"


PINNED = rule(
    id="image-pinned",
    description=(
        "The name of an image without a version may mean another program tomorrow: then pods of one set differ, no "
        "preview shows the change, and there is no way back to the earlier program."
    ),
    remedy="name a version, such as :1.0, or a digest (@sha256:...)",
    subjects=lambda stack: stack.containers,
    check=_pinned,
    settings={"digest": Setting(False, "whether every image needs a digest")},
    admission=lambda bounds: of_containers(
        "!has(c.image) || !(c.image.contains('@sha256:') || "
        + ("false)" if bounds.flag("digest") else "(c.image.matches(':[^/:]+$') && !c.image.endsWith(':latest')))"),
        "the image has " + ("no digest" if bounds.flag("digest") else "the tag latest, or none"),
        debuggers=True,
    ),
)

# Names and values of secrets, in CEL; what has no name is told by its looks.
_LOOKS = "|".join(f"({looks})" for looks in (KEYS, WEBHOOK, USER_INFO, KEY_BLOCK, BEARER))


def _cel_secret(name: str, value: str) -> str:
    return (
        f"{name}.matches({quoted(NAME)}) && !{name}.matches({quoted(NO_NAME)}) && !{value}.matches({quoted(NO_VALUE)})"
    )


def _plain_env(container: Container, _: Bounds) -> Iterator[str]:
    def variable(each: Any) -> Iterator[str]:
        name, value = str(field(each, "name")), part(each, "value")
        if isinstance(value, Unknown) and not names_secret(name):
            return
        if found := secret_names(name, known(value) or ""):
            yield f"variable {name} has {'its value' if found == [name] else listed(found)} in plain text"

    yield from apart(items(container.body, "env"), variable)


PLAIN_ENV = rule(
    id="no-secret-in-environment",
    description="Anyone who may read pods can read a secret there, and it is in the state and in every preview.",
    remedy="put it into a Secret and name that (valueFrom.secretKeyRef)",
    subjects=lambda stack: stack.containers,
    check=_plain_env,
    admission=lambda _: of_containers(
        f"has(c.env) && c.env.exists(e, has(e.value) && ({_cel_secret('e.name', 'e.value')} || "
        f"e.value.matches({quoted(_LOOKS)})))",
        "a variable has a secret in plain text",
    ),
)


def _plain_words(container: Container, _: Bounds) -> Iterator[str]:
    words = ((kind, *each) for kind in ("command", "args") for each in named(items(container.body, kind)))

    def word(each: tuple[str, str, Any]) -> Iterator[str]:
        kind, name, value = each
        if found := secret_names(name, known(value)):
            yield f"{kind} has {listed(found)} in plain text"

    yield from apart(words, word)


PLAIN_WORDS = rule(
    id="no-secret-in-command",
    description=(
        "Anyone who may read pods or processes can read a secret there, and it is in the state and in every preview."
    ),
    remedy="put it into a Secret, make that a variable (valueFrom.secretKeyRef) and name the variable: $(NAME)",
    subjects=lambda stack: stack.containers,
    check=_plain_words,
    admission=lambda _: of_containers(
        f"{CEL_WORDS}.exists(w, w.matches({quoted(_LOOKS)})) || {CEL_WORDS}.join('\\n')"
        f".findAll('(?m)^--?[A-Za-z][A-Za-z0-9_.-]*[=\\n][^\\n-].*').exists(o, "
        + _cel_secret("o.find('[A-Za-z][A-Za-z0-9_.-]*')", "o.find('[=\\n].*').substring(1)")
        + ")",
        "command or args have a secret in plain text",
    ),
)


def _plain_files(each: KubeObject, _: Bounds) -> Iterator[str]:
    def file(item: tuple[str, Any]) -> Iterator[str]:
        key, content = item[0], str(known(item[1])).strip()
        if found := secret_names("" if "\n" in content else key, content):
            yield f"{key} {'is a secret' if found == [key] else f'holds {listed(found)}'} in plain text"

    def binary(item: tuple[str, Any]) -> Iterator[str]:
        key = item[0]
        try:
            content = base64.b64decode(str(known(item[1]))).decode(errors="replace")
        except binascii.Error:
            raise UnreadableError(f"binaryData of {key}", item[1], "base64") from None
        if _KEY_STORE.search(key):
            yield f"{key} is a store of keys"
        yield from file((key, content))

    yield from apart(mapping(each.body, "data").items(), file)
    yield from apart(mapping(each.body, "binaryData").items(), binary)


_KEY_STORE = re.compile(r"(?i)\.(jks|jceks|keytab|kdbx|p12|pfx)$|keystore")

PLAIN_FILES = rule(
    id="no-secret-in-config-map",
    description="A ConfigMap can be read by everyone with access, is not encrypted, and is in every preview.",
    remedy="put it into a Secret and mount that, or refer to it",
    subjects=lambda stack: stack.of_kind("ConfigMap"),
    check=_plain_files,
    admission="a pattern over whole files costs more than the API server grants an expression",
)


def _shipped(process: FlinkProcess, _: Bounds) -> Iterator[str]:
    def mounts(container: Container) -> Iterator[tuple[str, str]]:
        for mount in items(container.body, "volumeMounts"):
            yield str(field(mount, "name")), str(field(mount, "mountPath")).rstrip("/")

    logs = {name for name, path in mounts(process.container) if path == LOG_DIR}
    others = [
        each
        for each in process.container.pod.containers
        if each.name != process.container.name and (not each.init or each.sidecar)
    ]
    if not logs:
        yield f"no volume is mounted at {LOG_DIR}, where a sidecar could read the log"
    elif not any(name in logs for each in others for name, _ in mounts(each)):
        yield f"no sidecar mounts the volume of {LOG_DIR}, {listed(sorted(logs))}"


SHIPPED = rule(
    id="flink-logs-shipped",
    description="The log of a Flink process is lost with its pod: after a crash, its cause is unknown.",
    remedy=f"add a sidecar (an init container with restartPolicy: Always) that mounts the volume of {LOG_DIR}",
    subjects=flink_processes,
    check=_shipped,
    admission=lambda _: of_containers(
        f"{cel_runs(FLINK)} && !(has(c.volumeMounts) && c.volumeMounts.exists(l, l.mountPath in "
        f"['{LOG_DIR}', '{LOG_DIR}/'] && variables.containers.exists(o, o.name != c.name && has(o.volumeMounts) && "
        "o.volumeMounts.exists(m, m.name == l.name) && (variables.spec.containers.exists(n, n.name == o.name) || "
        "has(o.restartPolicy)))))",
        f"no sidecar mounts the volume of {LOG_DIR}",
    ),
)

_ATTEMPT = "task_attempt"


def _metrics(cluster: FlinkCluster, _: Bounds) -> Iterator[str]:
    options = cluster.configuration
    for key in sorted(key for key in options if key.startswith("metrics.scope.") and _ATTEMPT in options[key]):
        yield f"{key} is {options[key]!r}, with a name for each attempt"
    loaded = _listed(options.get("metrics.reporters", ""))
    reporters = {match[1] for key in options if (match := re.match(r"metrics\.reporter\.([^.]+)\.", key))}
    for reporter in sorted(name for name in reporters if not loaded or name in loaded):
        prefix = f"metrics.reporter.{reporter}"
        kind = options.get(f"{prefix}.factory.class", options.get(f"{prefix}.class", "")).lower()
        excluded = options.get(f"{prefix}.scope.variables.excludes", "")
        missing = [name for name in ("task_attempt_id", "task_attempt_num") if name not in _listed(excluded)]
        if missing and any(each in kind for each in _LABELLING):
            yield f"{prefix}.scope.variables.excludes is {excluded!r}, without {listed(missing)} (semicolons separate)"


# Reporters that make a label, tag or attribute of each variable.
_LABELLING = ("prometheus", "influxdb", "otel", "opentelemetry", "datadog")


def _listed(text: str) -> set[str]:
    """The elements of a list as Flink reads it: separated by semicolons, or in brackets, by commas."""
    bracketed = re.fullmatch(r"\[(.*)\]", text.strip())
    return {each.strip(" '\"") for each in (bracketed[1].split(",") if bracketed else text.split(";")) if each.strip()}


METRICS = rule(
    id="flink-metrics-bounded",
    description=(
        "Each restart of a task is an attempt with a new id. Where that id is a label of the metrics, each restart "
        "makes new series for all tasks, until Prometheus runs out of memory."
    ),
    remedy="add task_attempt_id;task_attempt_num to the reporter's scope.variables.excludes, and use neither in a "
    "scope format (metrics.scope.*)",
    subjects=flink_clusters,
    check=_metrics,
    scope="stack",
    admission="the reporter's options are in another object",
)


def _rest(cluster: FlinkCluster, _: Bounds) -> Iterator[str]:
    if cluster.job_manager.is_session:
        return
    for key in ("web.submit.enable", "web.cancel.enable"):
        if cluster.configuration.get(key, "true").lower() != "false":
            yield f"{key} is {cluster.configuration.get(key, 'not set, which means true')}"


REST = rule(
    id="flink-rest-closed",
    description="The REST port of Flink itself has no authentication: reaching it must not be enough to run code.",
    remedy="set web.submit.enable and web.cancel.enable to false",
    subjects=flink_clusters,
    check=_rest,
    scope="stack",
    admission="the options are in another object",
)

_OPAQUE = "its objects are made by the provider and not seen here; use helm.v4.Chart or yaml.v2.ConfigGroup"


def _opaque(resource: Resource, _: Bounds) -> Iterator[str]:
    if resource.type.endswith(":Release"):
        raise CannotJudgeError(_OPAQUE)
    raise CannotJudgeError("a patch is a part of an object, and the whole is not in this stack")
    yield


OPAQUE = rule(
    id="manifests-visible",
    description="What is made out of the pack's sight is not judged by any rule.",
    remedy="",
    subjects=lambda stack: (
        each
        for each in stack.resources
        if each.type.startswith("kubernetes:") and each.type.endswith((":Release", "Patch"))
    ),
    check=_opaque,
    admission="it is about what the pack sees; the API server sees every object",
)


def _recognised(container: Container, _: Bounds) -> Iterator[str]:
    words = unrecognised(container)
    if words is not None:
        yield Note(
            f"it starts {masked(words)[:120]!r}, which may be Flink, Kafka or ZooKeeper: their rules passed it over"
        )


RECOGNISED = rule(
    id="program-recognised",
    description=(
        "Rules on Flink, Kafka and ZooKeeper judge only containers whose command tells which of these they run."
    ),
    remedy="",
    subjects=lambda stack: (
        each for each in stack.containers if each.pod.owner.kind in ("Deployment", "StatefulSet") and not each.init
    ),
    check=_recognised,
    admission="it tells what was not judged, and refuses nothing",
)

RULES = (RECOGNISED, OPAQUE, NAMESPACE, PINNED, PLAIN_ENV, PLAIN_WORDS, PLAIN_FILES, SHIPPED, METRICS, REST)
