"""Replaces the name of an environment or an app in a text wherever it stands for itself, in each way of writing it."""

from __future__ import annotations

import re

_KEPT = (
    r"(?<![\w-])(?:image|tag|newTag|newName|repository|version|digest): *\S+",  # what exists in a registry
    r"(?:\.\./)+(?:apps|base)/\S+",  # folders that the copy shares
    r"(?<![\w.-])/dev/\w+",  # devices
    r"(?<=[\w-]\.)(?:dev|app)(?![\w.-])",  # the end of a host name
)
"""Texts in the files of an environment that stay as they are, although they may contain its name."""

_WORD = r"(?<![A-Za-z0-9]){}(?![A-Za-z0-9])"


def written(name: str) -> tuple[str, ...]:
    """The ways of writing a name: as it is, with underscores, in capitals, with a capital first."""
    under = name.replace("-", "_")
    return (name, under, under.upper(), name.capitalize())


def contains(text: str, name: str) -> bool:
    """Whether a text contains the name where `renamed` would replace it."""
    return renamed(text, name, f"{name}x") != text


def renamed(text: str, old: str, new: str, kept: tuple[str, ...] = _KEPT) -> str:
    """The text with another name: floe-old, floe_old, old.example.com, OLD, Old; older and bold are other words.

    After or before an underscore, and in capitals, hyphens of the new name become underscores.
    `kept`: patterns of texts that stay as they are.
    """
    ways = dict(zip(written(old), written(new), strict=True))
    ways[old] = new
    pattern = re.compile("|".join([*kept, rf"(?P<word>{_WORD.format(_any(ways))})"]))

    def replacement(match: re.Match[str]) -> str:
        word = match["word"]
        if word is None:
            return match[0]
        beside = text[max(match.start() - 1, 0) : match.start()] + text[match.end() : match.end() + 1]
        return ways[word].replace("-", "_") if "_" in beside else ways[word]

    return pattern.sub(replacement, text)


def replaced(text: str, values: dict[str, str], before: str = "") -> str:
    """The text with other values where the old ones are not a part of a longer host name or path.

    `before`: a pattern of what must precede a value.
    """
    if not values:
        return text
    pattern = re.compile(rf"(?P<before>{before})(?<![\w.-])(?P<value>{_any(values)})(?!\w|\.\w)")
    return pattern.sub(lambda match: match["before"] + values[match["value"]], text)


def _any(words: dict[str, str]) -> str:
    return f"(?:{'|'.join(sorted(map(re.escape, words), key=len, reverse=True))})"
