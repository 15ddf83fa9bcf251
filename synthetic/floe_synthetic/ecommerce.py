"""A web shop: customers, products, orders, order items, the life of each order, and returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from floe_synthetic import people
from floe_synthetic.batch import Batch, window_id
from floe_synthetic.calendar import DAY_US, Calendar, Patterns, Region, cumulated, day_number, times
from floe_synthetic.domain import SHOP
from floe_synthetic.randomness import Floats, Ints, Keys, Source, deck
from floe_synthetic.schema import MONEY, TABLES, TIME, arrow_schema
from floe_synthetic.text_keys import texts

REGIONS = (
    Region("US", "America/New_York", "en_US", 34),
    Region("DE", "Europe/Berlin", "de_DE", 14),
    Region("GB", "Europe/London", "en_GB", 12),
    Region("FR", "Europe/Paris", "fr_FR", 9),
    Region("NL", "Europe/Amsterdam", "nl_NL", 6),
    Region("ES", "Europe/Madrid", "es_ES", 6),
    Region("IT", "Europe/Rome", "it_IT", 6),
    Region("PL", "Europe/Warsaw", "pl_PL", 5),
    Region("SE", "Europe/Stockholm", "sv_SE", 4),
    Region("CA", "America/Toronto", "en_CA", 4),
)
_PAYMENTS = ("card", "invoice", "direct debit", "wallet", "bank transfer")
_PAYMENT_SHARES = {
    "US": (72, 2, 4, 20, 2),
    "DE": (22, 34, 18, 22, 4),
    "NL": (14, 8, 4, 10, 64),
    "PL": (24, 2, 2, 14, 58),
}
_PAYMENT_ELSEWHERE = (58, 8, 8, 20, 6)

SEGMENTS = ("consumer", "small_business", "enterprise")
_SEGMENT_SHARES = {0: 0.82, 1: 0.14, 2: 0.04}
# By segment: how many products an order has, how many pieces of each, and how much each category is liked.
_LINES: tuple[dict[int, float], ...] = (
    {1: 46, 2: 28, 3: 14, 4: 7, 5: 3, 6: 2},
    {1: 22, 2: 25, 3: 20, 4: 13, 5: 9, 6: 6, 8: 5},
    {2: 12, 3: 16, 4: 18, 6: 20, 8: 18, 10: 10, 12: 6},
)
_QUANTITIES: tuple[dict[int, float], ...] = (
    {1: 78, 2: 15, 3: 4, 4: 2, 5: 1},
    {1: 46, 2: 24, 3: 10, 5: 12, 10: 8},
    {1: 18, 2: 18, 5: 26, 10: 24, 20: 10, 50: 4},
)
_DISCOUNTS: tuple[dict[int, float], ...] = (
    {0: 76, 5: 10, 10: 10, 20: 4},
    {0: 60, 5: 22, 10: 14, 15: 4},
    {0: 20, 5: 20, 10: 30, 15: 20, 20: 10},
)
# For each category: the typical price, how much each segment likes it, and the names of its articles.
_CATEGORIES: dict[str, tuple[float, tuple[float, float, float], Sequence[str]]] = {
    "electronics": (120.0, (1.0, 1.6, 3.0), ("Headphones", "Keyboard", "Monitor", "Charger", "Speaker", "Webcam")),
    "home": (45.0, (1.1, 1.2, 1.5), ("Lamp", "Kettle", "Blanket", "Shelf", "Clock", "Mirror")),
    "clothing": (35.0, (1.4, 0.7, 0.3), ("Jacket", "Shirt", "Scarf", "Trousers", "Socks", "Cap")),
    "sports": (55.0, (1.0, 0.6, 0.4), ("Backpack", "Bottle", "Mat", "Racket", "Gloves", "Tent")),
    "beauty": (18.0, (1.2, 0.6, 0.2), ("Soap", "Cream", "Shampoo", "Comb", "Perfume", "Balm")),
    "books": (15.0, (1.0, 0.9, 0.8), ("Novel", "Atlas", "Cookbook", "Diary", "Guide", "Comic")),
}
_STYLES = ("Classic", "Compact", "Everyday", "Light", "Nordic", "Premium", "Sturdy", "Urban")
_RETURN_REASONS = ("does not fit", "not as described", "damaged", "changed my mind", "arrived too late")

_LINE_DECKS, _QUANTITY_DECKS, _DISCOUNT_DECKS = (
    np.stack([deck(weights) for weights in by_segment]) for by_segment in (_LINES, _QUANTITIES, _DISCOUNTS)
)
_PAYMENT_DECKS = np.stack(
    [deck(np.array(_PAYMENT_SHARES.get(one.country, _PAYMENT_ELSEWHERE), dtype=np.float64)) for one in REGIONS]
)
_DOMAINS = ("example.com", "example.org", "example.net")
_DOMAIN_DECK, _SEGMENT_DECK = deck({0: 6, 1: 3, 2: 1}), deck(_SEGMENT_SHARES)

_DAYS_BEFORE = 365  # base customers registered during so many days before the opening
_SIGNUPS_PER_ORDER = 0.06
_CANCELLED, _RETURNED = 0.055, 0.07  # parts of all orders, and of those that were delivered
_LOOKBACK_DAYS = 30  # after so many days the last thing has happened to an order
_MOST_PRODUCTS = 10_000
_MAX_LINES = max(max(lines) for lines in _LINES)
_CHUNK = 1 << 19  # orders that are generated at once

PLACED, SHIPPED, DELIVERED, CANCELLED, RETURNED = STATUSES = ("placed", "shipped", "delivered", "cancelled", "returned")
NEXT = {PLACED: (SHIPPED, CANCELLED), SHIPPED: (DELIVERED,), DELIVERED: (RETURNED,), CANCELLED: (), RETURNED: ()}
"""The legal transitions of an order."""
_HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class _Orders:
    """Orders of one day: their keys, regions, times, and the keys and segments of their customers."""

    key: Keys
    region: Ints
    at: Ints
    customer: Keys
    segment: Ints

    def take(self, rows: Ints) -> _Orders:
        return _Orders(self.key[rows], self.region[rows], self.at[rows], self.customer[rows], self.segment[rows])


@dataclass(frozen=True)
class _Items:
    """Order items: the index of their order, their number in it, product, pieces, and discount in cents."""

    order: Ints
    line: Ints
    product: Ints
    quantity: Ints
    discount: Ints


class EcommerceGenerator:
    """Generates a shop's data. What happens in a window of time is a function of the arguments and the window alone.

    Windows that follow each other give together the rows of the whole window, however it is cut. Keys are unique for
    ever. Every order item has its order and product, every order its customer, who registered before.

    `orders_per_day`: the average of the first year. `customers`: those who registered before the shop opened.
    `versions`: whether an order that changes its status is generated again as a later version of its row, in place of
    a row in `order_events`. Raises ValueError for an argument that makes no sense.
    """

    domain = SHOP

    def __init__(
        self,
        seed: int = 42,
        customers: int = 1000,
        products: int = 200,
        orders_per_day: float = 6000,
        *,
        opened: date = date(2025, 1, 1),
        patterns: Patterns | None = None,
        versions: bool = False,
    ) -> None:
        """Store the arguments. Data is generated when a method is called."""
        sizes = {"customers": customers, "products": products, "orders_per_day": orders_per_day}
        if too_small := [name for name, size in sizes.items() if not 1 <= size < 1 << 31]:
            raise ValueError(f"{', '.join(too_small)} must be at least 1 and below 2147483648")
        if products > _MOST_PRODUCTS:
            raise ValueError(f"products must be at most {_MOST_PRODUCTS}")
        self._random = Source(seed)
        self._seed = seed
        self._customers, self._products, self._orders_per_day = customers, products, float(orders_per_day)
        self._versions = versions
        self._calendar = Calendar(REGIONS, patterns or Patterns(), opened)
        self.opened = day_number(opened)
        self._first = self.opened - _DAYS_BEFORE
        self._signups = lru_cache(maxsize=None)(self._count_signups)

    def reference(self, until: datetime) -> Batch:
        """The catalogue, and the customers who registered before a time: what the first window refers to."""
        end = _microseconds(until)
        parts = [
            self._customers_between(day, self._first * DAY_US, end) for day in range(self._first, end // DAY_US + 1)
        ]
        customers = pa.concat_tables(parts)
        return Batch("reference", {"customers": customers, "products": self._product_table()})

    def batch(self, since: datetime, until: datetime) -> Batch:
        """What happens from `since` until `until`, which is excluded. A table without rows is left out.

        Raises ValueError if a time has no time zone, `until` is not after `since`, or `since` is before the opening.
        """
        chunks: dict[str, list[pa.Table]] = {}
        for name, rows in self.stream(since, until):
            chunks.setdefault(name, []).append(rows)
        return Batch(
            window_id(since, until), {name: pa.concat_tables(chunks[name]) for name in TABLES if name in chunks}
        )

    def stream(self, since: datetime, until: datetime) -> Iterator[tuple[str, pa.Table]]:
        """The rows of `batch` in parts of a bounded size, as (name of the table, rows), without empty parts."""
        start, end = _microseconds(since), _microseconds(until)
        if end <= start:
            raise ValueError(
                f"the window ends at {until.isoformat()}, which is not after its start {since.isoformat()}"
            )
        if start < self.opened * DAY_US:
            raise ValueError(f"the window starts at {since.isoformat()}, before the shop opened")
        for day in range(max(start // DAY_US - _LOOKBACK_DAYS, self.opened), (end - 1) // DAY_US + 1):
            for name, rows in self._day(day, start, end):
                if rows.num_rows:
                    yield name, rows

    def _day(self, day: int, start: int, end: int) -> Iterator[tuple[str, pa.Table]]:
        """What happens in the window to customers and orders of one day."""
        is_inside = day * DAY_US < end and (day + 1) * DAY_US > start
        if is_inside:
            yield "customers", self._customers_between(day, start, end)
        counts = self._counts("orders", day, self._orders_per_day)
        for key, region in _chunks(counts, day):
            placed_at = self._times("ordered at", day, key, region, self._calendar.demand(day))
            if is_inside:
                chosen = np.flatnonzero((placed_at >= start) & (placed_at < end))
                chosen = chosen[np.argsort(placed_at[chosen], kind="stable")]
                orders = self._orders(day, key[chosen], region[chosen], placed_at[chosen])
                items = self._items(day, orders)
                yield "orders", self._order_table(orders, items, 0, orders.at)
                yield "order_items", self._item_table(orders, items)
            yield from self._changes(day, key, region, placed_at, start, end)

    def _changes(
        self, day: int, key: Keys, region: Ints, placed_at: Ints, start: int, end: int
    ) -> Iterator[tuple[str, pa.Table]]:
        """The status changes in the window of orders of one day, and the returns."""
        happened: list[tuple[Ints, Ints, int]] = []  # rows, times, status
        for status, rows, at in self._life(key, placed_at):
            chosen = np.flatnonzero((at >= start) & (at < end))
            if len(chosen):
                happened.append((rows[chosen], at[chosen], status))
        if not happened:
            return
        rows, at = (np.concatenate([one[part] for one in happened]) for part in (0, 1))
        status = np.repeat([one[2] for one in happened], [len(one[0]) for one in happened])
        in_time = np.argsort(at, kind="stable")
        rows, at, status = rows[in_time], at[in_time], status[in_time]
        returned = np.flatnonzero(status == STATUSES.index(RETURNED))
        if not self._versions:
            yield "order_events", _event_table(key[rows], status, at)
            rows, at, status = rows[returned], at[returned], status[returned]
        if not len(rows):
            return
        orders = self._orders(day, key[rows], region[rows], placed_at[rows])
        items = self._items(day, orders)
        if self._versions:
            yield "orders", self._order_table(orders, items, status, at)
        is_returned = np.flatnonzero(status == STATUSES.index(RETURNED))
        yield "returns", self._return_table(orders, items, is_returned, at)

    def _life(self, key: Keys, placed_at: Ints) -> Iterator[tuple[int, Ints, Ints]]:
        """(status, indices of orders, times) of each transition of orders, hours to weeks after the order."""
        outcome = self._random.uniform("outcome", key)
        cancelled = np.flatnonzero(outcome < _CANCELLED)
        wait = 0.1 + 20 * self._random.uniform("cancelled", key[cancelled]) ** 2.5
        yield STATUSES.index(CANCELLED), cancelled, placed_at[cancelled] + (wait * _HOUR_US).astype(np.int64)
        sent = np.flatnonzero(outcome >= _CANCELLED)
        shipped_at = placed_at[sent] + ((2 + 46 * self._random.uniform("shipped", key[sent]) ** 1.4) * _HOUR_US).astype(
            np.int64
        )
        yield STATUSES.index(SHIPPED), sent, shipped_at
        delivered_at = shipped_at + (
            (20 + 100 * self._random.uniform("delivered", key[sent]) ** 1.6) * _HOUR_US
        ).astype(np.int64)
        yield STATUSES.index(DELIVERED), sent, delivered_at
        comes_back = outcome[sent] < _CANCELLED + (1 - _CANCELLED) * _RETURNED
        back = sent[comes_back]
        wait = 24 * (1 + 19 * self._random.uniform("returned", key[back]) ** 1.5)
        yield STATUSES.index(RETURNED), back, delivered_at[comes_back] + (wait * _HOUR_US).astype(np.int64)

    def _orders(self, day: int, key: Keys, region: Ints, at: Ints) -> _Orders:
        """Orders of a day with the customers who place them."""
        customer = self._buyers(day, key, region, at)
        return _Orders(key, region, at, customer, self._segments(customer))

    def _buyers(self, day: int, key: Keys, region: Ints, at: Ints) -> Keys:
        """The customers of orders: those of a recent cohort more often, and within it some much more often than others.

        A cohort is the customers of a region who registered on the same day.
        """
        signups = self._all_signups(day)  # (days, regions)
        age = np.arange(len(signups))[::-1]
        interest = np.where(age == 0, 3.0, (1 + age / 14.0) ** -0.9)
        weights = signups * interest[:, np.newaxis]
        cumulative = np.vstack([np.zeros(len(REGIONS)), weights.cumsum(axis=0)])
        flat = (cumulative[1:] / np.maximum(cumulative[-1], 1e-300)).T + np.arange(len(REGIONS))[:, np.newaxis]
        drawn = self._random.uniform("cohort", key) + region
        cohort = np.searchsorted(flat.ravel(), drawn, side="right") - region * len(signups)
        cohort = cohort.clip(0, len(signups) - 1)
        size = signups[cohort, region]
        today = np.flatnonzero(cohort == len(signups) - 1)
        for one in np.unique(region[today]):  # who registers later today cannot order yet
            rows = today[region[today] == one]
            registered = self._registered_at(day, int(one))
            size[rows] = np.searchsorted(registered, at[rows], side="right")
        # A cohort that is still empty: take the largest older one.
        empty = np.flatnonzero(size == 0)
        if len(empty):
            largest = weights[:-1].argmax(axis=0)
            cohort[empty] = largest[region[empty]]
            size[empty] = signups[cohort[empty], region[empty]]
        number = (self._random.uniform("buyer", key) ** 1.6 * size).astype(np.int64)
        return _key(region, cohort + self._first, number)

    def _items(self, day: int, orders: _Orders) -> _Items:
        """The items of orders. The products of an order differ."""
        lines = _by_row(self._random.bits("lines", orders.key), orders.segment, _LINE_DECKS)
        order = np.repeat(np.arange(len(lines)), lines)
        line = np.arange(len(order)) - np.repeat(np.cumsum(lines) - lines, lines) + 1
        key = orders.key[order] * np.uint64(16) + line.astype(np.uint64)
        segment = orders.segment[order]
        product = _by_row(self._random.bits("product", key), segment, self._popularity)
        for attempt in (1, 2):
            if not len(again := np.flatnonzero(_repeats(order, product))):
                break
            product[again] = _by_row(
                self._random.bits(f"product {attempt}", key[again]), segment[again], self._popularity
            )
        kept = ~_repeats(order, product)
        order, product, key, segment = order[kept], product[kept], key[kept], segment[kept]
        lines = np.bincount(order, minlength=len(lines))
        line = np.arange(len(order)) - np.repeat(np.cumsum(lines) - lines, lines) + 1
        quantity = _by_row(self._random.bits("quantity", key), segment, _QUANTITY_DECKS)
        promotion = self._calendar.promotion(day)
        if promotion:
            percent = self._random.draw("promotion", key, deck(promotion.percent))
        else:
            percent = _by_row(self._random.bits("discount", key), segment, _DISCOUNT_DECKS)
        # Rounded down to whole cents, so that the discount never exceeds the price of the item.
        return _Items(order, line, product, quantity, quantity * self._cents[product] * percent // 100)

    def _order_table(self, orders: _Orders, items: _Items, status: Ints | int, changed_at: Ints) -> pa.Table:
        amounts = items.quantity * self._cents[items.product] - items.discount
        total = np.bincount(items.order, weights=amounts, minlength=len(orders.key)).astype(np.int64)
        payment = _by_row(self._random.bits("payment", orders.key), orders.region, _PAYMENT_DECKS)
        columns = [
            texts("o", orders.key),
            texts("c", orders.customer),
            pa.array(orders.at).cast(TIME),
            _words(STATUSES, np.broadcast_to(status, len(orders.key))),
            _words(_PAYMENTS, payment),
            _money(total),
            pa.array(changed_at).cast(TIME),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("orders"))

    def _item_table(self, orders: _Orders, items: _Items) -> pa.Table:
        key = orders.key[items.order]
        columns = [
            texts("o", key, items.line),
            texts("o", key),
            self._product_ids.take(pa.array(items.product)),
            pa.array(items.quantity.astype(np.int32)),
            _money(self._cents[items.product]),
            _money(items.discount),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("order_items"))

    def _return_table(self, orders: _Orders, items: _Items, rows: Ints, at: Ints) -> pa.Table:
        """One item of each of these orders comes back."""
        lines = np.bincount(items.order, minlength=len(orders.key))
        first = np.cumsum(lines) - lines
        key = orders.key[rows]
        item = first[rows] + (self._random.uniform("returned item", key) * lines[rows]).astype(np.int64)
        pieces = 1 + (self._random.uniform("returned pieces", key) * items.quantity[item]).astype(np.int64)
        amount = (
            (items.quantity[item] * self._cents[items.product[item]] - items.discount[item])
            * pieces
            // items.quantity[item]
        )
        columns = [
            texts("r", key),
            texts("o", key, items.line[item]),
            texts("o", key),
            pa.array(pieces.astype(np.int32)),
            _money(amount),
            _words(
                _RETURN_REASONS, (self._random.uniform("reason", key) ** 1.5 * len(_RETURN_REASONS)).astype(np.int64)
            ),
            pa.array(at[rows]).cast(TIME),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("returns"))

    def _customers_between(self, day: int, start: int, end: int) -> pa.Table:
        """The customers who register on a day, as far as it is in the window."""
        keys, regions, created = [], [], []
        for region in range(len(REGIONS)):
            at = self._registered_at(day, region)
            chosen = np.flatnonzero((at >= start) & (at < end))
            keys.append(_key(np.full(len(chosen), region), np.full(len(chosen), day), chosen))
            regions.append(np.full(len(chosen), region))
            created.append(at[chosen])
        return self._customer_table(np.concatenate(keys), np.concatenate(regions), np.concatenate(created))

    def _customer_table(self, key: Keys, region: Ints, created: Ints) -> pa.Table:
        ids = texts("c", key)
        first, last = self._random.uniform("first name", key), self._random.uniform("last name", key)
        parts, places = [], []
        for index, one in enumerate(REGIONS):
            rows = np.flatnonzero(region == index)
            pool = people.pool(one.locale, self._seed)
            chosen = [
                pa.array(people.skewed(value[rows], size))
                for value, size in ((first, len(pool.first)), (last, len(pool.last)))
            ]
            city = pa.array(people.skewed(self._random.uniform("city", key[rows]), len(pool.cities)))
            name = pc.binary_join_element_wise(pool.first.take(chosen[0]), pool.last.take(chosen[1]), " ")
            # The end of the customer's id makes the address unique.
            mail = pc.binary_join_element_wise(
                pool.first_mail.take(chosen[0]),
                pool.last_mail.take(chosen[1]),
                pc.utf8_slice_codeunits(ids.take(pa.array(rows)), 1),
                ".",
            )
            parts.append(pa.table({"name": name, "mail": mail, "city": pool.cities.take(city)}))
            places.append(rows)
        back = pa.array(np.argsort(np.concatenate(places), kind="stable"))
        people_of = pa.concat_tables(parts).take(back).combine_chunks()
        domain = _words(_DOMAINS, self._random.draw("domain", key, _DOMAIN_DECK))
        columns = [
            ids,
            people_of["name"],
            pc.binary_join_element_wise(people_of["mail"], domain, "@"),
            _words([one.country for one in REGIONS], region),
            people_of["city"],
            _words(SEGMENTS, self._segments(key)),
            pa.array(created).cast(TIME),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("customers"))

    def _product_table(self) -> pa.Table:
        keys = np.arange(self._products, dtype=np.uint64)
        articles = [f"{style} {noun}" for _, _, nouns in _CATEGORIES.values() for style in _STYLES for noun in nouns]
        per_category = len(articles) // len(_CATEGORIES)
        article = self._category * per_category + (self._random.uniform("article", keys) * per_category).astype(
            np.int64
        )
        model = pa.array(np.arange(self._products) + 100).cast(pa.string())
        columns = [
            self._product_ids,
            pc.binary_join_element_wise(pa.array(articles).take(pa.array(article)), model, " "),
            _words(list(_CATEGORIES), self._category),
            _money(self._cents),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("products"))

    def _segments(self, customer: Keys) -> Ints:
        return self._random.draw("segment", customer, _SEGMENT_DECK)

    def _registered_at(self, day: int, region: int) -> Ints:
        """The times at which the customers of a cohort register, sorted."""
        count = int(self._signups(day)[region])
        rows = np.full(count, region)
        key = _key(rows, np.full(count, day), np.arange(count))
        return np.sort(self._times("registered at", day, key, rows, self._calendar.demand(day)))

    def _times(self, purpose: str, day: int, key: Keys, region: Ints, demand: Floats) -> Ints:
        return times(cumulated(demand), region, self._random.uniform(purpose, key), day)

    def _counts(self, purpose: str, day: int, per_day: float) -> Ints:
        """How often something happens in each region on a day."""
        expected = per_day * self._calendar.shares * self._calendar.demand(day).mean(axis=1)
        counts: Ints = self._random.generator(purpose, day).poisson(expected)
        return counts

    def _count_signups(self, day: int) -> Ints:
        if day >= self.opened:
            return self._counts("signups", day, self._orders_per_day * _SIGNUPS_PER_ORDER)
        return self._base_signups[day - self._first]

    @cached_property
    def _base_signups(self) -> Ints:
        """The base customers by day and region, (days before the opening, regions)."""
        shares = np.tile(self._calendar.shares / _DAYS_BEFORE, (_DAYS_BEFORE, 1))
        drawn = self._random.generator("base customers").multinomial(self._customers, shares.ravel())
        counts: Ints = drawn.reshape(shares.shape)
        return counts

    def _all_signups(self, day: int) -> Ints:
        """The customers who register on each day until this one, (days, regions)."""
        return np.array([self._signups(one) for one in range(self._first, day + 1)])

    @cached_property
    def _product_ids(self) -> pa.Array:
        numbers = pc.utf8_lpad(pa.array(np.arange(1, self._products + 1)).cast(pa.string()), width=6, padding="0")
        return pc.binary_join_element_wise("p", numbers, "")

    @cached_property
    def _category(self) -> Ints:
        return self._random.generator("categories").integers(0, len(_CATEGORIES), self._products, dtype=np.int64)

    @cached_property
    def _cents(self) -> Ints:
        """Each product's price in cents, from 0.99 to 4999.99: lognormal around the typical price of its category."""
        typical = np.array([price for price, _, _ in _CATEGORIES.values()])[self._category]
        units = typical * np.exp(self._random.generator("prices").normal(0.0, 0.6, self._products))
        whole: Ints = units.clip(max=4999).astype(np.int64)
        return whole * 100 + 99

    @cached_property
    def _popularity(self) -> Ints:
        """For each segment a deck of products: a few are sold often, most of them rarely (Zipf and Mandelbrot)."""
        rank = self._random.generator("popularity").permutation(self._products)
        weight = (rank + 3.7) ** -1.05
        liked = np.array([likes for _, likes, _ in _CATEGORIES.values()])[self._category]
        return np.stack([deck(weight * liked[:, segment]) for segment in range(len(SEGMENTS))])


def _chunks(counts: Ints, day: int) -> Iterator[tuple[Keys, Ints]]:
    """(keys, regions) of what happens on a day, in parts of at most _CHUNK."""
    ends = counts.cumsum()
    for start in range(0, int(ends[-1]), _CHUNK):
        index = np.arange(start, min(start + _CHUNK, int(ends[-1])))
        region = np.searchsorted(ends, index, side="right")
        yield _key(region, np.full(len(index), day), index - (ends - counts)[region]), region


def _key(region: Ints, day: Ints, number: Ints) -> Keys:
    """One number for a region (4 bits), a day (18 bits) and a number below 2**32."""
    return (
        (region.astype(np.uint64) << np.uint64(50))
        | (day.astype(np.uint64) << np.uint64(32))
        | number.astype(np.uint64)
    )


def _by_row(bits: Keys, row: Ints, decks: Ints) -> Ints:
    """A card for each key from one of several decks, (decks, cards); `row`: which deck."""
    cards: Ints = decks.ravel()[row * decks.shape[1] + (bits >> np.uint64(48)).astype(np.int64)]
    return cards


def _repeats(order: Ints, product: Ints) -> np.ndarray:
    """Whether an earlier item of the same order has the same product."""
    repeated = np.zeros(len(order), dtype=bool)
    for back in range(1, min(_MAX_LINES, len(order))):
        same = order[back:] == order[:-back]
        if not same.any():
            break
        repeated[back:] |= same & (product[back:] == product[:-back])
    return repeated


def _event_table(key: Keys, status: Ints, at: Ints) -> pa.Table:
    order = texts("o", key)
    columns = [
        texts("o", key, status),
        order,
        _words(STATUSES, status),
        pa.array(at).cast(TIME),
    ]
    return pa.Table.from_arrays(columns, schema=arrow_schema("order_events"))


def _words(words: Sequence[str], index: Ints) -> pa.Array:
    return pa.array(list(words)).take(pa.array(np.ascontiguousarray(index)))


def _money(cents: Ints) -> pa.Array:
    """Amounts in whole cents as decimals."""
    # A decimal128 is 16 bytes, little-endian, of the unscaled value: the cents, with the sign in the upper half.
    halves = np.empty((len(cents), 2), dtype=np.int64)
    halves[:, 0] = cents
    halves[:, 1] = cents >> 63
    return pa.Array.from_buffers(MONEY, len(cents), [None, pa.py_buffer(halves)])


def _microseconds(moment: datetime) -> int:
    if moment.utcoffset() is None:
        raise ValueError(f"the time {moment.isoformat()} has no time zone")
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
