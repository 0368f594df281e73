"""Types of texts that mean something exact: to Kubernetes, Java, Pulumi or a registry."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Exact:
    """Metadata of a text: the pattern that all of it matches, what that is called, and how long it is at most."""

    pattern: str
    called: str
    longest: int | None = None

    def check(self, text: str) -> str:
        """The text. Raises ValueError if it is none of these."""
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"{text!r} is not {self.called}: write it so")
        if self.longest is not None and len(text) > self.longest:
            raise ValueError(f"{text!r} has {len(text)} characters; at most {self.longest} fit: choose a shorter one")
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        bound = {} if self.longest is None else {"maxLength": self.longest}
        return {**handler(schema), "pattern": f"^({self.pattern})$", **bound}


_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_HOST_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"
_HOST = rf"{_HOST_LABEL}(\.{_HOST_LABEL})*"
_AT = rf"({_HOST}|\[[0-9A-Fa-f:.]+\])(:{_PORT})?"
# Of an image's name. `__` and any number of dashes may join words, other separators stand alone.
_PART = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
_IDENTIFIER = r"([^\W\d]|\$)[\w$]*"
_SEGMENT = r"(?!\.{1,2}(/|$))[A-Za-z0-9._=-]+"

ARGUMENT = Exact(r"[^\x00]*", "text without NUL, which ends every argument")
ObjectName = Annotated[
    str,
    Exact(_SUBDOMAIN, "the name of an object in Kubernetes (lower-case letters, digits, dashes and dots)", 253),
]
LabelName = Annotated[
    str,
    Exact(
        rf"({_SUBDOMAIN}/)?{_QUALIFIED}",
        "the name of a label (at most 63 letters, digits, dashes, dots and underscores, after a domain and a slash)",
    ),
]
LABEL_VALUE = Exact(
    rf"({_QUALIFIED})?", "the value of a label (at most 63 letters, digits, dashes, dots and underscores)"
)
Registry = Annotated[
    str, Exact(rf"{_AT}(/{_PART})*", "a registry (host[:port][/path], such as registry.example:5000/team)")
]
IMAGE = Exact(
    rf"({_AT}/)?{_PART}(/{_PART})*(:\w[\w.-]{{0,127}})?(@[a-z0-9]+:[0-9a-f]{{32,}})?",
    "an image ([registry/]name:tag, in lower case but for the tag)",
)
StackName = Annotated[
    str,
    Exact(r"[\w.-]+/[\w.-]+/[\w.-]+", "a stack's full name (organization/project/stack)"),
]
JavaClass = Annotated[str, Exact(rf"{_IDENTIFIER}(\.{_IDENTIFIER})*", "the name of a Java class (com.example.Job)")]
Jar = Annotated[str, Exact(r"[^\x00-\x1f\x7f]+\.jar", "a jar (jobs/target/job.jar)")]
NodePath = Annotated[
    str,
    Exact(r"(/(?!\.{1,2}(/|$))[^/:\s\x00-\x1f]+)+/?", "an absolute path without blanks, colons and .. (/mnt/fast)"),
]
RelativePath = Annotated[
    str, Exact(rf"{_SEGMENT}(/{_SEGMENT})*", "a relative path of letters, digits and . _ = - (logs/flink)")
]
Metric = Annotated[str, Exact(r"[A-Za-z_:][\w:.-]*", "the name of a metric (kafka_consumergroup_lag)", 253)]
Host = Annotated[str, Exact(_HOST, "the name of a host, or its address", 253)]
Hosts = Annotated[str, Exact(rf"{_HOST}:{_PORT}(,{_HOST}:{_PORT})*", "host:port, or several with commas between them")]
Url = Annotated[str, Exact(rf"https?://{_AT}", "a URL of scheme and host (http://minio:9000)")]
Cidr = Annotated[
    str,
    Exact(
        r"([0-9]{1,3}\.){3}[0-9]{1,3}/([12]?[0-9]|3[0-2])|[0-9A-Fa-f:]+/[0-9]{1,3}", "a range of addresses (10.0.0.0/8)"
    ),
]
ServerUrl = Annotated[str, Exact(rf"https://{_AT}(/[\w./~-]*)?", "the URL of an API server (https://10.0.0.1:6443)")]
Context = Annotated[str, Exact(r"[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*", "the name of a kube context")]
# Flink's names of what it keeps. A directory above would be looked into, and nothing found in it.
Snapshot = Annotated[
    str,
    Exact(
        # What stands behind # only sets a request apart from an equal one.
        r"([a-z][a-z0-9]*:/{1,3}[^/#\s][^#\s]*/(savepoint-[^/#\s]+|chk-[0-9]+)|nothing)(#\S+)?",
        "the URI of a savepoint or checkpoint itself, which ends in savepoint-... or chk-... "
        "(file:///flink-data/savepoints/savepoint-1a2b3c-4d5e6f), or `nothing`, or one of them with # and any text",
    ),
]
