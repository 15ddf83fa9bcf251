"""Batches into Iceberg, every batch exactly once.

The rows themselves say what was loaded: every row carries its `_batch_id`, and a batch is appended to a table only if
no row there carries its id. That holds after a crash, after snapshots were expired and after files were compacted;
whoever deletes a batch's rows may load the batch again.

The check and the append speak of the same state of the table. PyIceberg's commit names the snapshot it builds on, so
the catalog refuses it if another writer was faster. PyIceberg then rebases the append onto the newer state and tries
again by itself (`commit.retry.*`), which would append a batch that the other writer has just brought. `_AppendOnce`
therefore repeats the check whenever an append is about to be rebased. Data files of an abandoned append stay behind,
referenced by no snapshot.
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
"""Property of a snapshot's summary: the batch it added."""

_TABLE_PROPERTIES = {
    # Bounds of strings are cut to 16 characters by default. Ids that begin alike would then share their bounds, and the
    # search for a batch would read every file.
    "write.metadata.metrics.column._batch_id": "full",
    # Every append adds a manifest, and the search for a batch reads them all: keep them few.
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    # Several backfills may append at once.
    "commit.retry.num-retries": "10",
    # Every commit writes the whole metadata anew: keep the last 100 versions, not all.
    "write.metadata.delete-after-commit.enabled": "true",
}


@dataclass(frozen=True)
class Appended:
    """What became of one table of a batch.

    `rows` were added by this load; none if it was `skipped` because the table had the batch already. `snapshot_id` is
    the snapshot that brought the batch, now or then; None once that snapshot is expired.
    """

    table: str
    rows: int
    snapshot_id: int | None
    skipped: bool


class IcebergLoader:
    """Appends batches to the raw tables of one namespace, creating what is missing."""

    def __init__(self, catalog: Catalog, namespace: str = "raw") -> None:
        """Keep the arguments; the catalog is not asked before the first load."""
        self._catalog = catalog
        self._namespace = namespace

    def load(self, batch: Batch) -> list[Appended]:
        """Append the batch to each of its tables that does not have it yet, parents before children.

        Each table is one commit. A load that fails between two of them is completed by repeating it, and loads of the
        same batch may run at the same time. ValueError, before any row is written, if the batch or an existing table
        does not have the columns of `floe_synthetic.schema`. CommitFailedException if other writers kept winning:
        nothing was appended to that table, repeat the load. That is also the answer to every other failure.
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
            # Somebody else may have been faster. The SQL catalog reports that as a database error, others as
            # NamespaceAlreadyExistsError; what counts is that the namespace is there.
            if not self._catalog.namespace_exists(self._namespace):
                raise


class _AlreadyLoaded(ValidationException):
    """The table has the batch. On a ValidationException PyIceberg removes the manifests of the abandoned attempt."""


class _AppendOnce(Transaction):
    """A transaction that is abandoned with `_AlreadyLoaded` if the state it would be rebased onto has the batch."""

    def __init__(self, table: Table, batch_id: str) -> None:
        super().__init__(table)
        self._batch_id = batch_id

    def _rebuild_snapshot_updates(self) -> None:
        # PyIceberg calls this between two attempts, after it refreshed the table and made sure that the attempt before
        # did not land after all. To forbid retries and loop here would lose that second check.
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
    """Whether the table's current snapshot has a row of the batch; reads only files whose bounds admit the id."""
    # The predicate's own __init__ takes a name and a value; type checkers see the one pydantic would make.
    has_id = EqualTo("_batch_id", batch_id)  # type: ignore[misc, call-arg, arg-type]
    scan = table.scan(row_filter=has_id, selected_fields=("_batch_id",), limit=1)
    return bool(scan.to_arrow().num_rows)


def _snapshot_of(table: Table, batch_id: str) -> int | None:
    """The latest snapshot that names the batch, if it is not expired."""
    for snapshot in reversed(table.metadata.snapshots):
        if snapshot.summary is not None and snapshot.summary.get(BATCH_PROPERTY) == batch_id:
            return snapshot.snapshot_id
    return None


def _loaded(name: str, batch: Batch, loaded_at: datetime) -> pa.Table:
    """The batch's rows of one table with the loader's columns."""
    rows = batch.tables[name]
    batch_ids = pa.repeat(pa.scalar(batch.batch_id), rows.num_rows)
    times = pa.repeat(pa.scalar(loaded_at, type=TIME), rows.num_rows)
    schema = arrow_schema(name, loaded=True)
    columns = [rows[column] for column in arrow_schema(name).names]
    return pa.Table.from_arrays([*columns, batch_ids, times], schema=schema)


def _check_batch(batch: Batch) -> None:
    """ValueError that names everything in the batch the raw tables do not take."""
    problems = [] if batch.batch_id else ["it has no id"]
    problems += [f"{name} is no raw table" for name in batch.tables if name not in TABLES]
    for name in TABLES:
        if name in batch.tables:
            problems += [f"{name} {problem}" for problem in _problems_of_rows(name, batch.tables[name])]
    if problems:
        raise ValueError(f"batch {batch.batch_id!r} cannot be loaded: {'; '.join(problems)}")


def _problems_of_rows(name: str, rows: pa.Table) -> list[str]:
    expected = arrow_schema(name)
    problems = [] if rows.num_rows else ["has no rows: leave it out"]
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
    """ValueError if the existing table cannot take the rows: found before the first table of the batch is written."""
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
        raise ValueError(f"table {'.'.join(table.name())} does not take {name}: {'; '.join(problems)}")
