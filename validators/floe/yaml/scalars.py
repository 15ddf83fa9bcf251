"""Resolves plain scalars as go-yaml does, with which kubectl, kustomize and the API server read YAML."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
DOUBTFUL = frozenset(["", *"-+.0123456789~yYnNtTfFoO"])
"""First characters of the plain scalars that may be something other than a string."""
_INTEGER = re.compile(
    r"([-+]?)(?:0[bB](?P<b2>[01]+)|0[xX](?P<b16>[0-9a-fA-F]+)|0[oO]?(?P<b8>[0-7]+)|(?P<b10>0|[1-9][0-9]{0,19}))"
    r"|0b(?P<s2>[-+][01]+)"  # Go also accepts a sign in this place
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_UNDERSCORE = re.compile("(?<=[0-9])_(?=[0-9])")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


@lru_cache(maxsize=1 << 14)
def resolve(text: str) -> Any:
    """The value of a plain scalar, as go-yaml's `resolve` returns it: None, a boolean, a number or a string.

    Raises ValueError for infinity and not-a-number, which JSON cannot represent.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in DOUBTFUL:
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("JSON cannot represent infinity and not-a-number")
    plain = _UNDERSCORE.sub("", text) if text[0] == "." else text.replace("_", "")
    if match := _INTEGER.fullmatch(plain):
        number = int(f"{match[1] or ''}{match[match.lastgroup or 0]}", int((match.lastgroup or "b10")[1:]))
        if -(1 << 63) <= number < 1 << (63 if match[1] else 64):
            return number
    if _FLOAT.fullmatch(plain):
        value = float(plain)
        return value if abs(value) != float("inf") else text
    return text
