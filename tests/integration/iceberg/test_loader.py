"""The loader on a real Iceberg catalog: each batch is loaded exactly once, and invalid input not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import ManifestFile

from floe_runtime.errors import FloeError
from floe_synthetic import Batch, IcebergLoader
from floe_synthetic.maintenance import compact, data_bytes, drop_past
from floe_synthetic.schema import arrow_schema, iceberg_schema, loaded_schema
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
            assert snapshot.summary["added-records"] == str(batch.tables[done.table].num_rows)
    for name in ("products", *NAMES):
        rows = rows_of(catalog, name)
        assert rows["_batch_id"].to_pylist().count("first") == (BATCH.tables[name].num_rows if name in NAMES else 0)
        loaded = rows["_loaded_at"].to_pylist()
        assert all(before <= moment <= datetime.now(UTC) for moment in loaded)


def test_tables_have_the_documented_schema(catalog: SqlCatalog) -> None:
    IcebergLoader(catalog).load(GENERATOR.reference())
    IcebergLoader(catalog).load(BATCH)

    for name in ("products", *NAMES):
        schema = table_of(catalog, name).schema()
        assert schema.fields == iceberg_schema(arrow_schema(name)).fields
        assert [field.field_id for field in schema.fields] == list(range(1, len(schema.fields) + 1))
        assert all(field.doc for field in schema.fields)
        assert schema_to_pyarrow(schema, include_field_ids=False).names == loaded_schema(arrow_schema(name)).names
        assert schema.fields[0].required
        assert not schema.find_field("name").required if name in ("customers", "products") else True


def test_each_table_of_a_batch_is_one_commit_of_one_file(catalog: SqlCatalog) -> None:
    IcebergLoader(catalog).load(GENERATOR.batch("midnight", datetime(2025, 3, 2, 0, 2, tzinfo=UTC)))

    for name in NAMES:
        assert len(table_of(catalog, name).snapshots()) == 1
        assert len(list(table_of(catalog, name).scan().plan_files())) == 1


def test_tables_are_partitioned_by_the_day_of_load_and_sorted_by_its_time(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [datetime(2025, 3, 1, 23, 59, 59, 999999, tzinfo=UTC), datetime(2025, 3, 2, tzinfo=UTC)]
    for day in days:
        monkeypatch.setattr("floe_synthetic.loader.now", lambda day=day: day)
        IcebergLoader(catalog).load(GENERATOR.batch(day.isoformat(), AT))

    table = table_of(catalog, "orders")
    assert [(field.name, str(field.transform)) for field in table.spec().fields] == [("_loaded_at_day", "day")]
    assert [table.schema().find_column_name(field.source_id) for field in table.sort_order().fields] == ["_loaded_at"]
    assert {str(row["partition"]["_loaded_at_day"]) for row in table.inspect.partitions().to_pylist()} == {
        "2025-03-01",
        "2025-03-02",
    }
    later = table.scan(row_filter=f"_loaded_at >= '{days[1].isoformat()}'").to_arrow()
    assert set(later["_batch_id"].to_pylist()) == {days[1].isoformat()}


def test_an_older_table_without_partitions_is_still_used(catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.create_namespace("raw")
    catalog.create_table("raw.orders", iceberg_schema(arrow_schema("orders")))
    loader, batches = IcebergLoader(catalog), [GENERATOR.batch(batch_id, AT) for batch_id in ("a", "b", "c")]
    for batch in batches[:2]:
        loader.load(batch)
    compact(table_of(catalog, "orders"), min_files=2)

    results = [loader.load(batch)[1].skipped for batch in batches]

    assert results == [True, True, False]
    assert_once(catalog, *batches)
    assert table_of(catalog, "orders").spec().is_unpartitioned()
    assert table_of(catalog, "orders").properties["write.update.isolation-level"] == "snapshot"
    monkeypatch.setattr("floe_synthetic.maintenance.now", lambda: datetime.now(UTC) + timedelta(days=3))
    assert drop_past(table_of(catalog, "orders"), days=1).files == 2
    assert rows_of(catalog, "orders").num_rows == 0


def test_the_bounds_of_times_prune_files(catalog: SqlCatalog) -> None:
    for day in range(1, 4):
        IcebergLoader(catalog).load(GENERATOR.batch(f"day {day}", AT + timedelta(days=day)))

    since = (AT + timedelta(days=2)).isoformat()
    assert len(list(table_of(catalog, "orders").scan(row_filter=f"ordered_at > '{since}'").plan_files())) == 1
    loaded = pc.max(rows_of(catalog, "order_items")["_loaded_at"]).as_py().isoformat()
    assert len(list(table_of(catalog, "order_items").scan(row_filter=f"_loaded_at >= '{loaded}'").plan_files())) == 1


def test_tables_are_loaded_in_the_order_of_the_batch_and_columns_by_name(catalog: SqlCatalog) -> None:
    other = GENERATOR.batch("second", AT)
    shuffled = Batch(
        "second",
        {name: other.tables[name].select(other.tables[name].schema.names[::-1]) for name in reversed(NAMES)},
    )
    IcebergLoader(catalog).load(BATCH)

    results = IcebergLoader(catalog).load(shuffled)

    assert [done.table for done in results] == ["order_items", "orders", "customers"]
    assert_once(catalog, BATCH, other)


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
        assert compact(table_of(catalog, name), min_files=2).written == 1

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


def test_the_search_since_a_time_reads_no_earlier_partition(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [AT + timedelta(days=day) for day in range(40)]
    for day in days[::4]:
        monkeypatch.setattr("floe_synthetic.loader.now", lambda day=day: day)
        IcebergLoader(catalog).load(GENERATOR.batch(f"batch {day.day}", AT), not_before=day)
    monkeypatch.setattr("floe_synthetic.loader.now", lambda: days[-1])
    read, fetch = set[str](), ManifestFile.fetch_manifest_entry

    def noted(manifest: ManifestFile, *arguments: Any, **options: Any) -> Any:
        read.add(manifest.manifest_path)
        return fetch(manifest, *arguments, **options)

    monkeypatch.setattr(ManifestFile, "fetch_manifest_entry", noted)
    # A retry days later still finds the batch, because the search begins when it was first tried.
    results = IcebergLoader(catalog).load(GENERATOR.batch(f"batch {days[32].day}", AT), not_before=days[32])

    assert all(done.skipped for done in results)
    assert len(read) == 2 * len(NAMES)  # the manifests of days 32 and 36


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


def test_amounts_are_loaded_exactly(catalog: SqlCatalog) -> None:
    IcebergLoader(catalog).load(BATCH)

    def total(rows: pa.Table) -> Decimal:
        return sum((row["quantity"] * row["unit_price"] - row["discount"] for row in rows.to_pylist()), Decimal(0))

    assert total(rows_of(catalog, "order_items")) == total(BATCH.tables["order_items"])


# The ceiling


def test_a_load_above_the_ceiling_is_refused_and_nothing_is_written(catalog: SqlCatalog) -> None:
    IcebergLoader(catalog).load(BATCH)
    state, other = state_of(catalog), GENERATOR.batch("second", AT)
    stored = sum(data_bytes(catalog.load_table(name)) for name in catalog.list_tables("raw"))
    incoming = sum(rows.nbytes for rows in other.tables.values())
    full = IcebergLoader(catalog, max_bytes=stored + incoming - 1)

    with pytest.raises(FloeError, match=f"the tables of raw have {stored:,} bytes, the batch brings up to") as error:
        full.load(other)

    assert "expire snapshots, or raise the ceiling" in error.value.hint
    assert state_of(catalog) == state
    assert all(done.skipped for done in full.load(BATCH))
    assert_once(catalog, BATCH)
    IcebergLoader(catalog, max_bytes=stored + incoming).load(other)
    assert_once(catalog, BATCH, other)


def test_a_batch_above_the_ceiling_creates_no_namespace(catalog: SqlCatalog) -> None:
    with pytest.raises(FloeError, match="the tables of raw have 0 bytes"):
        IcebergLoader(catalog, max_bytes=10).load(BATCH)
    assert not catalog.namespace_exists("raw")
