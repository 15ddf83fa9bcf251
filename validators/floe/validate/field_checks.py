"""Checks of single fields that the checks of pods and of whole objects share, and the formats of values.

A function that returns Problems states what must be true of the fields, and yields a message for each that differs.
`where` is the path of the fields' parent in the object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from floe.kubernetes.objects import mappings

_PORT_NAME = re.compile(r"(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*")

Problems = Iterator[str]


def in_range(node: dict[str, Any], field: str, where: str, low: int, high: int = 65535) -> Problems:
    """A field that is a whole number is neither less than `low` nor greater than `high`."""
    value: Any = node.get(field)
    if value.__class__ is int and not low <= value <= high:
        yield f"{where}.{field} must be between {low} and {high}"


def not_negative(node: dict[str, Any], where: str, *fields: str) -> Problems:
    """Fields that are whole numbers are not negative."""
    for field in fields:
        if node.get(field).__class__ is int and node[field] < 0:
            yield f"{where}.{field} must not be negative"


def required(node: dict[str, Any], where: str, *fields: str) -> Problems:
    """Fields are set, and not to an empty value."""
    for field in fields:
        if node.get(field) in (None, "", [], {}):
            yield f"{where}.{field} must be set"


def distinct(values: Iterator[Any], where: str, what: str) -> Problems:
    """No value appears twice; `what` names the values in the message."""
    seen = set()
    for value in values:
        if value in seen:
            yield f"{where}: {what} must differ, but two are the same"
        seen.add(value)


def set_fields(node: dict[str, Any]) -> list[str]:
    """The names of the fields that are set; the server takes a field that is null as not set."""
    return [key for key, value in node.items() if value is not None]


def texts(nodes: Any, field: str) -> Iterator[str]:
    """The values of a field in a list of mappings, without those that are empty or no text."""
    return (node[field] for node in mappings(nodes) if node.get(field).__class__ is str and node[field])


@lru_cache(maxsize=1 << 10)
def _matches_port_name(name: str) -> bool:
    return bool(_PORT_NAME.fullmatch(name))


def is_port_name(name: Any) -> bool:
    """Whether a value is a valid name of a port; also true for one that is empty or no text, such as a port number."""
    return name.__class__ is not str or not name or _matches_port_name(name)


_QUANTITY = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([numkMGTPE]|[KMGTPE]i))?")
_POWERS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3} | {
    f"{letter}{binary}": base ** (number + 2)
    for number, letter in enumerate("MGTPE")
    for binary, base in (("", 1000), ("i", 1024))
}
_POWERS["Ki"] = 1024


@lru_cache(maxsize=1 << 12)
def _parsed_quantity(amount: str) -> float | None:
    match = _QUANTITY.fullmatch(amount)
    try:
        return float(f"{match[1]}{match[2] or ''}") * _POWERS.get(match[3], 1) if match else None
    except ValueError:
        return None


def quantity(amount: Any) -> float | None:
    """A quantity of Kubernetes, such as 100m or 2Gi, as a number; None if `amount` is not a quantity."""
    return _parsed_quantity(str(amount)) if amount.__class__ in (str, int, float) else None


_CRON_FIELDS = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    (0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_CRON_WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_CRON_PART = re.compile(r"(?:(?P<any>[*?])|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")


def is_cron(schedule: str) -> bool:
    """Whether the text is a valid `schedule` of a CronJob."""
    if schedule.startswith("@"):
        return schedule in _CRON_WORDS or bool(re.fullmatch(r"@every (?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+", schedule))
    fields = schedule.split()
    return len(fields) == len(_CRON_FIELDS) and all(
        _is_cron_part(part, *form)
        for field, form in zip(fields, _CRON_FIELDS, strict=True)
        for part in field.split(",")
        if part or field != ","
    )


def _is_cron_part(part: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    match = _CRON_PART.fullmatch(part)
    if match is None or match["step"] == "0":
        return False
    words = [word.lower() for word in (match["low"], match["high"]) if word is not None]
    numbers = [least + names.index(word) if word in names else int(word) if word.isdigit() else -1 for word in words]
    return all(least <= number <= most for number in numbers) and numbers == sorted(numbers)
