"""What tests measure on the way, as a table at the end of their run; figures to compare are those of `make bench`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_times: list[tuple[str, float]] = []


def note(what: str, figure: float) -> None:
    """Put a line into the table: what, and its figure with the unit in `what`."""
    _times.append((what, figure))


@contextmanager
def took(what: str) -> Iterator[None]:
    """Note how long a block takes."""
    started = time.monotonic()
    yield
    note(what, time.monotonic() - started)


def show(reporter: pytest.TerminalReporter) -> None:
    """Write the table."""
    for what, figure in _times:
        reporter.write_line(f"{figure:8.1f}  {what}")
