"""A real Iceberg catalog (SQLite and files), a batch to load into it, and what its raw tables contain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zlib import crc32

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from floe_synthetic import Batch, EcommerceGenerator
from floe_synthetic.calendar import FLAT
from floe_synthetic.schema import TABLES, arrow_schema

AT = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)


class NamedBatches:
    """Batches under names of their own, which are no windows of a history: three tables that are never empty."""

    def __init__(self) -> None:
        opened = AT.date() - timedelta(days=1)
        # Flat, so that somebody registers also at night.
        self._shop = EcommerceGenerator(customers=20, products=8, orders_per_day=4800, opened=opened, patterns=FLAT)

    def reference(self) -> Batch:
        tables = self._shop.reference(AT).tables
        return Batch("reference", {name: rows for name, rows in tables.items() if rows.num_rows})

    def batch(self, batch_id: str, at: datetime) -> Batch:
        """About 200 orders of the hours before a time; other names give other orders."""
        until = at - timedelta(minutes=crc32(batch_id.encode()) % 1000)
        tables = self._shop.batch(until - timedelta(hours=1), until).tables
        return Batch(batch_id, {name: tables[name] for name in ("customers", "orders", "order_items")})


GENERATOR = NamedBatches()
BATCH = GENERATOR.batch("first", AT)
NAMES = list(BATCH.tables)


def open_catalog(folder: Path) -> SqlCatalog:
    folder.mkdir(parents=True, exist_ok=True)
    return SqlCatalog("test", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")


def table_of(catalog: SqlCatalog, name: str) -> Table:
    return catalog.load_table(("raw", name))


def rows_of(catalog: SqlCatalog, name: str) -> pa.Table:
    return table_of(catalog, name).scan().to_arrow()


def assert_once(catalog: SqlCatalog, *batches: Batch) -> None:
    """Check that the raw tables contain the rows of exactly these batches, each row once."""
    for name in TABLES:
        key = arrow_schema(name).names[0]
        expected = [row for batch in batches if name in batch.tables for row in batch.tables[name].to_pylist()]
        rows = rows_of(catalog, name).drop_columns(["_batch_id", "_loaded_at"]).to_pylist() if expected else []
        assert sorted(rows, key=lambda row: str(row[key])) == sorted(expected, key=lambda row: str(row[key])), name


def state_of(catalog: SqlCatalog) -> dict[str, str]:
    """The location of each table's metadata, which changes with every commit."""
    names = catalog.list_tables("raw") if catalog.namespace_exists("raw") else []
    return {".".join(name): catalog.load_table(name).metadata_location for name in names}
