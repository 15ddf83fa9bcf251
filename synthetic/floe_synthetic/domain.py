"""Domain: the tables of a generator, and what else is known about their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from floe_synthetic.randomness import Ints
from floe_synthetic.schema import MONEY, TABLES, Column, schema_of


@dataclass(frozen=True, eq=False)
class Domain:
    """The tables of a generator.

    `tables`: their columns, in loading order. The first column of a table is its key; a column with the name of another
    table's key refers to it. The last column of kind `time` says when what the row describes happened.
    `families`: by table, the column whose value is the same in all rows that can only arrive together, such as an order
    and its items. A table that is left out always arrives in time.
    `new_column`: (table, name, values) of the optional column that appears if the schema drifts.
    `catalogue`: the tables that are in the reference data only.
    """

    tables: Mapping[str, tuple[Column, ...]]
    families: Mapping[str, str]
    new_column: tuple[str, str, tuple[str, ...]]
    catalogue: tuple[str, ...] = ()

    @cache  # noqa: B019 - a domain lives as long as the process
    def schema(self, table: str) -> pa.Schema:
        """The Arrow schema of a table. Required columns are not nullable."""
        return schema_of(self.tables[table])

    def table(self, name: str, *columns: pa.Array | Ints) -> tuple[str, pa.Table]:
        """A table with its name. Numbers become what the schema says: microseconds times, and cents decimals."""
        schema = self.schema(name)
        arrays = [_column(one, field.type) for one, field in zip(columns, schema, strict=True)]
        return name, pa.Table.from_arrays(arrays, schema=schema)

    def references(self, table: str) -> list[str]:
        """The columns that hold keys of other tables."""
        keys = {columns[0].name for columns in self.tables.values()}
        return [one.name for one in self.tables[table][1:] if one.name in keys]

    def texts(self, table: str) -> list[str]:
        """The columns that only describe a row, and may therefore be null."""
        return [one.name for one in self.tables[table] if one.kind == "string" and not one.required]

    def amounts(self, table: str) -> list[str]:
        """The columns with numbers, none of which is ever negative."""
        return [one.name for one in self.tables[table] if one.kind in ("money", "int")]

    def time(self, table: str) -> str | None:
        """The column that says when what the row describes happened."""
        return next((one.name for one in reversed(self.tables[table]) if one.kind == "time"), None)


def money(cents: Ints) -> pa.Array:
    """Amounts in whole cents as decimals."""
    # A decimal128 is 16 bytes, little-endian, of the unscaled value: the cents, with the sign in the upper half.
    halves = np.empty((len(cents), 2), dtype=np.int64)
    halves[:, 0] = cents
    halves[:, 1] = cents >> 63
    return pa.Array.from_buffers(MONEY, len(cents), [None, pa.py_buffer(halves)])


def _column(values: pa.Array | Ints, kind: pa.DataType) -> pa.Array:
    if not isinstance(values, np.ndarray):
        return values
    return money(values) if kind == MONEY else pa.array(values).cast(kind)


SHOP = Domain(
    TABLES,
    families=dict.fromkeys(("orders", "order_items", "order_events", "returns"), "order_id"),
    new_column=("orders", "sales_channel", ("web", "app", "store", "phone")),
    catalogue=("products",),
)
"""The web shop of `floe_synthetic.ecommerce`."""
