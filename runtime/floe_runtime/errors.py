"""FloeError, the base class of all errors that are reported to the user, and how the image's programs report it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FloeError(Exception):
    """A command cannot run. The error holds what is wrong and what to do next.

    Entry points print it without a traceback and exit with `exit_code` (2: cannot run).
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        """`message`: what is wrong and where, without a final period. `hint`: the next step, as a full sentence."""
        super().__init__(message)
        self.message = message
        self.hint = hint


@contextmanager
def in_words() -> Iterator[None]:
    """Run the block. If it raises an exception, print an error to stderr and end the process.

    For a FloeError it prints message and hint, and exits with the error's `exit_code`. For any other exception it exits
    with 2 and prints only type and place, because the message may hold a secret. With FLOE_TRACEBACK=1 it does not
    catch such an exception, so that Python prints the traceback.
    """
    try:
        yield
    except FloeError as error:
        sys.stderr.write(f"floe: {error.message}\n" + (f"  next: {error.hint}\n" if error.hint else ""))
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("FLOE_TRACEBACK"):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        sys.stderr.write(f"floe: unexpected {type(error).__name__} in {where}\n")
        sys.stderr.write("  next: Run it again with FLOE_TRACEBACK=1 and report the traceback.\n")
        sys.exit(2)
