"""The patterns of the shop's data, each by a statistical test that data without the pattern do not pass.

A test gives the probability (p-value) of data like these, or of more extreme ones, if there were no pattern, or if the
data followed the configured curve. Every test runs on the default patterns and on flat data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from math import log, sqrt
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from floe_synthetic import EcommerceGenerator
from floe_synthetic.calendar import FLAT, Patterns
from floe_synthetic.shop_values import REGIONS, SEGMENTS
from p_values import more, upper

NEVER, LIKELY = 1e-6, 1e-3
"""A p-value below the first rules an assumption out; one above the second does not."""

OPENED, MONDAY = date(2026, 3, 1), datetime(2026, 3, 16, tzinfo=UTC)
DAYS = 28  # with the begin of daylight saving in Europe on 29 March
DAY = 86_400_000_000

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shop:
    """Four weeks of a shop, as columns. `customer`: the row of the customer of each order; times in microseconds."""

    ordered_at: Ints
    customer: Ints
    region: Ints
    segment: Ints
    registered_at: Ints
    lines: Ints
    product: Ints
    units: Ints


def chi_square(counts: Ints, expected: npt.ArrayLike) -> float:
    """The p-value of counts if they were drawn with probabilities in proportion to `expected`."""
    shares = np.asarray(expected, dtype=np.float64)
    wanted = shares / shares.sum() * counts.sum()
    freedom = len(counts) - 1
    statistic = float(((counts - wanted) ** 2 / wanted).sum())
    # Wilson and Hilferty: the cube root of a chi-square variable is nearly normal.
    return upper(((statistic / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / sqrt(2 / (9 * freedom)))


@lru_cache
def shop(*, flat: bool = False) -> Shop:
    generator = EcommerceGenerator(
        customers=40_000, orders_per_day=4000, opened=OPENED, patterns=FLAT if flat else None
    )
    tables = generator.batch(MONDAY, MONDAY + timedelta(days=DAYS)).tables
    customers = pa.concat_tables([generator.reference(MONDAY).tables["customers"], tables["customers"]])
    orders, items = tables["orders"], tables["order_items"]
    countries = pa.array([region.country for region in REGIONS])
    order = numbers(pc.index_in(items["order_id"], value_set=orders["order_id"]))
    return Shop(
        numbers(orders["ordered_at"].cast(pa.int64())),
        numbers(pc.index_in(orders["customer_id"], value_set=customers["customer_id"])),
        numbers(pc.index_in(customers["country"], value_set=countries)),
        numbers(pc.index_in(customers["segment"], value_set=pa.array(SEGMENTS))),
        numbers(customers["created_at"].cast(pa.int64())),
        np.bincount(order, minlength=orders.num_rows),
        numbers(pc.cast(pc.utf8_slice_codeunits(items["product_id"], 1), pa.int64())) - 1,
        numbers(items["quantity"]),
    )


def numbers(column: pa.ChunkedArray) -> Ints:
    whole: Ints = column.to_numpy().astype(np.int64)
    return whole


def local_hours(of: Shop, index: int, *, daylight_saving: bool = True) -> Ints:
    """The orders of a region by hour of its local time, (24)."""
    at = of.ordered_at[of.region[of.customer] == index]
    zone = ZoneInfo(REGIONS[index].zone)
    counts = np.zeros(24, dtype=np.int64)
    for number in range(1, DAYS - 1):  # local days that are wholly within the four weeks
        # The clocks change at night: noon tells the offset of the rest of the day.
        noon = MONDAY + timedelta(days=number if daylight_saving else 0, hours=12)
        offset = noon.astimezone(zone).utcoffset()
        assert offset is not None
        start = (MONDAY + timedelta(days=number) - offset).timestamp() * 1e6
        counts += np.histogram(at, bins=24, range=(start, start + DAY))[0]
    return counts


def all_hours(of: Shop) -> Ints:
    return sum((local_hours(of, index) for index in range(len(REGIONS))), np.zeros(24, dtype=np.int64))


def weekdays(of: Shop) -> Ints:
    return np.bincount(of.ordered_at // DAY % 7, minlength=7)[[4, 5, 6, 0, 1, 2, 3]]  # 1970-01-01 was a Thursday


TESTS_OF_A_SHOP: dict[str, Callable[[Shop], float]] = {
    "the morning has a peak": lambda of: more(all_hours(of)[10], all_hours(of)[7], 1.15),
    "the peak of the morning is over at lunch": lambda of: more(all_hours(of)[10], all_hours(of)[13], 1.15),
    "lunch is a dip": lambda of: more(all_hours(of)[16], all_hours(of)[13], 1.05),
    "the evening is a surge": lambda of: more(all_hours(of)[20], all_hours(of)[17], 1.15),
    "the night is quiet": lambda of: more(all_hours(of)[20], all_hours(of)[3], 10),
    "weekends are busier": lambda of: more(weekdays(of)[5:].sum() / 2, weekdays(of)[1:3].sum() / 2, 1.05),
}


@pytest.mark.parametrize("name", TESTS_OF_A_SHOP)
def test_the_week_has_a_shape(name: str) -> None:
    with_pattern, without = (TESTS_OF_A_SHOP[name](shop(flat=flat)) for flat in (False, True))
    print(f"{name}: p = {with_pattern:.1e}, of flat data {without:.2g}")
    assert with_pattern < NEVER
    assert without > LIKELY


@pytest.mark.parametrize("index", range(5), ids=lambda index: REGIONS[index].country)
def test_orders_follow_the_curve_in_local_time(index: int) -> None:
    hours = np.array(Patterns().hours)
    curve = (hours + np.roll(hours, -1)) / 2
    fits = chi_square(local_hours(shop(), index), curve)
    flat = chi_square(local_hours(shop(flat=True), index), curve)
    flat_fits = chi_square(local_hours(shop(flat=True), index), np.ones(24))
    print(f"{REGIONS[index].country}: p = {fits:.2g}, of flat data {flat:.1e}, and {flat_fits:.2g} if none is assumed")
    assert fits > LIKELY
    assert flat < NEVER
    assert flat_fits > LIKELY


def test_orders_follow_daylight_saving() -> None:
    hours = np.array(Patterns().hours)
    curve = (hours + np.roll(hours, -1)) / 2
    berlin = [region.country for region in REGIONS].index("DE")
    without = chi_square(local_hours(shop(), berlin, daylight_saving=False), curve)
    print(f"DE without daylight saving: p = {without:.1e}")
    assert without < NEVER


def count(patterns: Patterns, *starts: datetime, days: int = 7) -> int:
    """The orders of some windows, in a shop that opened in 2025."""
    generator = EcommerceGenerator(orders_per_day=2000, opened=date(2025, 1, 1), patterns=patterns)
    return sum(generator.batch(start, start + timedelta(days=days)).tables["orders"].num_rows for start in starts)


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


def test_winter_is_busier_than_summer() -> None:
    # The summers before and after, so that growth does not count.
    values = []
    for patterns in (Patterns(), FLAT):
        winter = count(patterns, day(2025, 12, 8))
        summers = count(patterns, day(2025, 6, 9), day(2026, 6, 8))
        values.append(more(winter, summers, 1.15 / 2 if patterns is not FLAT else 1 / 2))
    print(f"season: p = {values[0]:.1e}, of flat data {values[1]:.2g}")
    assert values[0] < NEVER
    assert values[1] > LIKELY


def test_a_year_is_busier_than_the_year_before() -> None:
    values = []
    for patterns in (Patterns(), FLAT):
        before, after = count(patterns, day(2025, 3, 3)), count(patterns, day(2026, 3, 2))
        values.append(more(after, before))
        exact = (log(after / before) - log(1 + patterns.growth) * 364 / 365.25) / sqrt(1 / after + 1 / before)
        assert 2 * upper(abs(exact)) > LIKELY
    print(f"growth: p = {values[0]:.1e}, of flat data {values[1]:.2g}")
    assert values[0] < NEVER
    assert values[1] > LIKELY


def test_promotions_raise_demand_and_discounts() -> None:
    values = []
    for patterns in (Patterns(), FLAT):
        sale = count(patterns, day(2025, 11, 24), days=5)
        around = count(patterns, day(2025, 11, 10), day(2025, 12, 8), days=5)
        values.append(more(sale, around, 1 / 2))
    print(f"promotion: p = {values[0]:.1e}, of flat data {values[1]:.2g}")
    assert values[0] < NEVER
    assert values[1] > LIKELY

    shares = []
    for patterns in (Patterns(), FLAT):
        generator = EcommerceGenerator(orders_per_day=2000, opened=date(2025, 1, 1), patterns=patterns)
        discounts = [
            numbers(pc.cast(pc.greater(items["discount"], 0), pa.int64()))
            for start in (day(2025, 11, 26), day(2025, 12, 10))
            for items in [generator.batch(start, start + timedelta(days=1)).tables["order_items"]]
        ]
        sale_share, other_share = (one.mean() for one in discounts)
        error = sqrt(sum(one.var() / len(one) for one in discounts))
        shares.append(upper((sale_share - other_share) / error))
    assert shares[0] < NEVER
    assert shares[1] > LIKELY


def test_few_products_are_sold_often_and_most_of_them_rarely() -> None:
    product = shop().product
    sold = np.sort(np.bincount(product, minlength=200))[::-1]
    uniform = np.bincount(np.random.default_rng(1).integers(0, 200, len(product)), minlength=200)
    tail, flat = (chi_square(counts, np.ones(200)) for counts in (sold, uniform))
    # The decline over the ranks in the middle, on logarithmic axes: Zipf's law has -1.
    slope = np.polyfit(np.log(np.arange(10, 150)), np.log(sold[10:150]), 1)[0]
    units = np.bincount(product, weights=shop().units)
    top, tenth = units.max() / units.sum(), sold[:20].sum() / sold.sum()
    print(f"long tail: p = {tail:.1e}, of flat data {flat:.2g}; slope {slope:.2f}, top {top:.1%}, tenth {tenth:.0%}")
    assert tail < NEVER
    assert flat > LIKELY
    assert -1.5 < slope < -0.6
    assert 0.04 < top < 0.07
    assert sold.min() > 0


def decline(of: Shop, customer: Ints) -> float:
    """The p-value of orders in the second and fourth week if newcomers lost no more interest than old customers."""
    week = (of.ordered_at - int(MONDAY.timestamp()) * 1_000_000) // (7 * DAY)
    joined = (of.registered_at - int(MONDAY.timestamp()) * 1_000_000) // (7 * DAY)
    new_then, new_now, old_then, old_now = (
        int(((joined[customer] == 0) if is_new else (joined[customer] < -4)).astype(int)[week == number].sum())
        for is_new in (True, False)
        for number in (1, 3)
    )
    change = log(new_then / new_now) - log(old_then / old_now)
    return upper(change / sqrt(1 / new_then + 1 / new_now + 1 / old_then + 1 / old_now))


def test_customers_come_back_and_lose_interest_slowly() -> None:
    of = shop()
    rng = np.random.default_rng(1)
    by_time = np.argsort(of.registered_at)
    known = np.searchsorted(of.registered_at[by_time], of.ordered_at)
    anybody = by_time[(rng.random(len(known)) * known).astype(np.int64)]  # any customer who had registered by then
    fades, flat = decline(of, of.customer), decline(of, anybody)
    start = int(MONDAY.timestamp()) * 1_000_000
    cohort = np.flatnonzero((of.registered_at >= start) & (of.registered_at < start + 7 * DAY))
    week = (of.ordered_at - start) // (7 * DAY)
    active = [np.isin(cohort, of.customer[week == number]).mean() for number in range(4)]
    print(f"retention: p = {fades:.1e}, of flat data {flat:.2g}; active by week {[f'{one:.0%}' for one in active]}")
    assert fades < NEVER
    assert flat > LIKELY
    assert active[1] > active[2] > active[3] > 0.1
    assert (of.registered_at[of.customer] <= of.ordered_at).all()


def test_a_few_customers_order_much_and_nobody_absurdly_much() -> None:
    orders = np.bincount(shop().customer)
    print(f"orders of a customer in four weeks: mean {orders.mean():.1f}, most {orders.max()}")
    assert orders.max() > 5 * orders.mean()
    assert orders.max() < 30 * orders.mean()


def test_regions_have_their_shares() -> None:
    shares = [region.share for region in REGIONS]
    of = shop()
    fits = chi_square(np.bincount(of.region[of.customer]), shares)
    even = chi_square(np.bincount(np.random.default_rng(1).integers(0, 10, len(of.customer))), shares)
    print(f"regions: p = {fits:.2g}, of equal shares {even:.1e}")
    assert fits > LIKELY
    assert even < NEVER


def test_baskets_depend_on_the_segment() -> None:
    of = shop()
    segment = of.segment[of.customer]
    values = []
    for labels in (segment, np.random.default_rng(1).permutation(segment)):
        small, large = (of.lines[labels == one] for one in (0, 2))
        error = sqrt(small.var() / len(small) + large.var() / len(large))
        values.append(upper((large.mean() - small.mean()) / error))
    means = [of.lines[segment == one].mean() for one in range(3)]
    print(f"baskets: p = {values[0]:.1e}, of shuffled segments {values[1]:.2g}; items {np.round(means, 1)}")
    assert values[0] < NEVER
    assert values[1] > LIKELY
    assert means[0] < means[1] < means[2]


def test_orders_end_in_the_configured_mix() -> None:
    generator = EcommerceGenerator(customers=3000, opened=OPENED)
    days = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=number) for number in (0, 2, 32)]
    placed = generator.batch(*days[:2]).tables["orders"]["order_id"]
    events = generator.batch(days[0], days[2]).tables["order_events"]
    of_them = events.filter(pc.is_in(events["order_id"], value_set=placed.combine_chunks()))
    counts = {row["values"]: row["counts"] for row in of_them["status"].value_counts().to_pylist()}
    kept = counts["delivered"] - counts["returned"]
    mix, shares = np.array([counts["cancelled"], counts["returned"], kept]), [0.055, 0.945 * 0.07, 0.945 * 0.93]
    fits, even = chi_square(mix, shares), chi_square(np.full(3, len(placed) // 3), shares)
    print(f"status: p = {fits:.2g}, of equal shares {even:.1e}; {counts}")
    assert counts["shipped"] == counts["delivered"] == len(placed) - counts["cancelled"]
    assert fits > LIKELY
    assert even < NEVER
