"""Prints a table of what tests measured at the end of a run. To compare versions, use the figures of `make bench`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_times: list[tuple[str, float]] = []


def note(what: str, figure: float) -> None:
    """Add a line to the table; `what` describes the figure and names its unit."""
    _times.append((what, figure))


@contextmanager
def took(what: str) -> Iterator[None]:
    """Add a line with the seconds that the block takes."""
    started = time.monotonic()
    yield
    note(what, time.monotonic() - started)


def show(reporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    for what, figure in _times:
        reporter.write_line(f"{figure:8.1f}  {what}")
