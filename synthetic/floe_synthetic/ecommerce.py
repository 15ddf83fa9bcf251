"""A web shop: customers, products, orders, order items, the life of each order, and returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from floe_synthetic import people
from floe_synthetic.calendar import DAY_US, SLOT_US, SLOTS, Calendar, Patterns, day_number
from floe_synthetic.domain import SHOP, money
from floe_synthetic.entities import EVERYTHING, Families, Generator, Parts, opening, words
from floe_synthetic.randomness import CARDS, Floats, Ints, Keys, Source, card, deck, fraction, low_fraction
from floe_synthetic.schema import TIME, arrow_schema
from floe_synthetic.shop_catalogue import Catalogue
from floe_synthetic.shop_values import (
    DISCOUNT_DECKS,
    DOMAIN_DECK,
    DOMAINS,
    LINE_DECKS,
    LINES,
    PAYMENT_DECKS,
    PAYMENTS,
    QUANTITY_DECKS,
    REGIONS,
    RETURN_REASONS,
    SEGMENT_DECK,
    SEGMENTS,
)
from floe_synthetic.text_keys import Letters, joined, letters, strings, table

_DAYS_BEFORE = 365  # base customers registered during so many days before the opening
_SIGNUPS_PER_ORDER = 0.06
_NEWCOMER = 3.0  # how much more a customer orders on the day of the registration
_FORGETS_DAYS, _FORGETS = 14.0, -0.6  # the interest of a cohort falls by a power of its age
_LOYAL = 0.15  # the most loyal customer of a cohort orders 1 / _LOYAL times as often as the average one
_MOST_PRODUCTS = 10_000
_MAX_LINES = max(max(lines) for lines in LINES)
_LINE_BITS = 4
_LINE_ENDINGS = table([f"-{line:02}" for line in range(_MAX_LINES + 1)])
_CHUNK = 1 << 16  # orders that are generated at once: their columns fit into the processor's cache
_DIRECT = 1 << 15  # below so many orders, a search is faster than a table of all answers
_SIGNUP_BLOCK = 512  # days for which the signups are computed at once

PLACED, SHIPPED, DELIVERED, CANCELLED, RETURNED = STATUSES = ("placed", "shipped", "delivered", "cancelled", "returned")
NEXT = {PLACED: (SHIPPED, CANCELLED), SHIPPED: (DELIVERED,), DELIVERED: (RETURNED,), CANCELLED: (), RETURNED: ()}
"""The legal transitions of an order."""
_EVENT_ENDINGS = table([f"-{status[0]}" for status in STATUSES])

_HOUR_US = 3_600_000_000
_CANCELLED, _RETURNED = 0.055, 0.07  # parts of all orders, and of those that were delivered
_RETURNED_BELOW = CARDS * (_CANCELLED + (1 - _CANCELLED) * _RETURNED)
# Hours from one status to the next: at least, and by how much at most longer.
_TO_CANCELLED, _TO_SHIPPED, _TO_DELIVERED, _TO_RETURNED = (0.1, 20.0), (2.0, 46.0), (20.0, 100.0), (24.0, 456.0)
_BEFORE_DELIVERED = _TO_SHIPPED[0] + _TO_DELIVERED[0], sum(_TO_SHIPPED) + sum(_TO_DELIVERED)
_BEFORE_RETURNED = _BEFORE_DELIVERED[0] + _TO_RETURNED[0], _BEFORE_DELIVERED[1] + sum(_TO_RETURNED)


@dataclass(frozen=True)
class _Placed:
    """Orders of one day: their keys, the regions and slots in which they were placed, and the times (microseconds)."""

    key: Keys
    region: Ints
    slot: Ints
    bits: Keys  # 16 for the lines, 16 for the payment, 32 for the time
    at: Ints

    def take(self, rows: Ints) -> _Placed:
        return _Placed(self.key[rows], self.region[rows], self.slot[rows], self.bits[rows], self.at[rows])


@dataclass(frozen=True)
class _Orders:
    """Orders, their ids, and the keys and segments of their customers."""

    placed: _Placed
    id: Letters
    customer: Keys
    segment: Ints


@dataclass(frozen=True)
class _Items:
    """Order items, grouped by order: the row of the order and the number in it, product, pieces, amounts in cents.

    `first`: the first item of each order.
    """

    first: Ints
    order: Ints
    line: Ints
    product: Ints
    quantity: Ints
    price: Ints
    discount: Ints
    amount: Ints


class _Cohorts:
    """The customers by region and day of registration, and how likely each cohort is to place an order of one day."""

    def __init__(self, size: Ints) -> None:
        """`size`: the number of customers, (days, regions). The last day is that of the orders."""
        self.size = size
        age = np.arange(len(size))[::-1]
        interest = np.where(age == 0, _NEWCOMER, (1 + age / _FORGETS_DAYS) ** _FORGETS)
        sums = (size * interest[:, np.newaxis]).cumsum(axis=0).T
        sums /= sums[:, -1:]
        self.older = sums[:, -2]
        """The part of a region's orders that the customers of earlier days place."""
        self._flat = (sums + np.arange(len(sums))[:, np.newaxis]).ravel()

    def pick(self, region: Ints, quantile: Floats) -> Ints:
        """The day of a cohort for each quantile of a region."""
        days = len(self.size)
        found = np.searchsorted(self._flat, quantile + region, side="right") - region * days
        cohort: Ints = np.minimum(found, days - 1)
        return cohort

    @cached_property
    def table(self) -> npt.NDArray[np.int32]:
        """What `pick` answers for each region and card, (regions * CARDS)."""
        region = np.repeat(np.arange(self.size.shape[1]), CARDS)
        return self.pick(region, _quantile(np.arange(len(region)) % CARDS)).astype(np.int32)

    def draw(self, region: Ints, cards: Ints) -> Ints:
        """The day of a cohort for each card of a region."""
        if len(cards) < _DIRECT:
            return self.pick(region, _quantile(cards))
        cohort: Ints = self.table[region * CARDS + cards].astype(np.int64)
        return cohort


class EcommerceGenerator(Generator):
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
        customers: int = 40_000,
        products: int = 200,
        orders_per_day: float = 6000,
        *,
        opened: date = date(2026, 1, 1),
        patterns: Patterns | None = None,
        versions: bool = False,
    ) -> None:
        """Store the arguments. Data is generated when a method is called."""
        sizes = {"customers": customers, "products": products, "orders_per_day": orders_per_day}
        if too_small := [name for name, size in sizes.items() if not 1 <= size < 1 << 31]:
            raise ValueError(f"{', '.join(too_small)} must be at least 1 and below 2147483648")
        if customers < len(REGIONS):
            raise ValueError(f"customers must be at least {len(REGIONS)}, one for each region")
        if products > _MOST_PRODUCTS:
            raise ValueError(f"products must be at most {_MOST_PRODUCTS}")
        self.opened = opening(opened)
        self._random = Source(seed)
        self._seed = seed
        self._customers, self._orders_per_day = customers, float(orders_per_day)
        self._catalogue = Catalogue(self._random, products)
        self._versions = versions
        self._calendar = Calendar(REGIONS, patterns or Patterns(), opened)
        self._opened = day_number(opened)
        self._first = self._opened - _DAYS_BEFORE
        self._order_ends = lru_cache(maxsize=64)(self._count_orders)
        self._signup_ends = lru_cache(maxsize=64)(self._spread_signups)
        self._signup_block = lru_cache(maxsize=None)(self._count_signups)
        self._cohorts = lru_cache(maxsize=2)(lambda day: _Cohorts(self._signups(day)))

    def _before(self, end: int) -> Parts:
        """The catalogue, and the customers who registered before a time."""
        for customers in self._customers_between(self._first * DAY_US, end):
            yield "customers", customers
        yield "products", self._catalogue.table()

    def _parts(self, start: int, end: int, oldest: int, families: Families) -> Parts:
        for customers in self._customers_between(start, end) if families.others else ():
            yield "customers", customers
        oldest = max(oldest, start - int(_BEFORE_RETURNED[1] * _HOUR_US), self._opened * DAY_US)
        for day in range(oldest // DAY_US, (end - 1) // DAY_US + 1):
            yield from self._day(day, oldest, start, end, families)

    def _day(self, day: int, oldest: int, start: int, end: int, families: Families) -> Parts:
        """What happens in the window to the orders of one day, if they were placed at `oldest` or later."""
        for placed in self._placed(day, oldest, end, families):
            if placed.slot[-1] >= (start - day * DAY_US) // SLOT_US:
                inside = placed.take(np.flatnonzero((placed.at >= start) & (placed.at < end)))
                orders = self._orders(day, inside)
                items = self._items(day, orders)
                yield "orders", self._order_table(orders, items, None, inside.at)
                yield "order_items", self._item_table(orders, items)
            yield from self._changes(day, placed, start, end)

    def _placed(self, day: int, start: int, end: int, families: Families) -> Iterator[_Placed]:
        """The orders of a day from `start` to the end of the slot of `end`, in parts."""
        ends = self._order_ends(day)
        slots = ((start - day * DAY_US) // SLOT_US, -((day * DAY_US - end) // SLOT_US))
        first, last = (int(ends[slot * len(REGIONS) - 1]) if slot else 0 for slot in np.clip(slots, 0, SLOTS))
        waiting: list[tuple[Keys, Ints]] = []
        first_key = _key(0, day, 0)
        for low in range(first, last, _CHUNK):
            high = min(low + _CHUNK, last)
            number = families.among(int(first_key) + low, high - low)
            key = number.view(np.uint64) + (first_key + np.uint64(low))
            if len(key) < _DIRECT:
                cell = np.searchsorted(ends, number + low, side="right")
            else:
                bounds = np.clip(ends, low, high)
                sizes = bounds - np.concatenate([[low], bounds[:-1]])
                cell = np.repeat(np.arange(len(ends)), sizes)
                if len(key) < high - low:
                    cell = cell[number]
            if families is not EVERYTHING:
                waiting.append((key, cell))
                # Of a few families, those of several parts are taken together.
                if high < last and sum(len(one) for one, _ in waiting) < _CHUNK // 2:
                    continue
                if len(waiting) > 1:
                    key, cell = (np.concatenate([one[column] for one in waiting]) for column in range(2))
                waiting = []
            if not len(key):
                continue
            bits = self._random.bits("order", key)
            slot, region = np.divmod(cell, len(REGIONS))
            at = slot * SLOT_US + (day * DAY_US)
            at += (fraction(bits) * SLOT_US).astype(np.int64)
            placed = _Placed(key, region, slot, bits, at)
            if at[0] < start + SLOT_US:  # the window may begin within the slot
                placed = placed.take(np.flatnonzero(at >= start))
            if len(placed.key):
                yield placed

    def _changes(self, day: int, placed: _Placed, start: int, end: int) -> Parts:
        """The status changes in the window of orders of one day, and the returns."""
        happened = [one for one in self._life(placed, start, end) if len(one[1])]
        if not happened:
            return
        status = np.repeat([one[0] for one in happened], [len(one[1]) for one in happened])
        rows, at = (np.concatenate([one[part] for one in happened]) for part in (1, 2))
        if not self._versions:
            yield "order_events", _event_table(placed.key[rows], status, at)
            if status[-1] != STATUSES.index(RETURNED):
                return
            rows, at = happened[-1][1:]
            status = status[len(status) - len(rows) :]
        orders = self._orders(day, placed.take(rows))
        items = self._items(day, orders)
        if self._versions:
            yield "orders", self._order_table(orders, items, status, at)
        is_returned = np.flatnonzero(status == STATUSES.index(RETURNED))
        yield "returns", self._return_table(orders, items, is_returned, at)

    def _life(self, placed: _Placed, start: int, end: int) -> Iterator[tuple[int, Ints, Ints]]:
        """(status, rows of orders, times) of the transitions in the window, returns last.

        Nothing is computed for transitions that the window cannot contain: most orders of the days before are done.
        """
        earliest, latest = int(placed.slot[0]) * SLOT_US, (int(placed.slot[-1]) + 1) * SLOT_US
        midnight = int(placed.at[0]) - int(placed.at[0]) % DAY_US

        def possible(least: float, most: float) -> bool:
            """Whether something that follows an order after so many hours can be in the window."""
            return (
                midnight + earliest + int(least * _HOUR_US) < end
                and midnight + latest + int(most * _HOUR_US) + 1 > start
            )

        def inside(status: str, rows: Ints, at: Ints) -> tuple[int, Ints, Ints]:
            chosen = np.flatnonzero((at >= start) & (at < end))
            return STATUSES.index(status), rows[chosen], at[chosen]

        bits = self._random.bits("life", placed.key)
        outcome = card(bits, 0)
        is_cancelled = outcome < _CANCELLED * CARDS
        if possible(_TO_CANCELLED[0], sum(_TO_CANCELLED)):
            rows = np.flatnonzero(is_cancelled)
            yield inside(CANCELLED, rows, _later(placed.at[rows], _TO_CANCELLED, fraction(bits[rows])))
        is_due = possible(*_BEFORE_DELIVERED)
        if is_due or possible(_TO_SHIPPED[0], sum(_TO_SHIPPED)):
            sent = np.flatnonzero(~is_cancelled)
        elif possible(*_BEFORE_RETURNED):
            sent = np.flatnonzero(~is_cancelled & (outcome < _RETURNED_BELOW))
        else:
            return
        shipped_at = _later(placed.at[sent], _TO_SHIPPED, fraction(bits[sent]))
        if possible(_TO_SHIPPED[0], sum(_TO_SHIPPED)):
            yield inside(SHIPPED, sent, shipped_at)
        if not possible(_BEFORE_DELIVERED[0], _BEFORE_RETURNED[1]):
            return
        bits = self._random.bits("later life", placed.key[sent])
        delivered_at = _later(shipped_at, _TO_DELIVERED, fraction(bits))
        if is_due:
            yield inside(DELIVERED, sent, delivered_at)
        if possible(*_BEFORE_RETURNED):
            back = np.flatnonzero(outcome[sent] < _RETURNED_BELOW)
            yield inside(RETURNED, sent[back], _later(delivered_at[back], _TO_RETURNED, low_fraction(bits[back])))

    def _orders(self, day: int, placed: _Placed) -> _Orders:
        """Orders of a day with the customers who place them."""
        customer = self._buyers(day, placed)
        return _Orders(placed, letters("o", placed.key), customer, self._segments(customer))

    def _buyers(self, day: int, placed: _Placed) -> Keys:
        """The customers of orders: those of a recent cohort more often, and within it some much more often than others.

        A cohort is the customers of a region who registered on the same day.
        """
        cohorts, region = self._cohorts(day), placed.region
        bits = self._random.bits("buyer", placed.key)
        cohort = cohorts.draw(region, card(bits, 0))
        size = cohorts.size[cohort, region]
        today = np.flatnonzero(cohort == len(cohorts.size) - 1)
        # Who registers in the same slot or later today cannot order yet.
        slot = placed.slot[today]
        size[today] = np.where(slot > 0, self._signup_ends(day)[region[today], slot - 1], 0)
        early = today[size[today] == 0]
        cohort[early] = cohorts.pick(region[early], _quantile(card(bits[early], 1)) * cohorts.older[region[early]])
        size[early] = cohorts.size[cohort[early], region[early]]
        loyalty = fraction(bits)
        number = (loyalty * (_LOYAL + (1 - _LOYAL) * loyalty * loyalty) * size).astype(np.int64)
        return _key(region, cohort + self._first, number)

    def _items(self, day: int, orders: _Orders) -> _Items:
        """The items of orders. The products of an order differ: of two items with the same product, one is left out."""
        key, segment = orders.placed.key, orders.segment
        lines = LINE_DECKS.take(segment * CARDS + card(orders.placed.bits, 0))
        ends = np.cumsum(lines)
        order = np.repeat(np.arange(len(lines)), lines)
        line = np.arange(len(order)) - (ends - lines)[order]
        item = (key << np.uint64(_LINE_BITS))[order]
        item |= line.view(np.uint64)
        bits = self._random.bits("item", item)
        kind = segment[order] * CARDS
        product = self._catalogue.popularity.take(kind + card(bits, 0))
        # Sorted by order and product, in one number with the rest of what is needed.
        packed = (((order << 14) | product) << _LINE_BITS) | line
        packed.sort(kind="stable")  # much faster here than the default, since only the items of an order are unsorted
        kept = np.empty(len(packed), dtype=bool)
        kept[:1] = True
        np.not_equal(packed[1:] >> _LINE_BITS, packed[:-1] >> _LINE_BITS, out=kept[1:])
        packed = packed[kept]
        product = (packed >> _LINE_BITS) & ((1 << 14) - 1)
        order = packed >> (_LINE_BITS + 14)
        number = (ends - lines)[order] + (packed & ((1 << _LINE_BITS) - 1))
        bits, kind = bits[number], kind[number]
        quantity = QUANTITY_DECKS.take(kind + card(bits, 1))
        promotion = self._calendar.promotion(day)
        percents = card(bits, 2)
        percent = deck(promotion.percent)[percents] if promotion else DISCOUNT_DECKS.take(kind + percents)
        price = self._catalogue.cents[product]
        full = quantity * price
        # Rounded down to whole cents, so that the discount never exceeds the price of the item.
        discount = full * percent // 100
        counts = np.bincount(order, minlength=len(lines))
        first = np.cumsum(counts) - counts
        line = np.arange(1, len(order) + 1) - first[order]
        return _Items(first, order, line, product, quantity, price, discount, full - discount)

    def _order_table(self, orders: _Orders, items: _Items, status: Ints | None, changed_at: Ints) -> pa.Table:
        """`status`: None for orders that were just placed."""
        placed = orders.placed
        count = len(placed.key)
        payment = PAYMENT_DECKS.take(placed.region * CARDS + card(placed.bits, 1))
        columns = [
            strings(orders.id),
            strings(letters("c", orders.customer)),
            pa.array(placed.at).cast(TIME),
            pa.repeat(pa.scalar(PLACED), count) if status is None else words(STATUSES, status),
            words(PAYMENTS, payment),
            money(np.add.reduceat(items.amount, items.first) if count else items.amount),
            pa.array(changed_at).cast(TIME),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("orders"))

    def _item_table(self, orders: _Orders, items: _Items) -> pa.Table:
        order_id = orders.id.take(items.order, axis=0)
        columns = [
            strings(joined(order_id, _LINE_ENDINGS, items.line)),
            strings(order_id),
            strings(self._catalogue.ids.take(items.product, axis=0)),
            pa.array(items.quantity.astype(np.int32)),
            money(items.price),
            money(items.discount),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("order_items"))

    def _return_table(self, orders: _Orders, items: _Items, rows: Ints, at: Ints) -> pa.Table:
        """One item of each of these orders comes back."""
        lines = np.diff(items.first, append=len(items.order))
        bits = self._random.bits("return", orders.placed.key[rows])
        item = items.first[rows] + (fraction(bits) * lines[rows]).astype(np.int64)
        quantity = items.quantity[item]
        pieces = 1 + (low_fraction(bits) * quantity).astype(np.int64)
        why = self._random.uniform("reason", orders.placed.key[rows])
        order_id = orders.id[rows]
        columns = [
            strings(letters("r", orders.placed.key[rows])),
            strings(joined(order_id, _LINE_ENDINGS, items.line[item])),
            strings(order_id),
            pa.array(pieces.astype(np.int32)),
            money(items.amount[item] * pieces // quantity),
            words(RETURN_REASONS, (why * np.sqrt(why) * len(RETURN_REASONS)).astype(np.int64)),
            pa.array(at[rows]).cast(TIME),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("returns"))

    def _customers_between(self, start: int, end: int) -> Iterator[pa.Table]:
        """The customers who register in a window, in parts."""
        parts: list[tuple[Keys, Ints, Ints]] = []
        waiting = 0
        for day in range(start // DAY_US, (end - 1) // DAY_US + 1):
            ends = self._signup_ends(day)
            counts = np.diff(ends, prepend=0)
            region, slot = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), SLOTS)
            number = np.arange(len(region)) - (np.cumsum(ends[:, -1]) - ends[:, -1])[region]
            key = _key(region, day, number)
            at = day * DAY_US + slot * SLOT_US
            at += (self._random.uniform("registered at", key) * SLOT_US).astype(np.int64)
            inside = np.flatnonzero((at >= start) & (at < end))
            parts.append((key[inside], region[inside], at[inside]))
            waiting += len(inside)
            if day == (end - 1) // DAY_US or waiting >= _CHUNK:
                key, region, at = (np.concatenate([one[column] for one in parts]) for column in range(3))
                if len(key):
                    yield self._customer_table(key, region, at)
                parts, waiting = [], 0

    def _customer_table(self, key: Keys, region: Ints, created: Ints) -> pa.Table:
        ids = strings(letters("c", key))
        name_bits, city = self._random.bits("name", key), self._random.uniform("city", key)
        parts, places = [], []
        for index in np.unique(region):
            rows = np.flatnonzero(region == index)
            pool = people.pool(REGIONS[index].locale, self._seed)
            first = pa.array(people.skewed(fraction(name_bits[rows]), len(pool.first)))
            last = pa.array(people.skewed(low_fraction(name_bits[rows]), len(pool.last)))
            name = pc.binary_join_element_wise(pool.first.take(first), pool.last.take(last), " ")
            # The end of the customer's id makes the address unique.
            ending = pc.utf8_slice_codeunits(ids.take(pa.array(rows)), 1)
            mail = pc.binary_join_element_wise(pool.first_mail.take(first), pool.last_mail.take(last), ending, ".")
            cities = pool.cities.take(pa.array(people.skewed(city[rows], len(pool.cities))))
            parts.append(pa.table({"name": name, "mail": mail, "city": cities}))
            places.append(rows)
        back = pa.array(np.argsort(np.concatenate(places), kind="stable"))
        people_of = pa.concat_tables(parts).combine_chunks().take(back)
        domain = words(DOMAINS, self._random.draw("domain", key, DOMAIN_DECK))
        columns = [
            ids,
            people_of["name"],
            pc.binary_join_element_wise(people_of["mail"], domain, "@"),
            words([one.country for one in REGIONS], region),
            people_of["city"],
            words(SEGMENTS, self._segments(key)),
            pa.array(created).cast(TIME),
        ]
        return pa.Table.from_arrays(columns, schema=arrow_schema("customers"))

    def _segments(self, customer: Keys) -> Ints:
        return self._random.draw("segment", customer, SEGMENT_DECK)

    def _count_orders(self, day: int) -> Ints:
        """The number of orders of a day up to each slot and region; the regions of a slot follow each other."""
        shares = self._calendar.shares[:, np.newaxis] / SLOTS
        expected = self._orders_per_day * shares * self._calendar.demand(day)
        counts: Ints = self._random.generator("orders", day).poisson(expected.T.ravel())
        return counts.cumsum()

    def _signups(self, day: int) -> Ints:
        """How many customers register on each day until this one, (days, regions)."""
        return self._signup_block((day - self._first) // _SIGNUP_BLOCK)[: day - self._first + 1]

    def _count_signups(self, block: int) -> Ints:
        """The answers of `_signups` for all days up to the end of a block."""
        shares = self._calendar.shares
        last = self._first + (block + 1) * _SIGNUP_BLOCK - 1
        base = self._random.generator("base customers").multinomial(
            self._customers - len(REGIONS), np.tile(shares / _DAYS_BEFORE, _DAYS_BEFORE)
        )
        base = base.reshape(_DAYS_BEFORE, len(REGIONS))
        base[0] += 1  # so that every region has somebody who can order
        expected = self._orders_per_day * _SIGNUPS_PER_ORDER * self._calendar.daily(self._opened, last)
        key = _key(np.arange(len(REGIONS)), np.arange(self._opened, last + 1)[:, np.newaxis], 0)
        # Rounded up or down by chance.
        drawn = (expected[:, np.newaxis] * shares + self._random.uniform("signups", key)).astype(np.int64)
        return np.concatenate([base, drawn])

    def _spread_signups(self, day: int) -> Ints:
        """The number of customers who register on a day up to the end of each slot, (regions, SLOTS)."""
        demand = self._calendar.demand(day)
        drawn = self._random.generator("signup slots", day).multinomial(
            self._signups(day)[-1], demand / demand.sum(axis=1, keepdims=True)
        )
        counts: Ints = drawn.cumsum(axis=1)
        return counts


def _key(region: Ints | int, day: Ints | int, number: Ints | int) -> Keys:
    """One number for a region (4 bits), a day (18 bits) and a number below 2**32."""
    return np.asarray((region << 50) | (day << 32) | number, dtype=np.int64).view(np.uint64)


def _quantile(cards: Ints) -> Floats:
    return (cards + 0.5) / CARDS


def _later(at: Ints, hours: tuple[float, float], part: Floats) -> Ints:
    """Times that follow others by so many hours at least, and by so many more at most; shorter waits more often."""
    wait = part * np.sqrt(part)
    wait *= hours[1] * _HOUR_US
    wait += hours[0] * _HOUR_US
    later: Ints = at + wait.astype(np.int64)
    return later


def _event_table(key: Keys, status: Ints, at: Ints) -> pa.Table:
    order_id = letters("o", key)
    columns = [
        strings(joined(order_id, _EVENT_ENDINGS, status)),
        strings(order_id),
        words(STATUSES, status),
        pa.array(at).cast(TIME),
    ]
    return pa.Table.from_arrays(columns, schema=arrow_schema("order_events"))
