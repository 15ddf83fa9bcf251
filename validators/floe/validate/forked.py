"""Runs a part of the work in a second process, because threads would share one interpreter."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def available() -> bool:
    """Whether this machine has a second processor and this platform can fork."""
    return hasattr(os, "fork") and (os.cpu_count() or 1) > 1


@contextmanager
def beside(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Call `work` in a child process while the block runs.

    The block gets a function that waits for the result and returns it. If the child fails, that function calls `work`
    in this process instead. The child is killed when the block ends.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as answer:
                pickle.dump(work(), answer)
            status = 0
        finally:
            os._exit(status)  # skips the parent's exit handlers and tracebacks, which this copy must not run
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:

        def result() -> T:
            try:
                done: T = pickle.loads(pipe.read())  # noqa: S301 - only our own child can write to this pipe
            except (EOFError, pickle.UnpicklingError):
                return work()
            return done

        try:
            yield result
        finally:
            os.kill(child, signal.SIGKILL)  # the caller has left the block and does not read its result
            os.waitpid(child, 0)
