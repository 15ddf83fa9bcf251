"""Batch, which generators create and loaders load."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Batch:
    """Rows that belong together under one id.

    `tables` maps the name of a table to its rows, whose Arrow schema defines the table: a field that is not nullable is
    required, and its metadata `doc` is the column's comment. The tables are in loading order, parents before children.
    The id determines the content: a batch that is generated again with the same id has the same rows. To load a batch
    again adds no rows.

    `until`: the time up to which the rows are complete, without that time, if the batch is part of a history; `since`:
    the time from which, or None if it is the beginning. Such a batch has every table of the history, with or without
    rows. Other batches leave a table without rows out.
    """

    batch_id: str
    tables: "dict[str, pa.Table]"
    since: datetime | None = None
    until: datetime | None = None


def window_id(since: datetime, until: datetime) -> str:
    """The id of the batch of a window: both times in UTC. The end comes first, so that ids sort by it."""
    end, start = (moment.astimezone(UTC).isoformat() for moment in (until, since))
    return f"{end} from {start}"
