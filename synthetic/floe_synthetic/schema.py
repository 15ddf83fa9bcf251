"""The columns of the shop's raw tables, and how an Iceberg schema follows from the Arrow schema of any batch.

The Arrow schema of a table in a batch is the table's definition: names, types, nullability, and the metadata `doc` of a
field as the column's comment. The loader needs nothing else, so a generator with other tables defines only its columns.

Amounts of money are `decimal(12, 2)` in one currency. Times are UTC with microseconds (`timestamptz` in Iceberg). Keys,
references, times and amounts are required. Columns that only describe a row may be null.

| table | a row is |
|---|---|
| customers | a person or company that can order |
| products | an article of the catalogue |
| orders | an order as placed |
| order_items | one line of an order; its amount is `quantity * unit_price - discount`, never negative |

The loader adds `_batch_id` and `_loaded_at` to every table. A table is partitioned by the day (UTC) of `_loaded_at`,
and the rows of a file are sorted by it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

if TYPE_CHECKING:
    from pyiceberg.schema import Schema

Kind = Literal["string", "int", "money", "time"]

MONEY = pa.decimal128(12, 2)
TIME = pa.timestamp("us", tz="UTC")
_ARROW = {"string": pa.string(), "int": pa.int32(), "money": MONEY, "time": TIME}


@dataclass(frozen=True)
class Column:
    """A column of a raw table. `doc`: the column's comment in the catalog."""

    name: str
    kind: Kind
    doc: str
    required: bool = True


TABLES: dict[str, tuple[Column, ...]] = {
    "customers": (
        Column("customer_id", "string", "key"),
        Column("name", "string", "full name", required=False),
        Column("email", "string", "address at example.com or example.org", required=False),
        Column("country", "string", "ISO 3166-1 alpha-2", required=False),
        Column("city", "string", "where the customer lives", required=False),
        Column("segment", "string", "consumer, small_business or enterprise", required=False),
        Column("created_at", "time", "when the customer registered, never later than its first order"),
    ),
    "products": (
        Column("product_id", "string", "key"),
        Column("name", "string", "what the shop calls it", required=False),
        Column("category", "string", "department of the shop", required=False),
        Column("unit_price", "money", "list price of one piece"),
    ),
    "orders": (
        Column("order_id", "string", "key"),
        Column("customer_id", "string", "who ordered: customers.customer_id"),
        Column("ordered_at", "time", "when the order was placed"),
        Column("status", "string", "placed, or the status of a later version of the row"),
        Column("payment_method", "string", "how the customer pays", required=False),
        Column("total", "money", "sum of the order's items after discount"),
        Column("updated_at", "time", "when the order got this status"),
    ),
    "order_items": (
        Column("order_item_id", "string", "key"),
        Column("order_id", "string", "the order: orders.order_id"),
        Column("product_id", "string", "what was ordered: products.product_id"),
        Column("quantity", "int", "pieces, at least 1"),
        Column("unit_price", "money", "price of one piece on this order"),
        Column("discount", "money", "taken off the whole line, at most quantity * unit_price"),
    ),
    "order_events": (
        Column("order_event_id", "string", "key"),
        Column("order_id", "string", "the order: orders.order_id"),
        Column("status", "string", "shipped, delivered, cancelled or returned"),
        Column("occurred_at", "time", "when the order got this status"),
    ),
    "returns": (
        Column("return_id", "string", "key"),
        Column("order_item_id", "string", "what came back: order_items.order_item_id"),
        Column("order_id", "string", "the order: orders.order_id"),
        Column("quantity", "int", "pieces, at most those of the item"),
        Column("amount", "money", "refund, at most what the item cost"),
        Column("reason", "string", "what the customer says", required=False),
        Column("returned_at", "time", "when it came back"),
    ),
}
"""The columns of a batch, by table. Tables are in loading order."""

BATCH_ID = "_batch_id"
LOADED_AT = "_loaded_at"
LOADED: tuple[Column, ...] = (
    Column(BATCH_ID, "string", "the batch that brought the row"),
    Column(LOADED_AT, "time", "when the row was loaded"),
)
"""The columns that the loader adds to every table."""


def arrow_schema(table: str) -> pa.Schema:
    """The Arrow schema of one of the shop's tables in a batch."""
    return schema_of(TABLES[table])


def schema_of(columns: tuple[Column, ...]) -> pa.Schema:
    """The Arrow schema of these columns. Required columns are not nullable; a field's metadata `doc` is its comment."""
    return pa.schema(
        [
            pa.field(column.name, _ARROW[column.kind], nullable=not column.required, metadata={"doc": column.doc})
            for column in columns
        ]
    )


def loaded_schema(rows: pa.Schema) -> pa.Schema:
    """The Arrow schema of rows as they are written: the columns of the batch, then those of the loader."""
    return pa.schema([*rows, *schema_of(LOADED)])


def iceberg_schema(rows: pa.Schema) -> "Schema":
    """The Iceberg schema of a table for rows of a batch: their columns, then those of the loader; field ids from 1.

    Raises TypeError if Iceberg has no type for a column.
    """
    from pyiceberg.exceptions import ValidationError
    from pyiceberg.io.pyarrow import PYARROW_PARQUET_FIELD_ID_KEY, UnsupportedPyArrowTypeException, pyarrow_to_schema

    fields = [
        field.with_metadata({**(field.metadata or {}), PYARROW_PARQUET_FIELD_ID_KEY: str(number)})
        for number, field in enumerate(loaded_schema(rows), start=1)
    ]
    try:
        return pyarrow_to_schema(pa.schema(fields))
    except (UnsupportedPyArrowTypeException, ValidationError, TypeError, ValueError) as error:
        raise TypeError(f"Iceberg has no type for a column: {error}") from error
