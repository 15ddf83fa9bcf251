"""How the loader lays out a raw table: its partitions, its order, and its properties."""

import pyarrow as pa
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import DayTransform, IdentityTransform

from floe_synthetic.schema import BATCH_ID, LOADED_AT

PROPERTIES = {
    # By default, the bounds of strings are truncated to 16 characters. Ids with the same beginning would then have the
    # same bounds, and the search for a batch would read every file.
    f"write.metadata.metrics.column.{BATCH_ID}": "full",
    # Merge manifests: every append adds one, and the search for a batch reads all of them.
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    # Several hundred files. A larger manifest would have files of all days, and a search since a day would read it.
    "commit.manifest.target-size-bytes": str(128 * 1024),
    # Several backfills may append at the same time.
    "commit.retry.num-retries": "10",
    # Every commit writes a new metadata file. Keep only the last 20 of them.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    # So that a compaction does not fail whenever another writer appends at the same time.
    "write.delete.isolation-level": "snapshot",
    "write.update.isolation-level": "snapshot",
}
"""The properties of a raw table that the loader sets."""


def by_day(schema: Schema) -> PartitionSpec:
    """Partitions by the day (UTC) on which rows were loaded."""
    source = schema.find_field(LOADED_AT).field_id
    return PartitionSpec(PartitionField(source, 1000, DayTransform(), f"{LOADED_AT}_day"))


def by_time(schema: Schema) -> SortOrder:
    """Rows of a file in the order in which they were loaded."""
    return SortOrder(SortField(schema.find_field(LOADED_AT).field_id, IdentityTransform()))


def altered(table: Table, rows: pa.Schema) -> Table:
    """Add the columns and the properties that a table lacks: one commit, or none."""
    known = table.schema().column_names
    columns = [field.with_nullable(True) for field in rows if field.name not in known]
    properties = {name: value for name, value in PROPERTIES.items() if name not in table.properties}
    if columns or properties:
        with table.transaction() as transaction:
            if columns:
                with transaction.update_schema() as update:
                    update.union_by_name(pa.schema(columns))
            if properties:
                transaction.set_properties(properties)
    return table
