"""Names of Kubernetes objects. A name that is too long is refused, never cut: cut names collide."""

import re

PROJECT = "streaming-platform"  # as in Pulumi.yaml: the namespace of its config keys, and what all objects are part of

DEPLOYER = "deployer"  # the account whose rights an environment's stack is applied with
DEPLOYER_TOKEN = f"{DEPLOYER}-token"  # the Secret with its token
LEADER_ACCOUNT = "flink-leader"  # of pods that elect a leader in Kubernetes: part of a namespace that allows it

DNS_LABEL = 63  # RFC 1123; also the longest value of a label
STATEFUL_SET = 52  # its pods carry the label `controller-revision-hash`: the name, a dash and a hash of up to 10
FLINK_CLUSTER = 45  # Flink's bound for a native cluster id; a lease's label is the name, a dash and 8 digits

_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_DIGEST_SHOWN = 12


def check_name(name: str, limit: int = DNS_LABEL) -> str:
    """The name, if it can be that of a Service or a namespace and is no longer than `limit` characters.

    Raises ValueError otherwise.
    """
    if len(name) > limit:
        raise ValueError(f"name {name!r} has {len(name)} characters; at most {limit} fit: choose a shorter one")
    if not _LABEL.fullmatch(name):
        raise ValueError(
            f"name {name!r} is not a DNS label: use lower-case letters, digits and dashes, starting with a letter and "
            "not ending with a dash"
        )
    return name


def state_claim(cluster: str) -> str:
    """The claim that the pods of a Flink cluster share for the state of its job."""
    return f"{cluster}-data"


def all_pods(cluster: str, role: str) -> str:
    """The headless Service of all pods of a role of a Flink cluster, by which Prometheus finds them."""
    return f"{cluster}-{role}-pods"


def image_version(image: str) -> str:
    """Return the value of the label `app.kubernetes.io/version`: the image's tag, else the start of its digest.

    Raises ValueError for an image without either, or whose tag does not fit into a label.
    """
    name, _, digest = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    version = tag if colon else digest.partition(":")[2][:_DIGEST_SHOWN]
    if len(version) > DNS_LABEL or not _LABEL_VALUE.fullmatch(version):
        raise ValueError(
            f"image {image!r} names no version of at most {DNS_LABEL} letters, digits, dots and dashes: "
            "add a tag such as :1.0, or a digest"
        )
    return version
