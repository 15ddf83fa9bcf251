"""Edits YAML that a person wrote: replaces scalars and keeps every other byte, including comments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache

import yaml

from floe.errors import FloeError
from floe.yaml.scalars import resolve


def replace(text: str, values: Mapping[str, str], source: str) -> str:
    """The text with new values at some places, such as `valuesInline.image.tag` or `images[NAME].newTag`.

    `values`: the new values by their place, in which an element of a list is named by its `name`, or by its index if it
    has none. A new value gets the same quotes as the old one. `source`: the name of the text in messages. Raises
    FloeError if the text is not YAML, or if there is no scalar at one of the places, or one that is written as a block.
    """
    nodes = _nodes(text, source)
    for place in values:
        if place not in nodes or nodes[place].style in ("|", ">"):
            raise FloeError(f"{source} has no {place}", "add the field with the value that applies now, then try again")
    for place in sorted(values, key=lambda place: nodes[place].start_mark.index, reverse=True):
        node = nodes[place]
        written = _in_style(values[place], node.style)
        text = text[: node.start_mark.index] + written + text[node.end_mark.index :]
    return text


def located(text: str, source: str) -> dict[str, tuple[int, str]]:
    """(line, text) of each scalar by its place as in `replace`; lines count from 1. Raises FloeError as `replace`."""
    return {place: (node.start_mark.line + 1, node.value) for place, node in _nodes(text, source).items()}


def _nodes(text: str, source: str) -> dict[str, yaml.ScalarNode]:
    try:
        return dict(_scalars(yaml.compose(text, Loader=yaml.SafeLoader), ""))
    except yaml.YAMLError as error:
        raise FloeError(f"{source} is not YAML: {str(error).splitlines()[0]}", "fix the syntax") from None


def _scalars(node: yaml.Node | None, place: str) -> Iterator[tuple[str, yaml.ScalarNode]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _scalars(value, f"{place}.{key.value}".lstrip("."))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            entries = value.value if isinstance(value, yaml.MappingNode) else ()
            names = [entry.value for key, entry in entries if key.value == "name"]
            yield from _scalars(value, f"{place}[{names[0] if names else number}]")
    elif isinstance(node, yaml.ScalarNode):
        yield place, node


def _in_style(value: str, style: str | None) -> str:
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return quoted(value) if style == '"' or not is_plain(value) else value


def quoted(value: str) -> str:
    """A text in double quotes, as YAML reads it.

    JSON's escapes are valid in YAML except surrogate pairs, so a character that needs one is written as \\U.
    """
    text = json.dumps(value, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in text)


@lru_cache(maxsize=1 << 14)
def is_plain(value: str) -> bool:
    """Whether YAML reads the value as the same text without quotes, also within a flow collection."""
    try:
        return bool(resolve(value) == value and yaml.safe_load(f"a: [{value}] # b") == {"a": [value]})
    except (ValueError, yaml.YAMLError):
        return False
