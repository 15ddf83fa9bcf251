"""Defects that real data have, injected at given rates into what a generator makes, with a ledger of all of them.

Whether a row has a defect is a function of the seed, the row and the rates alone, drawn apart from the clean data. A
row has one defect at most. Rows that arrive late are held back for hours or days, and come in a later window if their
own one ends before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa

from floe_runtime.contract.defects import OF_A_ROW, SCENARIOS, checked
from floe_synthetic.batch import Batch, window_id
from floe_synthetic.calendar import DAY_US, day_number
from floe_synthetic.damage import DAMAGE, replaced
from floe_synthetic.entities import (
    EVERYTHING,
    Families,
    GeneratesFamilies,
    Parts,
    gathered,
    microseconds,
    texts,
    window,
)
from floe_synthetic.randomness import Ints, Keys, Source, fraction, low_fraction
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
_ROWS_AT_ONCE = 50_000  # less than what the generator makes at once, so that large parts are not copied


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
        self._columns = cache(self._columns_of)
        # A window looks at the same families once for each delay.
        self._late_among = lru_cache(maxsize=256)(self._find_late_among)

    def reference(self, until: datetime) -> Batch:
        """The generator's reference data with defects. None of them is late, and there is no new column."""
        whole, end = self._generator.reference(until), microseconds(until)
        if not any(self._rates.values()):
            return whole
        parts = (part for name, rows in whole.tables.items() for part in self._damaged(name, rows, end))
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
            drifted = _Found("new_columns", self._random.bits(column, _ONE), column)
            yield LEDGER, _ledger(table, pa.nulls(1, pa.string()), [drifted], end)
        for index, delay in enumerate(DELAYS if self._rate("late") else DELAYS[:1]):
            first, last = (max(moment - delay // _MICROSECOND, oldest) for moment in (start, end))
            families = self._families(index)
            # What was held back since before this window is late, the rest only comes behind the others.
            for low, high in pairwise(sorted({first, min(max(first, start), last), last})):
                stream = self._generator.stream(_moment(low), _moment(high), begin, families)
                for name, rows in self._together(stream):
                    if not index:
                        yield from self._damaged(name, rows, end)
                        continue
                    keys = hashed(rows.column(0))
                    yield name, self._widened(name, rows, keys, end)
                    if high <= start:
                        late = _Found(
                            "late", self._numbers(name, self._identities(name, rows, keys)), self._clean.time(name)
                        )
                        yield LEDGER, _ledger(name, rows.column(0), [late], end)

    def _rate(self, kind: str) -> float:
        return self._rates.get(kind, 0.0)

    def _families(self, delay: int) -> Families:
        """Those that are held back for that one of the DELAYS."""
        if not self._rate("late"):
            return EVERYTHING

        def those(size: int, late: Ints, held: Ints) -> Ints:
            if delay:
                chosen: Ints = late[held == delay]
                return chosen
            in_time = np.ones(size, dtype=bool)
            in_time[late] = False
            return np.flatnonzero(in_time)

        return Families(
            lambda keys: those(len(keys), *self._late(keys)),
            lambda first, size: those(size, *self._late_among(first, size)),
            others=delay == 0,
        )

    def _late(self, keys: Keys) -> tuple[Ints, Ints]:
        """The places of the families with these keys that arrive late, and for which one of the DELAYS."""
        late = self._random.happens("late", keys, self._rate("late"))
        return late, self._choice("delay", keys[late], len(DELAYS) - 1) + 1

    def _find_late_among(self, first: int, size: int) -> tuple[Ints, Ints]:
        return self._late(np.arange(first, first + size, dtype=np.uint64))

    def _together(self, parts: Parts) -> Parts:
        """The parts, each in one piece, and small ones of a table together, since each part takes a while.

        What others refer to still comes before them: only tables with families wait.
        """
        waiting: dict[str, list[pa.Table]] = {}
        counts: Counter[str] = Counter()
        for name, rows in parts:
            waiting.setdefault(name, []).append(rows)
            counts[name] += rows.num_rows
            if name not in self._clean.families or counts[name] >= _ROWS_AT_ONCE:
                yield name, pa.concat_tables(waiting.pop(name)).combine_chunks()
                counts[name] = 0
        for name, some in waiting.items():
            yield name, pa.concat_tables(some).combine_chunks()

    def _widened(self, name: str, rows: pa.Table, keys: Keys, end: int) -> pa.Table:
        """The rows with the new column, if the window ends after the day on which it begins to exist."""
        table, column, values = self._clean.new_column
        time = self._clean.time(name)
        if name != table or not time or not self._rate("new_columns") or end <= self._drift_us:
            return rows
        bits = self._random.bits("new column", keys)
        empty = fraction(bits) >= self._rate("new_columns")
        empty |= _integers(rows[time]) < self._drift_us
        drawn = pa.array((low_fraction(bits) * len(values)).astype(np.int64), mask=empty)
        return rows.append_column(self.domain.schema(name).field(column), pa.array(values).take(drawn))

    def _identities(self, name: str, rows: pa.Table, keys: Keys) -> Keys:
        """A number for each row: not of its key alone, since a row may come again as a later version."""
        time = self._clean.time(name)
        return keys ^ _integers(rows[time]).view(np.uint64) * _ODD if time else keys

    def _numbers(self, name: str, identities: Keys) -> Keys:
        return self._random.bits(f"row of {name}", identities)

    def _damaged(self, name: str, rows: pa.Table, end: int) -> Parts:
        """The rows with their defects and the new column, and the ledger of these."""
        rows = rows.combine_chunks()
        keys, hashes = rows.column(0), hashed(rows.column(0))
        identities = self._identities(name, rows, hashes)
        edges = np.cumsum([self._rate(kind) for kind in OF_A_ROW])
        wrong_rows = self._random.happens(f"defects of {name}", identities, edges[-1])
        identities = identities[wrong_rows]
        kind_of = np.searchsorted(edges, self._random.uniform("kind", identities) * edges[-1], side="right")
        numbers = self._numbers(name, identities)
        rows = self._widened(name, rows, hashes, end)
        found, places, extra = [], [], []
        for kind, column, few in self._targets(name, kind_of, numbers):
            chosen = wrong_rows[few]
            places.append(chosen)
            if column is None:
                found.append(_Found(kind, numbers[few]))
                extra.append(rows.take(pa.array(chosen)))
                continue
            place = rows.column_names.index(column)
            whole = rows.column(place).chunk(0)
            clean = whole.take(pa.array(chosen))
            found.append(_Found(kind, numbers[few], column, clean))
            wrong = DAMAGE[kind](clean, self._random.bits("damage", numbers[few]))
            if kind == "near_duplicates":
                extra.append(rows.take(pa.array(chosen)).set_column(place, rows.schema.field(place), wrong))
            else:
                rows = rows.set_column(place, rows.schema.field(place), replaced(whole, chosen, wrong))
        yield name, pa.concat_tables([rows, *extra])
        if found:
            yield LEDGER, _ledger(name, keys.take(pa.array(np.concatenate(places))), found, end)

    def _targets(self, name: str, drawn: Ints, numbers: Keys) -> Iterator[tuple[str, str | None, Ints]]:
        """(kind, column, places in `drawn`) of the defects of rows. `drawn`: for each of them the index of its kind."""
        columns = self._columns(name)
        counts = np.array([len(one) for one in columns])
        first = np.cumsum(counts) - counts
        target = first[drawn] + (self._random.uniform("column", numbers) * counts[drawn]).astype(np.int64)
        target[counts[drawn] == 0] = -1  # the table has no column for this kind
        in_order = np.argsort(target, kind="stable")
        every = [(kind, column) for kind, some in zip(OF_A_ROW, columns, strict=True) for column in some]
        bounds = np.searchsorted(target[in_order], np.arange(len(every) + 1))
        for (kind, column), (low, high) in zip(every, pairwise(bounds.tolist()), strict=True):
            if low < high:
                yield kind, column, in_order[low:high]

    def _columns_of(self, name: str) -> list[list[str | None]]:
        """For each kind of OF_A_ROW, the columns of a table that can have it; None means the whole row."""
        domain, time = self._clean, self._clean.time(name)
        described = domain.texts(name)
        possible: dict[str, Sequence[str | None]] = {
            "nulls": described,
            "duplicates": [None],
            "near_duplicates": described or ([time] if time else []),
            "out_of_range": domain.amounts(name),
            "broken_references": domain.references(name),
            "encoding": described,
        }
        return [list(possible[kind]) for kind in OF_A_ROW]

    def _choice(self, purpose: str, keys: Keys, size: int) -> Ints:
        chosen: Ints = (self._random.uniform(purpose, keys) * size).astype(np.int64)
        return chosen


@dataclass(frozen=True)
class _Found:
    """Defects of one kind in one column. `column` and `clean`: None if the whole row is meant."""

    kind: str
    numbers: Keys
    column: str | None = None
    clean: pa.Array | None = None


def _ledger(table: str, keys: pa.Array | pa.ChunkedArray, found: Sequence[_Found], end: int) -> pa.Table:
    """The ledger of defects of one table. `keys`: of their rows, in the order of what was found."""
    sizes = [len(one.numbers) for one in found]
    each = pa.array(np.repeat(np.arange(len(found)), sizes))
    columns = [
        texts("d", np.concatenate([one.numbers for one in found]) >> np.uint64(10)),
        pa.array([one.kind for one in found]).take(each),
        pa.repeat(table, len(keys)),
        keys,
        pa.array([one.column for one in found], pa.string()).take(each),
        pa.concat_arrays(
            [
                pa.nulls(size, pa.string()) if one.clean is None else one.clean.cast(pa.string())
                for one, size in zip(found, sizes, strict=True)
            ]
        ),
        pa.repeat(end, len(keys)).cast(TIME),
    ]
    return pa.Table.from_arrays(columns, schema=schema_of(LEDGER_COLUMNS))


def _integers(times: pa.ChunkedArray) -> Ints:
    """Microseconds since 1970, from times in one piece."""
    integers: Ints = times.chunk(0).view(pa.int64()).to_numpy()
    return integers


def _moment(microseconds_: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds_)
