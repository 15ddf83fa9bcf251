"""How many inputs tests with random ones take, and which: tests/conftest.py imports this.

`make test` takes a sample, the same one in every run, so that a test that turns red was turned red by a change. `make
fuzz`, which sets FLOE_FUZZ, takes many times more, and others in each run.
"""

from __future__ import annotations

import os

from hypothesis import settings

_TIMES = int(os.environ.get("FLOE_FUZZ", "1"))

settings.register_profile("sample", derandomize=True, database=None)
settings.register_profile("full", print_blob=True, database=None)
settings.load_profile("full" if _TIMES > 1 else "sample")


def inputs(count: int) -> int:
    """`count`, or as many times more as asked for."""
    return count * _TIMES
