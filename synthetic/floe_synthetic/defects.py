"""Defects that real data have, injected at given rates into what a generator makes, with a ledger of all of them.

Whether a row has a defect is a function of the seed, the row and the rates alone, drawn apart from the clean data. A
row has one defect at most. Rows that arrive late are held back for hours or days, and come in a later window if their
own one ends before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from floe_runtime.contract.defects import OF_A_ROW, SCENARIOS, checked
from floe_synthetic.batch import Batch, window_id
from floe_synthetic.calendar import DAY_US, day_number
from floe_synthetic.damage import DAMAGE
from floe_synthetic.entities import Families, GeneratesFamilies, Parts, gathered, microseconds, texts, window
from floe_synthetic.randomness import Ints, Keys, Source
from floe_synthetic.schema import TIME, Column, schema_of
from floe_synthetic.text_hashes import hashed

LEDGER = "defects"
"""The table that travels with a batch: one row for each defect in it. It is loaded first."""

LEDGER_COLUMNS = (
    Column("defect_id", "string", "key"),
    Column("kind", "string", "one of the kinds of floe_runtime.contract.defects.KINDS"),
    Column("table_name", "string", "the table with the defect"),
    Column("row_key", "string", "key of the row; empty for new_columns", required=False),
    Column("column_name", "string", "the column with the defect; empty if the whole row is meant", required=False),
    Column("clean_value", "string", "what the column holds without the defect", required=False),
    Column("window_end", "time", "end of the window of the batch that brings the defect"),
)

DELAYS = (timedelta(0), timedelta(hours=7), timedelta(days=2, hours=3))
"""How long rows are held back: those that are not late, and those that are."""

_MICROSECOND = timedelta(microseconds=1)
_ODD = np.uint64(0xD6E8FEB86659FD93)
_ONE = np.ones(1, dtype=np.uint64)
_DRIFT_AFTER_DAYS = 30
_ROWS_AT_ONCE = 1 << 18


class WithDefects:
    """A generator whose data have defects. It has the methods of the one that it wraps, which is not changed.

    Its `domain` has the ledger too, unless all rates are 0, and the column that appears. `rates`: by kind of
    floe_runtime.contract.defects, or a scenario's name. `drift`: the day from which on the column of `new_columns`
    exists; by default 30 days after the opening. Raises ValueError for an unknown kind or scenario, or a wrong rate.
    """

    def __init__(
        self, generator: GeneratesFamilies, rates: Mapping[str, float] | str, seed: int = 42, drift: date | None = None
    ) -> None:
        """Store the arguments."""
        if isinstance(rates, str):
            if rates not in SCENARIOS:
                raise ValueError(f"there is no scenario {rates!r}, only {', '.join(SCENARIOS)}")
            rates = SCENARIOS[rates]
        self._generator, self._rates, self._random = generator, checked(rates), Source(seed)
        self.opened = generator.opened
        first_day = microseconds(generator.opened) // DAY_US
        self._drift_us = (first_day + _DRIFT_AFTER_DAYS if drift is None else day_number(drift)) * DAY_US
        self._clean = generator.domain
        table, column, values = self._clean.new_column
        ledger = {LEDGER: LEDGER_COLUMNS} if any(self._rates.values()) else {}
        tables = {**ledger, **self._clean.tables}
        self._before_drift = replace(self._clean, tables=dict(tables))
        if self._rate("new_columns"):
            tables[table] += (Column(column, "string", f"one of {', '.join(values)}", required=False),)
        self.domain = replace(self._clean, tables=tables)

    def reference(self, until: datetime) -> Batch:
        """The generator's reference data with defects. None of them is late, and there is no new column."""
        whole, end = self._generator.reference(until), microseconds(until)
        if not any(self._rates.values()):
            return whole
        parts = (
            part
            for name, rows in whole.tables.items()
            for first in range(0, rows.num_rows, _ROWS_AT_ONCE)
            for part in self._damaged(name, rows.slice(first, _ROWS_AT_ONCE), end)
        )
        return Batch(whole.batch_id, gathered(self._before_drift, parts), whole.since, whole.until)

    def batch(self, since: datetime, until: datetime, begin: datetime | None = None) -> Batch:
        """The batch of a window with its defects, and the table LEDGER if any rate is not 0. Errors as in `stream`."""
        if not any(self._rates.values()):
            return self._generator.batch(since, until, begin)
        domain = self.domain if microseconds(until) > self._drift_us else self._before_drift
        tables = gathered(domain, self.stream(since, until, begin), domain.catalogue)
        return Batch(window_id(since, until), tables, since, until)

    def stream(self, since: datetime, until: datetime, begin: datetime | None = None) -> Parts:
        """The rows of `batch` in parts of a bounded size. Raises ValueError as the `stream` of the generator."""
        if not any(self._rates.values()):
            yield from self._generator.stream(since, until, begin)
            return
        start, end, oldest = window(since, until, begin or self.opened)
        if self._rate("new_columns") and start <= self._drift_us < end:
            table, column, _ = self._clean.new_column
            yield LEDGER, _ledger(_Found("new_columns", table, self._random.bits(column, _ONE), None, column), end)
        for index, delay in enumerate(DELAYS if self._rate("late") else DELAYS[:1]):
            first, last = (max(moment - delay // _MICROSECOND, oldest) for moment in (start, end))
            families = Families(partial(self._arrive, index), others=index == 0)
            # What was held back since before this window is late, the rest only comes behind the others.
            for low, high in pairwise(sorted({first, min(max(first, start), last), last})):
                for name, rows in self._generator.stream(_moment(low), _moment(high), begin, families):
                    wide = self._widened(name, rows, end)
                    if not index:
                        yield from self._damaged(name, wide, end)
                        continue
                    yield name, wide
                    if high <= start:
                        yield LEDGER, self._lateness(name, wide, end)

    def _rate(self, kind: str) -> float:
        return self._rates.get(kind, 0.0)

    def _arrive(self, delay: int, keys: Keys) -> npt.NDArray[np.bool_]:
        """Whether the families with these keys are held back for that one of the DELAYS."""
        bits = self._random.bits("late", keys)
        is_late: npt.NDArray[np.bool_] = bits < np.uint64(self._rate("late") * 2.0**64)
        if delay:
            is_late &= bits % np.uint64(len(DELAYS) - 1) == np.uint64(delay - 1)
            return is_late
        return ~is_late

    def _widened(self, name: str, rows: pa.Table, end: int) -> pa.Table:
        """The rows with the new column, if the window ends after the day on which it begins to exist."""
        table, column, values = self._clean.new_column
        time = self._clean.time(name)
        if name != table or not time or not self._rate("new_columns") or end <= self._drift_us:
            return rows
        keys = hashed(rows[self._clean.tables[name][0].name])
        filled = self._random.uniform("new column", keys) < self._rate("new_columns")
        filled &= rows[time].cast(pa.int64()).to_numpy() >= self._drift_us
        drawn = pa.array(self._choice("new value", keys, len(values)), mask=~filled)
        return rows.append_column(self.domain.schema(name).field(column), pa.array(values).take(drawn))

    def _lateness(self, name: str, rows: pa.Table, end: int) -> pa.Table:
        """The ledger of rows that arrive late, which have no other defect."""
        rows = rows.combine_chunks()
        numbers = self._random.bits(f"row of {name}", self._identities(name, rows))
        return _ledger(_Found("late", name, numbers, rows.column(0), self._clean.time(name)), end)

    def _identities(self, name: str, rows: pa.Table) -> Keys:
        """A number for each row: not of its key alone, since a row may come again as a later version."""
        numbers, time = hashed(rows.column(0)), self._clean.time(name)
        if time:
            numbers ^= rows[time].cast(pa.int64()).to_numpy().view(np.uint64) * _ODD
        return numbers

    def _damaged(self, name: str, rows: pa.Table, end: int) -> Parts:
        """The rows with their defects, and the ledger of these."""
        rows = rows.combine_chunks()
        keys, identities = rows.column(0), self._identities(name, rows)
        edges = np.cumsum([self._rate(kind) for kind in OF_A_ROW])
        uniform = self._random.uniform(f"kind of {name}", identities)
        wrong_rows = np.flatnonzero(uniform < edges[-1])
        drawn = np.searchsorted(edges, uniform[wrong_rows], side="right")
        numbers = self._random.bits(f"row of {name}", identities[wrong_rows])
        found, extra = [], []
        for kind, column, few in self._targets(name, drawn, numbers):
            chosen = wrong_rows[few]
            clean = rows[column].combine_chunks().take(pa.array(chosen)) if column else None
            found.append(_Found(kind, name, numbers[few], keys.take(pa.array(chosen)), column, clean))
            if clean is None:
                extra.append(rows.take(pa.array(chosen)))
                continue
            wrong = DAMAGE[kind](clean, self._random.bits("damage", numbers[few]))
            place = rows.column_names.index(column)
            if kind == "near_duplicates":
                extra.append(rows.take(pa.array(chosen)).set_column(place, rows.schema.field(place), wrong))
                continue
            mask = np.zeros(rows.num_rows, dtype=bool)
            mask[chosen] = True
            damaged = pc.replace_with_mask(rows.column(place).combine_chunks(), pa.array(mask), wrong)
            rows = rows.set_column(place, rows.schema.field(place), damaged)
        yield name, pa.concat_tables([rows, *extra])
        for one in found:
            yield LEDGER, _ledger(one, end)

    def _targets(self, name: str, drawn: Ints, numbers: Keys) -> Iterator[tuple[str, str | None, Ints]]:
        """(kind, column, places in `drawn`) of the defects of rows. `drawn`: for each of them the index of its kind."""
        domain, time = self._clean, self._clean.time(name)
        texts_ = domain.texts(name)
        columns: dict[str, list[str]] = {
            "nulls": texts_,
            "encoding": texts_,
            "near_duplicates": texts_ or ([time] if time else []),
            "out_of_range": domain.amounts(name),
            "broken_references": domain.references(name),
        }
        for index, kind in enumerate(OF_A_ROW):
            rows = np.flatnonzero(drawn == index)
            if kind == "duplicates" and len(rows):
                yield kind, None, rows
            elif len(rows) and (possible := columns.get(kind)):
                choice = self._choice("column", numbers[rows], len(possible))
                yield from ((kind, possible[one], rows[choice == one]) for one in np.unique(choice))

    def _choice(self, purpose: str, keys: Keys, size: int) -> Ints:
        chosen: Ints = (self._random.uniform(purpose, keys) * size).astype(np.int64)
        return chosen


@dataclass(frozen=True)
class _Found:
    """Defects of one kind in one column. `keys` and `clean`: of their rows, None if the defect is not in a row."""

    kind: str
    table: str
    numbers: Keys
    keys: pa.Array | None
    column: str | None
    clean: pa.Array | None = None


def _ledger(found: _Found, end: int) -> pa.Table:
    size = len(found.numbers)
    nothing = pa.nulls(size, pa.string())
    columns = [
        texts("d", found.numbers >> np.uint64(10)),
        pa.repeat(found.kind, size),
        pa.repeat(found.table, size),
        nothing if found.keys is None else found.keys,
        nothing if found.column is None else pa.repeat(found.column, size),
        nothing if found.clean is None else found.clean.cast(pa.string()),
        pa.repeat(end, size).cast(TIME),
    ]
    return pa.Table.from_arrays(columns, schema=schema_of(LEDGER_COLUMNS))


def _moment(microseconds_: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds_)
