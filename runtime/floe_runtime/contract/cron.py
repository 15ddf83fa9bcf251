"""Checks a cron expression as far as a typing error shows: fields out of range, and dates that no calendar has."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = {
    "minute": range(60),
    "hour": range(24),
    "day of the month": range(1, 32),
    "month": range(1, 13),
    "day of the week": range(8),  # 0 and 7 are Sunday
}
_NAMES = {
    "month": dict(zip(_MONTHS, range(1, 13), strict=True)),
    "day of the week": dict(zip(_DAYS, range(7), strict=True)),
}
_DAYS_OF = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SPECIAL = re.compile(r"[l#w]")  # such as `l`, the last day of the month: left to Dagster


def fires(expression: str) -> str:
    """Return the expression of five fields. Raises ValueError, with the field, if it is not valid or never fires."""
    fields = dict(zip(_FIELDS, expression.lower().split(" "), strict=True))
    values = {name: _values(name, text) for name, text in fields.items()}
    by_weekday = fields["day of the week"] not in (
        "*",
        "?",
    )  # such a day fires in any month, whatever the day of the month
    days, months = values["day of the month"], values["month"]
    if not by_weekday and not any(day <= _DAYS_OF[month - 1] for month in months for day in days):
        raise ValueError("never fires: none of its months has such a day")
    return expression


def _values(name: str, text: str) -> set[int]:
    return set().union(*(_part(name, part) for part in text.split(",")))


def _part(name: str, part: str) -> set[int]:
    allowed = _FIELDS[name]
    if _SPECIAL.search(part) and part not in _NAMES.get(name, {}):
        return set(allowed)
    match = re.fullmatch(r"(?:[*?]|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", part)
    if match:
        first, last, step = match["first"], match["last"], int(match["step"] or 1)
        start = _number(name, first) if first else allowed[0]
        end = _number(name, last) if last else start if first and not match["step"] else allowed[-1]
        if start in allowed and end in allowed and start <= end and step:
            return set(range(start, end + 1, step))
    raise ValueError(f"the {name} must be within {allowed[0]}-{allowed[-1]}, as in {allowed[1]} or */{allowed[2]}")


def _number(name: str, text: str) -> int:
    return _NAMES.get(name, {}).get(text, int(text) if text.isdecimal() else -1)


Cron = Annotated[str, Field(pattern=r"^\S+( \S+){4}$", description="five fields, UTC"), AfterValidator(fires)]
