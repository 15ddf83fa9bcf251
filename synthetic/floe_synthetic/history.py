"""Continues a history in Iceberg: what happened from the end of what was loaded last until a given time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from floe_synthetic.ecommerce import EcommerceGenerator
from floe_synthetic.loader import Appended, IcebergLoader
from floe_synthetic.schema import TABLES

HISTORIES = tuple(name for name in TABLES if name != "products")
"""The tables to which every window adds."""

_ORDERS = 250_000
"""About how many orders a batch has at most, so that a long history is loaded in bounded memory."""


def continued(
    loader: IcebergLoader, generator: EcommerceGenerator, until: datetime, first: timedelta
) -> Iterator[Appended]:
    """Load what is missing until a time, which is excluded, and yield what was added to each table, batch by batch.

    `first`: how long a history is that begins now. What was missed is caught up, and nothing is loaded twice: after a
    failure, when this is repeated, and when another process does the same. A time that was loaded already adds nothing.
    Raises WrongWindowError if another process has loaded another window in the meantime.
    """
    until = until.astimezone(UTC)
    ends = loader.loaded_until(TABLES)
    known = {end for name, end in ends.items() if end and name in HISTORIES}
    # A failure between two tables leaves different ends. Each table has all windows up to its own end, so the windows
    # between the ends complete the others.
    start = min(known, default=max(until - first, generator.opened))
    begin = ends["products"] or start
    if None in ends.values():
        yield from loader.load(generator.reference(start))
    for since, end in pairwise(sorted({start, *known, max(until, start)})):
        yield from _loaded(loader, generator, since, end, begin)


def _loaded(
    loader: IcebergLoader, generator: EcommerceGenerator, since: datetime, until: datetime, begin: datetime
) -> Iterator[Appended]:
    longest = timedelta(days=max(1, int(_ORDERS / generator.orders_per_day)))
    while since < until:
        end = min(since + longest, until)
        yield from loader.load(generator.batch(since, end, begin))
        since = end
