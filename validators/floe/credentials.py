"""Detect and mask plaintext credentials, by the form of a value and by the name of its field or variable."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

_FORMS = (
    (re.compile(r"\bA[KS]IA[0-9A-Z]{16}\b"), "an AWS access key id"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_\w{22,}"), "a GitHub token"),
    (re.compile(r"\bglpat-[\w-]{20,}"), "a GitLab token"),
    (re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"), "a Slack token"),
    (re.compile(r"\bAIza[\w-]{35}"), "a Google API key"),
    (re.compile(r"\beyJ[\w-]{10,500}\.eyJ[\w-]{10,500}\.[\w-]{10}"), "a JSON web token"),
    # The password's first character excludes placeholders such as $(PASSWORD), ${…}, {{…}}, <…>, %s and ***.
    (re.compile(r"\b[a-zA-Z][\w+.-]{,30}://[^\s:/@\"']*:[^\s:/@\"'$<{%*][^\s:/@\"']*@"), "a URL with a password"),
)
_MAY_HOLD_ONE = re.compile(r"A[KS]IA|PRIVATE KEY|gh[pousr]_|github_pat_|glpat-|xox|AIza|eyJ|://")
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Z])(?=.*[a-z])[A-Za-z0-9+/=_-]{32,}")
_RANDOM_BITS = 4.2  # per character: camel-cased names of that length have less, random keys more

_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")
_LAST = re.compile(r"(?:.*password|passwd|passphrase|(?:pg)?pass|pwd|token|credentials?)$")
_LAST_TWO = re.compile(
    r"(?:(?:access|account|api|auth|encryption|master|private|secret|shared|signing|ssh)key"
    r"|(?:api|app|auth|client|consumer|cookie|hmac|jwt|oauth|session|shared|signing|webhook)secret)$"
)
_NO_CREDENTIAL = re.compile(
    r"[$<{%*:].*|.*\$[({]\w+[)}].*"  # $(VAR), ${VAR}, <placeholder>, {{ template }}, %s, :parameter
    r"|(?:true|false|yes|no|on|off|null|none|nil|str|string|int|bool|bytes|required|optional|file|env)"
    r"|(?:file:/|\.{1,2}/|/)[\w.-]*(?:/[\w.-]+)+/?",  # a path of at least two parts
    re.IGNORECASE | re.DOTALL,
)
_OBJECT_NAME = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)+")
# A setting in a file or a script: `password: x`, `"password": "x",`, `--password=x`, `export PASSWORD='x'`.
# A bare value must end the line or be followed by the next setting; otherwise prose and code would match.
_SETTING = re.compile(
    r"""(?:^|[\s;&?,{(])-{,2}["']?(?P<name>[A-Za-z][\w.-]*)["']?
    (?:\s*=\s*|\s*:[ \t]+|["']:)
    (?:"(?P<double>[^"\n]*)"|'(?P<single>[^'\n]*)'|(?P<bare>[^\s"',;&(){}\[\]]+)
      (?=\s*(?:[,;&}#]|$)|[ \t]+(?:-|[\w.-]+=)))""",
    re.MULTILINE | re.VERBOSE,
)

_OPTION = re.compile(r"--?(?P<name>[A-Za-z][\w.-]*)=(?P<value>\S*)")

_MASK = "***"
_SHORTEST = 4  # characters of a value that is masked: shorter values occur in every text by chance
# Further credentials that a message may contain. A private key whose last line is cut off extends to the text's end.
_IN_MESSAGES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\bAGE-SECRET-KEY-[0-9A-Z]+"),
    re.compile(r"(?<=://)[^/@\s]+(?=@)"),  # includes the user name, which may be a token
    re.compile(r"(?i:(?<=\bbearer ))\S+"),
)


class Reason(NamedTuple):
    """Why a value is taken for a credential. It never contains the value.

    `certain`: the value has the form of a known kind of credential; otherwise its name or randomness suggests it.
    """

    words: str
    certain: bool = False


def reasons(name: str, value: str, secret_names: Container[str] = ()) -> Iterator[Reason]:
    """The reasons to take a value for a credential, or for a file or script that contains one; none if it looks safe.

    `name`: the field or variable that holds the value. `secret_names`: names of Secrets, which are not secret
    themselves.
    """
    if _MAY_HOLD_ONE.search(value):
        for form, what in _FORMS:
            if form.search(value):
                yield Reason(f"holds {what}", certain=True)
                return
    if len(value) >= 32 and _RANDOM.fullmatch(value) and _entropy(value) > _RANDOM_BITS:
        yield Reason("holds what looks like a random key")
    elif _is_credential(name, value, secret_names):
        yield Reason("is set to a plain value")
    elif option := _OPTION.fullmatch(value):
        if _is_credential(option["name"], option["value"], secret_names):
            yield Reason(f"sets {option['name']} to a plain value")
    elif "=" in value or ":" in value:
        settings = dict.fromkeys(
            match["name"]
            for match in _SETTING.finditer(value)
            if _is_credential(match["name"], match["double"] or match["single"] or match["bare"] or "", secret_names)
        )
        yield from (Reason(f"sets {setting} to a plain value") for setting in settings)


def masked(text: str, env: Mapping[str, str]) -> str:
    """The text of a message with *** in place of credentials and of the values of secret environment variables.

    `env`: the environment; a variable is secret if its name says so, as in PGPASSWORD.
    """
    known = [value for name, value in env.items() if len(value) >= _SHORTEST and _is_credential(name, value, ())]
    for value in sorted(known, key=len, reverse=True):  # longest first: one value may contain another
        text = text.replace(value, _MASK)
    for form in (*_IN_MESSAGES, *(form for form, _ in _FORMS)):
        text = form.sub(_MASK, text)
    place = 0
    while setting := _SETTING.search(text, place):
        group = next((name for name in ("double", "single", "bare") if setting[name]), "double")
        value = setting[group] or ""
        if len(value) >= _SHORTEST and _is_credential(setting["name"], value, ()):
            place = setting.start(group)
            text = text[:place] + _MASK + text[setting.end(group) :]
        else:
            place = setting.end("name")  # the apparent value may itself be a setting: `failed: password=x`
    return text


def _is_credential(name: str, value: str, secret_names: Container[str]) -> bool:
    """Whether the name marks its value as secret and the value is neither a placeholder nor the name of a Secret."""
    what = _named_secret(name)
    if not what or not value or value in secret_names or _NO_CREDENTIAL.fullmatch(value):
        return False
    return what == "value" or not _OBJECT_NAME.fullmatch(value)  # `secret: floe-postgres` names a Secret


@lru_cache(maxsize=1 << 14)
def _named_secret(name: str) -> Literal["value", "value or name", ""]:
    """What a name says about its value: it is a secret, it is a secret or the name of a Secret, or neither."""
    words = [word.lower() for word in _WORD.findall(name)]
    if words == ["secret"]:
        return "value or name"
    return "value" if words and (_LAST.match(words[-1]) or _LAST_TWO.match("".join(words[-2:]))) else ""


def _entropy(text: str) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
