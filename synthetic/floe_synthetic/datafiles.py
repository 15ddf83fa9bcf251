"""Data files of an Iceberg table: writes rows into them, and exchanges files of the table in one commit."""

import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pyarrow as pa
from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import CommitFailedException, RESTError, ValidationException
from pyiceberg.io.pyarrow import bin_pack_arrow_table, pyarrow_to_schema, write_file
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import PartitionFieldValue, PartitionKey
from pyiceberg.table import Table, TableProperties, Transaction, WriteTask
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import TableUpdate
from pyiceberg.typedef import Record
from pyiceberg.types import TimestamptzType

from floe_runtime.errors import FloeError

_DAY_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The current time."""
    return datetime.now(UTC)


def day_number(moment: datetime) -> int:
    """The day (UTC) of a time, counted from 1970-01-01: what Iceberg's transform `day` gives."""
    return (moment - _DAY_ZERO).days


class Changes(Transaction):
    """A transaction that copies the table's metadata once for each change, instead of whenever PyIceberg reads them.

    PyIceberg reads them sixteen times in an append, and a copy takes time in proportion to the number of snapshots.
    """

    _copy: tuple[TableMetadata, tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        """The table's metadata with the changes so far, which nobody may modify."""
        base, updates = self._table.metadata, self._updates
        if self._copy is None or self._copy[0] is not base or self._copy[1] is not updates:
            self._copy = (base, updates, super().table_metadata)
        return self._copy[2]


def write_rows(table: Table, rows: pa.Table, partition: Sequence[object], *, one_file: bool = False) -> list[DataFile]:
    """Write rows of one partition into new data files, which no snapshot refers to yet.

    `partition`: the values of the table's partition fields, already transformed. PyIceberg's own append computes them
    for each row, with a native library; here the caller knows them. The rows go into one file, or into several of
    `write.target-file-size-bytes`. If a file cannot be written, none of the files remains.
    """
    schema, spec, properties = table.schema(), table.spec(), table.metadata.properties
    size = int(properties.get(TableProperties.WRITE_TARGET_FILE_SIZE_BYTES, 512 * 1024 * 1024))
    key = None
    if spec.fields:
        values = zip(spec.fields, partition, strict=True)
        key = PartitionKey([PartitionFieldValue(field, value) for field, value in values], spec, schema)
    tasks = [
        WriteTask(
            write_uuid=uuid.uuid4(),
            task_id=number,
            schema=pyarrow_to_schema(rows.schema, name_mapping=schema.name_mapping),
            record_batches=batches,
            partition_key=key,
        )
        for number, batches in enumerate([rows.to_batches()] if one_file else bin_pack_arrow_table(rows, size))
    ]
    try:
        return list(write_file(table.io, table.metadata, iter(tasks)))
    except BaseException:
        names = [task.generate_data_file_filename("parquet") for task in tasks]
        _delete(table, [table.location_provider().new_data_location(name, key) for name in names])
        raise


def discard(table: Table, files: Sequence[DataFile]) -> None:
    """Delete files of a commit that failed, unless the table has them: some catalogs report a success as a failure."""
    with suppress(Exception):  # the caller reports the failure of the commit; maintenance removes what remains
        live = {task.file.file_path for task in table.refresh().scan().plan_files()}
        _delete(table, [file.file_path for file in files if file.file_path not in live])


def exchange(table: Table, old: Sequence[DataFile], new: Sequence[DataFile], properties: Mapping[str, str]) -> None:
    """Replace data files of the table's current snapshot in one commit.

    Appends of other writers at the same time are kept. Raises ValidationException if another writer has removed one of
    the old files, and CommitFailedException if other writers were faster in every attempt. Then the table is as before,
    and the new files are deleted.
    """
    try:
        with Changes(table) as transaction, transaction.update_snapshot(dict(properties)).overwrite() as swap:
            for file in old:
                swap.delete_data_file(file)
            for file in new:
                swap.append_data_file(file)
    except (CommitFailedException, ValidationException):
        discard(table, new)
        raise


def partition_values(partition: Record) -> tuple[object, ...]:
    """The values of a partition, as a key of a dict."""
    return tuple(partition[position] for position in range(len(partition)))


def time_bound(table: Table, file: DataFile, column: str, *, upper: bool = False) -> int | None:
    """The earliest or latest time in a file's column, in microseconds since 1970; None if it is unknown."""
    field = next((field for field in table.schema().fields if field.name == column), None)
    if field is None or not isinstance(field.field_type, TimestamptzType):
        return None
    raw = ((file.upper_bounds if upper else file.lower_bounds) or {}).get(field.field_id)
    return int(from_bytes(field.field_type, raw)) if raw is not None else None


@contextmanager
def in_a_sentence(what: str, hint: str) -> Iterator[None]:
    """Run the block. If the catalog or the storage fails, raise a FloeError: `what`, and the kind of the failure.

    The message of the failure itself may hold a secret, so it is left out. It remains the cause of the error.
    """
    try:
        yield
    except FloeError:
        raise
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise FloeError(f"{what}: {reason}", hint) from error


def _reason(error: Exception) -> str | None:
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError  # only a SQL catalog has loaded it already

    if isinstance(error, CommitFailedException):
        return "other writers were faster in every attempt"
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else f"storage or catalog failed ({type(error).__name__})"
    if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.Error):
        return f"the catalog failed: {error.orig}"  # such as: database or disk is full; SQLite has no secrets
    if isinstance(error, RESTError | SQLAlchemyError):
        return f"the catalog failed ({type(error).__name__})"
    return None


def _delete(table: Table, locations: Sequence[str]) -> None:
    for location in locations:
        with suppress(OSError):  # not written yet, or the storage has failed: maintenance removes what remains
            table.io.delete(location)
