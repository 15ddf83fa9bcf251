"""The one exception a person may see, and how a program without a console of its own says it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FloeError(Exception):
    """Something that keeps a command from running: what is wrong, and what to do next.

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
    """End the process where the block raises an exception, and say on stderr what happened.

    A FloeError is shown with its hint. Of any other exception only type and place are shown, since its
    message may hold a secret; FLOE_TRACEBACK=1 shows all of it. The exit code is 2 then as well.
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
        sys.stderr.write("  next: set FLOE_TRACEBACK=1 to see the traceback, and report it\n")
        sys.exit(2)
