"""FloeError, the base class of all errors that are reported to the user."""

from __future__ import annotations


class FloeError(Exception):
    """An error that ends a command: what is wrong, and what to do next.

    Entry points print it without a traceback and exit with `exit_code` (2: cannot run).
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        """`message`: what is wrong and where, without a final period. `hint`: the next step, as a full sentence."""
        super().__init__(message)
        self.message = message
        self.hint = hint
