"""Loads batches into Iceberg tables, each batch exactly once.

The rows record what was loaded: every row has a `_batch_id`, and a batch is appended to a table only if no row of the
table has its id. This works after a crash, after the expiration of snapshots and after a compaction of files. A batch
whose rows were deleted can be loaded again.

The check and the append must see the same state of the table. A commit of PyIceberg contains the snapshot that it is
based on, so the catalog refuses it if another writer was faster. PyIceberg then rebases the append onto the newer
snapshot and tries again (`commit.retry.*`). This alone could append a batch that the other writer has just appended,
so `_AppendOnce` repeats the check before each rebase.

A batch that is a window of time (`Batch.until`) is checked without reading any file: a property of the table, written
in the same commit as the rows, holds the time up to which its history is complete, and a window has to begin there.

For any other batch, the check reads the bounds of the table's files, and then only files whose bounds include the id.
If the caller knows a time before which nobody can have tried to load the batch, the check is limited to the partitions
since that day, so its cost does not depend on the table's history. `floe_synthetic.maintenance` keeps files, snapshots
and metadata few.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, ValidationException
from pyiceberg.expressions import And, BooleanExpression, EqualTo, GreaterThanOrEqual
from pyiceberg.table import Table

from floe_runtime.errors import FloeError
from floe_runtime.tables import rows_of
from floe_synthetic.batch import Batch
from floe_synthetic.datafiles import Changes, day_number, discard, in_a_sentence, now, write_rows
from floe_synthetic.fitting import CLOCKS_DIFFER, check_batch, check_tables
from floe_synthetic.maintenance import data_bytes
from floe_synthetic.raw_tables import PROPERTIES, altered, by_day, by_time
from floe_synthetic.schema import BATCH_ID, LOADED_AT, TIME, iceberg_schema, loaded_schema

BATCH_PROPERTY = "floe.batch-id"
"""The property of a snapshot's summary that holds the id of the batch that the snapshot added.

Iceberg itself adds the number of rows, as `added-records`.
"""

UNTIL_PROPERTY = "floe.loaded-until"
"""The property of a table that holds the time up to which its history is complete, if its batches are windows."""

BEGUN_PROPERTY = "floe.begun"
"""The property of a table that holds the time at which its history begins."""

_ATTEMPTS = 5


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
    """Appends batches to the raw tables of one namespace. Creates the namespace and tables if they do not exist.

    `max_bytes`: the size of the namespace's data files above which a load is refused. None: no limit.
    """

    def __init__(self, catalog: Catalog, namespace: str = "raw", max_bytes: int | None = None) -> None:
        """Store the arguments. The first load sends the first request to the catalog."""
        self._catalog = catalog
        self.namespace = namespace
        self._max_bytes = max_bytes

    def load(self, batch: Batch, not_before: datetime | None = None) -> list[Appended]:
        """Append the batch to each of its tables that does not have it yet, in the order of the batch's tables.

        Each table gets one commit. A column that a table lacks is added to it, as optional; an optional column that the
        batch lacks stays empty. Loads of the same batch may run at the same time. After a failure, repeat the load: it
        appends the batch to the remaining tables.

        `not_before`: a time with a time zone before which nobody tried to load this batch, such as the end of its time
        window or the start of the first run. Without it, the search for the batch reads the bounds of all files.

        Raises FloeError before any row is written if the batch is invalid, if an existing table cannot take its rows,
        or if the namespace would exceed `max_bytes`; also if the catalog or the storage fails.
        """
        check_batch(batch, not_before)
        found = {name: self._find(name) for name in batch.tables}
        check_tables(batch, found)
        search = _search(batch.batch_id, not_before)
        self._check_room(batch, found, search)
        loaded_at = now()
        tables = {name: self._ready(name, rows.schema, found[name]) for name, rows in batch.tables.items()}
        appended = []
        has = _has_window(batch) if batch.until else _has_rows(search)
        for name, rows in batch.tables.items():
            with self._explained(name):
                added = _append(tables[name], _loaded(rows, batch.batch_id, loaded_at), batch, has)
                snapshot_id = _snapshot_of(tables[name], batch.batch_id)
            appended.append(Appended(name, rows.num_rows if added else 0, snapshot_id, not added))
        return appended

    def loaded_until(self, names: Iterable[str]) -> dict[str, datetime | None]:
        """The end of the history of each of these tables; None if the beginning of it was not loaded yet."""
        found = {name: self._find(name) for name in names}
        return {name: _end(table) if table else None for name, table in found.items()}

    def begun(self, name: str) -> datetime | None:
        """The time at which the history of a table begins; None if it has none."""
        table = self._find(name)
        return _time(table, BEGUN_PROPERTY) if table else None

    def rows(self, names: Iterable[str]) -> dict[str, int]:
        """The number of rows of each of these tables."""
        found = {name: self._find(name) for name in names}
        return {name: rows_of(table) if table else 0 for name, table in found.items()}

    def stored_bytes(self) -> int:
        """The bytes of the data files of the namespace's tables, those of former snapshots too."""
        exists = self._catalog.namespace_exists(self.namespace)
        tables = self._catalog.list_tables(self.namespace) if exists else []
        return sum(data_bytes(self._catalog.load_table(name)) for name in tables)

    def _explained(self, name: str) -> AbstractContextManager[None]:
        what = f"{self.namespace}.{name} could not be read or written"
        return in_a_sentence(what, "Remedy that and repeat the load: it appends what is missing, and nothing twice.")

    def _identifier(self, name: str) -> tuple[str, ...]:
        return (*self._catalog.identifier_to_tuple(self.namespace), name)

    def _find(self, name: str) -> Table | None:
        with self._explained(name):
            try:
                return self._catalog.load_table(self._identifier(name))
            except NoSuchTableError:
                return None

    def _ready(self, name: str, rows: pa.Schema, table: Table | None) -> Table:
        """The table, created if necessary, with all columns of the rows and the properties that the loader needs."""
        with self._explained(name):
            if table is None:
                self._ensure_namespace()
                schema = iceberg_schema(rows)
                table = self._catalog.create_table_if_not_exists(
                    self._identifier(name), schema, None, by_day(schema), by_time(schema), PROPERTIES
                )
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    return altered(table, rows)
                except CommitFailedException:
                    if attempt == _ATTEMPTS:
                        raise
                    table.refresh()
        raise AssertionError("unreachable")

    def _ensure_namespace(self) -> None:
        if self._catalog.namespace_exists(self.namespace):
            return
        try:
            self._catalog.create_namespace(self.namespace)
        except Exception:
            # Another process may have created it in the meantime. The SQL catalog reports that as a database error,
            # other catalogs as NamespaceAlreadyExistsError, so check whether the namespace exists now.
            if not self._catalog.namespace_exists(self.namespace):
                raise

    def _check_room(self, batch: Batch, found: Mapping[str, Table | None], search: BooleanExpression) -> None:
        """Raise FloeError if the tables that lack the batch would make the namespace larger than allowed."""
        if self._max_bytes is None:
            return
        has = _has_window(batch) if batch.until else _has_rows(search)
        missing = [name for name, table in found.items() if table is None or not has(table)]
        stored = self.stored_bytes()
        incoming = sum(batch.tables[name].nbytes for name in missing)
        if missing and stored + incoming > self._max_bytes:
            raise FloeError(
                f"batch {batch.batch_id!r} is not loaded: the tables of {self.namespace} have {stored:,} bytes, the "
                f"batch brings up to {incoming:,}, and the ceiling is {self._max_bytes:,}",
                "Drop old days and expire snapshots, or raise the ceiling. The tables can still be read.",
            )


class WrongWindowError(FloeError):
    """A window overlaps with what a table has, or leaves a gap after it."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            problem, "Another run loaded it at the same time. The next run continues where that one ended."
        )


class _AlreadyLoaded(Exception):
    """The table already has the batch.

    Not a ValidationException, after which PyIceberg deletes the manifests of the attempt: if the catalog reported this
    very append as failed although it succeeded, the table has them.
    """


class _AppendOnce(Changes):
    """A transaction that raises `_AlreadyLoaded` if the snapshot that it would be rebased onto has the batch."""

    def __init__(self, table: Table, has: Callable[[Table], bool]) -> None:
        super().__init__(table)
        self._has = has

    def _rebuild_snapshot_updates(self) -> None:
        # PyIceberg calls this between two attempts, after it has refreshed the table and checked that the previous
        # attempt was not committed after all. A retry loop in this module would lack that check.
        if self._has(self._table):
            raise _AlreadyLoaded
        # PyIceberg looks up the snapshot of the first attempt, although appends conflict with nothing. That snapshot
        # may have expired since.
        for producer in self._snapshot_producers:
            producer._starting_snapshot_id = self._table.metadata.current_snapshot_id
        super()._rebuild_snapshot_updates()


def _append(table: Table, rows: pa.Table, batch: Batch, has: Callable[[Table], bool]) -> bool:
    """Append the rows, unless the table has the batch. Return whether they were appended."""
    if has(table):
        return False
    # All rows have the same `_loaded_at`, so they are in one partition, and sorted.
    files = []
    if rows.num_rows:
        day = day_number(rows[LOADED_AT][0].as_py())
        files = write_rows(table, rows, [day] if table.spec().fields else [])
    transaction, committing = _AppendOnce(table, has), False
    try:
        # A window without rows makes a snapshot too, because the catalog refuses only snapshots that came too late.
        with transaction.update_snapshot({BATCH_PROPERTY: batch.batch_id}).merge_append() as append:
            for file in files:
                append.append_data_file(file)
        if batch.until:
            end = batch.until.astimezone(UTC).isoformat()
            transaction.set_properties({UNTIL_PROPERTY: end, **({} if batch.since else {BEGUN_PROPERTY: end})})
        committing = True
        transaction.commit_transaction()
    except BaseException as error:
        # After other failures of the commit, the catalog may have accepted it nevertheless.
        if not committing or isinstance(error, CommitFailedException | ValidationException | WrongWindowError):
            discard(table, files)
        if isinstance(error, _AlreadyLoaded):
            return False
        raise
    return True


def _search(batch_id: str, not_before: datetime | None) -> BooleanExpression:
    """The filter that finds the rows of a batch."""
    has_id = EqualTo(BATCH_ID, batch_id)  # type: ignore[misc, call-arg, arg-type] # mypy assumes pydantic's __init__
    if not_before is None:
        return has_id
    earliest = (not_before.astimezone(UTC) - CLOCKS_DIFFER).isoformat()
    return And(has_id, GreaterThanOrEqual(LOADED_AT, earliest))  # type: ignore[misc, call-arg, arg-type] # mypy assumes pydantic's __init__


def _has_rows(search: BooleanExpression) -> Callable[[Table], bool]:
    """Whether a table's current snapshot has a row of the batch. Reads only files whose bounds include the id."""

    def has(table: Table) -> bool:
        scan = table.scan(row_filter=search, selected_fields=(BATCH_ID,), limit=1)
        return bool(scan.to_arrow().num_rows)

    return has


def _has_window(batch: Batch) -> Callable[[Table], bool]:
    """Whether a table's history contains the window of the batch. Raises WrongWindowError unless it follows or does."""

    def has(table: Table) -> bool:
        end = _end(table)
        if end and batch.until and end >= batch.until:
            return True
        if batch.since is None and end is None:
            return False
        if end != batch.since:
            raise WrongWindowError(
                f"batch {batch.batch_id!r} does not follow what {'.'.join(table.name())} has: its history "
                + (f"ends at {end.isoformat()}" if end else "has no beginning")
            )
        return False

    return has


def _end(table: Table) -> datetime | None:
    """The time up to which the history of a table is complete."""
    return _time(table, UNTIL_PROPERTY)


def _time(table: Table, name: str) -> datetime | None:
    text = table.properties.get(name)
    return datetime.fromisoformat(text) if text else None


def _snapshot_of(table: Table, batch_id: str) -> int | None:
    """The latest snapshot whose summary has the id of the batch; None if it has expired."""
    for snapshot in reversed(table.metadata.snapshots):
        if snapshot.summary is not None and snapshot.summary.get(BATCH_PROPERTY) == batch_id:
            return snapshot.snapshot_id
    return None


def _loaded(rows: pa.Table, batch_id: str, loaded_at: datetime) -> pa.Table:
    """The rows with the columns that the loader adds."""
    batch_ids = pa.repeat(pa.scalar(batch_id), rows.num_rows)
    times = pa.repeat(pa.scalar(loaded_at, type=TIME), rows.num_rows)
    return pa.Table.from_arrays([*rows.columns, batch_ids, times], schema=loaded_schema(rows.schema))
