"""The loader with invalid batches, and with batches whose columns differ from those of the table."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import LongType, NestedField, StringType

from floe_runtime.errors import FloeError
from floe_synthetic import Batch, IcebergLoader
from floe_synthetic.schema import arrow_schema, iceberg_schema
from iceberg_tables import AT, BATCH, GENERATOR, assert_once, rows_of, state_of, table_of

Change = Callable[[pa.Table], pa.Table]


def changed(batch: Batch, name: str, change: Change) -> Batch:
    return Batch(batch.batch_id, {**batch.tables, name: change(batch.tables[name])})


def with_null(column: str, *, nullable: bool = False) -> Change:
    def change(rows: pa.Table) -> pa.Table:
        position = rows.schema.get_field_index(column)
        field = rows.schema.field(position).with_nullable(True)
        values = pa.chunked_array([pa.array([None, *rows[column].to_pylist()[1:]], type=field.type)])
        # A table is not checked when it is made, so this makes the NULL that the schema does not allow.
        return rows.set_column(position, field.with_nullable(nullable), values)

    return change


def as_type(column: str, kind: pa.DataType) -> Change:
    return lambda rows: rows.set_column(rows.schema.get_field_index(column), column, rows[column].cast(kind))


def without(column: str) -> Change:
    return lambda rows: rows.drop_columns(column)


# Batches that no table could take

INVALID: dict[str, tuple[Batch, str]] = {
    "column twice": (
        changed(BATCH, "orders", lambda rows: rows.append_column("Status", rows["status"])),
        "orders has 2 columns status",
    ),
    "the loader's column": (
        changed(BATCH, "orders", lambda rows: rows.append_column("_batch_id", rows["status"])),
        "orders has the reserved column _batch_id",
    ),
    "type without equivalent": (
        changed(BATCH, "orders", lambda rows: rows.append_column("took", pa.nulls(rows.num_rows, pa.duration("s")))),
        r"orders has took as duration\[s\], which Iceberg does not have",
    ),
    "null key": (changed(BATCH, "order_items", with_null("order_item_id")), "order_items has 1 NULL in order_item_id"),
    "no rows": (
        changed(BATCH, "order_items", lambda rows: rows.slice(0, 0)),
        "order_items has no rows and must be left out",
    ),
    "no id": (Batch("", BATCH.tables), "it has no id"),
}


@pytest.mark.parametrize(("batch", "message"), INVALID.values(), ids=INVALID)
def test_an_invalid_batch_is_refused_before_anything_is_written(
    catalog: SqlCatalog, batch: Batch, message: str
) -> None:
    with pytest.raises(FloeError, match=message):
        IcebergLoader(catalog).load(batch)
    assert state_of(catalog) == {}


def test_all_problems_of_a_batch_are_reported_together(catalog: SqlCatalog) -> None:
    batch = changed(changed(BATCH, "orders", with_null("order_id")), "order_items", with_null("quantity"))

    with pytest.raises(
        FloeError, match=r"batch 'first' cannot be loaded: orders has 1 NULL .*; order_items has 1 NULL in quantity"
    ):
        IcebergLoader(catalog).load(batch)


def test_a_time_before_which_a_batch_was_not_loaded_must_be_in_the_past(catalog: SqlCatalog) -> None:
    for moment, message in ((AT.replace(year=3000), "is in the future"), (AT.replace(tzinfo=None), "has no time zone")):
        with pytest.raises(FloeError, match=message):
            IcebergLoader(catalog).load(BATCH, not_before=moment)
    assert state_of(catalog) == {}


# Batches that an existing table cannot take

UNFIT: dict[str, tuple[Batch, str]] = {
    "missing column": (
        changed(BATCH, "orders", without("status")),
        "table raw.orders cannot take the rows of batch 'first': it requires status, which the batch lacks",
    ),
    "wrong type": (
        changed(BATCH, "order_items", as_type("quantity", pa.int64())),
        "quantity is int in the table and long in the batch",
    ),
    "money as float": (
        changed(BATCH, "order_items", as_type("discount", pa.float64())),
        r"discount is decimal\(12, 2\) in the table and double in the batch",
    ),
    "time without zone": (
        changed(BATCH, "orders", as_type("ordered_at", pa.timestamp("us"))),
        "ordered_at is timestamptz in the table and timestamp in the batch",
    ),
    "null in a required column": (
        changed(BATCH, "orders", with_null("customer_id", nullable=True)),
        "it requires customer_id, which is NULL in 1 rows",
    ),
}


@pytest.mark.parametrize(("batch", "message"), UNFIT.values(), ids=UNFIT)
def test_a_batch_that_a_table_cannot_take_is_refused_before_anything_is_written(
    catalog: SqlCatalog, batch: Batch, message: str
) -> None:
    loader = IcebergLoader(catalog)
    loader.load(GENERATOR.batch("earlier", AT))
    state = state_of(catalog)

    with pytest.raises(FloeError, match=message) as error:
        loader.load(batch)

    assert "Nothing was written" in error.value.hint
    assert state_of(catalog) == state


ITEMS = iceberg_schema(arrow_schema("order_items")).fields
ALIEN: dict[str, tuple[Schema, str]] = {
    "lacks the loader's column": (Schema(*ITEMS[:-1]), "it lacks _loaded_at"),
    "has another type": (
        Schema(*ITEMS[:3], NestedField(4, "quantity", StringType(), required=True), *ITEMS[4:]),
        "quantity is string in the table and int in the batch",
    ),
    "requires": (
        Schema(*ITEMS, NestedField(9, "region", LongType(), required=True)),
        "it requires region, which the batch lacks",
    ),
}


@pytest.mark.parametrize(("schema", "message"), ALIEN.values(), ids=ALIEN)
def test_a_table_of_another_shape_is_refused_before_any_row_is_written(
    catalog: SqlCatalog, schema: Schema, message: str
) -> None:
    catalog.create_namespace("raw")
    catalog.create_table("raw.order_items", schema)

    with pytest.raises(FloeError, match=f"table raw.order_items cannot take the rows of batch 'first': {message}"):
        IcebergLoader(catalog).load(BATCH)
    assert catalog.list_tables("raw") == [("raw", "order_items")]
    assert not table_of(catalog, "order_items").snapshots()


def test_a_table_with_other_partitions_is_refused(catalog: SqlCatalog) -> None:
    catalog.create_namespace("raw")
    schema = iceberg_schema(arrow_schema("orders"))
    by_status = PartitionSpec(PartitionField(4, 1000, IdentityTransform(), "status"))
    catalog.create_table("raw.orders", schema, partition_spec=by_status)

    with pytest.raises(FloeError, match="it is partitioned by status"):
        IcebergLoader(catalog).load(BATCH)


# Batches for which the table changes


def test_a_new_column_is_added_to_the_table(catalog: SqlCatalog) -> None:
    loader, later = IcebergLoader(catalog), GENERATOR.batch("second", AT)
    loader.load(BATCH)
    field = pa.field("channel", pa.string(), nullable=False, metadata={"doc": "where it was ordered"})
    web = pa.array(["web"] * later.tables["orders"].num_rows)
    wider = changed(later, "orders", lambda rows: rows.add_column(0, field, web))

    assert not any(done.skipped for done in loader.load(wider))

    assert len(table_of(catalog, "orders").schemas()) == 2
    column = table_of(catalog, "orders").schema().find_field("channel")
    assert (column.required, column.doc) == (False, "where it was ordered")
    rows = rows_of(catalog, "orders")
    assert rows["channel"].null_count == BATCH.tables["orders"].num_rows
    assert rows["channel"].to_pylist().count("web") == later.tables["orders"].num_rows
    # A batch without the column can still be loaded.
    loader.load(GENERATOR.batch("third", AT))
    assert len(table_of(catalog, "orders").schemas()) == 2


def test_an_optional_column_that_the_batch_lacks_is_empty(catalog: SqlCatalog) -> None:
    loader, later = IcebergLoader(catalog), GENERATOR.batch("second", AT)
    loader.load(BATCH)

    loader.load(changed(later, "customers", without("email")))

    rows = rows_of(catalog, "customers")
    assert rows["email"].null_count == later.tables["customers"].num_rows
    assert rows["name"].null_count == 0


def test_two_writers_add_the_same_column_at_the_same_time(catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    loader, rivals = IcebergLoader(catalog), list[str]()
    loader.load(BATCH)
    column = pa.field("channel", pa.string())

    def wider(batch_id: str) -> Batch:
        batch = GENERATOR.batch(batch_id, AT)
        return changed(batch, "orders", lambda rows: rows.append_column(column, pa.nulls(rows.num_rows, pa.string())))

    commit = catalog.commit_table

    def beaten(*arguments: object) -> object:
        if not rivals:
            rivals.append("rival")
            IcebergLoader(catalog).load(wider("rival"))
        return commit(*arguments)  # type: ignore[arg-type] # passed on as they came

    monkeypatch.setattr(catalog, "commit_table", beaten)
    loader.load(wider("second"))

    assert table_of(catalog, "orders").schema().column_names[-1] == "channel"
    assert set(rows_of(catalog, "orders")["_batch_id"].to_pylist()) == {"first", "rival", "second"}


def test_descriptions_may_be_null(catalog: SqlCatalog) -> None:
    batch = changed(BATCH, "customers", with_null("name", nullable=True))

    IcebergLoader(catalog).load(batch)

    assert rows_of(catalog, "customers")["name"].null_count == 1


def test_a_batch_defines_tables_of_its_own(catalog: SqlCatalog) -> None:
    users = pa.table(
        {"user_id": ["u1", "u2"], "logins": [3, None]},
        schema=pa.schema(
            [
                pa.field("user_id", pa.string(), nullable=False, metadata={"doc": "key"}),
                pa.field("logins", pa.int64(), metadata={"doc": "how often"}),
            ]
        ),
    )

    IcebergLoader(catalog, "saas").load(Batch("first", {"users": users}))

    table = catalog.load_table("saas.users")
    assert [(field.name, field.required, field.doc) for field in table.schema().fields[:2]] == [
        ("user_id", True, "key"),
        ("logins", False, "how often"),
    ]
    assert table.scan(selected_fields=("user_id", "logins")).to_arrow().to_pylist() == users.to_pylist()


def test_a_table_that_changes_in_every_attempt_is_an_error(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader, later = IcebergLoader(catalog), GENERATOR.batch("second", AT)
    loader.load(BATCH)
    state = state_of(catalog)

    def refuse(*_: object) -> None:
        raise CommitFailedException("the schema has changed")

    monkeypatch.setattr(catalog, "commit_table", refuse)
    wider = changed(later, "orders", lambda rows: rows.append_column("note", rows["status"]))
    with pytest.raises(FloeError, match=r"raw\.orders could not be read or written: other writers were faster"):
        loader.load(wider)
    assert state_of(catalog) == state
    monkeypatch.undo()
    loader.load(later)
    assert_once(catalog, BATCH, later)
