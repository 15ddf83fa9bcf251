"""Waivers: annotations that let a finding stand for a while, each with a reason and an expiry.

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
"""A reason of fewer than ten characters is none."""


@dataclass(frozen=True)
class Waiver:
    """One waiver of one object. `problem` says why it is not in force; empty where it is."""

    item: Object
    code: str
    words: str = ""
    problem: str = ""


def read(items: Iterable[Object], waivable: Collection[str], today: datetime.date) -> Iterator[Waiver]:
    """The waivers of a stream's objects. `waivable`: the codes that may be waived."""
    for item in items:
        for key, value in item.annotations.items():
            if isinstance(key, str) and key.startswith(PREFIX):
                code = key.removeprefix(PREFIX)
                if code not in waivable:
                    yield Waiver(item, code, problem=f"{code} cannot be waived, or is no code")
                else:
                    yield _waiver(item, code, str(value), today)


def _waiver(item: Object, code: str, value: str, today: datetime.date) -> Waiver:
    match = _FORM.fullmatch(value.strip())
    if match is None:
        return Waiver(item, code, problem=f"the waiver of {code} is not `until YYYY-MM-DD: reason`")
    try:
        last = datetime.date.fromisoformat(match["date"])
    except ValueError:
        return Waiver(item, code, problem=f"the waiver of {code} names no day of the calendar")
    if last < today:
        return Waiver(item, code, problem=f"the waiver of {code} expired on {last}")
    return Waiver(item, code, words=f"until {last}: {match['reason']}")
