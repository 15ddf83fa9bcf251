"""Edits YAML that a person wrote: replaces scalars, adds and removes items, and keeps every other byte."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml

from floe.errors import FloeError
from floe.yaml.scalars import resolve


def replace(text: str, values: Mapping[str, str], source: str) -> str:
    """The text with new values at some places, such as `valuesInline.image.tag` or `images[NAME].newTag`.

    `values`: the new values by their place, in which an element of a list is named by its `name`, or by its index if it
    has none. A new value gets the same quotes as the old one, and keeps its anchor and tag. An alias is replaced unless
    its anchor gets the same value. `source`: the name of the text in messages. Raises FloeError if the text is not
    YAML, or if there is no scalar at one of the places, or one that is written as a block.
    """
    nodes = dict(_scalars(_composed(text, source), ""))
    for place in values:
        if place not in nodes or nodes[place].style in ("|", ">"):
            raise FloeError(f"{source} has no {place}", "add the field with the value that applies now, then try again")
    anchored = {id(nodes[place]): value for place, value in values.items()}
    for place in sorted(values, key=lambda place: nodes[place].start_mark.index, reverse=True):
        node = nodes[place]
        start, end = node.start_mark.index, node.end_mark.index
        if isinstance(node, _Alias):
            if anchored.get(id(node.anchored)) == values[place]:
                continue
        elif properties := _PROPERTIES.match(text, start, end):
            start = properties.end()
        space = " " * (start == end and not text[start - 1].isspace())  # there was no value
        text = f"{text[:start]}{space}{_in_style(values[place], node.style)}{text[end:]}"
    return text


def located(text: str, source: str) -> dict[str, tuple[int, str]]:
    """(line, text) of each scalar by its place as in `replace`; lines count from 1. Raises FloeError as `replace`."""
    scalars = _scalars(_composed(text, source), "")
    return {place: (node.start_mark.line + 1, node.value) for place, node in scalars}


def substitute(
    text: str, patterns: Mapping[str, re.Pattern[str]], new: Callable[[re.Match[str]], str], source: str
) -> str:
    """The text with replacements inside of scalars, also of blocks. The scalars stay as they are written otherwise.

    `patterns`: what is replaced, by a pattern for the place as in `replace`; of several, the first one counts. `new`:
    what replaces a match. Raises FloeError if the text is not YAML.
    """
    nodes = [*_scalars(_composed(text, source), "")]
    for place, node in sorted(nodes, key=lambda one: one[1].start_mark.index, reverse=True):
        pattern = next((pattern for wanted, pattern in patterns.items() if re.fullmatch(wanted, place)), None)
        if pattern and not isinstance(node, _Alias):
            start, end = node.start_mark.index, node.end_mark.index
            text = text[:start] + pattern.sub(new, text[start:end]) + text[end:]
    return text


def with_item(text: str, place: str, item: str, after: str | None, source: str) -> str:
    """The text with one more scalar in the list at a place, behind the item `after`; None: behind the last one.

    It is written as that item is: on a line of its own, or between brackets. Raises FloeError if the text is not YAML,
    or if the list does not contain that item.
    """
    items = _items(text, place, source)
    node = items[-1] if items and after is None else next((one for one in items if one.value == after), None)
    if node is None:
        raise FloeError(f"{source} has no list {place} with {after or 'an item'}", f"add {item} there by hand")
    end = node.end_mark.index
    line = _BLOCK_ITEM.match(text, text.rfind("\n", 0, node.start_mark.index) + 1)
    if line is None:
        return f"{text[:end]}, {_in_style(item, None)}{text[end:]}"
    rest = _REST.match(text, end)
    end = rest.end() if rest else len(text)
    newline = rest["newline"] if rest else "\n"
    return f"{text[:end]}{newline}{line[0]}{_in_style(item, None)}{text[end:]}"


def without_item(text: str, place: str, item: str, source: str) -> str:
    """The text without a scalar in the list at a place, the opposite of `with_item`; unchanged if it is not there.

    Raises FloeError if the text is not YAML.
    """
    items = _items(text, place, source)
    number = next((number for number, one in enumerate(items) if one.value == item), None)
    if number is None:
        return text
    start, end = items[number].start_mark.index, items[number].end_mark.index
    line = text.rfind("\n", 0, start) + 1
    if _BLOCK_ITEM.match(text, line):
        rest = _REST.match(text, end)
        if rest:
            return text[:line] + text[rest.end() + len(rest["newline"]) :]
        return text[:line].removesuffix("\n").removesuffix("\r")
    if number:
        return text[: items[number - 1].end_mark.index] + text[end:]
    return text[:start] + text[items[1].start_mark.index if len(items) > 1 else end :]


def _items(text: str, place: str, source: str) -> list[yaml.ScalarNode]:
    """The scalars in the list at a place: keys of mappings, separated by dots."""
    node = _composed(text, source)
    for key in place.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for name, value in pairs if name.value == key), None)
    return (
        [one for one in node.value if isinstance(one, yaml.ScalarNode)] if isinstance(node, yaml.SequenceNode) else []
    )


def without_key(text: str, place: str, source: str) -> str:
    """The text without a key, with its value and what it would leave empty above it; unchanged if it is not there.

    `place`: keys of mappings, separated by dots. Raises FloeError if the text is not YAML, or if the key cannot be
    removed alone, for example because another place refers to an anchor in its value.
    """
    node, found, removed = _composed(text, source), list[tuple[yaml.MappingNode, int]](), place.split(".")
    for key in removed:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        number = next((number for number, (name, _) in enumerate(pairs) if name.value == key), None)
        if not isinstance(node, yaml.MappingNode) or number is None:
            return text
        found.append((node, number))
        node = pairs[number][1]
    while len(found) > 1 and len(found[-1][0].value) == 1:
        found.pop()
    parent, number = found[-1]
    start, end = parent.value[number][0].start_mark.index, _end(parent.value[number][1])
    if not parent.flow_style:
        start, end = text.rfind("\n", 0, start) + 1, text.find("\n", end) + 1 or len(text)
    elif number:
        start = _end(parent.value[number - 1][1])
    elif len(parent.value) > 1:
        end = parent.value[1][0].start_mark.index
    result = text[:start] + text[end:]
    wanted = above = yaml.safe_load(text)
    *path, last = removed[: len(found)]
    for key in path:
        above = above[key]
    del above[last]
    try:
        if (yaml.safe_load(result) or {}) == wanted:
            return result
    except yaml.YAMLError:
        pass  # what is left refers to an anchor that is gone
    raise FloeError(f"{source} has {place} where it cannot be removed alone", "remove it by hand, then try again")


def _end(node: yaml.Node) -> int:
    """The index after a value. That of a block collection would include the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, yaml.MappingNode) else last)
    return int(node.end_mark.index)


_BLOCK_ITEM = re.compile(r"[ \t]*- +")
_REST = re.compile(r"[^\r\n]*?(?=(?P<newline>\r?\n))")
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*\s*)+")


class _Alias(yaml.ScalarNode):
    """A scalar that an alias stands for: the marks are those of the alias, `anchored` is the node with the anchor."""

    def __init__(self, anchored: yaml.ScalarNode, event: Any) -> None:
        super().__init__(anchored.tag, anchored.value, event.start_mark, event.end_mark)
        self.anchored = anchored


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call] # types-pyyaml leaves it out
        node = super().compose_node(parent, index)
        return _Alias(node, event) if isinstance(event, yaml.AliasEvent) and isinstance(node, yaml.ScalarNode) else node


def _composed(text: str, source: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
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
