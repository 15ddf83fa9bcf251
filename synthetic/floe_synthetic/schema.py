"""The columns of the raw tables, from which both the Arrow schema of a batch and the Iceberg schema are derived.

Amounts of money are `decimal(12, 2)` in one currency. Times are UTC with microseconds (`timestamptz` in Iceberg). Keys,
references, times and amounts are required. Columns that only describe a row may be null.

| table | a row is |
|---|---|
| customers | a person or company that can order |
| products | an article of the catalogue |
| orders | an order as placed |
| order_items | one line of an order; its amount is `quantity * unit_price - discount`, never negative |

No table is partitioned. A batch is one small file that covers five minutes, so the bounds of `ordered_at` and
`_loaded_at` prune files as well as partitions by day would. For partitions, PyIceberg needs another native library.
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

LOADED: tuple[Column, ...] = (
    Column("_batch_id", "string", "the batch that brought the row"),
    Column("_loaded_at", "time", "when the row was loaded"),
)
"""The columns that the loader adds to every table."""


def arrow_schema(table: str, *, loaded: bool = False) -> pa.Schema:
    """The Arrow schema of a table in a batch or, with `loaded`, as it is written. Required columns are not nullable."""
    columns = _columns(table, loaded=loaded)
    return pa.schema([pa.field(column.name, _ARROW[column.kind], nullable=not column.required) for column in columns])


def iceberg_schema(table: str) -> "Schema":
    """The Iceberg schema of a table: the columns of a batch, then those of the loader, with field ids from 1."""
    from pyiceberg import types
    from pyiceberg.schema import Schema

    kinds: dict[Kind, types.PrimitiveType] = {
        "string": types.StringType(),
        "int": types.IntegerType(),
        "money": types.DecimalType(MONEY.precision, MONEY.scale),
        "time": types.TimestamptzType(),
    }
    return Schema(
        *(
            types.NestedField(field_id, column.name, kinds[column.kind], required=column.required, doc=column.doc)
            for field_id, column in enumerate(_columns(table, loaded=True), start=1)
        )
    )


def _columns(table: str, *, loaded: bool) -> tuple[Column, ...]:
    return TABLES[table] + (LOADED if loaded else ())
