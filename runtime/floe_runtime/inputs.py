"""What a run reads: the rows that are new in the raw tables, and the marts as they were published together last.

After a publication, the table `publications` in the namespace of the marts names the snapshots of all marts that belong
together, and up to which snapshot of each raw table they contain its rows. The next run starts from there. Marts that
were published later, by a run that was killed before it could name them, are set back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from pydantic import BaseModel
from pyiceberg.catalog import Catalog
from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import CommitFailedException, NoSuchNamespaceError, NoSuchTableError
from pyiceberg.expressions import AlwaysFalse, AlwaysTrue, And, BooleanExpression, GreaterThanOrEqual, LessThanOrEqual
from pyiceberg.manifest import DataFile, ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot, ancestors_of
from pyiceberg.types import TimestamptzType

from floe_runtime.errors import FloeError

TABLE = "publications"
"""Name of the table in the namespace of the marts."""

PROPERTY = "floe.publication"
"""The property of a snapshot of that table that holds the publication."""

FENCE = {"commit.retry.num-retries": "0"}
"""Properties of a mart's table: a commit that is based on a snapshot which is no longer the current one fails."""

LOADED_AT = "_loaded_at"
_MAINTENANCE = "floe.maintenance"  # floe_synthetic.maintenance sets it: such a snapshot brings no new rows
_CLOCKS_DIFFER = timedelta(days=1)
_DAY_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


class Superseded(FloeError):
    """A publication was refused, because another one was made in the meantime."""

    exit_code = 1

    def __init__(self, what: str) -> None:
        """`what`: what has changed since the run began."""
        super().__init__(
            f"{what} since this run began: nothing more is published", "The next run continues from there."
        )


class Position(BaseModel):
    """How far a raw table is contained in the marts: a snapshot, and the latest `_loaded_at` until then."""

    snapshot_id: int | None = None
    loaded_at: datetime | None = None


class Publication(BaseModel):
    """Marts that belong together. `marts`: snapshot ids by name; `raw`: what they contain; `newest`: latest day."""

    number: int = 0
    run_id: str = ""
    marts: dict[str, int | None] = {}
    raw: dict[str, Position] = {}
    newest: date | None = None


class Raw(BaseModel):
    """A raw table in a run, which reads it `whole`, or only rows loaded at `since` or later; None: no row.

    `until`: and no row that was loaded later.
    """

    position: Position
    whole: bool = True
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the run reads no row."""
        return not self.whole and self.since is None

    @property
    def _bounds(self) -> dict[str, datetime]:
        bounds = {">=": None if self.whole else self.since, "<=": self.until}
        return {sign: at for sign, at in bounds.items() if at}

    def condition(self, kind: str) -> str:
        """The condition of SQL for the rows; empty if that is all. `kind`: the name of the type of times with zone."""
        if self.is_empty:
            return "false"
        bounds = (f"{LOADED_AT} {sign} {kind} '{at.isoformat(sep=' ')}'" for sign, at in self._bounds.items())
        return " and ".join(bounds)

    def expression(self) -> BooleanExpression:
        """The condition of Iceberg for the files that may have such rows."""
        if self.is_empty:
            return AlwaysFalse()
        found: BooleanExpression = AlwaysTrue()
        for sign, at in self._bounds.items():
            found = And(found, (GreaterThanOrEqual if sign == ">=" else LessThanOrEqual)(LOADED_AT, at.isoformat()))  # type: ignore[misc, call-arg, arg-type] # mypy assumes pydantic's __init__
        return found


class Inputs(BaseModel):
    """What a run reads. `since`: the day from which it sees the marts that have days; None: it builds everything."""

    raw_namespace: str
    marts_namespace: str
    last: Publication = Publication()
    since: date | None = None
    raw: dict[str, Raw] = {}
    event_times: dict[str, str | None] = {}
    """By mart: the column whose day partitions it."""
    part: int = 1
    parts: int = 1
    """A run that has much to read does so in parts (floe_runtime.parts)."""

    @property
    def incremental(self) -> bool:
        """Whether the run adds to what is published."""
        return self.since is not None

    def variables(self) -> dict[str, object]:
        """The variables of dbt. In a run that builds everything, `published_since` is empty."""
        conditions = {name: raw.condition("timestamp") for name, raw in self.raw.items()}
        loaded = {name: condition for name, condition in conditions.items() if condition}
        return {"published_since": str(self.since or ""), "loaded": loaded}


def inputs_of(
    catalog: Catalog,
    raw_namespace: str,
    marts_namespace: str,
    marts: Mapping[str, str | None],
    by_load_time: Collection[str],
    lookback_days: int,
    *,
    full_refresh: bool,
    again_since: date | None = None,
) -> Inputs:
    """What a run has to read.

    `marts`: the marts of the project, each with the column whose day partitions it, or None. `by_load_time`: the raw
    tables of which a run reads only new rows. A run builds everything if `full_refresh` says so, or a mart is new. With
    `again_since`, it also works through the rows that were loaded on that day or later, which may change marts from
    `lookback_days` before it on.
    """
    catalog.create_namespace_if_not_exists(marts_namespace)
    last = last_publication(catalog, marts_namespace)
    _set_back(catalog, marts_namespace, last)
    inputs = Inputs(raw_namespace=raw_namespace, marts_namespace=marts_namespace, last=last, event_times=dict(marts))
    if set(last.marts) == set(marts) and not full_refresh:
        newest = last.newest or date.min
        inputs.since = _days_before(min(newest, again_since or newest), lookback_days)
    known = last.raw if inputs.incremental else {}
    inputs.raw = raw_of(catalog, raw_namespace, {name: known.get(name, Position()) for name in by_load_time})
    if again_since:
        moment = datetime(again_since.year, again_since.month, again_since.day, tzinfo=UTC)
        for raw in inputs.raw.values():
            raw.since = min(raw.since or moment, moment)
    return inputs


def _days_before(day: date, number: int) -> date:
    return date.fromordinal(max(day.toordinal() - number, 1))


def raw_of(catalog: Catalog, namespace: str, known: Mapping[str, Position]) -> dict[str, Raw]:
    """What a run has to read of each raw table: only what is new after a known position, otherwise the whole table."""
    found = {}
    for name in _tables(catalog, namespace):
        table, before = catalog.load_table((namespace, name)), known.get(name, Position())
        bounds = [bound for snapshot in _new_snapshots(table, before) for bound in _load_times(table, snapshot)]
        latest = max((latest for _, latest in bounds), default=before.loaded_at)
        position = Position(snapshot_id=table.metadata.current_snapshot_id, loaded_at=latest)
        since = min((earliest for earliest, _ in bounds), default=None)
        if before.loaded_at and not _is_ancestor(table, before):  # it has expired
            since = before.loaded_at - _CLOCKS_DIFFER
        found[name] = Raw(position=position, whole=before.loaded_at is None, since=since)
    return found


def last_publication(catalog: Catalog, namespace: str) -> Publication:
    """What was published last; without marts if nothing was."""
    try:
        snapshot = catalog.load_table((namespace, TABLE)).current_snapshot()
    except NoSuchTableError:
        return Publication()
    text = snapshot.summary.get(PROPERTY) if snapshot and snapshot.summary else None
    return Publication.model_validate_json(text) if text else Publication()


def conclude(catalog: Catalog, inputs: Inputs, publication: Publication) -> None:
    """Name the marts of a publication as those that belong together, in one commit.

    Raises Superseded if another publication was concluded since the run began, or a mart is not as it was published.
    """
    namespace = inputs.marts_namespace
    for name, snapshot_id in publication.marts.items():
        if catalog.load_table((namespace, name)).metadata.current_snapshot_id != snapshot_id:
            raise Superseded(f"the mart {name} was published by another run")
    _write(catalog, namespace, publication, inputs.last)


def renew(catalog: Catalog, namespace: str) -> None:
    """Set the marts back to the last publication, and let it name the snapshots of maintenance instead of those before.

    Otherwise it would name snapshots that expire. Raises Superseded if another publication is concluded meanwhile.
    """
    last = last_publication(catalog, namespace)
    before = dict(last.marts)
    _set_back(catalog, namespace, last)
    if last.marts != before and last.marts:
        _write(catalog, namespace, last.model_copy(update={"number": last.number + 1}), last)


def _write(catalog: Catalog, namespace: str, publication: Publication, last: Publication) -> None:
    """Commit a publication, if `last` is still the last one."""
    from floe_synthetic.datafiles import exchange, write_rows

    number, now = publication.number, datetime.now(UTC).replace(tzinfo=None)
    row = pa.table({"publication": pa.array([number], pa.int64()), "published_at": pa.array([now], pa.timestamp("us"))})
    table = catalog.create_table_if_not_exists((namespace, TABLE), schema=row.schema, properties=FENCE)
    if last_publication(catalog, namespace).number != last.number:
        raise Superseded("another run has published")
    current = table.metadata.current_snapshot_id
    old = [task.file for task in table.scan().plan_files()] if current else []
    try:
        exchange(table, old, write_rows(table, row, []), {PROPERTY: publication.model_dump_json()})
    except CommitFailedException:
        raise Superseded("another run has published") from None


def _set_back(catalog: Catalog, namespace: str, last: Publication) -> None:
    """Let each mart be as it was published together with the others; if that is gone, nothing counts as published.

    A snapshot of maintenance has the same rows, so it takes the place of the one that was published.
    """
    for name, snapshot_id in list(last.marts.items()):
        try:
            table = catalog.load_table((namespace, name))
        except NoSuchTableError:
            table = None
        if table is None or snapshot_id is None or table.snapshot_by_id(snapshot_id) is None:
            last.marts = {}
            return
        known = Position(snapshot_id=snapshot_id)
        if _is_ancestor(table, known) and not any(_new_snapshots(table, known)):
            last.marts[name] = table.metadata.current_snapshot_id
        else:
            table.manage_snapshots().set_current_snapshot(snapshot_id).commit()


def _tables(catalog: Catalog, namespace: str) -> list[str]:
    try:
        return sorted(identifier[-1] for identifier in catalog.list_tables(namespace))
    except NoSuchNamespaceError:
        return []


def _is_ancestor(table: Table, known: Position) -> bool:
    line = ancestors_of(table.current_snapshot(), table.metadata)
    return any(snapshot.snapshot_id == known.snapshot_id for snapshot in line)


def _new_snapshots(table: Table, known: Position) -> Iterator[Snapshot]:
    """The snapshots after the known one that may have brought rows, the latest first."""
    for snapshot in ancestors_of(table.current_snapshot(), table.metadata):
        if snapshot.snapshot_id == known.snapshot_id:
            return
        summary = snapshot.summary
        if summary is None or (
            _MAINTENANCE not in summary.additional_properties and summary.operation != Operation.REPLACE
        ):
            yield snapshot


def load_times(table: Table, file: DataFile) -> tuple[datetime, datetime]:
    """The earliest and latest load time of a file's rows; if they are unknown, a time before all others."""
    field = next((one for one in table.schema().fields if one.name == LOADED_AT), None)
    if field and file.lower_bounds and field.field_id in file.lower_bounds and file.upper_bounds:
        return _moment(file.lower_bounds[field.field_id]), _moment(file.upper_bounds[field.field_id])
    return _DAY_ZERO, _DAY_ZERO


def _load_times(table: Table, snapshot: Snapshot) -> Iterator[tuple[datetime, datetime]]:
    """The earliest and latest load time of each file that a snapshot added."""
    for manifest in snapshot.manifests(table.io):
        if manifest.added_snapshot_id != snapshot.snapshot_id:
            continue
        for entry in manifest.fetch_manifest_entry(table.io):
            if entry.snapshot_id != snapshot.snapshot_id or entry.status != ManifestEntryStatus.ADDED:
                continue
            yield load_times(table, entry.data_file)


def _moment(bound: bytes) -> datetime:
    microseconds: int = from_bytes(TimestamptzType(), bound)  # type: ignore[assignment] # not typed by PyIceberg
    return _DAY_ZERO + timedelta(microseconds=microseconds)
