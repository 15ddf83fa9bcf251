"""A YAML document, and the error for one that cannot be parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from floe.errors import FloeError


class YamlError(FloeError):
    """A document that cannot be parsed, with the place and the reason.

    `document` and `line` count from 1. The message does not contain the text there, because it may be a secret.
    """

    def __init__(self, source: str, document: int, line: int, problem: str) -> None:
        super().__init__(f"{source}: document {document}, line {line}: {problem}", "fix the YAML in that line")
        self.document, self.line = document, line


@dataclass(frozen=True)
class Document:
    """One document of a stream.

    `number`: its position in the stream; counts from 1 and includes empty documents. `line`: the line of its first key;
    counts from 1.
    """

    number: int
    line: int
    value: Any
