"""Writes YAML with the comments of its source: comments are read from one text and written next to the same values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from floe.yaml.edit import is_plain, quoted

Path = tuple[str | int, ...]
"""The path of a value: keys of mappings and, for an element of a list, its `name` or, without one, its index."""


@dataclass(frozen=True)
class Comment:
    """The comments of one value without the # sign: the lines above it, and the one after it on the same line."""

    above: tuple[str, ...] = ()
    beside: str = ""


Comments = Mapping[Path, Comment]
_FLOW = 60  # the most characters of a collection on one line
_WIDTH = 118  # the most characters of a line with a comment


@cache
def comments(text: str) -> Comments:
    """The comments of a YAML document, by the path of their value. Raises yaml.YAMLError if it cannot be parsed.

    The result is cached, because every environment asks for the comments of base/.
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    by_path: dict[Path, Comment] = {}
    if node is not None:
        _Reader(text, by_path).read(node, ())
    return by_path


class _Reader:
    def __init__(self, text: str, by_path: dict[Path, Comment]) -> None:
        self.by_path = by_path
        self.alone: dict[int, str] = {}  # comments on a line of their own, by line
        self.beside: dict[int, str] = {}
        ends: dict[int, int] = {}
        inside: set[int] = set()
        for token in yaml.scan(text):
            start, end = token.start_mark, token.end_mark
            if isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"):
                inside.update(range(start.line + 1, end.line))
            elif end.index > start.index:
                ends[end.line] = max(ends.get(end.line, 0), end.column)
        for number, line in enumerate(text.splitlines()):
            rest = line[ends.get(number, 0) :].strip()
            if number not in inside and rest.startswith("#"):
                (self.beside if number in ends else self.alone)[number] = rest.removeprefix("#").strip()

    def read(self, node: yaml.Node, path: Path) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._take_comments((*path, key.value), key.start_mark.line)
                self.read(value, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                step = (*path, _path_step(number, item))
                block = isinstance(item, yaml.MappingNode) and not item.flow_style
                self._take_comments(step, item.start_mark.line, beside=not block)
                self.read(item, step)

    def _take_comments(self, path: Path, line: int, *, beside: bool = True) -> None:
        above: list[str] = []
        at = line - 1
        while at in self.alone:
            above.insert(0, self.alone.pop(at))
            at -= 1
        text = self.beside.pop(line, "") if beside else ""
        if above or text:
            self.by_path[path] = Comment(tuple(above), text)


def _path_step(number: int, item: yaml.Node) -> str | int:
    entries = item.value if isinstance(item, yaml.MappingNode) else ()
    names = [value.value for key, value in entries if key.value == "name"]
    return names[0] if names else number


def dump(values: Mapping[str, Any], notes: Comments, header: str = "") -> str:
    """The values as YAML text; `notes` are the comments to write with them, `header` is a comment for the top."""
    lines = [*_comment_lines(header, ""), *_mapping_lines(values, notes, (), "")]
    return "\n".join(lines) + "\n"


def _comment_lines(text: str, indent: str) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + len(word) < _WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{indent}# {word}")
    return lines


def _mapping_lines(values: Mapping[str, Any], notes: Comments, path: Path, indent: str) -> Iterator[str]:
    for key, value in values.items():
        step = (*path, key)
        comment = notes.get(step, Comment())
        for line in comment.above:
            yield from _comment_lines(line, indent)
        yield from _entry_lines(f"{indent}{_scalar_text(key)}:", value, notes, step, f"{indent}  ", comment.beside)


def _entry_lines(start: str, value: Any, notes: Comments, path: Path, indent: str, beside: str) -> Iterator[str]:
    """Yield the lines of a value after `start`, its key or dash; further lines are indented by `indent`."""
    note = f" # {beside}" if beside else ""
    flow = _on_one_line(value, notes, path)
    if flow is not None:
        yield f"{start} {flow}{note}"
    elif isinstance(value, str):
        yield f"{start} |{'' if value.endswith(chr(10)) else '-'}{note}"
        yield from (f"{indent}{line}".rstrip() for line in value.removesuffix("\n").split("\n"))
    else:
        yield start + note
        lines = _mapping_lines if isinstance(value, dict) else _sequence_lines
        yield from lines(value, notes, path, indent)


def _sequence_lines(values: list[Any], notes: Comments, path: Path, indent: str) -> Iterator[str]:
    for number, value in enumerate(values):
        step = (*path, value["name"] if isinstance(value, dict) and "name" in value else number)
        comment = notes.get(step, Comment())
        for line in comment.above:
            yield from _comment_lines(line, indent)
        if isinstance(value, dict) and _on_one_line(value, notes, step) is None:
            named = dict(sorted(value.items(), key=lambda entry: entry[0] != "name"))
            first, *others = _mapping_lines(named, notes, step, f"{indent}  ")
            # Write a comment on the first key above the dash.
            while first.lstrip().startswith("#"):
                yield first[2:]
                first, *others = others
            yield f"{indent}- {first.lstrip()}"
            yield from others
        else:
            yield from _entry_lines(f"{indent}-", value, notes, step, f"{indent}  ", comment.beside)


def _on_one_line(value: Any, notes: Comments, path: Path) -> str | None:
    """The value as text on one line; None if it needs several lines."""
    if isinstance(value, str):
        return None if _is_block(value) else _scalar_text(value)
    if not isinstance(value, dict | list):
        return json.dumps(value)
    if not value:
        return "{}" if isinstance(value, dict) else "[]"
    inside = any(other[: len(path)] == path and len(other) > len(path) for other in notes)
    parts = list(value.values()) if isinstance(value, dict) else value
    short = isinstance(value, list) or 1 < len(value) < 4
    if (
        inside
        or not short
        or any(isinstance(part, dict | list) or (isinstance(part, str) and "\n" in part) for part in parts)
    ):
        return None
    if isinstance(value, dict):
        value = dict(sorted(value.items(), key=lambda entry: entry[0] != "name"))
    texts = [_scalar_text(part) for part in (value.values() if isinstance(value, dict) else value)]
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{_scalar_text(key)}: {part}" for key, part in zip(value, texts, strict=True)) + "}"
    else:
        text = "[" + ", ".join(texts) + "]"
    return text if len(text) <= _FLOW else None


def _is_block(text: str) -> bool:
    """Whether to write a text as a literal block.

    A text that such a block would change, for example one with spaces at the end of a line, is quoted instead.
    """
    lines = text.removesuffix("\n").split("\n")
    kept = lines[0][:1].strip() and lines[-1] and all(line == line.rstrip() for line in lines)
    return "\n" in text and bool(kept) and text.replace("\n", "").isprintable()


def _scalar_text(value: Any) -> str:
    if isinstance(value, str):
        return value if is_plain(value) else quoted(value)
    return json.dumps(value)
