"""Whether a batch can be loaded at all, and whether the tables that exist can take its rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pyarrow as pa
from pyiceberg.table import Table

from floe_runtime.errors import FloeError
from floe_synthetic.batch import Batch
from floe_synthetic.datafiles import now
from floe_synthetic.raw_tables import by_day
from floe_synthetic.schema import LOADED, iceberg_schema

CLOCKS_DIFFER = timedelta(days=1)
"""By how much the clocks of two machines may differ: far more than they do, because one day costs nothing."""


def check_batch(batch: Batch, not_before: datetime | None) -> None:
    """Raise FloeError, with all problems, if no table could take the batch."""
    problems = [] if batch.batch_id else ["it has no id"]
    if not_before is not None and not_before.utcoffset() is None:
        problems.append(f"the time {not_before.isoformat()} before which it was not loaded has no time zone")
    elif not_before is not None and not_before > now() + CLOCKS_DIFFER:
        problems.append(f"the time {not_before.isoformat()} before which it was not loaded is in the future")
    for name, rows in batch.tables.items():
        problems += [f"{name} {problem}" for problem in _problems_of_rows(rows, may_be_empty=bool(batch.until))]
    _refuse(f"batch {batch.batch_id!r} cannot be loaded", problems)


def _problems_of_rows(rows: pa.Table, *, may_be_empty: bool) -> list[str]:
    problems = [] if rows.num_rows or may_be_empty else ["has no rows and must be left out"]
    counts = Counter(name.lower() for name in rows.schema.names)
    problems += [f"has {count} columns {name}" for name, count in counts.items() if count > 1]
    problems += [f"has the reserved column {column.name}" for column in LOADED if column.name in counts]
    for field, column in zip(rows.schema, rows.columns, strict=True):
        if column.null_count and not field.nullable:
            problems.append(f"has {column.null_count} NULL in {field.name}")
        try:
            iceberg_schema(pa.schema([field.with_name("column")]))
        except TypeError:
            problems.append(f"has {field.name} as {field.type}, which Iceberg does not have")
    return problems


def check_tables(batch: Batch, found: Mapping[str, Table | None]) -> None:
    """Raise FloeError if an existing table cannot take the rows of the batch."""
    for name, table in found.items():
        if table is not None:
            what = f"table {'.'.join(table.name())} cannot take the rows of batch {batch.batch_id!r}"
            _refuse(what, _problems_of_table(table, batch.tables[name]))


def _problems_of_table(table: Table, rows: pa.Table) -> list[str]:
    given = {field.name: field for field in iceberg_schema(rows.schema).fields}
    actual = {field.name: field for field in table.schema().fields}
    problems = [f"it lacks {column.name}" for column in LOADED if column.name not in actual]
    for name, field in actual.items():
        if name not in given:
            problems += [f"it requires {name}, which the batch lacks"] if field.required else []
        elif field.field_type != given[name].field_type:
            problems.append(f"{name} is {field.field_type} in the table and {given[name].field_type} in the batch")
        elif field.required and name in rows.schema.names and rows[name].null_count:
            problems.append(f"it requires {name}, which is NULL in {rows[name].null_count} rows")
    if not problems and table.spec().fields and table.spec() != by_day(table.schema()):
        problems.append(f"it is partitioned by {', '.join(field.name for field in table.spec().fields)}")
    return problems


def _refuse(what: str, problems: Sequence[str]) -> None:
    if problems:
        hint = "Nothing was written. Correct the batch, or move the table away: the loader then creates another."
        raise FloeError(f"{what}: {'; '.join(problems)}", hint)
