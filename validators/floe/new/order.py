"""Edits the promotion order in floe.toml and keeps every other byte of the file."""

from __future__ import annotations

import re
import tomllib

from floe.errors import FloeError

_ARRAY = re.compile(r"^[ \t]*promotion[ \t]*=[ \t]*\[", re.MULTILINE)
_REST = re.compile(r"(?P<comma>,?)[ \t]*(?:#[^\r\n]*)?(?=(?P<newline>\r?\n))")
_OWN_LINE = re.compile(r"[ \t]*(?:\"[^\"\n]*\"|'[^'\n]*')[ \t]*,[ \t]*(?:#[^\n]*)?\r?\n")
_TOKEN = re.compile(r"""(?P<name>"[^"\\\n]*"|'[^'\n]*')|(?P<end>\])|[\s,]+|#[^\n]*""")


def with_name(text: str, name: str, after: str) -> str:
    """The text of floe.toml with an environment in the promotion order behind another one.

    It gets a line of its own if the other one has one. Raises FloeError if the array cannot be edited.
    """
    order, places = _read(text)
    if after not in order:
        raise FloeError(
            f"{after} is not part of the promotion order in floe.toml", "Name one with --after, or use --no-promotion."
        )
    start, end = places[order.index(after)]
    indent = text[text.rfind("\n", 0, start) + 1 : start]
    rest = _REST.match(text, end)
    if rest and not indent.strip():  # on a line of its own; the last one may have no comma
        at = rest.end() if rest["comma"] else end
        comma = ("", ",") if rest["comma"] else (",", "")
        edited = f'{text[:at]}{comma[0]}{rest["newline"]}{indent}"{name}"{comma[1]}{text[at:]}'
    else:
        edited = f'{text[:end]}, "{name}"{text[end:]}'
    at = order.index(after) + 1
    return _checked(edited, [*order[:at], name, *order[at:]])


def without_name(text: str, name: str) -> str:
    """The text of floe.toml without an environment in the promotion order: the opposite of `with_name`."""
    order, places = _read(text)
    if name not in order:
        return text
    place = order.index(name)
    start, end = places[place]
    line = text.rfind("\n", 0, start) + 1
    if match := _OWN_LINE.match(text, line):
        edited = text[:line] + text[match.end() :]
    elif place:
        edited = text[: places[place - 1][1]] + text[end:]
    else:
        edited = text[:start] + text[places[1][0] if len(places) > 1 else end :]
    return _checked(edited, [one for one in order if one != name])


def _read(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """The promotion order, and where the text has each of its names: start and end with the quotes."""
    match = _ARRAY.search(text)
    places: list[tuple[int, int]] = []
    at = match.end() if match else 0
    while match and (token := _TOKEN.match(text, at)):
        if token["end"]:
            return [text[start + 1 : end - 1] for start, end in places], places
        if token["name"]:
            places.append(token.span())
        at = token.end()
    raise FloeError(
        "floe.toml has no promotion order that can be edited", 'Write it there as `promotion = ["dev", "prod"]`.'
    )


def _checked(text: str, order: list[str]) -> str:
    try:
        if tomllib.loads(text)["promotion"] == order:
            return text
    except (tomllib.TOMLDecodeError, KeyError):
        pass
    raise FloeError("the promotion order in floe.toml cannot be edited", f"Write it there yourself: {', '.join(order)}")
