"""The unit of work that generators make and loaders load."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Batch:
    """Rows that belong together under one id.

    `tables` maps a table's name to its rows in loading order, parents before children, with the columns of
    `floe_synthetic.schema.arrow_schema`. A table without rows is left out. The id names the content: whoever makes a
    batch again under the same id makes the same rows, and whoever loads it again adds nothing.
    """

    batch_id: str
    tables: "dict[str, pa.Table]"
