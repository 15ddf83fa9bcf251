"""Properties of all batches, for random seeds, sizes, ids and times."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from floe_synthetic import Batch, EcommerceGenerator
from floe_synthetic.schema import arrow_schema
from fuzz import inputs

a_few = settings(max_examples=inputs(50), deadline=None)

seeds = st.integers(min_value=-(2**63), max_value=2**64)
shops = st.builds(
    EcommerceGenerator,
    seed=seeds,
    customers=st.integers(1, 40),
    products=st.integers(1, 20),
    orders_per_batch=st.integers(1, 40),
)
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(lambda text: text != "reference")
times = st.datetimes(
    min_value=datetime(1900, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.timezones(),
)

KEYS = {"customers": "customer_id", "products": "product_id", "orders": "order_id", "order_items": "order_item_id"}


def values(batches: list[Batch], table: str, column: str) -> list[str]:
    """The values of a column in several batches."""
    return [value for batch in batches if table in batch.tables for value in batch.tables[table][column].to_pylist()]


@a_few
@given(shop=shops, batch_id=ids, at=times)
def test_every_reference_has_a_target(shop: EcommerceGenerator, batch_id: str, at: datetime) -> None:
    batch = shop.batch(batch_id, at)
    known = [shop.reference(), batch]

    assert set(values([batch], "orders", "customer_id")) <= set(values(known, "customers", "customer_id"))
    assert set(values([batch], "order_items", "product_id")) <= set(values(known, "products", "product_id"))
    assert set(values([batch], "order_items", "order_id")) == set(values([batch], "orders", "order_id"))


@a_few
@given(seed=seeds, sizes=st.tuples(st.integers(1, 40), st.integers(1, 20), st.integers(1, 40)), batch_id=ids, at=times)
def test_the_same_inputs_make_the_same_batch(
    seed: int, sizes: tuple[int, int, int], batch_id: str, at: datetime
) -> None:
    first, second = EcommerceGenerator(seed, *sizes), EcommerceGenerator(seed, *sizes)
    second.batch("something else first", at)

    assert first.batch(batch_id, at) == second.batch(batch_id, at.astimezone(UTC))
    assert first.reference() == second.reference()


@a_few
@given(shop=shops, batch_ids=st.lists(ids, min_size=2, max_size=4, unique=True), at=times)
def test_keys_are_unique_across_batches(shop: EcommerceGenerator, batch_ids: list[str], at: datetime) -> None:
    batches = [shop.reference(), *(shop.batch(batch_id, at) for batch_id in batch_ids)]

    for table, key in KEYS.items():
        keys = values(batches, table, key)
        assert len(set(keys)) == len(keys)


@a_few
@given(shop=shops, batch_id=ids, at=times)
def test_amounts_are_exact_and_never_negative(shop: EcommerceGenerator, batch_id: str, at: datetime) -> None:
    batch = shop.batch(batch_id, at)
    if "order_items" not in batch.tables:
        return
    items = batch.tables["order_items"]
    prices = shop.reference().tables["products"]
    listed = dict(zip(prices["product_id"].to_pylist(), prices["unit_price"].to_pylist(), strict=True))

    for row in items.to_pylist():
        assert row["quantity"] >= 1
        assert row["unit_price"] == listed[row["product_id"]]
        assert 0 <= row["discount"] <= row["quantity"] * row["unit_price"]
        amount = row["quantity"] * row["unit_price"] - row["discount"]
        assert amount >= 0
        assert amount == amount.quantize(Decimal("0.01"))


@a_few
@given(shop=shops, batch_id=ids, at=times)
def test_batches_match_their_schema_and_their_five_minutes(
    shop: EcommerceGenerator, batch_id: str, at: datetime
) -> None:
    batch = shop.batch(batch_id, at)

    for name, table in batch.tables.items():
        assert table.num_rows
        assert table.schema == arrow_schema(name)
        table.validate(full=True)
    for name, column in (("customers", "created_at"), ("orders", "ordered_at")):
        if name in batch.tables:
            moments = batch.tables[name][column].cast(pa.int64()).to_pylist()
            end = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
            assert end - 300_000_000 <= min(moments)
            assert max(moments) < end
