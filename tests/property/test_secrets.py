"""Secrets in texts that the serialisers of each format write, not in forms that the mask was made for."""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cli.preview.comment import comment
from cli.preview.events import parse
from components.secrets.looks import is_secret
from components.secrets.mask import mask, masked

_WORDS = (
    *(("password",), ("passwd",), ("passphrase",), ("secret",), ("token",), ("credentials",), ("pass",), ("pwd",)),
    *(("api", "key"), ("access", "key"), ("private", "key"), ("account", "key"), ("client", "key", "data")),
)
_BEFORE = st.lists(st.sampled_from(["app", "db", "spring", "sasl", "x", "v2", "fs"]), min_size=1, max_size=2)
_AFTER = st.lists(st.sampled_from(["1", "2", "old", "value", "prod"]), max_size=1)
_STYLES: dict[str, Callable[[list[str]], str]] = {
    "snake": "_".join,
    "kebab": "-".join,
    "dotted": ".".join,
    "shouting": lambda words: "_".join(words).upper(),
    "camel": lambda words: words[0] + "".join(each.capitalize() for each in words[1:]),
}
_NAMES_OF_NONE = """
a name image replicas path bootstrap.servers retention.ms tokenizer passenger compass keyboard primary.key author bypass
password.file tokenFile secretName max_tokens secretKeyRef session.timeout.ms user token.endpoint.url key.serializer
security.delegation.tokens.enabled credentials.provider
"""
_NONE = """
kafka:9092 three 8 true /opt/flink/log registry.example/token:1.2 http://kafka:9092/a@1 s3://bucket/a 10s 1728m a,b 0.5
sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 org.apache.flink.A ssh://git@example.com/a
password kubernetes:core/v1:Secret host-1.example -Xmx1g 2026-01-02
"""
_HARMLESS_NAMES: st.SearchStrategy[str] = st.sampled_from(_NAMES_OF_NONE.split())
_HARMLESS: st.SearchStrategy[str] = st.sampled_from(_NONE.split())


@st.composite
def names(draw: st.DrawFn) -> str:
    """What a secret is called, in the style of some language."""
    words = [*draw(_BEFORE), *draw(st.sampled_from(_WORDS)), *draw(_AFTER)]
    return _STYLES[draw(st.sampled_from(sorted(_STYLES)))](words)


@st.composite
def secrets(draw: st.DrawFn, more: str = "/+$<{}>!%^*~.,_=") -> str:
    """What opens something: letters, digits and whatever signs a generator of passwords takes."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    body = draw(st.text(alphabet=letters + more, min_size=4, max_size=20))
    secret = (
        draw(st.sampled_from(["", *more])) + body + draw(st.sampled_from("0123456789")) + draw(st.sampled_from("xyz"))
    )
    # `password=>$A1x` is also a variable after Ruby's arrow, and so no secret.
    assume(is_secret("password", secret) and is_secret("password", secret.removeprefix(">")))
    return secret


def _nested(path: list[str | int], inner: Any, beside: dict[str, str]) -> Any:
    for step in reversed(path):
        inner = [dict(beside), inner] if isinstance(step, int) else {**beside, step: inner}
    return inner


_PATHS = st.lists(st.sampled_from(["spec", "db", "config", 0]), max_size=3)
_BESIDE: st.SearchStrategy[dict[str, str]] = st.dictionaries(_HARMLESS_NAMES, _HARMLESS, max_size=3)


@st.composite
def documents(draw: st.DrawFn, name: str, value: str) -> Any:
    """A name and a value somewhere in mappings and lists."""
    pair = draw(
        st.sampled_from(
            [
                {name: value},
                {name: [value]},
                {"name": name, "value": value},
                {"value": value, "name": name},
                {"args": [f"--{name}", value]},
                {"args": ["run", f"--{name}={value}", "--next"]},
                {"command": ["sh", "-c", shlex.join(["run", f"--{name}", value])]},
                {"data": {"a.properties": f"a=b\n{name}={value}\n"}},
            ]
        )
    )
    return _nested(draw(_PATHS), pair, draw(_BESIDE))


@st.composite
def texts(draw: st.DrawFn, name: str, value: str) -> str:
    """The same as a text, as a program would write it."""
    document = draw(documents(name, value))
    before, after = draw(_HARMLESS_NAMES), draw(_HARMLESS)
    json_text = json.dumps(document, indent=draw(st.sampled_from([None, 1, 4])))
    for _ in range(draw(st.integers(0, 2))):  # a document in a document
        json_text = json.dumps({"a": json_text})
    style: Any = draw(st.sampled_from([None, '"', "'", "|", ">"]))
    flow = draw(st.sampled_from([True, False, None]))
    yaml_text = yaml.safe_dump(document, default_style=style, default_flow_style=flow, sort_keys=draw(st.booleans()))
    option = draw(st.sampled_from([[f"--{name}", value], [f"--{name}={value}"]]))
    export = draw(st.sampled_from(["", "export ", "ENV "]))
    separator = draw(st.sampled_from(["=", " = ", ":", ": "]))
    return draw(
        st.sampled_from(
            [
                json_text,
                yaml_text,
                yaml_text.replace("\n", "\r\n"),
                f"{before}={after}\n{name}{separator}{value}\n{before}={after}\n",
                f"[{before}]\n{before} {after}\n  {name} {value}\n",
                f"X-{name}: {value}\r\n{before}: {after}\r\n",
                shlex.join(["run", f"--{before}", after, *option]),
                f"{export}{name}={shlex.quote(value)}",
                f"<property>\n  <name>{name}</name>\n  <value>{escape(value)}</value>\n</property>",
                f"<a><{name}>{escape(value)}</{name}></a>",
            ]
        )
    )


def _forms(secret: str) -> set[str]:
    """A secret as it may stand in a text of some format."""
    return {secret, json.dumps(secret)[1:-1], escape(secret), secret.replace("'", "''")}


@settings(max_examples=400)
@given(st.data(), names(), secrets())
def test_a_secret_in_any_text_is_masked(data: st.DataObject, name: str, secret: str) -> None:
    text = data.draw(texts(name, secret))
    shown = masked(text)
    assert not any(form in shown for form in _forms(secret)), (text, shown)
    assert masked(shown) == shown


@settings(max_examples=200)
@given(st.data(), secrets(more="/+$!~.-_"), st.sampled_from(["postgres", "https", "redis", "jdbc:mysql"]))
def test_a_password_in_a_url_is_masked(data: st.DataObject, secret: str, scheme: str) -> None:
    assume(not re.match(r"[0-9]+/", secret))  # that is a port and a path
    written = data.draw(st.sampled_from([secret, quote(secret, safe="")]))
    url = f"{scheme}://{data.draw(st.sampled_from(['app', '', 'a.b']))}:{written}@db.example:5432/claims"
    for text in (url, f"url: {url}", json.dumps({"url": url}), f"see {url}, please"):
        assert written not in masked(text), text
        assert "db.example:5432/claims" in masked(text)


@settings(max_examples=150)
@given(st.data(), names(), secrets())
def test_a_secret_in_a_preview_is_masked(data: st.DataObject, name: str, secret: str) -> None:
    inner = data.draw(st.one_of(documents(name, secret), texts(name, secret).map(lambda text: {"data": {"a": text}})))
    urn = "urn:pulumi:dev::p::kubernetes:core/v1:ConfigMap::a"
    metadata = {"op": "update", "urn": urn, "type": "kubernetes:core/v1:ConfigMap", "old": {"inputs": {"x": 1}}}
    step = {"resourcePreEvent": {"metadata": {**metadata, "new": {"inputs": {"y": inner}}}}}
    error = {"diagnosticEvent": {"severity": "error", "message": f"cannot apply: {json.dumps(inner)}"}}
    said = {"policyName": "r", "enforcementLevel": "mandatory", "message": f"it is {name}={secret}"}
    text = comment(parse(map(json.dumps, [step, error, {"policyEvent": said}])), "dev")
    assert not any(form in text for form in _forms(secret)), inner


@settings(max_examples=400)
@given(st.data(), _HARMLESS_NAMES, _HARMLESS)
def test_a_text_without_a_secret_is_left_as_it_is(data: st.DataObject, name: str, value: str) -> None:
    text = data.draw(texts(name, value))
    assert masked(text) == text
    document = data.draw(documents(name, value))
    assert mask(document) == document
