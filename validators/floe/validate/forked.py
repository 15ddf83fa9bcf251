"""A part of the work in a second process: threads would share one interpreter."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def available() -> bool:
    """Whether there is a second processor, and a way to hand it work."""
    return hasattr(os, "fork") and (os.cpu_count() or 1) > 1


@contextmanager
def beside(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Do it in a child while the block runs, which gets a function that waits for the result.

    If the child fails, the work is done here after all. The child does not outlive the block.
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
            os._exit(status)  # nothing of the parent's is this process's to clean up or to report
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:

        def result() -> T:
            try:
                done: T = pickle.loads(pipe.read())  # noqa: S301 - by a pipe that nobody but our own child has
            except (EOFError, pickle.UnpicklingError):
                return work()
            return done

        try:
            yield result
        finally:
            os.kill(child, signal.SIGKILL)  # it has nothing left to do
            os.waitpid(child, 0)
