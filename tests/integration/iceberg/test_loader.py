"""The loader on a real Iceberg catalog: each batch is loaded exactly once, and invalid input not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

from floe_synthetic import Batch, IcebergLoader
from floe_synthetic.schema import TABLES, arrow_schema, iceberg_schema
from iceberg_tables import AT, BATCH, GENERATOR, NAMES, assert_once, open_catalog, rows_of, state_of, table_of

# The rows, schemas and files that a load writes


def test_all_rows_of_batches_are_loaded(catalog: SqlCatalog) -> None:
    loader, reference = IcebergLoader(catalog), GENERATOR.reference()
    before = datetime.now(UTC)

    loads = {batch.batch_id: loader.load(batch) for batch in (reference, BATCH)}

    assert_once(catalog, reference, BATCH)
    for batch in (reference, BATCH):
        results = loads[batch.batch_id]
        assert [(done.table, done.rows, done.skipped) for done in results] == [
            (name, rows.num_rows, False) for name, rows in batch.tables.items()
        ]
        for done in results:
            assert done.snapshot_id is not None
            snapshot = table_of(catalog, done.table).snapshot_by_id(done.snapshot_id)
            assert snapshot is not None
            assert snapshot.summary is not None
            assert snapshot.summary["floe.batch-id"] == batch.batch_id
    for name in TABLES:
        rows = rows_of(catalog, name)
        assert rows["_batch_id"].to_pylist().count("first") == (BATCH.tables[name].num_rows if name in NAMES else 0)
        loaded = rows["_loaded_at"].to_pylist()
        assert all(before <= moment <= datetime.now(UTC) for moment in loaded)


def test_tables_have_the_documented_schema(catalog: SqlCatalog) -> None:
    IcebergLoader(catalog).load(GENERATOR.reference())
    IcebergLoader(catalog).load(BATCH)

    for name in TABLES:
        schema = table_of(catalog, name).schema()
        assert schema.fields == iceberg_schema(name).fields
        assert [field.field_id for field in schema.fields] == list(range(1, len(schema.fields) + 1))
        assert all(field.doc for field in schema.fields)
        assert schema_to_pyarrow(schema, include_field_ids=False).names == arrow_schema(name, loaded=True).names
        assert schema.fields[0].required
        assert not schema.find_field("name").required if name in ("customers", "products") else True


def test_each_table_of_a_batch_is_one_commit_of_one_file(catalog: SqlCatalog) -> None:
    IcebergLoader(catalog).load(GENERATOR.batch("midnight", datetime(2025, 3, 2, 0, 2, tzinfo=UTC)))

    for name in NAMES:
        assert len(table_of(catalog, name).snapshots()) == 1
        assert len(list(table_of(catalog, name).scan().plan_files())) == 1


def test_the_bounds_of_times_prune_files(catalog: SqlCatalog) -> None:
    for day in range(1, 4):
        IcebergLoader(catalog).load(GENERATOR.batch(f"day {day}", AT + timedelta(days=day)))

    since = (AT + timedelta(days=2)).isoformat()
    assert len(list(table_of(catalog, "orders").scan(row_filter=f"ordered_at > '{since}'").plan_files())) == 1
    loaded = pc.max(rows_of(catalog, "order_items")["_loaded_at"]).as_py().isoformat()
    assert len(list(table_of(catalog, "order_items").scan(row_filter=f"_loaded_at >= '{loaded}'").plan_files())) == 1


def test_the_order_of_tables_and_columns_in_a_batch_does_not_matter(catalog: SqlCatalog) -> None:
    shuffled = Batch(
        "first",
        {name: BATCH.tables[name].select(BATCH.tables[name].schema.names[::-1]) for name in reversed(NAMES)},
    )

    results = IcebergLoader(catalog).load(shuffled)

    assert [done.table for done in results] == ["customers", "orders", "order_items"]
    assert_once(catalog, BATCH)


def test_an_empty_batch_adds_no_rows(catalog: SqlCatalog) -> None:
    assert IcebergLoader(catalog).load(Batch("quiet", {})) == []
    assert state_of(catalog) == {}


def test_each_namespace_has_its_own_tables(catalog: SqlCatalog) -> None:
    IcebergLoader(catalog).load(BATCH)

    results = IcebergLoader(catalog, "elsewhere").load(BATCH)

    assert not any(done.skipped for done in results)
    assert len(catalog.list_tables("elsewhere")) == 3


# Repeated batches


def test_a_repeated_batch_adds_nothing(catalog: SqlCatalog, folder: Path) -> None:
    first = IcebergLoader(catalog).load(BATCH)
    state = state_of(catalog)

    for again in (IcebergLoader(catalog), IcebergLoader(open_catalog(folder))):
        results = again.load(BATCH)
        assert [(done.table, done.rows, done.skipped) for done in results] == [(name, 0, True) for name in NAMES]
        assert [done.snapshot_id for done in results] == [done.snapshot_id for done in first]
    assert state_of(catalog) == state
    assert_once(catalog, BATCH)


def test_a_repeated_batch_adds_nothing_after_its_snapshot_expired(catalog: SqlCatalog) -> None:
    loader, later = IcebergLoader(catalog), GENERATOR.batch("second", AT)
    loader.load(BATCH)
    loader.load(later)
    for name in NAMES:
        table_of(catalog, name).maintenance.expire_snapshots().older_than(datetime.now() + timedelta(days=1)).commit()
        assert [
            snapshot.summary["floe.batch-id"] for snapshot in table_of(catalog, name).snapshots() if snapshot.summary
        ] == ["second"]

    results = loader.load(BATCH)

    assert [(done.rows, done.snapshot_id, done.skipped) for done in results] == [(0, None, True)] * 3
    assert_once(catalog, BATCH, later)


def test_a_repeated_batch_adds_nothing_after_compaction(catalog: SqlCatalog) -> None:
    loader = IcebergLoader(catalog)
    batches = [GENERATOR.batch(batch_id, AT) for batch_id in ("a", "m", "z")]
    for batch in batches:
        loader.load(batch)
    for name in NAMES:
        rows = rows_of(catalog, name).cast(arrow_schema(name, loaded=True))
        table_of(catalog, name).overwrite(rows)

    assert all(done.skipped for batch in batches for done in loader.load(batch))
    # This id is between the bounds of the only remaining file, so the loader must read the rows.
    between = GENERATOR.batch("n", AT)
    assert not any(done.skipped for done in loader.load(between))
    assert_once(catalog, *batches, between)


def test_a_batch_whose_rows_were_deleted_can_be_loaded_again(catalog: SqlCatalog) -> None:
    loader, other = IcebergLoader(catalog), GENERATOR.batch("second", AT)
    loader.load(BATCH)
    loader.load(other)
    table_of(catalog, "orders").delete("_batch_id = 'first'")

    results = loader.load(BATCH)

    assert [(done.table, done.skipped) for done in results] == [
        ("customers", True),
        ("orders", False),
        ("order_items", True),
    ]
    assert results[1].snapshot_id == table_of(catalog, "orders").metadata.current_snapshot_id
    assert_once(catalog, BATCH, other)


@pytest.mark.parametrize("batch_id", ["it's", 'say "hi"', "a = 'b' or 1 = 1", "%", "ä/ö 🛒", " ", "null", "x" * 200])
def test_any_text_can_be_a_batch_id(catalog: SqlCatalog, batch_id: str) -> None:
    loader, batch = IcebergLoader(catalog), GENERATOR.batch(batch_id, AT)
    loader.load(BATCH)
    loader.load(batch)

    assert all(done.skipped for done in loader.load(batch))
    assert_once(catalog, BATCH, batch)


def test_the_search_for_a_batch_prunes_files_and_keeps_manifests_few(catalog: SqlCatalog) -> None:
    loader = IcebergLoader(catalog)
    ids = [f"ecommerce/2025-03-01T12:{minute:02}:00+00:00" for minute in range(30)]
    for batch_id in ids:
        loader.load(Batch(batch_id, {"orders": GENERATOR.batch(batch_id, AT).tables["orders"]}))
    table = table_of(catalog, "orders")
    snapshot = table.current_snapshot()
    assert snapshot is not None

    assert len(list(table.scan().plan_files())) == 30
    assert len(list(table.scan(row_filter=f"_batch_id = '{ids[7]}'").plan_files())) == 1
    assert list(table.scan(row_filter=f"_batch_id = '{ids[7]}?'").plan_files()) == []
    assert len(snapshot.manifests(table.io)) < 20


# Invalid input


def changed(batch: Batch, name: str, change: Callable[[pa.Table], pa.Table]) -> Batch:
    return Batch(batch.batch_id, {**batch.tables, name: change(batch.tables[name])})


def with_null(column: str) -> Callable[[pa.Table], pa.Table]:
    def change(rows: pa.Table) -> pa.Table:
        position = rows.schema.get_field_index(column)
        field = rows.schema.field(position).with_nullable(True)
        values = pa.chunked_array([pa.array([None, *rows[column].to_pylist()[1:]], type=field.type)])
        return rows.set_column(position, field, values)

    return change


def as_type(column: str, kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.set_column(rows.schema.get_field_index(column), column, rows[column].cast(kind))


BAD: dict[str, tuple[Batch, str]] = {
    "missing column": (
        changed(BATCH, "orders", lambda rows: rows.drop_columns("status")),
        "orders has no columns status",
    ),
    "unknown column": (
        changed(BATCH, "orders", lambda rows: rows.append_column("note", rows["status"])),
        "orders has an unknown column note",
    ),
    "column twice": (
        changed(BATCH, "orders", lambda rows: rows.append_column("status", rows["status"])),
        "orders has 2 columns status",
    ),
    "wrong type": (
        changed(BATCH, "order_items", as_type("quantity", pa.int64())),
        "order_items has quantity as int64, not int32",
    ),
    "money as float": (
        changed(BATCH, "order_items", as_type("discount", pa.float64())),
        r"order_items has discount as double, not decimal128\(12, 2\)",
    ),
    "time without zone": (
        changed(BATCH, "orders", as_type("ordered_at", pa.timestamp("us"))),
        r"orders has ordered_at as timestamp\[us\], not timestamp\[us, tz=UTC\]",
    ),
    "null key": (changed(BATCH, "order_items", with_null("order_item_id")), "order_items has 1 NULL in order_item_id"),
    "null reference": (changed(BATCH, "orders", with_null("customer_id")), "orders has 1 NULL in customer_id"),
    "no rows": (
        changed(BATCH, "order_items", lambda rows: rows.slice(0, 0)),
        "order_items has no rows and must be left out",
    ),
    "unknown table": (
        Batch("first", {**BATCH.tables, "returns": BATCH.tables["orders"]}),
        "returns is not a raw table",
    ),
    "no id": (Batch("", BATCH.tables), "it has no id"),
}


@pytest.mark.parametrize(("batch", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_before_anything_is_written(catalog: SqlCatalog, batch: Batch, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IcebergLoader(catalog).load(batch)
    assert state_of(catalog) == {}

    loader, later = IcebergLoader(catalog), GENERATOR.batch("second", AT)
    loader.load(later)
    state = state_of(catalog)
    with pytest.raises(ValueError, match=message):
        loader.load(batch)
    assert state_of(catalog) == state


def test_all_problems_of_a_batch_are_reported_together(catalog: SqlCatalog) -> None:
    batch = changed(changed(BATCH, "orders", with_null("order_id")), "order_items", as_type("quantity", pa.string()))

    with pytest.raises(
        ValueError, match=r"batch 'first' cannot be loaded: orders has 1 NULL .*; order_items has quantity"
    ):
        IcebergLoader(catalog).load(batch)


def test_descriptions_may_be_null(catalog: SqlCatalog) -> None:
    batch = changed(BATCH, "customers", with_null("name"))

    IcebergLoader(catalog).load(batch)

    assert rows_of(catalog, "customers")["name"].null_count == 1


FOREIGN: dict[str, tuple[Schema, str]] = {
    "lacks": (Schema(*iceberg_schema("order_items").fields[1:]), "lacks order_item_id"),
    "has another type": (
        Schema(
            *iceberg_schema("order_items").fields[:3],
            NestedField(4, "quantity", StringType(), required=True),
            *iceberg_schema("order_items").fields[4:],
        ),
        "has quantity as string, not int",
    ),
    "requires": (
        Schema(*iceberg_schema("order_items").fields, NestedField(9, "region", LongType(), required=True)),
        "requires region",
    ),
}


@pytest.mark.parametrize(("schema", "message"), FOREIGN.values(), ids=FOREIGN)
def test_a_table_with_another_schema_is_refused_before_any_row_is_written(
    catalog: SqlCatalog, schema: Schema, message: str
) -> None:
    catalog.create_namespace("raw")
    catalog.create_table("raw.order_items", schema)

    with pytest.raises(ValueError, match=f"table raw.order_items cannot take the rows of order_items: {message}"):
        IcebergLoader(catalog).load(BATCH)
    assert all(not catalog.load_table(name).snapshots() for name in catalog.list_tables("raw"))


def test_a_table_with_more_required_columns_is_refused(catalog: SqlCatalog) -> None:
    fields = [
        NestedField(field.field_id, field.name, field.field_type, required=True)
        for field in iceberg_schema("customers").fields
    ]
    catalog.create_namespace("raw")
    catalog.create_table("raw.customers", Schema(*fields))

    with pytest.raises(ValueError, match="requires name; requires email"):
        IcebergLoader(catalog).load(BATCH)


def test_a_column_added_later_stays_empty(catalog: SqlCatalog) -> None:
    loader, later = IcebergLoader(catalog), GENERATOR.batch("second", AT)
    loader.load(BATCH)
    with table_of(catalog, "orders").update_schema() as update:
        update.add_column("note", StringType())

    loader.load(later)

    assert rows_of(catalog, "orders")["note"].null_count == rows_of(catalog, "orders").num_rows


def test_amounts_are_loaded_exactly(catalog: SqlCatalog) -> None:
    IcebergLoader(catalog).load(BATCH)

    def total(rows: pa.Table) -> Decimal:
        return sum((row["quantity"] * row["unit_price"] - row["discount"] for row in rows.to_pylist()), Decimal(0))

    assert total(rows_of(catalog, "order_items")) == total(BATCH.tables["order_items"])
