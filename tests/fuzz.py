"""How many inputs property tests take: few in `make test`, many in `make fuzz`, which sets FLOE_FUZZ."""

from __future__ import annotations

import os

_TIMES = int(os.environ.get("FLOE_FUZZ", "1"))


def inputs(count: int) -> int:
    """`count`, or as many times more as asked for."""
    return count * _TIMES
