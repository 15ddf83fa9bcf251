"""The one exception a person may see."""

from __future__ import annotations


class FloeError(Exception):
    """Something that keeps a command from running: what is wrong, and what to do next.

    Entry points print it without a traceback and exit with `exit_code` (2: cannot run).
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
