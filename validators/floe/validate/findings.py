"""The results of a validation: findings, and policies that could not run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One problem of one object: where it is, what is wrong, and what to do."""

    code: str
    severity: Severity
    source: str  # the stream: a file, an overlay, or stdin
    document: int  # counts from 1
    line: int  # line of the document's first key, counts from 1
    object: str  # kind namespace/name
    message: str
    remedy: str
    file: str = ""  # the file to edit, or else the one it was rendered from, relative to the repository; or empty
    file_line: int = 0  # line in that file, counts from 1; 0 if unknown
    waived: str = ""  # date and reason of the waiver that applies to the finding; empty if none does


@dataclass(frozen=True)
class Omission:
    """A policy that could not run, or not on all objects, and the reason."""

    code: str
    reason: str
