"""What generators of different domains share: keys, columns, windows, and the cohorts of those who register."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from floe_synthetic import people
from floe_synthetic.batch import Batch, window_id
from floe_synthetic.calendar import DAY_US, SLOT_US, SLOTS, Calendar, Region
from floe_synthetic.domain import Domain
from floe_synthetic.randomness import Floats, Ints, Keys, Source
from floe_synthetic.text_keys import letters, strings

DAYS_BEFORE = 365
"""Those who are there at the opening registered during so many days before it."""

_EARLIEST, _LATEST = date(1971, 1, 1), date(2600, 1, 1)  # so that a day fits into the keys

Parts = Iterator[tuple[str, pa.Table]]
"""Parts of tables, as (name of the table, rows)."""


def key(region: Ints, day: Ints, number: Ints) -> Keys:
    """One number for a region (4 bits), a day (18 bits) and a number below 2**32."""
    keys: Keys = number.astype(np.uint64)
    keys |= region.astype(np.uint64) << np.uint64(50)
    keys |= day.astype(np.uint64) << np.uint64(32)
    return keys


def child(keys: Keys, number: Ints, bits: int) -> Keys:
    """Keys of the numbered children of rows. `bits`: of the number; the row's own number has 32 bits less these."""
    own = keys & np.uint64(0xFFFFFFFF)
    children: Keys = (keys ^ own) | (own << np.uint64(bits)) | number.astype(np.uint64)
    return children


def words(values: Sequence[str], index: Ints) -> pa.Array:
    """A column with the value at each index."""
    return pa.array(list(values)).take(pa.array(np.ascontiguousarray(index)))


def texts(prefix: str, keys: Keys) -> pa.Array:
    """A column with a text for each key below 2**54: a letter and 12 letters or digits, which differ if the keys do."""
    return strings(letters(prefix, keys))


def times(demand: Floats, rows: Ints, uniform: Floats, day: int) -> Ints:
    """Turn uniform numbers into times of a day, in microseconds since 1970, that follow the demand of regions.

    `demand`: (regions, SLOTS). `rows`: the region of each number.
    """
    sums = np.hstack([np.zeros((len(demand), 1)), demand.cumsum(axis=1) / demand.sum(axis=1, keepdims=True)])
    flat = (sums[:, 1:] + np.arange(len(demand))[:, np.newaxis]).ravel()
    slot = (np.searchsorted(flat, uniform + rows, side="right") - rows * SLOTS).clip(0, SLOTS - 1)
    start, end = sums[rows, slot], sums[rows, slot + 1]
    part = ((uniform - start) / np.maximum(end - start, 1e-300)).clip(0.0, 1.0 - 1e-9)
    within: Ints = ((slot + part) * SLOT_US).astype(np.int64)
    return day * DAY_US + within


def inside(at: Ints, start: int, end: int) -> Ints:
    """The rows whose time is in a window, in order of time."""
    rows = np.flatnonzero((at >= start) & (at < end))
    in_order: Ints = rows[np.argsort(at[rows], kind="stable")]
    return in_order


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970. Raises ValueError for a time without a time zone."""
    if moment.utcoffset() is None:
        raise ValueError(f"the time {moment.isoformat()} has no time zone")
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def opening(day: date) -> datetime:
    """The beginning (UTC) of the day on which a business opens. Raises ValueError for a day that cannot be in keys."""
    if not _EARLIEST <= day <= _LATEST:
        raise ValueError(f"opened must be from {_EARLIEST} to {_LATEST}")
    return _midnight(day)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)


@dataclass(frozen=True)
class Families:
    """Which rows to generate: those of the families whose keys `chosen` selects.

    `chosen`: keys → the places of those that are selected, in order. `among`: the same for keys that follow each other,
    given as (the first, how many).
    `others`: whether also the rows of tables that have no families (see Domain).
    """

    chosen: Callable[[Keys], Ints]
    among: Callable[[int, int], Ints]
    others: bool


EVERYTHING = Families(lambda keys: np.arange(len(keys)), lambda _, size: np.arange(size), others=True)


class Generates(Protocol):
    """What every generator has, also one with defects."""

    @property
    def domain(self) -> Domain:
        """The tables."""

    @property
    def opened(self) -> datetime:
        """The time before which no window can begin."""

    def reference(self, until: datetime) -> Batch:
        """See Generator."""

    def batch(self, since: datetime, until: datetime, begin: datetime | None = None) -> Batch:
        """See Generator."""

    def stream(self, since: datetime, until: datetime, begin: datetime | None = None) -> Parts:
        """See Generator."""


class GeneratesFamilies(Generates, Protocol):
    """A generator without defects, which can generate some families alone."""

    def stream(
        self,
        since: datetime,
        until: datetime,
        begin: datetime | None = None,
        families: Families = EVERYTHING,
    ) -> Parts:
        """See Generator."""


class Generator(ABC):
    """Generates the tables of a domain. What happens in a window is a function of the arguments and the window alone.

    Windows that follow each other give together the rows of the whole window, however it is cut. Keys are unique for
    ever. `opened`: the time before which no window can begin.
    """

    domain: Domain
    opened: datetime

    def reference(self, until: datetime) -> Batch:
        """What was before a time: what the window that begins then refers to. It has all tables, also without rows."""
        return Batch("reference", gathered(self.domain, self._before(microseconds(until))), None, until)

    def batch(self, since: datetime, until: datetime, begin: datetime | None = None) -> Batch:
        """What happens from `since` until `until`, which is excluded, in all tables but the catalogue.

        `begin`: when a history begins that has this window. What continues something from before it is left out.

        Raises ValueError if a time has no time zone, `until` is not after `since`, or `since` is before the opening or
        `begin`.
        """
        return Batch(
            window_id(since, until),
            gathered(self.domain, self.stream(since, until, begin), self.domain.catalogue),
            since,
            until,
        )

    def stream(
        self,
        since: datetime,
        until: datetime,
        begin: datetime | None = None,
        families: Families = EVERYTHING,
    ) -> Parts:
        """The rows of `batch` in parts of a bounded size, as (name of the table, rows), without empty parts."""
        start, end, oldest = window(since, until, begin or self.opened)
        return ((name, rows) for name, rows in self._parts(start, end, oldest, families) if rows.num_rows)

    @abstractmethod
    def _before(self, end: int) -> Parts:
        """The parts of the reference data."""

    @abstractmethod
    def _parts(self, start: int, end: int, oldest: int, families: Families) -> Parts:
        """The parts of a window, whose times are microseconds since 1970; parts may be empty."""


def gathered(domain: Domain, parts: Parts, without: Sequence[str] = ()) -> dict[str, pa.Table]:
    """The tables of a domain from parts of them, in loading order. `without`: tables that are left out."""
    chunks: dict[str, list[pa.Table]] = {}
    for name, rows in parts:
        chunks.setdefault(name, []).append(rows)
    return {
        name: pa.concat_tables(chunks[name]) if name in chunks else domain.schema(name).empty_table()
        for name in domain.tables
        if name not in without
    }


def window(since: datetime, until: datetime, oldest: datetime) -> tuple[int, int, int]:
    """The start and end of a window, and the earliest time that it may begin, in microseconds since 1970.

    Raises ValueError if a time has no time zone, `until` is not after `since` or after the last day that can be
    generated, or `since` is before `oldest`.
    """
    start, end, first = microseconds(since), microseconds(until), microseconds(oldest)
    if until > _midnight(_LATEST):
        raise ValueError(f"the window ends at {until.isoformat()}, after {_LATEST}, the end of what can be generated")
    if end <= start:
        raise ValueError(f"the window ends at {until.isoformat()}, which is not after its start {since.isoformat()}")
    if start < first:
        raise ValueError(f"the window starts at {since.isoformat()}, before the opening at {oldest.isoformat()}")
    return start, end, first


class Cohorts:
    """Those who register: the ones of a region and a day are a cohort, and each is known by its number in it."""

    def __init__(self, random: Source, calendar: Calendar, base: int, per_day: float) -> None:
        """`base`: how many register before the opening. `per_day`: how many after it, on an average day."""
        self._random, self._calendar, self._base, self._per_day = random, calendar, base, per_day
        self.first = calendar.opened - DAYS_BEFORE
        self.sizes = lru_cache(maxsize=None)(self._sizes)

    def of_day(self, day: int) -> tuple[Keys, Ints, Ints]:
        """(keys, regions, times) of those who register on a day; in each region they are in order of time."""
        sizes = self.sizes(day)
        region = np.repeat(np.arange(len(sizes)), sizes)
        keys = key(region, np.full(len(region), day), np.arange(len(region)) - (np.cumsum(sizes) - sizes)[region])
        if not len(keys):
            return keys, region, region
        at = times(self._calendar.demand(day), region, self._random.uniform("registered at", keys), day)
        return keys, region, at[np.lexsort((at, region))]

    def _sizes(self, day: int) -> Ints:
        if day < self._calendar.opened:
            before: Ints = self._base_sizes[day - self.first]
            return before
        expected = self._per_day * self._calendar.shares * self._calendar.demand(day).mean(axis=1)
        counts: Ints = self._random.generator("signups", day).poisson(expected)
        return counts

    @cached_property
    def _base_sizes(self) -> Ints:
        shares = np.tile(self._calendar.shares / DAYS_BEFORE, (DAYS_BEFORE, 1))
        drawn = self._random.generator("base customers").multinomial(self._base, shares.ravel())
        counts: Ints = drawn.reshape(shares.shape)
        return counts


def by_region(regions: Sequence[Region], region: Ints) -> Iterator[tuple[Region, Ints]]:
    """(region, rows) of each region that has rows."""
    for index, one in enumerate(regions):
        if len(rows := np.flatnonzero(region == index)):
            yield one, rows


def persons(random: Source, seed: int, regions: Sequence[Region], keys: Keys, region: Ints) -> pa.Table:
    """For each key a name, the name as it stands in an e-mail address (`mail`), and a city, as in its country."""
    shape = pa.schema([(name, pa.string()) for name in ("name", "mail", "city", "family")])
    parts, places = [shape.empty_table()], [np.empty(0, dtype=np.int64)]
    for one, rows in by_region(regions, region):
        pool = people.pool(one.locale, seed)
        first, last, city = (
            pa.array(people.skewed(random.uniform(purpose, keys[rows]), len(values)))
            for purpose, values in (("first name", pool.first), ("last name", pool.last), ("city", pool.cities))
        )
        family = pool.last.take(last)
        name = pc.binary_join_element_wise(pool.first.take(first), family, " ")
        mail = pc.binary_join_element_wise(pool.first_mail.take(first), pool.last_mail.take(last), ".")
        parts.append(pa.Table.from_arrays([name, mail, pool.cities.take(city), family], schema=shape))
        places.append(rows)
    back = pa.array(np.argsort(np.concatenate(places), kind="stable"))
    return pa.concat_tables(parts).combine_chunks().take(back)
