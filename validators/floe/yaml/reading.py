"""Reads YAML as kubectl does, keeps the position of each document, and refuses what kubectl would silently change.

kubectl converts YAML to JSON with sigs.k8s.io/yaml, which resolves plain scalars by YAML 1.1 with parts of 1.2: `yes`
and `on` are booleans, `0777`, `0o777`, `0b1` and `1_000` are integers, but `1:30` is a string (no base 60), and so is a
date. kubectl accepts the following and this module refuses it: a duplicate key (kubectl keeps the last one), a key that
is a number with a fraction or an exponent (kubectl rewrites `1.10` as `1.1`), and nesting deeper than in any manifest.
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
    """Yield the documents of a stream that are not empty; `source` is the name of the stream in messages.

    Raises YamlError at the first document that cannot be parsed.
    """
    readable = _checked_text(text.encode() if isinstance(text, str) else text, source)
    if _can_be_split(readable):
        return _split_documents(readable, source)
    from floe.yaml.full import Stream

    return Stream(readable, source).documents()


def load_file(path: Path) -> dict[str, Any]:
    """The mapping in a file. Raises YamlError if the file cannot be parsed.

    Raises FloeError if the file cannot be read, or if it does not contain exactly one document that is a mapping.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise FloeError(f"cannot read {path}: {error.strerror}", "check the path") from error
    contents = list(documents(text, str(path)))
    if len(contents) != 1 or not isinstance(contents[0].value, dict):
        raise FloeError(f"{path} must contain exactly one YAML mapping", "write each object to a file of its own")
    value: dict[str, Any] = contents[0].value
    return value


_ALLOWED = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x7F)])
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")  # line breaks in YAML 1.1 only, and the byte order mark
_ODD = re.compile(r"\n---(?![ \t]*(?:[ \t]#[^\n]*)?\n)")


def _checked_text(data: bytes, source: str) -> str:
    """The text with Unix line breaks. Raises YamlError if it is not UTF-8 or has a character that YAML forbids."""
    if data.isascii() and not data.translate(None, _ALLOWED):
        return data.decode().replace("\r\n", "\n")
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before, problem = data[: error.start].decode(), "the text is not UTF-8"
    else:
        forbidden = _UNREADABLE.search(text)
        if forbidden is None:
            return text.replace("\r\n", "\n")
        before, problem = text[: forbidden.start()], f"the character U+{ord(forbidden[0]):04X} is not allowed in YAML"
    number = 1 + len(re.findall(r"\n---(?=\s)", before.lstrip()))
    raise YamlError(source, number, before.count("\n") + 1, problem)


def _can_be_split(text: str) -> bool:
    """Whether the text can be split at `---` and line feeds, because nothing else separates its documents and lines."""
    odd = "\r" in text or "\n..." in text or "\n%" in text or text.startswith(("...", "%"))
    return not odd and not _ODD.search(f"\n{text}\n") and (text.isascii() or not _BREAKS.search(text))


def _split_documents(text: str, source: str) -> Iterator[Document]:
    """Yield the documents; the block reader reads those that it can read, and the full loader reads the others."""
    number, line = 0, 0  # the number of the document, and of the line in which its part begins
    parts = f"\n{text}".split("\n---")
    parts.reverse()  # so that each part can be removed from the end, and its memory freed, as soon as it is read
    while parts:
        part = parts.pop()
        number += line > 0  # the part before the first --- counts as a document only if it is not empty
        document = _read_block(part if parts else part.removesuffix("\n"), whole=bool(parts) or part[-1:] in ("", "\n"))
        if document is None:
            from floe.yaml.full import Stream

            stream = Stream(f"{'---' if line else ''}{part}{chr(10) if parts else ''}", source, number or 1, line)
            yield from stream.documents()
            number = stream.number
        elif document[0] is not None:
            number = number or 1
            yield Document(number, line + document[1], document[0])
        line += part.count("\n") + 1


def _read_block(part: str, *, whole: bool) -> tuple[Any, int] | None:
    """The result of the block reader for the lines after a `---`; None if the full loader must read them.

    `whole`: the last line ends in a line break. Without one, a text in the last line may have another value.
    """
    if not whole:
        return None
    lines = part.split("\n")
    lines[0] = ""  # the line of --- contains nothing else but perhaps a comment
    try:
        return block.read(lines)
    except block.Other:
        return None
