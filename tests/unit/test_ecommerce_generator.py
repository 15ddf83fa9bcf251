"""The generator of the shop's data: determinism, the catalogue, keys and invalid arguments."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from floe_synthetic import Batch, EcommerceGenerator
from floe_synthetic.calendar import Calendar, Patterns, Region
from floe_synthetic.randomness import deck
from floe_synthetic.schema import TABLES, arrow_schema
from floe_synthetic.shop_values import REGIONS

OPENED, SINCE, UNTIL = date(2025, 3, 1), datetime(2025, 3, 20, 18, tzinfo=UTC), datetime(2025, 3, 20, 20, tzinfo=UTC)
ALL = ["customers", "products", "orders", "order_items", "order_events", "returns"]


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
    return EcommerceGenerator(customers=500, opened=OPENED)


@pytest.fixture(scope="module")
def reference(generator: EcommerceGenerator) -> Batch:
    return generator.reference(SINCE)


@pytest.fixture(scope="module")
def batch(generator: EcommerceGenerator) -> Batch:
    return generator.batch(SINCE, UNTIL)


def test_tables_have_the_documented_schema_in_loading_order(reference: Batch, batch: Batch) -> None:
    assert list(TABLES) == ALL
    assert list(reference.tables) == ALL
    assert [name for name in ALL if reference.tables[name].num_rows] == ["customers", "products"]
    assert list(batch.tables) == [name for name in ALL if name != "products"]
    assert reference.batch_id == "reference"
    assert batch.batch_id == "2025-03-20T20:00:00+00:00 from 2025-03-20T18:00:00+00:00"
    for part in (reference, batch):
        for name, table in part.tables.items():
            assert table.schema == arrow_schema(name)
            table.validate(full=True)
            assert all(column.null_count == 0 for column in table.columns)


def test_every_process_makes_the_same_bytes(generator: EcommerceGenerator, batch: Batch) -> None:
    script = (
        "import importlib.util;"
        f"spec = importlib.util.spec_from_file_location('probe', {__file__!r});"
        "probe = importlib.util.module_from_spec(spec); spec.loader.exec_module(probe);"
        "made = probe.EcommerceGenerator(customers=500, opened=probe.OPENED);"
        "print(probe.digest(made.batch(probe.SINCE, probe.UNTIL)), probe.digest(made.reference(probe.SINCE)))"
    )
    assert run_python(script, PYTHONHASHSEED="1").split() == [digest(batch), digest(generator.reference(SINCE))]


def test_the_same_instant_in_another_zone_is_the_same_batch(generator: EcommerceGenerator, batch: Batch) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    assert generator.batch(SINCE.astimezone(zone), UNTIL.astimezone(zone)) == batch


@pytest.mark.parametrize("changed", [{"seed": 43}, {"customers": 900}, {"products": 201}, {"orders_per_day": 5999}])
def test_seed_and_sizes_matter(batch: Batch, changed: dict[str, int]) -> None:
    other = EcommerceGenerator(**{"customers": 500, "opened": OPENED, **changed})  # type: ignore[arg-type] # of several types
    assert digest(other.batch(SINCE, UNTIL)) != digest(batch)


def test_events_are_later_versions_of_the_order_on_demand(batch: Batch) -> None:
    versions = EcommerceGenerator(customers=500, opened=OPENED, versions=True).batch(SINCE, UNTIL).tables
    assert versions["order_events"].num_rows == 0
    orders, events = versions["orders"], batch.tables["order_events"]
    changed = orders.filter(pc.not_equal(orders["status"], "placed"))
    columns = [["order_id", "status", "updated_at"], ["order_id", "status", "occurred_at"]]
    as_rows = [sorted(map(tuple, zip(*(t[c].to_pylist() for c in cs), strict=True)))
               for t, cs in zip((changed, events), columns, strict=True)]  # fmt: skip
    assert as_rows[0] == as_rows[1]
    for name in ("customers", "order_items", "returns"):
        assert versions[name] == batch.tables[name]
    first = orders.filter(pc.equal(orders["status"], "placed"))
    assert first.select(["order_id", "total"]).sort_by("order_id") == (
        batch.tables["orders"].select(["order_id", "total"]).sort_by("order_id")
    )


def test_a_window_without_orders_has_every_table() -> None:
    quiet = EcommerceGenerator(customers=10, products=1, orders_per_day=1, opened=OPENED)
    tables = quiet.batch(SINCE, SINCE + timedelta(microseconds=1)).tables
    assert [name for name, rows in tables.items() if rows.num_rows or rows.schema != arrow_schema(name)] == []


def test_names_follow_the_country(reference: Batch) -> None:
    customers = reference.tables["customers"]
    by_country = {
        region.country: customers.filter(pc.equal(customers["country"], region.country)) for region in REGIONS
    }
    assert all(rows.num_rows for rows in by_country.values())
    assert any("ł" in name for name in by_country["PL"]["name"].to_pylist())
    assert len(set(by_country["DE"]["city"].to_pylist()) & set(by_country["FR"]["city"].to_pylist())) == 0


def test_the_image_keeps_the_names_of_every_country() -> None:
    script = (Path(__file__).parents[2] / "images/dagster/prune.sh").read_text()
    for region in REGIONS:
        if not region.locale.startswith("en_"):  # all of English is kept
            assert f"! -path '*/person/{region.locale}'" in script
            assert f"! -path '*/address/{region.locale}'" in script


def test_addresses_are_unique_and_undeliverable(reference: Batch, batch: Batch) -> None:
    rows = [row for part in (reference, batch) for row in part.tables["customers"].to_pylist()]
    addresses = [row["email"] for row in rows]
    assert len(set(addresses)) == len(addresses)
    assert {one.rpartition("@")[2] for one in addresses} == {"example.com", "example.org", "example.net"}
    assert all(one.isascii() and " " not in one and len(one) < 80 for one in addresses)


def test_payment_follows_the_country(generator: EcommerceGenerator) -> None:
    tables = generator.batch(SINCE, SINCE + timedelta(days=3)).tables
    customers = pa.concat_tables([generator.reference(SINCE).tables["customers"], tables["customers"]])
    joined = tables["orders"].join(customers, "customer_id", join_type="left outer")
    transfers = {
        country: joined.filter(pc.equal(joined["country"], country))["payment_method"].to_pylist()
        for country in ("NL", "US")
    }
    shares = {country: paid.count("bank transfer") / len(paid) for country, paid in transfers.items()}
    assert shares["NL"] > 0.5
    assert shares["US"] < 0.05


def test_prices_are_those_of_the_catalogue(reference: Batch, batch: Batch) -> None:
    products = reference.tables["products"]
    prices = dict(zip(products["product_id"].to_pylist(), products["unit_price"].to_pylist(), strict=True))
    items = batch.tables["order_items"].to_pylist()
    assert all(row["unit_price"] == prices[row["product_id"]] for row in items)
    assert all(Decimal("0.99") <= price <= Decimal("4999.99") for price in prices.values())
    assert len(prices) == 200
    assert len(set(prices.values())) > 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"customers": 0}, "customers must be at least 1"),
        ({"customers": 9}, "customers must be at least 10, one for each region"),
        ({"products": 0}, "products must be at least 1"),
        ({"products": 10_001}, "products must be at most 10000"),
        ({"orders_per_day": -1}, "orders_per_day must be at least 1"),
        ({"orders_per_day": float("nan")}, "orders_per_day must be at least 1"),
        ({"opened": date(1969, 7, 20)}, "opened must be from 1971-01-01"),
        ({"orders_per_day": 1e12}, "orders_per_day must be at least 1 and below"),
    ],
)
def test_absurd_sizes_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EcommerceGenerator(**arguments)


@pytest.mark.parametrize(
    ("since", "until", "message"),
    [
        (SINCE.replace(tzinfo=None), UNTIL, "2025-03-20T18:00:00 has no time zone"),
        (SINCE, UNTIL.replace(tzinfo=None), "has no time zone"),
        (UNTIL, SINCE, "which is not after its start"),
        (SINCE, SINCE, "which is not after its start"),
        (datetime(2025, 2, 28, tzinfo=UTC), UNTIL, "before the opening at"),
        (SINCE, datetime(3000, 1, 1, tzinfo=UTC), "after 2600-01-01"),
    ],
)
def test_impossible_windows_are_refused(
    generator: EcommerceGenerator, since: datetime, until: datetime, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        generator.batch(since, until)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hours": (1.0,) * 23}, "hours must be 24 numbers"),
        ({"weekdays": (0.0,) * 7}, "weekdays must be 7 numbers"),
        ({"season": 1.0}, "season must be from 0 to 1"),
        ({"growth": -1.0}, "growth must be from -0.99"),
    ],
)
def test_impossible_patterns_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Patterns(**arguments)  # type: ignore[arg-type] # the values are wrong


def test_a_window_before_its_history_is_refused(generator: EcommerceGenerator) -> None:
    with pytest.raises(ValueError, match="before the opening at 2025-03-20T20:00:00"):
        generator.batch(SINCE, UNTIL, UNTIL)


def test_a_time_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no time zone 'Europe/Nowhere'"):
        Calendar([Region("XX", "Europe/Nowhere", "en_US", 1)], Patterns(), OPENED)


def test_a_deck_has_each_card_as_often_as_its_weight() -> None:
    cards = deck({1: 50, 2: 25, 9: 25, 7: 0, 8: 1e-9}).tolist()
    assert [cards.count(value) for value in (1, 2, 9, 7, 8)] == [32767, 16384, 16384, 0, 1]


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
