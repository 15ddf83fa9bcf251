"""The patterns of generated data: how busy each hour, weekday and week is, and the mix of the values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from floe_synthetic import saas, shop_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from floe_synthetic.calendar import Region

_BARS = "▁▂▃▄▅▆▇█"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_US = 86_400_000_000
_THURSDAY = 3  # the weekday of 1970-01-01; Monday is 0
_MOST_WEEKS = 60  # in a chart; of more, some are taken together


@dataclass(frozen=True)
class Shape:
    """What to count: rows of a table by their time, in the zone of the country of the row that `owner` refers to.

    `mixes`: (table, column) of the values whose shares are counted.
    """

    table: str
    time: str
    owner: str
    owners: str
    regions: Iterable[Region]
    mixes: tuple[tuple[str, str], ...]


SHAPES = {
    "ecommerce": Shape(
        *("orders", "ordered_at", "customer_id", "customers", shop_values.REGIONS),
        mixes=(("orders", "payment_method"), ("customers", "segment"), ("order_events", "status")),
    ),
    "saas": Shape(
        *("events", "occurred_at", "organisation_id", "organisations", saas.REGIONS),
        mixes=(("events", "action"), ("subscriptions", "plan"), ("subscription_events", "change")),
    ),
}
"""What is counted in each domain."""


@dataclass(frozen=True)
class Panel:
    """One row of the profile: how often each label occurs. `is_mix`: whether the labels have no order."""

    title: str
    counts: Mapping[str, int]
    is_mix: bool = False

    def line(self) -> str:
        """The counts as text: shares of a mix, otherwise a small chart and its highest label."""
        values = list(self.counts.values())
        if not sum(values):
            return "nothing"
        if self.is_mix:
            return ", ".join(f"{label} {count / sum(values):.1%}" for label, count in self.counts.items())
        low, high, mean = min(values), max(values), sum(values) / len(values)
        bars = "".join(_BARS[round((one - low) / max(high - low, 1) * (len(_BARS) - 1))] for one in values)
        most, least = (chosen(self.counts, key=self.counts.__getitem__) for chosen in (max, min))
        return f"{bars}  {most} has {high / mean:.2f} times the mean, {least} {low / mean:.2f}"


@dataclass
class Profile:
    """Counts what it is given. Weeks begin at `since`, in microseconds since 1970."""

    shape: Shape
    since: int
    _last: int = 0
    _hours: dict[str, np.ndarray] = field(default_factory=dict)
    _weekdays: np.ndarray = field(default_factory=lambda: np.zeros(7, dtype=np.int64))
    _weeks: Counter[int] = field(default_factory=Counter)
    _mixes: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    _owners: list[pa.Table] = field(default_factory=list)

    def add(self, name: str, rows: pa.Table) -> None:
        """Count rows of a table. Owners come before the rows that refer to them."""
        for table, column in self.shape.mixes:
            if table == name:
                counts = pc.value_counts(rows[column].drop_null()).to_pylist()
                self._mixes.setdefault((table, column), Counter()).update(
                    {str(one["values"]): one["counts"] for one in counts}
                )
        if name == self.shape.owners:
            self._owners = [pa.concat_tables([*self._owners, rows.select([0, rows.column_names.index("country")])])]
        if name == self.shape.table and rows.num_rows:
            self._count_times(rows)

    def panels(self) -> Iterator[Panel]:
        """What was counted: the hours of each region, the weekdays, the whole weeks, the mixes."""
        for country, counts in self._hours.items():
            yield Panel(f"{country}, hour", {f"{hour}:00": int(one) for hour, one in enumerate(counts)})
        # Of each weekday the average day: a window may have one Thursday more than Wednesdays.
        days = np.arange(self.since // _DAY_US, max(self.since, self._last) // _DAY_US + 1)
        averages = self._weekdays / np.bincount((days + _THURSDAY) % 7, minlength=7).clip(1)
        yield Panel("weekday", dict(zip(_DAYS, map(round, averages.tolist()), strict=True)))
        whole = (self._last - self.since + _DAY_US // 2) // (7 * _DAY_US)
        step = -(-whole // _MOST_WEEKS) or 1
        sums = {first: sum(self._weeks[first + one] for one in range(step)) for first in range(0, whole, step)}
        complete = {self._day(first): count for first, count in sums.items() if first + step <= whole}
        yield Panel("week" if step == 1 else f"{step} weeks", complete)
        for (_, column), counter in self._mixes.items():
            common = dict(counter.most_common(6))
            rest = counter.total() - sum(common.values())
            yield Panel(column.replace("_", " "), common | ({"others": rest} if rest else {}), is_mix=True)

    def _day(self, week: int) -> str:
        """The day on which a week begins."""
        return f"{np.datetime64(self.since + week * 7 * _DAY_US, 'us').item():%d %b %y}"

    def _count_times(self, rows: pa.Table) -> None:
        owners = self._owners[0].combine_chunks()
        place = pc.index_in(rows[self.shape.owner], value_set=owners.column(0).combine_chunks())
        countries = owners.column(1).take(place)
        for region in self.shape.regions:
            times = rows[self.shape.time].filter(pc.fill_null(pc.equal(countries, region.country), False))
            local = times.cast(pa.timestamp("us", tz=region.zone))
            hours = np.bincount(pc.hour(local).to_numpy(), minlength=24)
            self._hours[region.country] = self._hours.get(region.country, 0) + hours
            self._weekdays += np.bincount(pc.day_of_week(local).to_numpy(), minlength=7)
        at = rows[self.shape.time].cast(pa.int64()).to_numpy()
        self._last = max(self._last, int(at.max()))
        weeks, counts = np.unique((at - self.since) // (7 * _DAY_US), return_counts=True)
        self._weeks.update(dict(zip(weeks.tolist(), counts.tolist(), strict=True)))
