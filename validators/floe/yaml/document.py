"""A document of YAML, and what is said of one that does not parse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from floe.errors import FloeError


class YamlError(FloeError):
    """A document that does not parse: where, and why; never what stands there, since it may be a secret."""

    def __init__(self, source: str, document: int, line: int, problem: str) -> None:
        super().__init__(f"{source}: document {document}, line {line}: {problem}", "mend the YAML there")
        self.document, self.line = document, line


@dataclass(frozen=True)
class Document:
    """One document of a stream. `number` counts from 1 and empty documents too; `line` is that of its first key."""

    number: int
    line: int
    value: Any
