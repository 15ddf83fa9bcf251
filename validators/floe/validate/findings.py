"""What validation says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing wrong with one object: where, why, and what to do."""

    code: str
    severity: Severity
    source: str  # the stream: a file, an overlay, or stdin
    document: int  # counts from 1
    line: int  # of the document's first key, counts from 1
    object: str  # kind namespace/name, or "" where it is not known
    message: str
    remedy: str
    file: str = ""  # what the object was made from, where that is known
    waived: str = ""  # until when and why it may stand, where a waiver says so


@dataclass(frozen=True)
class Omission:
    """A policy that could not run, and why."""

    code: str
    reason: str
