"""The generator of the shop's data: distributions, determinism and invalid arguments."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from floe_synthetic import Batch, EcommerceGenerator
from floe_synthetic.schema import TABLES, arrow_schema

AT = datetime(2025, 3, 1, 20, 0, tzinfo=UTC)


def digest(batch: Batch) -> str:
    """A hash of all bytes in the tables of the batch."""
    sink = pa.BufferOutputStream()
    for table in batch.tables.values():
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def run_python(script: str, **variables: str) -> str:
    """The output of a script in a new interpreter with the same modules."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **variables}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def generator() -> EcommerceGenerator:
    return EcommerceGenerator()


@pytest.fixture(scope="module")
def large() -> Batch:
    return EcommerceGenerator(orders_per_batch=20_000).batch("large", AT)


def test_tables_have_the_documented_schema_in_loading_order(generator: EcommerceGenerator) -> None:
    reference, batch = generator.reference(), generator.batch("b", AT)

    assert reference.batch_id == "reference"
    assert batch.batch_id == "b"
    assert list(reference.tables) == ["customers", "products"]
    assert list(batch.tables) == ["customers", "orders", "order_items"]
    assert list(TABLES) == ["customers", "products", "orders", "order_items"]
    for part in (reference, batch):
        for name, table in part.tables.items():
            assert table.schema == arrow_schema(name)
            table.validate(full=True)
            assert all(column.null_count == 0 for column in table.columns)


def test_reference_data_have_the_requested_sizes() -> None:
    tables = EcommerceGenerator(customers=37, products=11).reference().tables

    assert (tables["customers"].num_rows, tables["products"].num_rows) == (37, 11)


def test_every_process_makes_the_same_bytes(generator: EcommerceGenerator) -> None:
    script = (
        "import importlib.util, sys;"
        f"spec = importlib.util.spec_from_file_location('probe', {__file__!r});"
        "probe = importlib.util.module_from_spec(spec); spec.loader.exec_module(probe);"
        "made = probe.EcommerceGenerator();"
        "print(probe.digest(made.batch('b', probe.AT)), probe.digest(made.reference()))"
    )
    here = [digest(generator.batch("b", AT)), digest(generator.reference())]

    assert run_python(script, PYTHONHASHSEED="1").split() == here
    assert run_python(script, PYTHONHASHSEED="2").split() == here


def test_order_of_calls_does_not_matter(generator: EcommerceGenerator) -> None:
    fresh = EcommerceGenerator()
    expected = [digest(generator.batch("a", AT)), digest(generator.batch("b", AT))]

    assert [digest(fresh.batch("b", AT)), digest(fresh.batch("a", AT))] == expected[::-1]


def test_same_instant_in_another_zone_is_the_same_batch(generator: EcommerceGenerator) -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert digest(generator.batch("b", elsewhere)) == digest(generator.batch("b", AT))


@pytest.mark.parametrize("changed", [{"seed": 43}, {"customers": 999}, {"products": 199}])
def test_seed_and_sizes_matter(generator: EcommerceGenerator, changed: dict[str, int]) -> None:
    other = EcommerceGenerator(**changed)

    assert digest(other.batch("b", AT)) != digest(generator.batch("b", AT))
    assert digest(other.reference()) != digest(generator.reference())


def test_the_number_of_orders_does_not_change_the_reference_data(generator: EcommerceGenerator) -> None:
    busier = EcommerceGenerator(orders_per_batch=121)

    assert digest(busier.batch("b", AT)) != digest(generator.batch("b", AT))
    assert digest(busier.reference()) == digest(generator.reference())


def test_id_and_time_matter(generator: EcommerceGenerator) -> None:
    moments = [("a", AT), ("b", AT), ("a", AT + timedelta(microseconds=1))]
    drawn = [generator.batch(*moment).tables["order_items"]["product_id"].to_pylist() for moment in moments]

    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]


def test_items_are_numbered_within_their_order(generator: EcommerceGenerator) -> None:
    lines: Counter[str] = Counter()
    for row in generator.batch("b", AT).tables["order_items"].to_pylist():
        lines[row["order_id"]] += 1
        assert row["order_item_id"] == f"{row['order_id']}-{lines[row['order_id']]}"

    assert set(lines.values()) == {1, 2, 3, 4, 5, 6}


def test_orders_lie_in_the_five_minutes_before_the_batch(large: Batch) -> None:
    ordered = large.tables["orders"]["ordered_at"].to_pylist()
    created = large.tables["customers"]["created_at"].to_pylist()

    for times in (ordered, created):
        assert min(times) >= AT - timedelta(minutes=5)
        assert max(times) < AT
    assert all(earlier <= later for earlier, later in pairwise(ordered))
    assert max(ordered) - min(ordered) > timedelta(minutes=4, seconds=55)
    assert any(time.microsecond % 1000 for time in ordered)


def test_new_customers_register_before_they_order(large: Batch) -> None:
    customers, orders = large.tables["customers"], large.tables["orders"]
    created = dict(zip(customers["customer_id"].to_pylist(), customers["created_at"].to_pylist(), strict=True))
    of_new = [row for row in orders.to_pylist() if row["customer_id"] in created]

    assert 0.05 < len(of_new) / orders.num_rows < 0.11
    assert all(created[row["customer_id"]] <= row["ordered_at"] for row in of_new)


def test_base_customers_are_older_than_any_order(generator: EcommerceGenerator) -> None:
    assert pc.max(generator.reference().tables["customers"]["created_at"]).as_py() < datetime(2024, 1, 1, tzinfo=UTC)


def test_number_of_orders_follows_the_hour_around_the_average(generator: EcommerceGenerator) -> None:
    midnight = datetime(2025, 3, 1, tzinfo=UTC)
    counts = [
        generator.batch(f"day-{step}", midnight + step * timedelta(minutes=5)).tables["orders"].num_rows
        for step in range(288)
    ]
    at_hour = [sum(counts[hour * 12 : hour * 12 + 12]) / 12 for hour in range(24)]

    assert 114 < sum(counts) / len(counts) < 126
    assert max(range(24), key=at_hour.__getitem__) in (19, 20)
    assert at_hour[3] < 30
    assert at_hour[19] > 180


def test_quiet_batches_leave_empty_tables_out() -> None:
    generator = EcommerceGenerator(orders_per_batch=1)
    batches = [generator.batch(f"night-{index}", datetime(2025, 3, 1, 3, tzinfo=UTC)) for index in range(20)]

    assert any(not batch.tables for batch in batches)
    assert all(table.num_rows for batch in batches for table in batch.tables.values())


def test_few_products_sell_most(large: Batch) -> None:
    sold = [count for _, count in Counter(large.tables["order_items"]["product_id"].to_pylist()).most_common()]

    assert sum(sold[:20]) > 0.5 * sum(sold)  # a tenth of the 200 products
    assert len(sold) > 190  # most of the other products are sold as well


def test_some_customers_order_again_and_again(large: Batch) -> None:
    orders = [count for _, count in Counter(large.tables["orders"]["customer_id"].to_pylist()).most_common()]

    assert orders[0] > 10 * sum(orders) / len(orders)


@pytest.mark.parametrize(
    ("table", "column", "shares"),
    [
        ("customers", "segment", {"consumer": 0.82, "small_business": 0.14, "enterprise": 0.04}),
        ("orders", "status", {"completed": 0.78, "pending": 0.12, "cancelled": 0.07, "returned": 0.03}),
        ("order_items", "quantity", {1: 0.68, 2: 0.19, 3: 0.07, 4: 0.03, 5: 0.02, 10: 0.01}),
    ],
)
def test_values_have_their_configured_frequencies(
    large: Batch, table: str, column: str, shares: dict[object, float]
) -> None:
    values = large.tables[table][column].to_pylist()
    counted = Counter(values)

    assert set(counted) == set(shares)
    for value, share in shares.items():
        assert counted[value] / len(values) == pytest.approx(share, abs=0.03)


def test_countries_are_weighted(generator: EcommerceGenerator) -> None:
    countries = Counter(generator.reference().tables["customers"]["country"].to_pylist())

    assert len(countries) == 10
    assert countries.most_common(1)[0][0] == "US"
    assert all(len(country) == 2 for country in countries)


def test_discounts_are_whole_percentages_rounded_down(large: Batch) -> None:
    granted: Counter[int] = Counter()
    for row in large.tables["order_items"].to_pylist():
        cents = int(100 * row["quantity"] * row["unit_price"])
        possible = {Decimal(cents * percent // 100) / 100: percent for percent in (20, 10, 5, 0)}
        granted[possible[row["discount"]]] += 1

    for percent, share in {0: 0.72, 5: 0.12, 10: 0.11, 20: 0.05}.items():
        assert granted[percent] / granted.total() == pytest.approx(share, abs=0.03)


def test_items_cost_what_the_catalogue_says(generator: EcommerceGenerator) -> None:
    products = generator.reference().tables["products"]
    prices = dict(zip(products["product_id"].to_pylist(), products["unit_price"].to_pylist(), strict=True))
    items = generator.batch("b", AT).tables["order_items"].to_pylist()

    assert all(row["unit_price"] == prices[row["product_id"]] for row in items)
    assert all(Decimal("0.99") <= price <= Decimal("4999.99") for price in prices.values())
    assert len(set(prices.values())) > 20


def test_addresses_are_unique_and_undeliverable(generator: EcommerceGenerator) -> None:
    batches = [generator.reference(), generator.batch("b", AT)]
    customers = [row for batch in batches for row in batch.tables["customers"].to_pylist()]
    addresses = [row["email"] for row in customers]

    assert len(set(addresses)) == len(addresses)
    assert {address.rpartition("@")[2] for address in addresses} == {"example.com", "example.org"}
    assert all(address.isascii() and " " not in address and len(address) < 80 for address in addresses)
    assert all(row["email"].startswith(row["name"].split()[0].lower()) for row in customers)


@pytest.mark.parametrize("size", ["customers", "products", "orders_per_batch"])
def test_sizes_below_one_are_refused(size: str) -> None:
    with pytest.raises(ValueError, match=f"{size} must be at least 1"):
        EcommerceGenerator(**{size: 0})


@pytest.mark.parametrize("batch_id", ["", "reference"])
def test_empty_and_reserved_ids_are_refused(generator: EcommerceGenerator, batch_id: str) -> None:
    with pytest.raises(ValueError, match="is empty or reserved"):
        generator.batch(batch_id, AT)


def test_naive_times_are_refused(generator: EcommerceGenerator) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        generator.batch("b", AT.replace(tzinfo=None))


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = (
        "import sys, floe_synthetic;"
        "heavy = {'numpy', 'pyarrow', 'faker', 'pyiceberg'} & set(sys.modules);"
        "floe_synthetic.EcommerceGenerator;"
        "print(sorted(heavy), 'pyiceberg' in sys.modules)"
    )

    assert run_python(script).strip() == "[] False"


def test_unknown_names_are_attribute_errors() -> None:
    import floe_synthetic

    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = floe_synthetic.Nothing  # type: ignore[attr-defined] # the test needs a name that does not exist
