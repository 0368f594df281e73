"""Secrets in a text of any form: YAML, JSON, properties, XML, a command line, a message."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from components.secrets.documents import in_document
from components.secrets.looks import BEARER, KEY_BLOCK, KEYS, MASKS, SAID, USER_INFO, WEBHOOK, is_secret, names_secret


@dataclass(frozen=True, order=True)
class Span:
    """A piece of a text that is a secret, and what it is called there or looks like."""

    start: int
    end: int
    name: str


_Q = r"(?:\\*[\"'])?"  # a quote, which may be escaped
# A name and what separates it from its value. A name starts where no other one does, so that long words cost nothing.
_ASSIGNED = re.compile(
    rf"(?<![\w.-])(?P<dashes>-{{0,2}})(?P<name>[A-Za-z_.][\w.-]*){_Q}(?P<separator>[ \t]*(?:=>|:=|[:=])[ \t]*)"
)
_OPTION = re.compile(r"(?<![\w-])--?(?P<name>[A-Za-z][\w.-]*)[ \t]+(?!-)(?=\S)")
_OPTION_IN_LIST = re.compile(rf"[\[,]\s*{_Q}--?(?P<name>[A-Za-z][\w.-]*){_Q}\s*,\s*(?!-|{_Q}-)")
_OPTION_ITEM = re.compile(r"(?m)^[ \t]*-[ \t]+[\"']?--?(?P<name>[A-Za-z][\w.-]*)[\"']?[ \t]*\r?\n[ \t]*-[ \t]+(?=\S)")
_IS_NAME = re.compile(
    r"(kubeconfig|password|passphrase|secret|token|credentials)`?"
)  # `config set --secret kubeconfig`
# `password x`, as fluentd and nginx write it: a line of two words.
_TWO_WORDS = re.compile(
    r"(?m)^[ \t]*(?:(?:ENV|set|setenv)[ \t]+)?(?P<name>[a-z_][\w.-]*|[A-Z][A-Z0-9_.-]*)[ \t]+"
    r"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s\"']\S*)[ \t;]*\r?$"
)
_STATE = re.compile(
    r"(?i)(is|are|was|not|has|expired|missing|invalid|required|denied|failed|unset|empty|rotated|changed|here)|[:=|>{}\[\]]+"
)
_LOGIN = re.compile(r"\blogin[ \t]+\S+\s+password[ \t]+(?P<value>\S+)")  # .netrc
_CURL = re.compile(r"\bcurl\b[^\n|;&]*?\s(?:-u|--user)[ =]?[\"']?[^\s:\"']*:(?P<value>[^\s\"']+)")
_VALUE = re.compile(rf"(?<![\w.-])value{_Q}[ \t]*:[ \t]*")
_CALLED = rf"(?:name|key){_Q}[ \t]*:[ \t]*{_Q}(?P<name>[\w.-]+)"
_NAME_BEFORE = re.compile(rf"(?<![\w.-]){_CALLED}{_Q}\s*,?(?:[ \t]+#.*)?\s*{_Q}$")
_NAME_AFTER = re.compile(rf"{_Q}(?:[ \t]+#.*)?[\s,]*{_Q}{_CALLED}")
_PROPERTY = re.compile(r"<name>\s*(?P<name>[\w.-]+)\s*</name>\s*<value>(?P<value>[^<]*)</value>")
_ELEMENT = re.compile(r"<(?P<name>[A-Za-z][\w.-]*)(?:\s[^<>]*)?>(?P<value>[^<]+)</(?P=name)>")
_HEADER = re.compile(
    r"(?i)\b(?:proxy-)?authorization\\*[\"']?[ \t]*[:=,][ \t]*\\*[\"']?(?P<value>[^\s\"'\\]+(?:[ \t]+[^\s\"'\\]+)*)"
)
_SHAPES = {
    "a key": re.compile(KEYS),
    "a webhook": re.compile(WEBHOOK),
    "a private key": re.compile(rf"{KEY_BLOCK}.*?(-----END [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|\Z)", re.DOTALL),
    "a bearer token": re.compile(BEARER),
    "a signature": re.compile(r"(?i)[?&](?:sig|x-amz-signature|x-amz-security-token)=(?P<value>[^&\s\"'<>]+)"),
}
_WITH_USER = re.compile(
    rf"(?={USER_INFO})://[^:/@\s\"'<>]{{0,200}}:(?P<value>[^\s\"'@<>]{{1,400}}(?:@[^\s\"'@<>/]{{1,200}}){{0,3}})@"
)
# A user alone is none, unless it looks like a token.
_USER_ONLY = re.compile(
    r"://(?P<value>[^:/@\s\"'<>]{0,200}[A-Z0-9][^:/@\s\"'<>]{0,200}|[^:/@\s\"'<>]{20,400})@[\w.\[-]"
)
# A secret access key has no mark of its own: 40 characters of base64 that change their kind all the time.
_FORTY = re.compile(r"(?<![A-Za-z0-9/+=._-])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=._-])")
_CHANGES = 16
# A manifest of a Secret, in YAML or JSON of any form.
_KIND = re.compile(rf"(?<![\w.-]){_Q}kind{_Q}\s*:\s*{_Q}Secret(List|Patch)?{_Q}\s*(?=[,}}\]#\n\r]|\Z)")
_DATA = re.compile(rf"(?<![\w.-]){_Q}(data|stringData){_Q}\s*:")
_STRING_DATA = re.compile(rf"(?<![\w.-]){_Q}stringData{_Q}\s*:\s*[{{\n\r]")
_BINARY = re.compile(rf"(?<![\w.-])binaryData{_Q}\s*:")
_BASE64 = re.compile(r"(?<=[\s\"':])[A-Za-z0-9+/]{8,}={0,2}(?=[\s\"',}\\]|\Z)(?![\"']?\s*:)")
_START_OF_LINE = re.compile(
    r"[\s>]*(?:[-?*+]\s+)*(?:export\s+|set\s+|ENV\s+|#+\s*|//\s*)?\\*[\"']?(?:[\w-]+:)?-{0,2}\Z"
)
# A mapping where a value would be; `{}x` is none.
_MAPPING = re.compile(r"\{\s*(?:\\*[\"']|[\w.-]+\s*:\s|\}(?=[)}\]\\\"']*(?:[\s,;]|\Z)))")
_BLOCK = re.compile(r"(?:[&!][^\s]*[ \t]+)*[|>][-+0-9]*[ \t]*(?:#.*)?\r?\Z")
_KEY_LINE = re.compile(r"\s*(?:-\s+)*[\"']?[\w./-]+[\"']?\s*(?::(\s|\Z)|=)|\s*[{\[<#]")

_LITERAL = re.compile(r"\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def secrets_in(text: str) -> list[Span]:
    """All secrets in a text, in order; those that touch are one."""
    return list(_secrets_in(text))


@lru_cache(maxsize=256)  # the clusters of a stack have most of their files in common
def _secrets_in(text: str) -> tuple[Span, ...]:
    if (_KIND.search(text) and _DATA.search(text)) or _STRING_DATA.search(text):
        return (Span(0, len(text), "a Secret"),)
    for mask in MASKS:  # what is hidden already is no secret any more
        text = text.replace(mask, "*" * len(mask))
    spans = _all(text)
    found: list[Span] = []
    for span in sorted(span for span in spans if span.end > span.start):
        if found and span.start < found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end), found[-1].name)
        else:
            found.append(span)
    return tuple(found)


def _all(text: str) -> Iterator[Span]:
    yield from _by_looks(text)
    yield from _assigned(text)
    yield from _options(text)
    yield from _pairs(text)
    yield from _binary(text)
    yield from (Span(*found) for found in in_document(text, _names_in))
    for literal in _LITERAL.finditer(text):  # a document in a document
        if "\\" in literal[1]:
            inner, places = _unescaped(literal[1], literal.start(1))
            yield from (Span(places[each.start], places[each.end], each.name) for each in secrets_in(inner))


def _names_in(text: str) -> list[tuple[str, str]]:
    return [(span.name, text[span.start : span.end]) for span in secrets_in(text)]


def _unescaped(text: str, start: int) -> tuple[str, list[int]]:
    """Return what an escaped text says, and where each of its characters stands, and the end."""
    parts, places, at = list[str](), list[int](), 0
    for escape in _ESCAPE.finditer(text):
        parts += [text[at : escape.start()], _ESCAPES.get(escape[0][1], escape[0][1:])]
        places += [*range(start + at, start + escape.start()), *[start + escape.start()] * len(parts[-1])]
        at = escape.end()
    return "".join([*parts, text[at:]]), [*places, *range(start + at, start + len(text) + 1)]


def _by_looks(text: str) -> Iterator[Span]:
    for name, pattern in _SHAPES.items():
        for match in pattern.finditer(text):
            yield Span(*match.span("value" if "value" in pattern.groupindex else 0), name)
    if "://" in text:
        for match in (*_WITH_USER.finditer(text), *_USER_ONLY.finditer(text)):
            if is_secret("password", match["value"]):
                yield Span(*match.span("value"), "the password of a URL")
    for match in _HEADER.finditer(text):
        if is_secret("authorization", match["value"]):
            yield Span(*match.span("value"), "authorization")
    for match in _FORTY.finditer(text):
        kinds = [each.isdigit() + 2 * each.isupper() + 4 * each.islower() for each in match[0]]
        if len(set(kinds) - {0}) == 3 and sum(one != other for one, other in pairwise(kinds)) >= _CHANGES:
            yield Span(*match.span(), "a secret access key")
    for match in (*_LOGIN.finditer(text), *_CURL.finditer(text)):
        if not match["value"].isdigit() or match.re is _LOGIN:
            yield Span(*match.span("value"), "password")


def _assigned(text: str) -> Iterator[Span]:
    for match in _ASSIGNED.finditer(text):
        if names_secret(match["name"]) and not _is_part_of_a_name(text, match):
            yield from _judged(text, match["name"], _value(text, match))


def _is_part_of_a_name(text: str, match: re.Match[str]) -> bool:
    """Types, URNs and images have colons too: `random:index/randomPassword:RandomPassword`, `a/token:1.2`."""
    glued = match["separator"] == ":" and text[match.end() - 2 : match.end() - 1] not in ("'", '"')
    before = text[match.start() - 1 : match.start()]
    after = text[match.end() : match.end() + 1]
    return glued and (before in ("/", ":", "@") or after == ":")


def _judged(text: str, name: str, spans: Iterable[tuple[int, int]]) -> Iterator[Span]:
    for start, end in spans:
        if is_secret(name, text[start:end]):
            yield Span(start, end, name)


def _options(text: str) -> Iterator[Span]:
    for match in _OPTION_IN_LIST.finditer(text):
        end = re.compile(r"[^,\]\n]*").match(text, match.end()).end()  # pyright: ignore[reportOptionalMemberAccess]
        yield from _judged(text, match["name"], [_quoted(text, match.end()) or (match.end(), end)])
    for pattern in (_OPTION, _OPTION_ITEM):
        for match in pattern.finditer(text):
            start, end = _quoted(text, match.end()) or _word(text, match.end())
            if not _IS_NAME.fullmatch(text, start, end):
                yield from _judged(text, match["name"], [(start, end)])
    for match in _TWO_WORDS.finditer(text):
        value = match["value"].strip("\"'")
        if names_secret(match["name"]) and not _STATE.fullmatch(value) and is_secret(match["name"], value):
            start = match.start("value") + (match["value"] != value)
            yield Span(start, start + len(value), match["name"])


def _pairs(text: str) -> Iterator[Span]:
    """A name and a value, each under a key of its own: variables of containers, Hadoop's properties."""
    for match in _VALUE.finditer(text):
        spans = list(_value(text, match))
        before = _NAME_BEFORE.search(text[max(0, match.start() - 300) : match.start()])
        after = _NAME_AFTER.match(text, spans[-1][1]) if spans else None
        for named in (before, after):
            if named and names_secret(named["name"]):
                yield from _judged(text, named["name"], spans)
    for pattern in (_PROPERTY, _ELEMENT):
        for match in pattern.finditer(text):
            yield from _judged(text, match["name"], [match.span("value")])


def _binary(text: str) -> Iterator[Span]:
    """Base64 of anything: it cannot be read by eye."""
    for match in _BINARY.finditer(text):
        for value in _BASE64.finditer(text, match.end()):
            yield Span(*value.span(), "binaryData")


def _value(text: str, match: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Yield where the value stands that follows a name, in one or more pieces."""
    start = match.end()
    line = text.rfind("\n", 0, match.start()) + 1
    end = _line_end(text, start)
    rest = text[start:end]
    if not rest.strip() or _BLOCK.fullmatch(rest):
        yield from _below(text, _column(text, match), end, block=bool(rest.strip()))
    elif quoted := _quoted(text, start):
        yield quoted
    elif rest[0] == "[" and (elements := _elements(text, start + 1)):
        yield from elements
    elif not _MAPPING.match(rest) and not SAID.match(rest):
        whole = _START_OF_LINE.fullmatch(text[line : match.start()]) and not match[0].lstrip().startswith("-")
        yield from _to_end(text, match, end) if whole else (_inside(text, match, end),)


def _column(text: str, match: re.Match[str]) -> int:
    """Return the column of a name in its line, with the quote before it."""
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
    return len(line.rstrip("\"'\\"))


def _elements(text: str, start: int) -> list[tuple[int, int]]:
    """The scalars of a list, up to one that is nested: that is judged on its own. None where the list does not end."""
    at, spans = start, list[tuple[int, int]]()
    while element := re.compile(r"[\s,]*(?=[^\s,\]{\[])").match(text, at):
        found = _quoted(text, element.end()) or re.compile(r"[^,\]\n]+").match(text, element.end())
        span = found if isinstance(found, tuple) else found.span() if found else (at, at)
        spans.append(span)
        at = re.compile(r"\\*[\"']?").match(text, span[1]).end()  # pyright: ignore[reportOptionalMemberAccess]
    return spans if re.compile(r"[\s,]*[\]{\[]").match(text, at) else []


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return end - (text[start:end].endswith("\r"))


def _quoted(text: str, start: int) -> tuple[int, int] | None:
    """A value in quotes, which may be escaped themselves; one that never ends goes to the end of its line."""
    opening = re.compile(r"\\*[\"']").match(text, start)
    if not opening:
        return None
    if opening[0] == "'":
        closing = re.compile(r"(?:[^']|'')*?'(?!')").match(text, opening.end())
    elif opening[0] == '"':
        closing = re.compile(r"(?:[^\"\\]|\\.)*?\"", re.DOTALL).match(text, opening.end())
    else:
        closing = re.compile(rf".*?(?<!\\){re.escape(opening[0])}", re.DOTALL).match(text, opening.end())
    if not closing:
        return opening.end(), _line_end(text, opening.end())
    return opening.end(), closing.end() - len(opening[0])


def _to_end(text: str, match: re.Match[str], end: int) -> Iterator[tuple[int, int]]:
    """A value that has its line for itself, and lines that go on with it."""
    yield match.end(), end
    if text[match.end() : end].endswith("\\"):
        at = end
        while at < len(text) and text[:at].endswith("\\"):
            start, at = at + 1, _line_end(text, text.find("\n", at) + 1)
            yield start, at
    elif ":" in match["separator"] if "separator" in match.re.groupindex else True:
        yield from _below(text, _column(text, match), end, block=False)


def _below(text: str, column: int, end: int, *, block: bool) -> Iterator[tuple[int, int]]:
    """The lines after one that are indented deeper than a column: a block scalar's, or those of a plain value."""
    at = text.find("\n", end)
    while 0 <= at < len(text) - 1:
        start = at + 1
        end = _line_end(text, start)
        line = text[start:end]
        bare = line.lstrip()
        at = text.find("\n", end)
        item = re.match(r"-[ \t]+", bare) if not block else None
        if bare and (len(line) - len(bare) < column + (not item) or (not block and _KEY_LINE.match(line))):
            return
        if bare:
            first = start + len(line) - len(bare) + (item.end() if item else 0)
            yield _quoted(text, first) or (first, end)


def _inside(text: str, match: re.Match[str], end: int) -> tuple[int, int]:
    """A value within a line, up to where the text around it continues."""
    opened = re.compile(r"(\\*[\"'])\Z").search(text[max(0, match.start() - 20) : match.start()])
    if opened and opened[0] not in match[0]:  # the quote is around both
        found = re.compile(rf"(?:(?!{re.escape(opened[0])})\S)+").match(text, match.end())
        return (match.end(), found.end()) if found else (match.end(), match.end())
    before = text[: match.start()].rstrip(" \t\"'\\-")[-1:]
    stops = {"{": "},]", ",": "},]", "[": "],}", "(": "),", "?": "&#", "&": "&#", ";": ";"}.get(before, "")
    if stops and ":" in match[0]:
        found = re.compile(rf"[^{re.escape(stops)}\n]+").match(text, match.end(), end)  # may hold blanks
        return (match.end(), match.end() + len(found[0].rstrip())) if found else (match.end(), end)
    if stops:
        found = re.compile(rf"[^\s\"'{re.escape(stops)}]+").match(text, match.end(), end)
        return (match.end(), found.end()) if found else (match.end(), match.end())
    return _word(text, match.end())


def _word(text: str, start: int) -> tuple[int, int]:
    """Read to the next blank. A quote ends the word only where nothing follows that could belong to it."""
    found = re.compile(r"[^\s\"']+(?:[\"'][^\s\"',;:)}\]]+)*").match(text, start)
    return (start, found.end()) if found else (start, start)
