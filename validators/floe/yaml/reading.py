"""YAML as kubectl reads it, position kept; what kubectl would change in silence is refused.

kubectl turns YAML into JSON with sigs.k8s.io/yaml, which resolves plain scalars by YAML 1.1 with some of 1.2: `yes` and
`on` are booleans, `0777`, `0o777`, `0b1` and `1_000` integers, but `1:30` is a string (no base 60) and so is a date.
Refused, though kubectl takes it: a key that stands twice (it keeps the last), a key that is a number with a fraction or
an exponent (it rewrites `1.10` as `1.1`), nesting beyond any manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from floe.errors import FloeError
from floe.yaml import block
from floe.yaml.document import Document, YamlError


def documents(text: str | bytes, source: str) -> Iterator[Document]:
    """The documents of a stream, the empty ones left out. Raises YamlError at the first that does not parse."""
    readable = _readable(text.encode() if isinstance(text, str) else text, source)
    if _splits(readable):
        return _one_by_one(readable, source)
    from floe.yaml.full import Stream

    return Stream(readable, source).documents()


def load_file(path: Path) -> dict[str, Any]:
    """The one mapping that a file holds. Raises FloeError (YamlError for syntax)."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise FloeError(f"cannot read {path}: {error.strerror}", "check the path") from error
    found = list(documents(text, str(path)))
    if len(found) != 1 or not isinstance(found[0].value, dict):
        raise FloeError(f"{path} must hold exactly one YAML mapping", "one object a file")
    value: dict[str, Any] = found[0].value
    return value


_ALLOWED = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x7F)])
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")  # line breaks to YAML 1.1, not to 1.2, and the mark within a text
_ODD = re.compile(r"\n---(?![ \t]*(?:[ \t]#[^\n]*)?\n)")


def _readable(data: bytes, source: str) -> str:
    """The text, its line breaks as on Unix. Raises YamlError where a character is not allowed."""
    if data.isascii() and not data.translate(None, _ALLOWED):
        return data.decode().replace("\r\n", "\n")
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before, problem = data[: error.start].decode(), "this is not UTF-8"
    else:
        found = _UNREADABLE.search(text)
        if found is None:
            return text.replace("\r\n", "\n")
        before, problem = text[: found.start()], f"the character U+{ord(found[0]):04X} is not allowed in YAML"
    number = 1 + len(re.findall(r"\n---(?=\s)", before.lstrip()))
    raise YamlError(source, number, before.count("\n") + 1, problem)


def _splits(text: str) -> bool:
    """Whether nothing but lines of --- alone parts the documents, and line feeds the lines."""
    odd = "\r" in text or "\n..." in text or "\n%" in text or text.startswith(("...", "%"))
    return not odd and not _ODD.search(f"\n{text}\n") and (text.isascii() or not _BREAKS.search(text))


def _one_by_one(text: str, source: str) -> Iterator[Document]:
    """The documents, by the block reader where it can and by the full loader where it cannot."""
    number, line = 0, 0  # of the document, and of the line that its part begins in
    parts = f"\n{text}".split("\n---")
    parts.reverse()  # so that each can be forgotten as soon as it is read
    while parts:
        part = parts.pop()
        number += line > 0  # before the first --- there is a document only if there is something
        found = _block(part if parts else part.removesuffix("\n"), whole=bool(parts) or part[-1:] in ("", "\n"))
        if found is None:
            from floe.yaml.full import Stream

            stream = Stream(f"{'---' if line else ''}{part}{chr(10) if parts else ''}", source, number or 1, line)
            yield from stream.documents()
            number = stream.number
        elif found[0] is not None:
            number = number or 1
            yield Document(number, line + found[1], found[0])
        line += part.count("\n") + 1


def _block(part: str, *, whole: bool) -> tuple[Any, int] | None:
    """What the block reader makes of the lines after a ---, or None where it leaves that to the full loader."""
    if not whole:
        return None  # whether the last line ends in a line break is something to the text in it
    lines = part.split("\n")
    lines[0] = ""  # beside --- there is a comment at most
    try:
        return block.read(lines)
    except block.Other:
        return None
