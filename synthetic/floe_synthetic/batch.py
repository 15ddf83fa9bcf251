"""Batch, which generators create and loaders load."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Batch:
    """Rows that belong together under one id.

    `tables` maps the name of a table to its rows, whose Arrow schema defines the table: a field that is not nullable is
    required, and its metadata `doc` is the column's comment. The tables are in loading order, parents before children.
    A table without rows is left out. The id determines the content: a batch that is generated again with the same id
    has the same rows. To load a batch again adds no rows.
    """

    batch_id: str
    tables: "dict[str, pa.Table]"
