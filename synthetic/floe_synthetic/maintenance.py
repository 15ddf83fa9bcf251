"""Keeps Iceberg tables small: expires snapshots, compacts small files, drops old days, and deletes unused files.

Readers and writers may use the table at the same time. Each function first reads the table's current state. With
`dry_run` it changes nothing and reports what it would do. Only `remove_orphans` deletes files: the others make files
unused, and a reader of the previous snapshot still needs them. The usual order is `drop_past`, `compact`,
`expire_snapshots`, `remove_orphans`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pyarrow.fs as fs
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.expressions import AlwaysTrue, LessThan
from pyiceberg.io.pyarrow import ArrowScan, PyArrowFileIO
from pyiceberg.manifest import DataFile, ManifestFile
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.snapshots import Snapshot, ancestors_of
from pyiceberg.types import TimestamptzType

from floe_runtime.errors import FloeError
from floe_synthetic.datafiles import discard, exchange, in_a_sentence, now, partition_values, time_bound, write_rows
from floe_synthetic.schema import LOADED_AT

MAINTENANCE_PROPERTY = "floe.maintenance"
"""The property of a snapshot's summary that holds the name of the function that made it."""

_ATTEMPTS = 5
_SHORTEST_GUARD = timedelta(hours=1)
_MICROSECOND = timedelta(microseconds=1)
_DAY_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Maintained:
    """What a function did, or would do: expired snapshots; files that it removed, and their bytes; files that it wrote.

    A file removed from the table's current snapshot stays on the disk until `remove_orphans` deletes it.
    """

    snapshots: int = 0
    files: int = 0
    bytes: int = 0
    written: int = 0


def data_bytes(table: Table) -> int:
    """The bytes of all data files that the table's snapshots refer to, from their summaries, without reading a file."""
    snapshots = sorted(table.metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)
    oldest = [_count(snapshot, "total-files-size") for snapshot in snapshots[:1]]
    return sum(oldest) + sum(_count(snapshot, "added-files-size") for snapshot in snapshots[1:])


def expire_snapshots(table: Table, *, older_than: timedelta, keep: int = 1, dry_run: bool = False) -> Maintained:
    """Expire snapshots that have not been the current one for `older_than`, except the last `keep` snapshots.

    So a reader has at least `older_than` to finish, however old the snapshot is that it reads. Snapshots that a branch
    or a tag refers to are kept. Raises FloeError if the catalog fails.
    """

    def attempt() -> Maintained:
        ids = _expired(table, now() - older_than, keep)
        if ids and not dry_run:
            table.maintenance.expire_snapshots().by_ids(ids).commit()
        return Maintained(snapshots=len(ids))

    return _repeated(table, "expire_snapshots", attempt)


def compact(
    table: Table, *, target_bytes: int = 64 * 1024 * 1024, min_files: int = 4, dry_run: bool = False
) -> Maintained:
    """Merge small files of the same partition into files of at most about `target_bytes`, sorted as the table is.

    A partition is left alone if it has fewer than `min_files` files below three quarters of `target_bytes`. The memory
    needed is that of the rows of one new file. All files are exchanged in one commit; if another writer has removed one
    of them, the work is planned again. Raises FloeError if the catalog or the storage fails, and then nothing has
    changed.
    """

    def attempt() -> Maintained:
        groups = list(_groups(table, target_bytes, min_files))
        old = [task.file for group in groups for task in group]
        done = Maintained(files=len(old), bytes=sum(file.file_size_in_bytes for file in old), written=len(groups))
        if groups and not dry_run:
            exchange(table, old, _merged(table, groups), {MAINTENANCE_PROPERTY: "compact"})
        return done

    return _repeated(table, "compact", attempt)


def drop_past(table: Table, *, days: int, column: str = LOADED_AT, dry_run: bool = False) -> Maintained:
    """Remove the files whose rows are all from before the last `days` full days (UTC), by the time in `column`.

    Only whole files are removed: in a table partitioned by the day of the column, that is all such rows. Raises
    FloeError if the table has no such column, and if the catalog or the storage fails.
    """
    if days < 0:
        raise FloeError(f"the days to keep cannot be {days}", "Give the number of full days to keep: 0 or more.")
    if not any(field.name == column and field.field_type == TimestamptzType() for field in table.schema().fields):
        hint = "Name a column that holds a time with a time zone."
        raise FloeError(f"table {'.'.join(table.name())} has no column {column} that holds a time", hint)
    end = now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)

    def attempt() -> Maintained:
        past = LessThan(column, end.isoformat())  # type: ignore[misc, call-arg, arg-type] # mypy assumes pydantic's __init__
        last = {task.file: time_bound(table, task.file, column, upper=True) for task in table.scan(past).plan_files()}
        old = [
            file for file, moment in last.items() if moment is not None and moment < (end - _DAY_ZERO) // _MICROSECOND
        ]
        if old and not dry_run:
            exchange(table, old, [], {MAINTENANCE_PROPERTY: "drop_past"})
        return Maintained(files=len(old), bytes=sum(file.file_size_in_bytes for file in old))

    return _repeated(table, "drop_past", attempt)


def remove_orphans(table: Table, *, older_than: timedelta = timedelta(days=1), dry_run: bool = False) -> Maintained:
    """Delete the files in the table's location that no snapshot refers to and that were written before `older_than`.

    Such files come from expired snapshots and from interrupted writers. `older_than` protects files of a writer that
    has not committed yet. It is at least one hour. Raises FloeError if it is shorter, if the table's storage cannot be
    listed, and if the storage fails.
    """
    name = ".".join(table.name())
    if older_than < _SHORTEST_GUARD:
        hint = f"Give {_SHORTEST_GUARD} or more: a writer may not have committed its files yet."
        raise FloeError(f"files of {name} that are only {older_than} old cannot be removed", hint)
    with in_a_sentence(f"{name}: unused files could not be removed", "Remedy that and repeat it."):
        storage = table.io
        if not isinstance(storage, PyArrowFileIO):
            raise FloeError(
                f"the files of {name} cannot be listed through {type(storage).__name__}", "Use PyArrow's FileIO."
            )
        scheme, netloc, folder = storage.parse_location(table.location(), storage.properties)
        system = storage.fs_by_scheme(scheme, netloc)
        # First the files, then the references: what is committed in between is in no listing.
        listed = {
            file.path: file for file in system.get_file_info(fs.FileSelector(folder, recursive=True)) if file.is_file
        }
        used = {storage.parse_location(location, storage.properties)[2] for location in _references(table.refresh())}
        if storage.parse_location(table.metadata_location, storage.properties)[2] not in listed:
            # The paths of listing and metadata do not match. Every file would appear to be unused.
            raise FloeError(f"the files of {name} are not in its location {table.location()}", "Nothing was removed.")
        before = now() - older_than
        unused = [file for path, file in listed.items() if path not in used and file.mtime < before]
        if not dry_run:
            for file in unused:
                with suppress(FileNotFoundError):  # another process removes the same files
                    system.delete_file(file.path)
    return Maintained(files=len(unused), bytes=sum(file.size for file in unused))


def _count(snapshot: Snapshot, name: str) -> int:
    return int(snapshot.summary.get(name) or 0) if snapshot.summary is not None else 0


def _repeated(table: Table, what: str, attempt: Callable[[], Maintained]) -> Maintained:
    """The result of the first attempt in which no other writer was in the way."""
    name = ".".join(table.name())
    with in_a_sentence(f"{name}: {what} failed", "Nothing was changed. Remedy that and repeat it."):
        for _ in range(_ATTEMPTS):
            table.refresh()
            try:
                return attempt()
            except (CommitFailedException, ValidationException):
                continue
    raise FloeError(f"{name}: {what} failed: other writers were faster in {_ATTEMPTS} attempts", "Repeat it later.")


def _expired(table: Table, before: datetime, keep: int) -> list[int]:
    """The ids of the snapshots that were replaced before this time, without the last `keep` and those with a name."""
    line = list(ancestors_of(table.current_snapshot(), table.metadata))
    replaced_at = {older.snapshot_id: newer.timestamp_ms for newer, older in pairwise(line)}
    kept = {snapshot.snapshot_id for snapshot in line[: max(keep, 1)]}
    kept |= {ref.snapshot_id for ref in table.metadata.refs.values()}
    return [
        snapshot.snapshot_id
        for snapshot in table.metadata.snapshots
        if snapshot.snapshot_id not in kept
        and replaced_at.get(snapshot.snapshot_id, snapshot.timestamp_ms) < before.timestamp() * 1000
    ]


def _groups(table: Table, target_bytes: int, min_files: int) -> Iterator[list[FileScanTask]]:
    """The files to merge: each group becomes one new file."""
    partitions = defaultdict(list)
    for task in table.scan().plan_files():
        # Files of an earlier partition spec stay as they are.
        if task.file.spec_id == table.spec().spec_id and task.file.file_size_in_bytes < target_bytes * 3 // 4:
            partitions[partition_values(task.file.partition)].append(task)
    for tasks in partitions.values():
        if len(tasks) >= min_files:
            tasks.sort(key=lambda task: (time_bound(table, task.file, LOADED_AT) or 0, task.file.file_path))
            yield from (group for group in _packed(tasks, target_bytes) if len(group) > 1)


def _packed(tasks: list[FileScanTask], target_bytes: int) -> Iterator[list[FileScanTask]]:
    """The files in groups of at most `target_bytes`, without changing their order."""
    group: list[FileScanTask] = []
    size = 0
    for task in tasks:
        if group and size + task.file.file_size_in_bytes > target_bytes:
            yield group
            group, size = [], 0
        group.append(task)
        size += task.file.file_size_in_bytes
    yield group


def _merged(table: Table, groups: list[list[FileScanTask]]) -> list[DataFile]:
    """Write the rows of each group into one new file."""
    columns = [table.schema().find_field(field.source_id).name for field in table.sort_order().fields]
    files: list[DataFile] = []
    try:
        for group in groups:
            rows = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue()).to_table(group)
            if columns:
                rows = rows.sort_by([(column, "ascending") for column in columns])
            files += write_rows(table, rows, partition_values(group[0].file.partition), one_file=True)
    except BaseException:
        discard(table, files)
        raise
    return files


def _references(table: Table) -> Iterator[str]:
    """The locations of all files that the table's metadata refers to."""
    metadata = table.metadata
    yield table.metadata_location
    yield from (entry.metadata_file for entry in metadata.metadata_log)
    yield from (statistics.statistics_path for statistics in metadata.statistics)
    yield from (statistics.statistics_path for statistics in metadata.partition_statistics)
    manifests: dict[str, ManifestFile] = {}
    for snapshot in metadata.snapshots:
        yield snapshot.manifest_list
        manifests |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(table.io)}
    yield from manifests
    for manifest in manifests.values():
        yield from (entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))
