"""Continues a history in Iceberg: what happened from the end of what was loaded last until a given time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from floe_runtime.errors import FloeError
from floe_synthetic.defects import LEDGER
from floe_synthetic.domain import Domain
from floe_synthetic.entities import Generates
from floe_synthetic.loader import Appended, IcebergLoader

_ROWS = 1_000_000
"""About how many rows a batch has at most, so that a long history is loaded in bounded memory."""
_FIRST, _GROWTH = timedelta(hours=1), 24
"""The longest first window of a load, whose pace is not known yet, and how much longer the next window may be."""


def continued(loader: IcebergLoader, generator: Generates, until: datetime, first: timedelta) -> Iterator[Appended]:
    """Load what is missing until a time, which is excluded, and yield what was added to each table, batch by batch.

    `first`: how long a history is that begins now. What was missed is caught up, and nothing is loaded twice: after a
    failure, when this is repeated, and when another process does the same. A time that was loaded already adds nothing.

    Raises WrongWindowError if another process has loaded another window in the meantime, and FloeError if the tables
    have defects and the generator has none, or the other way round.
    """
    until, domain = until.astimezone(UTC), generator.domain
    ends = loader.loaded_until({LEDGER, *domain.tables})
    _refuse_other_defects(loader, domain, ends)
    # A failure between two tables leaves different ends. Each table has all windows up to its own end, so the windows
    # between the ends complete the others.
    known = {name: end for name, end in ends.items() if end and name not in domain.catalogue}
    start = min(known.values(), default=max(until - first, generator.opened))
    begin = (loader.begun(next(iter(known))) if known else None) or start
    if any(ends[name] is None for name in domain.tables):
        yield from loader.load(generator.reference(start))
    for since, end in pairwise(sorted({start, *known.values(), max(until, start)})):
        yield from _loaded(loader, generator, since, end, begin)


def _loaded(
    loader: IcebergLoader, generator: Generates, since: datetime, until: datetime, begin: datetime
) -> Iterator[Appended]:
    longest = _FIRST
    while since < until:
        end = min(since + longest, until)
        batch = generator.batch(since, end, begin)
        yield from loader.load(batch)
        rows = sum(table.num_rows for table in batch.tables.values())
        longest = (end - since) * min(_ROWS / max(rows, 1), _GROWTH)
        since = end


def _refuse_other_defects(loader: IcebergLoader, domain: Domain, ends: Mapping[str, datetime | None]) -> None:
    """Raise FloeError if the tables and the generator do not agree on whether there are defects.

    The ledger is the first table of a batch, so it is never missing after a failure.
    """
    has_ledger, has_others = bool(ends[LEDGER]), any(end for name, end in ends.items() if name != LEDGER)
    if (has_ledger or has_others) and has_ledger != (LEDGER in domain.tables):
        words = ("with", "without") if has_ledger else ("without", "with")
        raise FloeError(
            f"the tables of {loader.namespace} were loaded {words[0]} defects, and cannot be continued {words[1]}: "
            "rows that arrive late would be lost or there twice",
            "Load into a namespace of its own, or drop the tables first.",
        )
