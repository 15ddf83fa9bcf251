"""Generates the customers, products, orders and order items of a web shop, column by column."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from floe_synthetic.batch import Batch
from floe_synthetic.schema import MONEY, TABLES, TIME, arrow_schema

REFERENCE = "reference"
"""Id of the batch with the base customers and the catalogue."""

WINDOW = timedelta(minutes=5)
"""The time span of one batch. It ends at the batch's `at`, which it excludes."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WINDOW_US = WINDOW // _MICROSECOND
# Base customers registered between these times, which do not depend on the times of the batches.
_REGISTERED = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))

# Orders at each full hour (UTC): few at night, more at noon, most in the evening. Only the proportions matter.
_ORDERS_AT_HOUR = np.array(
    [45, 30, 20, 15, 15, 25, 45, 70, 95, 115, 125, 135, 145, 140, 130, 125, 130, 140, 160, 180, 185, 165, 115, 70]
)
_SHARE_AT_HOUR = _ORDERS_AT_HOUR / _ORDERS_AT_HOUR.mean()

_COUNTRIES = {"US": 34, "DE": 14, "GB": 12, "FR": 9, "NL": 6, "ES": 6, "IT": 6, "PL": 5, "SE": 4, "CA": 4}
_SEGMENTS = {"consumer": 82, "small_business": 14, "enterprise": 4}
_STATUSES = {"completed": 78, "pending": 12, "cancelled": 7, "returned": 3}
_DOMAINS = {"example.com": 70, "example.org": 30}
_DISCOUNT_PERCENT = {0: 72, 5: 12, 10: 11, 20: 5}
_QUANTITIES = {1: 68, 2: 19, 3: 7, 4: 3, 5: 2, 10: 1}
_LINES = {1: 42, 2: 28, 3: 15, 4: 8, 5: 4, 6: 3}

_NEW_CUSTOMERS_PER_ORDER = 0.05
_ORDERS_BY_NEW_CUSTOMERS = 0.08

# For each category: the typical price in whole units of the currency, and the names of its articles.
_CATEGORIES: dict[str, tuple[float, Sequence[str]]] = {
    "electronics": (120.0, ("Headphones", "Keyboard", "Monitor", "Charger", "Speaker", "Webcam")),
    "home": (45.0, ("Lamp", "Kettle", "Blanket", "Shelf", "Clock", "Mirror")),
    "clothing": (35.0, ("Jacket", "Shirt", "Scarf", "Trousers", "Socks", "Cap")),
    "sports": (55.0, ("Backpack", "Bottle", "Mat", "Racket", "Gloves", "Tent")),
    "beauty": (18.0, ("Soap", "Cream", "Shampoo", "Comb", "Perfume", "Balm")),
    "books": (15.0, ("Novel", "Atlas", "Cookbook", "Diary", "Guide", "Comic")),
}
_STYLES = ("Classic", "Compact", "Everyday", "Light", "Nordic", "Premium", "Sturdy", "Urban")


class _Names(NamedTuple):
    """Pools of names to draw from, and the same names as they appear in an e-mail address."""

    first: list[str]
    last: list[str]
    first_mail: list[str]
    last_mail: list[str]


class EcommerceGenerator:
    """Generates batches of a shop's data. A batch depends only on the arguments of the generator and of the call.

    With the same versions of NumPy and Faker, the same arguments give the same bytes in every process. Keys contain a
    hash of the batch id, so they are unique across batches. Orders refer only to base customers and to customers of
    their own batch. `orders_per_batch` is the average over a day. The reference data depend on `seed`, `customers` and
    `products`, so generators for the same tables need the same values of these. Raises ValueError if `customers`,
    `products` or `orders_per_batch` is less than 1.
    """

    def __init__(self, seed: int = 42, customers: int = 1000, products: int = 200, orders_per_batch: int = 120) -> None:
        """Store the arguments. Data is generated when a method is called."""
        sizes = {"customers": customers, "products": products, "orders_per_batch": orders_per_batch}
        if too_small := [name for name, size in sizes.items() if size < 1]:
            raise ValueError(f"{', '.join(too_small)} must be at least 1")
        self._seed = seed
        self._customers = customers
        self._products = products
        self._orders_per_batch = orders_per_batch

    def reference(self) -> Batch:
        """Generate the base customers and the products, with the batch id `reference`."""
        rng = self._rng("base customers")
        first, last = ((moment - _EPOCH) // _MICROSECOND for moment in _REGISTERED)
        created = np.sort(rng.integers(first, last, self._customers))
        customers = self._customer_table(rng, self._base_customer_ids, created)
        return Batch(REFERENCE, {"customers": customers, "products": self._product_table()})

    def batch(self, batch_id: str, at: datetime) -> Batch:
        """Generate the new customers, orders and order items of the five minutes before `at`.

        `at` has a time zone. The number of orders depends on the time of day. A table without rows is left out of the
        batch. Raises ValueError if the id is empty or reserved, or if `at` has no time zone.
        """
        if batch_id in ("", REFERENCE):
            raise ValueError(f"the batch id {batch_id!r} is empty or reserved")
        if at.utcoffset() is None:
            raise ValueError(f"batch {batch_id!r}: the time {at.isoformat()} has no time zone")
        end = (at - _EPOCH) // _MICROSECOND
        start = end - _WINDOW_US
        rng = self._rng("batch", self._orders_per_batch, batch_id, end)
        mark = hashlib.sha256(batch_id.encode()).hexdigest()[:16]

        count = int(rng.poisson(self._orders_per_batch * _share_of_day(at)))
        newcomers = int(rng.poisson(count * _NEW_CUSTOMERS_PER_ORDER))
        ordered_at = np.sort(rng.integers(start, end, count))
        buyer = _draw(rng, self._loyalty, count)
        if newcomers:
            by_newcomer = rng.random(count) < _ORDERS_BY_NEW_CUSTOMERS
            buyer = np.where(by_newcomer, self._customers + rng.integers(0, newcomers, count), buyer)
        created = rng.integers(start, end, newcomers)
        is_new = buyer >= self._customers
        np.minimum.at(created, buyer[is_new] - self._customers, ordered_at[is_new])

        new_ids = _numbered(f"C-{mark}-", newcomers)
        order_ids = _numbered(f"O-{mark}-", count)
        tables = {
            "customers": self._customer_table(rng, new_ids, created),
            "orders": pa.Table.from_arrays(
                [
                    order_ids,
                    pa.concat_arrays([self._base_customer_ids, new_ids]).take(pa.array(buyer)),
                    pa.array(ordered_at).cast(TIME),
                    _pick(rng, _STATUSES, count),
                ],
                schema=arrow_schema("orders"),
            ),
            "order_items": self._item_table(rng, order_ids),
        }
        return Batch(batch_id, {name: tables[name] for name in TABLES if name in tables and tables[name].num_rows})

    def _item_table(self, rng: np.random.Generator, order_ids: pa.Array) -> pa.Table:
        lines = _draw(rng, _weighted(_LINES), len(order_ids))
        total = int(lines.sum())
        order = np.repeat(np.arange(len(order_ids)), lines)
        line = np.arange(total) - np.repeat(np.cumsum(lines) - lines, lines) + 1
        product = _draw(rng, self._popularity, total)
        quantity = _draw(rng, _weighted(_QUANTITIES), total)
        price = self._price_cents[product]
        # Rounded down to whole cents, so that the discount never exceeds the price of the line.
        discount = quantity * price * _draw(rng, _weighted(_DISCOUNT_PERCENT), total) // 100
        order_id = order_ids.take(pa.array(order))
        columns = [
            pc.binary_join_element_wise(order_id, pa.array(line).cast(pa.string()), "-"),
            order_id,
            self._product_ids.take(pa.array(product)),
            pa.array(quantity.astype(np.int32)),
            _money(price),
            _money(discount),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("order_items"))

    def _customer_table(self, rng: np.random.Generator, ids: pa.Array, created: Ints) -> pa.Table:
        """Customers with these ids and times of registration (microseconds since 1970)."""
        count = len(ids)
        first = pa.array(rng.integers(0, len(self._names.first), count))
        last = pa.array(rng.integers(0, len(self._names.last), count))
        local_part = pc.binary_join_element_wise(
            pa.array(self._names.first_mail).take(first),
            pa.array(self._names.last_mail).take(last),
            pc.ascii_lower(ids),  # the id makes the address unique
            ".",
        )
        columns = [
            ids,
            pc.binary_join_element_wise(
                pa.array(self._names.first).take(first), pa.array(self._names.last).take(last), " "
            ),
            pc.binary_join_element_wise(local_part, _pick(rng, _DOMAINS, count), "@"),
            _pick(rng, _COUNTRIES, count),
            _pick(rng, _SEGMENTS, count),
            pa.array(created).cast(TIME),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("customers"))

    def _product_table(self) -> pa.Table:
        rng = self._rng("product names")
        articles = [f"{style} {noun}" for _, nouns in _CATEGORIES.values() for style in _STYLES for noun in nouns]
        per_category = len(articles) // len(_CATEGORIES)
        article = self._category * per_category + rng.integers(0, per_category, self._products)
        model = pa.array(np.arange(self._products) + 100).cast(pa.string())
        columns = [
            self._product_ids,
            pc.binary_join_element_wise(pa.array(articles).take(pa.array(article)), model, " "),
            pa.array(list(_CATEGORIES)).take(pa.array(self._category)),
            _money(self._price_cents),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("products"))

    @cached_property
    def _base_customer_ids(self) -> pa.Array:
        return _numbered("C", self._customers)

    @cached_property
    def _product_ids(self) -> pa.Array:
        return _numbered("P", self._products)

    @cached_property
    def _category(self) -> Ints:
        """Each product's category, as an index."""
        return self._rng("categories").integers(0, len(_CATEGORIES), self._products, dtype=np.int64)

    @cached_property
    def _price_cents(self) -> Ints:
        """Each product's list price, from 0.99 to 4999.99: lognormal around the typical price of its category."""
        typical = np.array([price for price, _ in _CATEGORIES.values()])[self._category]
        units: Floats = typical * np.exp(self._rng("prices").normal(0.0, 0.6, self._products))
        whole: Ints = units.clip(max=4999).astype(np.int64)
        return whole * 100 + 99

    @cached_property
    def _popularity(self) -> Ints:
        """A deck of products, Zipf-distributed over a random ranking: a few are sold often, most of them rarely."""
        rank = self._rng("popularity").permutation(self._products) + 1
        return _deck(rank.astype(np.float64) ** -1.1)

    @cached_property
    def _loyalty(self) -> Ints:
        """A deck of base customers, Pareto-distributed: a few of them order much more often than the others."""
        return _deck(self._rng("loyalty").pareto(1.8, self._customers) + 0.2)

    @cached_property
    def _names(self) -> _Names:
        from faker import Faker

        fake = Faker("en_US")
        fake.seed_instance(int(self._rng("names").integers(0, 2**31)))
        first = [fake.first_name() for _ in range(200)]
        last = [fake.last_name() for _ in range(300)]
        mail = [["".join(filter(str.isalnum, name)).lower() for name in pool] for pool in (first, last)]
        return _Names(first, last, *mail)

    def _rng(self, purpose: str, *inputs: str | int) -> np.random.Generator:
        """A separate random stream for each purpose and input, so that more draws in one place change no other data."""
        # PCG64 is explicit because NumPy may change its default, SHA-256 because hash() differs between processes.
        stream = [self._seed, self._customers, self._products, purpose, *inputs]
        digest = hashlib.sha256(json.dumps(stream).encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest)))


def _share_of_day(at: datetime) -> float:
    """The rate of orders at the time `at`, relative to the average of the day."""
    moment = at.astimezone(UTC)
    return float(np.interp(moment.hour + moment.minute / 60, np.arange(24), _SHARE_AT_HOUR, period=24))


def _numbered(prefix: str, count: int) -> pa.Array:
    """Ids of `prefix` and a number from 1 to `count`, padded with zeros so that they sort as text."""
    numbers = pc.utf8_lpad(pa.array(np.arange(1, count + 1)).cast(pa.string()), width=7, padding="0")
    return pc.binary_join_element_wise(prefix, numbers, "")


def _money(cents: Ints) -> pa.Array:
    """Convert whole cents to exact decimals, without a Python object for each value."""
    # A decimal128 is a 128-bit integer in two's complement, low word first. The high word consists of the sign bit.
    words = np.stack([cents, cents >> 63], axis=1)
    return pa.Array.from_buffers(MONEY, len(cents), [None, pa.py_buffer(words)])


def _deck(weights: Floats) -> Ints:
    """A deck: indices, each repeated in proportion to its weight. To draw from it is faster than a search."""
    size = max(1 << 16, 16 * len(weights))
    quantiles = (np.arange(size) + 0.5) / size
    deck: Ints = np.searchsorted(np.cumsum(weights) / weights.sum(), quantiles).astype(np.int64)
    return deck


def _weighted(weights: dict[int, int]) -> Ints:
    """A deck in which each key occurs as often as its weight says."""
    return np.repeat(np.array(list(weights), dtype=np.int64), list(weights.values()))


def _draw(rng: np.random.Generator, deck: Ints, count: int) -> Ints:
    """Draw `count` values from a deck, with replacement."""
    return deck[rng.integers(0, len(deck), count)]


def _pick(rng: np.random.Generator, weights: dict[str, int], count: int) -> pa.Array:
    """Draw `count` keys as strings, with probabilities in proportion to their weights."""
    deck = _weighted(dict(enumerate(weights.values())))
    return pa.array(list(weights)).take(pa.array(_draw(rng, deck, count)))
