"""Patterns of the names and values of secrets: the only list of them.

Patterns are of RE2, which is Python's here too: the API server's policies use them unchanged.
"""

import re

# A word in the name is enough. Short ones must stand alone: `bypass` and `compass` are none.
NAME = (
    r"(?i:passw(o?r)?d|passwort|passphrase|secret([^s]|$)|secrets|token|credential|kubeconfig|docker_?config_?json|"
    r"dockercfg|basic_?auth|authorization$|cookie$|"
    r"(api|access|private|secret|account|client|shared|storage|master|signing|encryption|session|ssh)[_.-]?key)|"
    r"(^|[^A-Za-z])(?i:pass|passwd|pwd|pw)([^A-Za-z]|$)|[A-Za-z0-9](Pass|Pwd|Pw)([^a-z]|$)"
)
# The last word says that the value only leads to a secret, or describes one.
_LAST = (
    "files?|paths?|dir|directory|names?|class|types?|kind|url|uri|urls|uris|location|host|port|enabled?|disabled?|"
    "required|ttl|timeout|interval|millis|ms|secs|seconds|minutes|hours|days|expiry|expires|expiration|lifetime|age|"
    "period|providers?|endpoint|region|refs?|issuer|audiences?|mode|algorithm|alg|version|format|length|size|count|"
    "limit|max|min|policy|strategy|store|scope|schema|prefix|suffix|backoff|ratio|retries|mechanism|iterations|"
    "factory|handler|rotation|through|"
    "ya?ml|json|properties|conf|cfg|xml|toml|ini|sh|py|sql|md"
)
_CAMEL = (
    "Files?|Paths?|Dir|Directory|Names?|Class|Type|Kind|Url|Uri|Refs?|Enabled|Timeout|Store|Provider|Ms|Seconds|"
    "Expiration|Audience|Version|Policy"
)
NO_NAME = (
    rf"(?i:(^|[_.-])({_LAST})$)|[a-z0-9]({_CAMEL})$|"
    r"(?i:(secret|token|password|passwd|key|credentials?|config)(file|path|dir|name|ref|url|uri|type|class)s?$)|"
    r"(?i:existing_?secret|pull_?secrets$|kubernetes\.secrets$|tokeni[sz]|max_tokens?|min_tokens?|secret_?store)|"
    r"^(OLD)?PWD$"
)
# Names of secrets only if the value is more than a word: `auth: kerberos` is a mode, `"auth": "dXNlcjpwdw=="` is none.
WEAK_NAME = r"(?i:(^|[_.-])auth$)|[a-z0-9]Auth$"
_WORD = r"^[A-Za-z_ -]*$"
MASK = "[secret]"
MASKS = (MASK, "[file]", "[known after it is applied]")
# What opens nothing: a switch, a reference to be filled in, a place below the usual roots, what is masked already.
NO_VALUE = (
    r"^\s*((?i:true|false|yes|no|on|off|null|none|nil|~|undefined)|\$\([^()]*\)?|\$\{[^{}]*\}|"
    r"\$[A-Za-z_][A-Za-z0-9_]*(\s.*)?|#\{ENV(\.fetch)?[(\[][\"']\w+[\"'][)\]]\}|"
    r"%[sdv](\\[rn])*|\{\{[^{}]*\}\}|<no value>|(stack|config):[a-z0-9-]+/[a-z0-9/-]+|"
    r"(file:/*)?/(var|etc|run|opt|mnt|home|tmp|usr|srv|secrets?)/[A-Za-z0-9_./@%:-]*|"
    r"\*+|\[secret\]|\[file\]|\[known after it is applied\])?\s*$"
)
# By their looks alone, whatever they are called. The last one is a PEM block in base64 that is no certificate.
KEYS = (
    r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{8,}|\bgithub_pat_[A-Za-z0-9_]{8,}|\bglpat-[A-Za-z0-9_-]{12,}|"
    r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bAIza[A-Za-z0-9_-]{30,}|\b[sr]k_live_[A-Za-z0-9]{8,}|\bpul-[0-9a-f]{40}\b|"
    r"\bnpm_[A-Za-z0-9]{30,}|\bAGE-SECRET-KEY-1[0-9A-Z]{20,}|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|"
    r"\bLS0tLS1CRUdJTiB([A-CE-PR-Za-z0-9+/]|Q[A-UW-Za-z0-9+/])[A-Za-z0-9+/=\s]{20,}"
)
WEBHOOK = r"hooks\.slack\.com/(services|workflows)/[A-Za-z0-9/_-]+"
# `://user:password@`; a port with a path behind it is none.
USER_INFO = (
    r"://[^:/@\s\"'<>]{0,200}:([0-9]{1,200}@|[^\s\"'@<>0-9][^\s\"'@<>]{0,200}@|"
    r"[0-9]{1,200}[^\s\"'@<>/0-9,;?#][^\s\"'@<>]{0,200}@)[A-Za-z0-9_.\[-]"
)
KEY_BLOCK = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----"
BEARER = (
    r"\b(?i:basic|bearer|digest|negotiate|apikey|token)[ \t]+([A-Za-z0-9._~+/-]*[0-9][A-Za-z0-9._~+/-]{5,}|"
    r"[A-Za-z0-9._~+/-]{5,}[0-9][A-Za-z0-9._~+/-]*|[A-Za-z0-9._~+/-]+[a-z][A-Z][A-Za-z0-9._~+/-]+|"
    r"[A-Za-z0-9._~+/-]{6,}=)=*"
)

# What our own refusals say after a key.
SAID = re.compile(
    r"(no such setting|is (missing|empty|not|no|below|above|text|an?|taken|finer|even|at)\b|does not match|"
    r"stands twice|has (no|a)\b|neither |both |name '|"
    r"(add|choose|give|keep|leave|make|put|remove|set|use|write) \S+ \S)"
)

_NAME, _NO_NAME, _WEAK = re.compile(NAME), re.compile(NO_NAME), re.compile(WEAK_NAME)
_NO_VALUE, _WORDS = re.compile(NO_VALUE), re.compile(_WORD)
# `secret: claims-keys` names an object of Kubernetes.
_OBJECT = re.compile(r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)+")


def names_secret(name: str) -> bool:
    """Return whether a name sounds like that of a secret."""
    return bool((_NAME.search(name) or _WEAK.search(name)) and not _NO_NAME.search(name))


def is_secret(name: str, value: object) -> bool:
    """Return whether a name sounds like a secret and its value could be one."""
    if value is None or isinstance(value, bool) or not names_secret(name):
        return False
    text = str(value)
    if _NO_VALUE.search(text) or (name == "secret" and _OBJECT.fullmatch(text)):
        return False
    return bool(_NAME.search(name)) or not _WORDS.search(text)
