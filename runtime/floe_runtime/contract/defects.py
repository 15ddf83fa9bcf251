"""The kinds of defects that synthetic data may have, the named scenarios, and the check of their rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

KINDS: dict[str, str] = {
    "nulls": "a describing column is empty",
    "duplicates": "the row is there twice in the batch",
    "near_duplicates": "the row is there twice, once with another spelling or a time some seconds later",
    "out_of_range": "a number is negative or far too large",
    "broken_references": "a column refers to a row that does not exist",
    "encoding": "a text was written as UTF-8 and read as Latin-1",
    "late": "the row, with those that belong to it, comes in a later window, hours or days after it happened",
    "new_columns": "from a day on a table has an optional column more; the rate is the part of rows that fill it",
}
"""Each kind of defect, and what it means. A rate is the part of the rows of each table to which the kind applies."""

SCENARIOS: dict[str, dict[str, float]] = {
    "clean": {},
    "messy": {
        **{"nulls": 0.01, "duplicates": 0.005, "near_duplicates": 0.003, "out_of_range": 0.002},
        **{"broken_references": 0.002, "encoding": 0.005, "late": 0.01, "new_columns": 0.8},
    },
    "broken": {
        **{"nulls": 0.08, "duplicates": 0.05, "near_duplicates": 0.03, "out_of_range": 0.04},
        **{"broken_references": 0.05, "encoding": 0.06, "late": 0.08, "new_columns": 0.8},
    },
}
"""The rates of each named scenario."""

OF_A_ROW = ("nulls", "duplicates", "near_duplicates", "out_of_range", "broken_references", "encoding")
_HIGHEST = {"late": 0.5, "new_columns": 1.0}


def rates(words: Iterable[str]) -> dict[str, float]:
    """The rates that words such as `messy` or `late=0.05` ask for; a later word changes those before it.

    Raises ValueError for a scenario or kind that does not exist, and for a rate that makes no sense.
    """
    wanted: dict[str, float] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign and name not in SCENARIOS:
            raise ValueError(
                f"there is no scenario {name!r}, only {', '.join(SCENARIOS)}; a rate is given as kind=rate"
            )
        try:
            wanted |= {name: float(value)} if sign else SCENARIOS[name]
        except ValueError:
            raise ValueError(f"the rate {value!r} of {name} is not a number") from None
    return checked(wanted)


def checked(wanted: Mapping[str, float]) -> dict[str, float]:
    """The same rates. Raises ValueError for an unknown kind or a rate that makes no sense."""
    for kind, rate in wanted.items():
        if kind not in KINDS:
            raise ValueError(f"there is no defect {kind!r}, only {', '.join(KINDS)}")
        highest = _HIGHEST.get(kind, 0.5)
        if not (math.isfinite(rate) and 0 <= rate <= highest):
            raise ValueError(f"the rate of {kind} must be from 0 to {highest:g}, and is {rate:g}")
    if (total := sum(wanted.get(kind, 0.0) for kind in OF_A_ROW)) > 1:
        raise ValueError(f"the rates of {', '.join(OF_A_ROW)} are {total:g} together, and must be at most 1")
    return dict(wanted)
