"""The number and the choice of inputs in tests with random inputs; tests/conftest.py imports this module.

`make test` uses the same small sample in every run, so that only a change of the code can make a test fail. `make fuzz`
sets FLOE_FUZZ, uses many times more inputs, and other ones in each run.
"""

from __future__ import annotations

import os

from hypothesis import settings

_TIMES = int(os.environ.get("FLOE_FUZZ", "1"))

settings.register_profile("sample", derandomize=True, database=None)
settings.register_profile("full", print_blob=True, database=None)
settings.load_profile("full" if _TIMES > 1 else "sample")


def inputs(count: int) -> int:
    """The number of inputs of a test: `count`, multiplied by FLOE_FUZZ if it is set."""
    return count * _TIMES
