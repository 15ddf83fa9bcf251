"""When things happen: how busy each region is at each quarter of an hour of each day.

The factors are multiplied: the hour of the day in the region's local time, with daylight saving; the day of the week;
the season; promotions; and growth since the opening day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from floe_synthetic.randomness import Floats, Ints

DAY_US = 86_400_000_000
SLOTS = 96
SLOT_US = DAY_US // SLOTS
"""Slots of a day, in UTC: quarters of an hour, since every time zone is a whole number of them away."""

_EPOCH, _EPOCH_UTC = date(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)
_SLOT_MINUTES = 1440 // SLOTS
_THURSDAY = 3  # the weekday of 1970-01-01; Monday is 0


@dataclass(frozen=True)
class Region:
    """A part of the market. `share`: of all orders; only the proportions matter. `locale`: Faker's name for it."""

    country: str
    zone: str
    locale: str
    share: float


@dataclass(frozen=True)
class Promotion:
    """A sale that comes back every year. `demand`: factor on the number of orders. `percent`: discounts and weights."""

    name: str
    month: int
    day: int
    days: int
    demand: float
    percent: dict[int, float]


SUMMER = Promotion("summer sale", 7, 1, 14, 1.35, {10: 0.3, 15: 0.3, 20: 0.25, 0: 0.15})
BLACK_FRIDAY = Promotion("black friday", 11, 24, 6, 2.1, {15: 0.25, 20: 0.3, 30: 0.3, 0: 0.15})


@dataclass(frozen=True)
class Patterns:
    """The shape of the demand. Only the proportions of `hours` and `weekdays` matter.

    `hours`: at each full local hour. `weekdays`: Monday to Sunday. `season`: amplitude of the yearly wave, which is
    highest at `season_peak`, a day of the year. `growth`: part by which a year is busier than the year before.
    Raises ValueError for a value that makes no sense.
    """

    hours: Sequence[float] = (
        *(0.30, 0.17, 0.10, 0.07, 0.08, 0.15, 0.34, 0.66, 1.00, 1.30, 1.42, 1.30),
        *(0.98, 0.86, 1.00, 1.06, 1.13, 1.27, 1.50, 1.80, 1.96, 1.74, 1.20, 0.64),
    )
    weekdays: Sequence[float] = (0.98, 0.94, 0.95, 0.99, 1.02, 1.10, 1.12)
    season: float = 0.15
    season_peak: int = 345
    growth: float = 0.35
    promotions: Sequence[Promotion] = field(default=(SUMMER, BLACK_FRIDAY))

    def __post_init__(self) -> None:
        """Check the values."""
        for name, values, length in (("hours", self.hours, 24), ("weekdays", self.weekdays, 7)):
            if len(values) != length or min(values) < 0 or max(values) <= 0:
                raise ValueError(f"{name} must be {length} numbers, none negative and not all of them 0")
        if not 0 <= self.season < 1:
            raise ValueError("season must be from 0 to 1, without 1")
        if not -0.99 <= self.growth <= 100:
            raise ValueError("growth must be from -0.99 to 100")


FLAT = Patterns((1.0,) * 24, (1.0,) * 7, 0.0, 1, 0.0, ())
"""No pattern at all: what the tests of the patterns must reject."""


class Calendar:
    """The demand of some regions with given patterns. Days are counted from 1970-01-01, in UTC."""

    def __init__(self, regions: Sequence[Region], patterns: Patterns, opened: date) -> None:
        """`opened`: the day from which growth counts. Raises ValueError for a time zone that does not exist."""
        self.patterns, self.opening = patterns, opened
        self.opened = day_number(opened)
        self._zones = [_zone(region.zone) for region in regions]
        shares = np.array([region.share for region in regions], dtype=np.float64)
        self.shares = shares / shares.sum()
        hours = np.array(patterns.hours, dtype=np.float64)
        minutes = np.arange(0, 1440, _SLOT_MINUTES) + _SLOT_MINUTES / 2
        self._hours = np.interp(minutes / 60, np.arange(25), [*hours, hours[0]]) / hours.mean()
        weekdays = np.array(patterns.weekdays, dtype=np.float64)
        self._weekdays = weekdays / weekdays.mean()
        self._demand = lru_cache(maxsize=64)(self._compute)

    def demand(self, day: int) -> Floats:
        """How busy each region is in each slot of a day, as (regions, SLOTS); an average day of the first year is 1."""
        return self._demand(day)

    def promotion(self, day: int) -> Promotion | None:
        """The promotion of a day, if there is one."""
        return next((one for one in self.patterns.promotions if _is_in(one, np.array([day]))[0]), None)

    def daily(self, first: int, last: int) -> Floats:
        """How busy each day from `first` to `last` is, in all regions alike."""
        days = np.arange(first, last + 1)
        whole: Floats = self._levels(days) * self._weekdays[(days + _THURSDAY) % 7]
        return whole

    def _compute(self, day: int) -> Floats:
        offsets = np.array([_offset_slots(zone, day) for zone in self._zones])
        local = np.arange(SLOTS)[np.newaxis, :] + offsets  # (regions, SLOTS)
        weekday = (day + _THURSDAY + local // SLOTS) % 7
        whole: Floats = self._hours[local % SLOTS] * self._weekdays[weekday] * self._levels(np.array([day]))[0]
        return whole

    def _levels(self, days: Ints) -> Floats:
        """The factors of days that are the same in every region and at every hour."""
        patterns = self.patterns
        of_year = days - _year_starts(days)
        level = 1 + patterns.season * np.cos(2 * np.pi * (of_year + 1 - patterns.season_peak) / 365.25)
        level *= (1 + patterns.growth) ** ((days - self.opened) / 365.25)
        for one in patterns.promotions:
            level[_is_in(one, days)] *= one.demand
        whole: Floats = level
        return whole


def _year_starts(days: Ints) -> Ints:
    """The first day of the year of each day."""
    starts: Ints = days.astype("datetime64[D]").astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    return starts


def _is_in(promotion: Promotion, days: Ints) -> npt.NDArray[np.bool_]:
    """Whether each day belongs to the promotion, which may have begun in the year before."""
    inside = np.zeros(len(days), dtype=bool)
    for year in np.unique(days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)) + 1970:
        for begun in (int(year) - 1, int(year)):
            since = days - day_number(date(begun, promotion.month, promotion.day))
            inside |= (since >= 0) & (since < promotion.days)
    return inside


def day_number(moment: date) -> int:
    """The number of days from 1970-01-01."""
    return (moment - _EPOCH).days


def _offset_slots(zone: ZoneInfo, day: int) -> Ints:
    """How many slots local time is ahead of UTC in each slot of a day."""
    first, last = _offset(zone, day * 24), _offset(zone, day * 24 + 24)
    if first == last:
        return np.full(SLOTS, first)
    return np.repeat([_offset(zone, day * 24 + hour) for hour in range(24)], SLOTS // 24)


@lru_cache(maxsize=1024)
def _offset(zone: ZoneInfo, hour: int) -> int:
    """How many slots local time is ahead of UTC at an hour, counted from 1970."""
    offset = (_EPOCH_UTC + timedelta(hours=hour)).astimezone(zone).utcoffset()
    assert offset is not None  # a ZoneInfo always has one
    return offset // timedelta(minutes=_SLOT_MINUTES)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}") from None
