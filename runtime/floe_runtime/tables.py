"""Iceberg tables as DuckDB reads them: the data files of one snapshot, by a list, with the columns of the table.

DuckDB reads only the columns, files and row groups that a query needs. It needs no extension for that: the catalog's
client names the files, and files in an object store are opened through it as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    StringType,
    TimestampType,
    TimestamptzType,
)

from floe_runtime.errors import FloeError

if TYPE_CHECKING:
    import duckdb

ALWAYS = AlwaysTrue()

_TYPES: dict[type[IcebergType], str] = {
    StringType: "VARCHAR",
    IntegerType: "INTEGER",
    LongType: "BIGINT",
    FloatType: "FLOAT",
    DoubleType: "DOUBLE",
    BooleanType: "BOOLEAN",
    DateType: "DATE",
    TimestampType: "TIMESTAMP",
    TimestamptzType: "TIMESTAMP WITH TIME ZONE",
    BinaryType: "BLOB",
}


def rows_of(table: Table) -> int:
    """The number of rows in the current snapshot, as its summary says, which reads no file."""
    snapshot = table.current_snapshot()
    return int((snapshot and snapshot.summary and snapshot.summary.get("total-records")) or 0)


def live_files(table: Table, snapshot_id: int | None, condition: BooleanExpression = ALWAYS) -> list[DataFile]:
    """The data files of a snapshot that may have rows under a condition.

    Raises FloeError if it has delete files, which this cannot read.
    """
    if snapshot_id is None:
        return []
    planned = list(table.scan(condition, snapshot_id=snapshot_id).plan_files())
    if any(task.delete_files for task in planned):
        raise FloeError(
            f"table {'.'.join(table.name())} has rows that another engine deleted without a rewrite of their files",
            "Compact the table with that engine.",
        )
    return [task.file for task in planned]


def columns(table: Table) -> list[tuple[int, str, str]]:
    """(field id, name, DuckDB's type) of each column. Raises FloeError for a type that is not flat."""
    return [(field.field_id, field.name, _type(table, field.name, field.field_type)) for field in table.schema().fields]


def _type(table: Table, name: str, kind: IcebergType) -> str:
    if isinstance(kind, DecimalType):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if type(kind) not in _TYPES:
        raise FloeError(f"column {name} of {'.'.join(table.name())} is {kind}", "Load it as a flat column or as text.")
    return _TYPES[type(kind)]


def location(file: DataFile) -> str:
    """The path of a file as DuckDB opens it: a plain path, or the URI in an object store."""
    parts = urlsplit(file.file_path)
    return parts.path if parts.scheme in ("", "file") else file.file_path


def select(columns: list[tuple[int, str, str]], files: list[str]) -> str:
    """The SQL that reads files of a table: `select … from read_parquet([…])`, with columns by their field ids.

    So a column that is missing in an old file is null, and one that was renamed has its new name.
    """
    if not files:
        return f"select {', '.join(f'cast(null as {kind}) as {quoted(name)}' for _, name, kind in columns)} where false"
    fields = ", ".join(
        f"{number}: {{name: {_text(name)}, type: {_text(kind)}, default_value: NULL}}" for number, name, kind in columns
    )
    return f"select * from read_parquet([{', '.join(map(_text, files))}], schema=MAP {{{fields}}})"  # noqa: S608 # _text quotes each file


def quoted(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def open_storage(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Let DuckDB open the table's files through the catalog's client, if they are in an object store."""
    address = urlsplit(table.location())
    if address.scheme in ("", "file") or address.scheme in connection.list_filesystems():
        return
    from fsspec.implementations.arrow import ArrowFSWrapper  # type: ignore[import-untyped] # not typed by fsspec
    from pyiceberg.io.pyarrow import PyArrowFileIO

    class Storage(ArrowFSWrapper):  # type: ignore[misc] # not typed by fsspec
        protocol = address.scheme

    storage = table.io
    assert isinstance(storage, PyArrowFileIO)  # the package depends on pyiceberg[pyarrow]
    connection.register_filesystem(Storage(storage.fs_by_scheme(address.scheme, address.netloc)))
