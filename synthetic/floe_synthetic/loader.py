"""Loads batches into Iceberg tables, each batch exactly once.

The rows record what was loaded: every row has a `_batch_id`, and a batch is appended to a table only if no row of the
table has its id. This works after a crash, after the expiration of snapshots and after a compaction of files. A batch
whose rows were deleted can be loaded again.

The check and the append must see the same state of the table. A commit of PyIceberg contains the snapshot that it is
based on, so the catalog refuses it if another writer was faster. PyIceberg then rebases the append onto the newer
snapshot and tries again (`commit.retry.*`). This alone could append a batch that the other writer has just appended,
so `_AppendOnce` repeats the check before each rebase. The data files of an abandoned append are not deleted, but no
snapshot refers to them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError, ValidationException
from pyiceberg.expressions import EqualTo
from pyiceberg.table import Table, Transaction

from floe_synthetic.batch import Batch
from floe_synthetic.schema import TABLES, TIME, arrow_schema, iceberg_schema

BATCH_PROPERTY = "floe.batch-id"
"""The property of a snapshot's summary that holds the id of the batch that the snapshot added."""

_TABLE_PROPERTIES = {
    # By default, the bounds of strings are truncated to 16 characters. Ids with the same beginning would then have the
    # same bounds, and the search for a batch would read every file.
    "write.metadata.metrics.column._batch_id": "full",
    # Merge manifests: every append adds one, and the search for a batch reads all of them.
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    # Several backfills may append at the same time.
    "commit.retry.num-retries": "10",
    # Every commit writes a new metadata file. Keep only the last 100 of them.
    "write.metadata.delete-after-commit.enabled": "true",
}


@dataclass(frozen=True)
class Appended:
    """The result of a load for one table of a batch.

    `rows`: the number of rows that this load added. `skipped`: whether the table already had the batch; then `rows` is
    0. `snapshot_id`: the snapshot that added the batch, in this or an earlier load; None if it has expired.
    """

    table: str
    rows: int
    snapshot_id: int | None
    skipped: bool


class IcebergLoader:
    """Appends batches to the raw tables of one namespace. Creates the namespace and tables if they do not exist."""

    def __init__(self, catalog: Catalog, namespace: str = "raw") -> None:
        """Store the arguments. The first load sends the first request to the catalog."""
        self._catalog = catalog
        self._namespace = namespace

    def load(self, batch: Batch) -> list[Appended]:
        """Append the batch to each of its tables that does not have it yet, parents before children.

        Each table gets one commit. Loads of the same batch may run at the same time. After a failure, repeat the load:
        it appends the batch to the remaining tables. Raises ValueError, before any row is written, if the batch or an
        existing table does not have the columns of `floe_synthetic.schema`, and CommitFailedException if other writers
        were faster in every attempt, so that nothing was appended to the table.
        """
        _check_batch(batch)
        names = [name for name in TABLES if name in batch.tables]
        tables = {name: self._table(name) for name in names}
        loaded_at = datetime.now(UTC)
        return [_append(name, tables[name], _loaded(name, batch, loaded_at), batch.batch_id) for name in names]

    def _table(self, name: str) -> Table:
        identifier = (*self._catalog.identifier_to_tuple(self._namespace), name)
        try:
            table = self._catalog.load_table(identifier)
        except NoSuchTableError:
            self._ensure_namespace()
            table = self._catalog.create_table_if_not_exists(
                identifier, iceberg_schema(name), properties=_TABLE_PROPERTIES
            )
        _check_table(name, table)
        return table

    def _ensure_namespace(self) -> None:
        if self._catalog.namespace_exists(self._namespace):
            return
        try:
            self._catalog.create_namespace(self._namespace)
        except Exception:
            # Another process may have created it in the meantime. The SQL catalog reports that as a database error,
            # other catalogs as NamespaceAlreadyExistsError, so check whether the namespace exists now.
            if not self._catalog.namespace_exists(self._namespace):
                raise


class _AlreadyLoaded(ValidationException):
    """The table already has the batch. A ValidationException makes PyIceberg delete the manifests of the attempt."""


class _AppendOnce(Transaction):
    """A transaction that raises `_AlreadyLoaded` if the snapshot that it would be rebased onto has the batch."""

    def __init__(self, table: Table, batch_id: str) -> None:
        super().__init__(table)
        self._batch_id = batch_id

    def _rebuild_snapshot_updates(self) -> None:
        # PyIceberg calls this between two attempts, after it has refreshed the table and checked that the previous
        # attempt was not committed after all. A retry loop in this module would lack that check.
        if _has_batch(self._table, self._batch_id):
            raise _AlreadyLoaded
        super()._rebuild_snapshot_updates()


def _append(name: str, table: Table, rows: pa.Table, batch_id: str) -> Appended:
    skipped = _has_batch(table, batch_id)
    if not skipped:
        try:
            with _AppendOnce(table, batch_id) as transaction:
                transaction.append(rows, snapshot_properties={BATCH_PROPERTY: batch_id})
        except _AlreadyLoaded:
            skipped = True
    return Appended(name, 0 if skipped else rows.num_rows, _snapshot_of(table, batch_id), skipped)


def _has_batch(table: Table, batch_id: str) -> bool:
    """Whether the table's current snapshot has a row of the batch. Reads only files whose bounds include the id."""
    has_id = EqualTo("_batch_id", batch_id)  # type: ignore[misc, call-arg, arg-type] # mypy assumes pydantic's __init__
    scan = table.scan(row_filter=has_id, selected_fields=("_batch_id",), limit=1)
    return bool(scan.to_arrow().num_rows)


def _snapshot_of(table: Table, batch_id: str) -> int | None:
    """The latest snapshot whose summary has the id of the batch; None if it has expired."""
    for snapshot in reversed(table.metadata.snapshots):
        if snapshot.summary is not None and snapshot.summary.get(BATCH_PROPERTY) == batch_id:
            return snapshot.snapshot_id
    return None


def _loaded(name: str, batch: Batch, loaded_at: datetime) -> pa.Table:
    """The rows of one table of the batch, with the columns that the loader adds."""
    rows = batch.tables[name]
    batch_ids = pa.repeat(pa.scalar(batch.batch_id), rows.num_rows)
    times = pa.repeat(pa.scalar(loaded_at, type=TIME), rows.num_rows)
    schema = arrow_schema(name, loaded=True)
    columns = [rows[column] for column in arrow_schema(name).names]
    return pa.Table.from_arrays([*columns, batch_ids, times], schema=schema)


def _check_batch(batch: Batch) -> None:
    """Raise ValueError, with all problems, if the batch does not fit the raw tables."""
    problems = [] if batch.batch_id else ["it has no id"]
    problems += [f"{name} is not a raw table" for name in batch.tables if name not in TABLES]
    for name in TABLES:
        if name in batch.tables:
            problems += [f"{name} {problem}" for problem in _problems_of_rows(name, batch.tables[name])]
    if problems:
        raise ValueError(f"batch {batch.batch_id!r} cannot be loaded: {'; '.join(problems)}")


def _problems_of_rows(name: str, rows: pa.Table) -> list[str]:
    expected = arrow_schema(name)
    problems = [] if rows.num_rows else ["has no rows and must be left out"]
    problems += [f"has an unknown column {column}" for column in rows.schema.names if column not in expected.names]
    for field in expected:
        present = rows.schema.get_all_field_indices(field.name)
        if len(present) != 1:
            problems.append(f"has {len(present) or 'no'} columns {field.name}")
            continue
        column = rows.column(present[0])
        if column.type != field.type:
            problems.append(f"has {field.name} as {column.type}, not {field.type}")
        elif column.null_count and not field.nullable:
            problems.append(f"has {column.null_count} NULL in {field.name}")
    return problems


def _check_table(name: str, table: Table) -> None:
    """Raise ValueError, before any table of the batch is written, if the rows do not fit an existing table."""
    expected = {field.name: field for field in iceberg_schema(name).fields}
    actual = {field.name: field for field in table.schema().fields}
    problems = [f"lacks {column}" for column in expected if column not in actual]
    for column, field in actual.items():
        if column not in expected:
            problems += [f"requires {column}"] if field.required else []
        elif field.field_type != expected[column].field_type:
            problems.append(f"has {column} as {field.field_type}, not {expected[column].field_type}")
        elif field.required and not expected[column].required:
            problems.append(f"requires {column}")
    if problems:
        raise ValueError(f"table {'.'.join(table.name())} cannot take the rows of {name}: {'; '.join(problems)}")
