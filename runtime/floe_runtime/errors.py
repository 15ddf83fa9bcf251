"""The one exception a person may see."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class FloeError(Exception):
    """Something that keeps a command from running: what is wrong, and what to do next.

    Entry points print it without a traceback and exit with `exit_code` (2: cannot run).
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@contextmanager
def in_words() -> Iterator[None]:
    """End the process where the block raises FloeError, which a program without a console of its own says on stderr."""
    try:
        yield
    except FloeError as error:
        sys.stderr.write(f"floe: {error.message}\n" + (f"  next: {error.hint}\n" if error.hint else ""))
        sys.exit(error.exit_code)
