"""Divides what a run reads into parts, so that a rebuild of a long history needs no more memory than a large load.

A part has the rows that were loaded in some time, and the parts follow each other as loads do: each one adds to the
marts as the one before left them. Nothing counts as published before the last part is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise

from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from floe_runtime import tables
from floe_runtime.inputs import Inputs, Raw, load_times

_NEXT = timedelta(microseconds=1)
"""The precision of load times."""


def in_parts(catalog: Catalog, inputs: Inputs, by_load_time: Collection[str], most_rows: int) -> list[Inputs]:
    """What the parts of a run read, in order; `last` of the later ones is to be set to what the one before has written.

    `by_load_time`: the raw tables that can be divided; the others are read whole by each part. A part has about
    `most_rows` raw rows: files are not divided at all places, and a load never is.
    """
    found = {name: catalog.load_table((inputs.raw_namespace, name)) for name in by_load_time if name in inputs.raw}
    if sum(map(tables.rows_of, found.values())) <= most_rows:
        return [inputs]
    loads = (load for name, table in found.items() for load in _loads(table, inputs.raw[name]))
    bounds = [None, *ends_of_parts(loads, most_rows), None]
    parts = []
    for number, (before, until) in enumerate(pairwise(bounds), start=1):
        raw = {name: _between(one, before, until) if name in found else one for name, one in inputs.raw.items()}
        parts.append(inputs.model_copy(update={"raw": raw, "part": number, "parts": len(bounds) - 1}))
        if before and not inputs.incremental:
            parts[-1].since = date.min  # it adds to the first part, and any row may change any day
    return parts


def ends_of_parts(loads: Iterable[tuple[datetime, int]], most_rows: int) -> Iterator[datetime]:
    """The load times at which parts end, without the last part.

    `loads`: the latest load time of each file, and its number of rows. Files of the same time stay together.
    """
    rows, end = 0, None
    by_time: dict[datetime, int] = {}
    for at, count in loads:
        by_time[at] = by_time.get(at, 0) + count
    for at, count in sorted(by_time.items()):
        if end and rows + count > most_rows:
            yield end
            rows = 0
        rows, end = rows + count, at


def _loads(table: Table, raw: Raw) -> Iterator[tuple[datetime, int]]:
    for file in tables.live_files(table, raw.position.snapshot_id, raw.expression()):
        yield load_times(table, file)[1], file.record_count


def _between(raw: Raw, before: datetime | None, until: datetime | None) -> Raw:
    """The rows that a run reads of a raw table and that were loaded after one time and until another."""
    if raw.is_empty:
        return raw
    since = max(filter(None, (before and before + _NEXT, raw.since)), default=None)
    return raw.model_copy(update={"whole": raw.whole and before is None, "since": since, "until": until})
