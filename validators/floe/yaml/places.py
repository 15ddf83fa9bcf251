"""Finds the lines of a YAML file on which its values stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import yaml

Path = tuple[str, ...]
"""The keys from the top of a document to a node; an element of a list has its number as a key."""


class Place(NamedTuple):
    """A node of a file: its path, the line of its key, and its text if it is a scalar.

    `line` counts from 1. `first` is the line of the text's first character, which in a block is below the key.
    """

    path: Path
    line: int
    text: str | None
    first: int

    def line_of(self, index: int) -> int:
        """The line of a character of the text."""
        return self.first + (self.text or "").count("\n", 0, index)


def places(text: str) -> list[Place]:
    """The nodes of all documents in a file, in the order of their lines; nothing if the text is not YAML.

    A node that an alias repeats is listed only where its anchor is.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser if it is available
    found: list[Place] = []
    seen: set[int] = set()
    try:
        for document in yaml.compose_all(text, Loader=loader):
            found += _below(document, (), seen)
    except (yaml.YAMLError, RecursionError):
        return []
    return found


def _below(node: yaml.Node | None, path: Path, seen: set[int]) -> Iterator[Place]:
    if isinstance(node, yaml.MappingNode):
        entries = [(key.value, key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
    elif isinstance(node, yaml.SequenceNode):
        entries = [(str(number), value, value) for number, value in enumerate(node.value)]
    else:
        return
    if id(node) in seen:
        return
    seen.add(id(node))
    for name, key, value in entries:
        here = (*path, name)
        scalar = isinstance(value, yaml.ScalarNode)
        first = value.start_mark.line + (2 if scalar and value.style in ("|", ">") else 1)
        yield Place(here, key.start_mark.line + 1, value.value if scalar else None, first)
        yield from _below(value, here, seen)
