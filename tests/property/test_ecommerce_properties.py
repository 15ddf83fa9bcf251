"""Properties of the shop's data, for random seeds, sizes and windows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from floe_synthetic import Batch, EcommerceGenerator
from floe_synthetic.ecommerce import NEXT
from floe_synthetic.schema import TABLES, arrow_schema
from fuzz import inputs

a_few = settings(max_examples=inputs(10), deadline=None)

OPENED = date(2025, 3, 1)
FIRST = datetime(2025, 3, 1, tzinfo=UTC)
LIFE = timedelta(days=29)
"""After so long, an order does not change any more."""

Sizes = dict[str, Any]
sizes = st.fixed_dictionaries(
    {
        "seed": st.integers(min_value=-(2**63), max_value=2**64),
        "customers": st.integers(10, 60),
        "products": st.integers(1, 20),
        "orders_per_day": st.integers(1, 60),
        "versions": st.booleans(),
    }
)
moments = st.integers(0, 120 * 86_400_000_000).map(lambda number: FIRST + timedelta(microseconds=number))
KEYS = {name: arrow_schema(name).names[0] for name in TABLES}


def shop(sizes: Sizes) -> EcommerceGenerator:
    return EcommerceGenerator(**sizes, opened=OPENED)


def rows(batch: Batch, table: str) -> list[dict[str, Any]]:
    return list(batch.tables[table].to_pylist()) if table in batch.tables else []


def in_order(batches: list[Batch]) -> dict[str, list[str]]:
    """The rows of each table, sorted."""
    return {name: sorted(str(row) for batch in batches for row in rows(batch, name)) for name in TABLES}


@a_few
@given(sizes=sizes, ends=st.lists(moments, min_size=2, max_size=6, unique=True))
def test_windows_give_the_rows_of_the_whole_window_however_it_is_cut(sizes: Sizes, ends: list[datetime]) -> None:
    ends.sort()
    whole = shop(sizes).batch(ends[0], ends[-1])
    parts = shop(sizes)
    # In reverse order, so that no part can depend on those before it.
    cut = [parts.batch(since, until) for since, until in reversed(list(pairwise(ends)))]
    assert in_order(cut) == in_order([whole])
    for name, table in whole.tables.items():
        assert table.schema == arrow_schema(name)
        table.validate(full=True)


@a_few
@given(sizes=sizes, begin=moments, cut=st.integers(1, 5 * 86_400_000_000))
def test_a_history_has_nothing_of_orders_before_it(sizes: Sizes, begin: datetime, cut: int) -> None:
    middle, until = begin + timedelta(microseconds=cut), begin + timedelta(days=6)
    generator = shop(sizes)
    parts = [generator.batch(begin, middle, begin), generator.batch(middle, until, begin)]
    known = {row["order_id"] for part in parts for row in rows(part, "orders") if row["status"] == "placed"}
    assert {row["order_id"] for part in parts for row in rows(part, "orders")} == known
    for name in ("order_events", "returns"):
        assert {row["order_id"] for part in parts for row in rows(part, name)} <= known
    whole = generator.batch(begin, until)
    for name in TABLES:
        kept = [row for row in rows(whole, name) if row.get("order_id", "") in {"", *known}]
        assert sorted(str(row) for part in parts for row in rows(part, name)) == sorted(map(str, kept))


@a_few
@given(sizes=sizes, since=moments)
def test_every_reference_has_a_target(sizes: Sizes, since: datetime) -> None:
    generator = shop(sizes)
    until = since + timedelta(days=3)
    reference, batch = generator.reference(until), generator.batch(since, until)
    before = generator.batch(FIRST, until)
    known = {
        name: {row[KEYS[name]]: row for part in (reference, before) for row in rows(part, name)}
        for name in ("customers", "products", "orders", "order_items")
    }
    registered = {row["customer_id"] for row in rows(reference, "customers")}
    assert {row["customer_id"] for row in rows(batch, "customers")} <= registered
    for order in rows(batch, "orders"):
        assert known["customers"][order["customer_id"]]["created_at"] <= order["ordered_at"]
    for item in rows(batch, "order_items"):
        assert item["order_id"] in known["orders"]
        assert item["product_id"] in known["products"]
    assert all(event["order_id"] in known["orders"] for event in rows(batch, "order_events"))
    for one in rows(batch, "returns"):
        item = known["order_items"][one["order_item_id"]]
        assert one["order_id"] == item["order_id"]
        assert 1 <= one["quantity"] <= item["quantity"]
        assert 0 <= one["amount"] <= item["quantity"] * item["unit_price"] - item["discount"]


@a_few
@given(sizes=sizes, since=moments)
def test_totals_are_the_sums_of_their_items(sizes: Sizes, since: datetime) -> None:
    sizes = {**sizes, "versions": False}
    batch = shop(sizes).batch(since, since + timedelta(days=3))
    sums: dict[str, Decimal] = {}
    products: dict[str, list[str]] = {}
    for item in rows(batch, "order_items"):
        full = item["quantity"] * item["unit_price"]
        assert item["quantity"] >= 1
        assert 0 <= item["discount"] <= full
        sums[item["order_id"]] = sums.get(item["order_id"], Decimal(0)) + full - item["discount"]
        products.setdefault(item["order_id"], []).append(item["product_id"])
    assert sums == {order["order_id"]: order["total"] for order in rows(batch, "orders")}
    assert all(len(set(one)) == len(one) for one in products.values())
    lines = [item["order_item_id"] for item in rows(batch, "order_items")]
    assert lines == [f"{order}-{number:02}" for order, of in products.items() for number in range(1, len(of) + 1)]


@a_few
@given(sizes=sizes, since=moments)
def test_keys_are_unique_and_times_are_in_the_window(sizes: Sizes, since: datetime) -> None:
    until = since + timedelta(days=2)
    generator = shop({**sizes, "versions": False})
    batch, reference = generator.batch(since, until), generator.reference(since)
    for name in TABLES:
        keys = [row[KEYS[name]] for part in (reference, batch) for row in rows(part, name)]
        assert len(set(keys)) == len(keys)
    times = {"customers": "created_at", "orders": "ordered_at", "order_events": "occurred_at", "returns": "returned_at"}
    for name, column in times.items():
        found = batch.tables[name][column].cast(pa.timestamp("us", "UTC")).to_pylist() if name in batch.tables else []
        assert all(since <= one < until for one in found)
    assert all(row["created_at"] < since for row in rows(reference, "customers"))


@a_few
@given(sizes=sizes, since=moments)
def test_the_status_of_an_order_moves_on_by_legal_steps(sizes: Sizes, since: datetime) -> None:
    generator = shop({**sizes, "versions": True})
    until = since + timedelta(days=1)
    placed = {row["order_id"] for row in rows(generator.batch(since, until), "orders") if row["status"] == "placed"}
    history: dict[str, list[tuple[datetime, str]]] = {name: [] for name in placed}
    for row in rows(generator.batch(since, until + LIFE), "orders"):
        if row["order_id"] in placed:
            history[row["order_id"]].append((row["updated_at"], row["status"]))
    for steps in history.values():
        names = [status for _, status in sorted(steps)]
        assert names[0] == "placed"
        assert all(after in NEXT[before] for before, after in pairwise(names))
        assert len({at for at, _ in steps}) == len(steps)
        assert names[-1] in ("cancelled", "delivered", "returned")
    ended = generator.batch(until + LIFE, until + LIFE + timedelta(days=3))
    assert not placed & {row["order_id"] for row in rows(ended, "orders")}


@a_few
@given(sizes=sizes, since=moments)
def test_the_same_arguments_make_the_same_rows(sizes: Sizes, since: datetime) -> None:
    first, second = shop(sizes), shop(sizes)
    second.batch(since + timedelta(days=40), since + timedelta(days=41))
    until = since + timedelta(hours=7)
    assert first.batch(since, until) == second.batch(since, until)
    assert first.reference(until) == second.reference(until)
