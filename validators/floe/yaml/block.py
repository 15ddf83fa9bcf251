"""Reads the plain block form of YAML, in which kustomize prints manifests, line by line.

A document with anything else raises Other and is left to the full loader (floe.yaml.full), which takes four times as
long: anchors, tags, nested or multi-line flow collections, folded and continued text, unusual keys, duplicate keys, and
every error. For all other documents, the result must be that of the full loader; a property test compares them.
"""

from __future__ import annotations

import re
from operator import length_hint
from typing import Any

from floe.yaml.scalars import resolve


class Other(Exception):
    """Raised for a document that the block reader does not read."""


_SKIP, _VALUE, _OPEN, _LIST, _MAP, _LITERAL, _ITEM = range(7)
"""Kinds of lines: empty or comment, `key: value`, `key:`, `key: [a, b]`, `key: {a: b}`, `key: |`, and `- ` before any
of them."""
Line = tuple[int, int, str | None, Any]
"""(kind, column, key, value) of a line. The key is None if the line has none. The value of an item is the Line after
its dash; the value of a literal is whether the text ends in a line break."""

_MAX_DEPTH = 100
_KEY = r"""(?P<key>[A-Za-z_/.][A-Za-z0-9_/.-]{0,200}|"[^"\\]{1,200}"|'[^']{1,200}')"""
_PLAIN = r"""(?:[^\s!-#%&'*,:>?@\[\]`{|}-]|-(?=[^ ]))(?:[^:#]|:(?=[^ ])|(?<! )\#)*"""
_FORM = (
    r"""(?:(?P<single>'(?:[^']|'')*')|(?P<double>"[^"\\]*")|(?P<escaped>"(?:[^"\\]|\\[\\"nt])*")"""
    rf"""|(?P<literal>\|-?)|(?P<list>\[.*\])|(?P<map>\{{.*\}})|(?P<plain>{_PLAIN}))"""
)
_IN_FLOW = r"""(?:"[^"\\]*"|'[^']*'|-{,2}[A-Za-z0-9_/.$][A-Za-z0-9_/.$+@=-]*)"""
_FLOW_LIST = re.compile(rf"\[ *(?:{_IN_FLOW}(?: *, *{_IN_FLOW})*)? *\]")
_PAIR = rf"{_KEY.replace('?P<key>', '?:')}: +{_IN_FLOW}"
_FLOW_MAP = re.compile(rf"\{{ *(?:{_PAIR}(?: *, *{_PAIR})*)? *\}}")
_FLOW_ITEM = re.compile(_IN_FLOW)
_COMMENT = r"(?: +\#.*)?"
_ENTRY = re.compile(rf"{_KEY}:(?: +{_FORM})?{_COMMENT}")
_BARE = re.compile(f"{_FORM}{_COMMENT}")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t"}

_MAX_SEEN = 1 << 16
_MAX_LENGTH = 1 << 9


class _ParsedLines(dict[str, Line]):
    """The parsed form of each line, by its text. Raises Other.

    The results are kept, because most lines occur several times in a stream.
    """

    def __missing__(self, line: str) -> Line:
        body = line.lstrip(" ")
        comment = not body or body[0] == "#"
        parsed = (_SKIP, 0, None, None) if comment else _parsed_line(body.rstrip(" "), len(line) - len(body))
        if len(line) < _MAX_LENGTH:
            if len(self) == _MAX_SEEN:
                self.clear()
            self[line] = parsed
        return parsed


_parsed_lines = _ParsedLines()


def _parsed_line(body: str, column: int) -> Line:
    if "\t" in body:
        raise Other
    if body == "-" or body.startswith("- "):
        rest = body[1:].lstrip(" ")
        if not rest or rest[0] == "#":
            return _ITEM, column, None, (_OPEN, column, None, None)
        inner = _parsed_line(rest, column + len(body) - len(rest))
        if inner[0] == _ITEM:
            raise Other
        return _ITEM, column, None, inner
    match = _ENTRY.fullmatch(body)
    key = None if match is None else _parsed_key(match["key"])
    match = match or _BARE.fullmatch(body)
    if match is None:
        raise Other
    form = match.lastgroup if match.lastgroup != "key" else None
    text = match[form].rstrip(" ") if form else ""
    if form == "literal":
        return _LITERAL, column, key, text == "|"
    if form == "list":
        if not _FLOW_LIST.fullmatch(text):
            raise Other
        return _LIST, column, key, [_parsed_scalar(item) for item in _FLOW_ITEM.findall(text)]
    if form == "map":
        if not _FLOW_MAP.fullmatch(text):
            raise Other
        items = _FLOW_ITEM.findall(text)
        pairs = {_parsed_key(name): _parsed_scalar(item) for name, item in zip(items[::2], items[1::2], strict=True)}
        if len(pairs) * 2 != len(items):
            raise Other
        return _MAP, column, key, pairs
    if form == "escaped":
        return _VALUE, column, key, _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), text[1:-1])
    return (_VALUE, column, key, _parsed_scalar(text)) if form else (_OPEN, column, key, None)


def _parsed_key(text: str) -> str:
    if text[0] in "\"'":
        return text[1:-1]
    if _parsed_scalar(text).__class__ is not str:
        raise Other
    return text


def _parsed_scalar(text: str) -> Any:
    if text[0] == '"':
        return text[1:-1]
    if text[0] == "'":
        return text[1:-1].replace("''", "'")
    try:
        return resolve(text)
    except ValueError:
        raise Other from None


def read(lines: list[str]) -> tuple[Any, int]:
    """The value of a document, and the index of its first line that is not a comment.

    `lines`: the lines of the document; in the file, each of them must end in a line break. The value of a document that
    consists of comments is None. Raises Other. The caller must make sure that the lines contain no character that only
    some YAML readers take for a line break.
    """
    node: Any = None  # the innermost open collection
    at = -1  # the column of its keys or dashes
    stack: list[tuple[Any, int]] = []
    open_key: Any = None  # the key or index whose value may begin on the next line
    first = 0
    rest = iter(lines)
    key: Any  # a key of a mapping, or an index of a list
    for kind, column, key, value in map(_parsed_lines.__getitem__, rest):
        if kind == _VALUE and column == at and node.__class__ is dict and key is not None and key not in node:
            node[key] = value  # a shortcut for the form that most lines have
            open_key = None
            continue
        if not kind:
            continue
        if node is None:
            first, at = len(lines) - length_hint(rest) - 1, column
            root = node = [] if kind == _ITEM else {}
        elif open_key is not None and (column > at or (column == at and kind == _ITEM and node.__class__ is dict)):
            stack.append((node, at))
            if len(stack) > _MAX_DEPTH:
                raise Other
            opened: Any = [] if kind == _ITEM else {}
            node[open_key] = opened
            node, at = opened, column
        else:
            while column < at:
                if not stack:
                    raise Other
                node, at = stack.pop()
            if column != at:
                raise Other
            if kind != _ITEM and node.__class__ is list:  # the end of a list in the same column as its key
                if not stack:
                    raise Other
                node, at = stack.pop()
                if column != at:
                    raise Other
        open_key = None
        if kind == _ITEM:
            if node.__class__ is not list:
                raise Other
            kind, column, key, value = value
            if key is None:
                node.append(value)
                key = len(node) - 1
                column = at
            else:
                stack.append((node, at))
                opened = {}
                node.append(opened)
                node, at = opened, column
        elif node.__class__ is list or key is None or key in node:
            raise Other
        if kind == _VALUE:
            node[key] = value
        elif kind == _OPEN:
            node[key] = None
            open_key = key
        elif kind == _LIST:
            node[key] = list(value)
        elif kind == _MAP:
            node[key] = dict(value)
        else:
            number = len(lines) - length_hint(rest)
            node[key], end = _literal_text(lines, number, at, value)
            for _ in range(end - number):
                next(rest)
    return (root if node is not None else None), first


def _literal_text(lines: list[str], start: int, above: int, ends_in_break: bool) -> tuple[str, int]:
    """The text of a literal block, and the index of the line after it.

    `start`: the index of its first line. `above`: the column of its parent. Raises Other.
    """
    number, count, column = start, len(lines), 0
    block: list[str] = []
    while number < count:
        line = lines[number]
        body = line.lstrip(" ")
        if body:
            indent = len(line) - len(body)
            if indent <= above:
                break
            if not column:
                column = indent
                if body[0] == "\t" or any(len(blank) > indent for blank in block):
                    raise Other
            elif indent < column:
                raise Other
        block.append(line)
        number += 1
    if not column:
        raise Other
    texts = [line[column:] for line in block]
    while not texts[-1]:
        texts.pop()
    return "\n".join(texts) + ("\n" if ends_in_break else ""), number
