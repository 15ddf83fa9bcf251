"""Waivers: annotations that accept a finding until a date, each with a reason.

`floe-runtime.io/waive.FLOE014: "until 2027-01-31: the daemon has no port to probe, upstream issue 123"`
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from floe.kubernetes.objects import Object

PREFIX = "floe-runtime.io/waive."
_FORM = re.compile(r"until (?P<date>\d{4}-\d{2}-\d{2}): *(?P<reason>\S.{9,})")
"""The form of a waiver. Its reason must have at least ten characters."""


@dataclass(frozen=True)
class Waiver:
    """One waiver of one object.

    `words`: its date and reason, for the report. `problem`: why it is not in force; empty if it is.
    """

    item: Object
    code: str
    words: str = ""
    problem: str = ""


def read(items: Iterable[Object], waivable: Collection[str], today: datetime.date) -> Iterator[Waiver]:
    """Yield the waivers of a stream's objects, valid or not.

    `waivable`: the codes that may be waived. `today`: the day that decides whether a waiver has expired; the date in a
    waiver is its last day in force.
    """
    for item in items:
        for key, value in item.annotations.items():
            if isinstance(key, str) and key.startswith(PREFIX):
                code = key.removeprefix(PREFIX)
                if code not in waivable:
                    yield Waiver(item, code, problem=f"{code} is not a code that can be waived")
                else:
                    yield _waiver(item, code, str(value), today)


def _waiver(item: Object, code: str, value: str, today: datetime.date) -> Waiver:
    match = _FORM.fullmatch(value.strip())
    if match is None:
        return Waiver(item, code, problem=f"the waiver of {code} must have the form `until YYYY-MM-DD: reason`")
    try:
        last = datetime.date.fromisoformat(match["date"])
    except ValueError:
        return Waiver(item, code, problem=f"the waiver of {code} contains a date that does not exist")
    if last < today:
        return Waiver(item, code, problem=f"the waiver of {code} expired on {last}")
    return Waiver(item, code, words=f"until {last}: {match['reason']}")
