"""Maintenance of tables while readers and writers use them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from floe_runtime.errors import FloeError
from floe_synthetic import Batch, IcebergLoader
from floe_synthetic.maintenance import Maintained, compact, data_bytes, drop_past, expire_snapshots, remove_orphans
from iceberg_tables import AT, BATCH, GENERATOR, assert_once, open_catalog, rows_of, state_of, table_of

BATCHES = [
    Batch(f"batch {number}", {"orders": GENERATOR.batch(f"{number}", AT).tables["orders"]}) for number in range(4)
]
OTHER = Batch("other", {"orders": BATCH.tables["orders"]})
NOTHING = Maintained()
Later = Callable[[timedelta], None]


@pytest.fixture
def loaded(catalog: SqlCatalog) -> SqlCatalog:
    """A catalog with four batches of orders, each in a file of its own."""
    for batch in BATCHES:
        IcebergLoader(catalog).load(batch)
    return catalog


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """A function that advances the clock of maintenance."""

    def advance(time: timedelta) -> None:
        monkeypatch.setattr("floe_synthetic.maintenance.now", lambda: datetime.now(UTC) + time)

    return advance


def files_of(folder: Path, name: str) -> set[Path]:
    return {path for path in folder.rglob(f"{name}/**/*") if path.is_file()}


def test_small_files_become_one_and_the_rows_stay(loaded: SqlCatalog) -> None:
    table, before = table_of(loaded, "orders"), rows_of(loaded, "orders")
    size = data_bytes(table)
    state = state_of(loaded)

    planned = compact(table, dry_run=True)
    assert state_of(loaded) == state
    done = compact(table)

    assert planned == done == Maintained(files=4, bytes=size, written=1)
    assert len(list(table_of(loaded, "orders").scan().plan_files())) == 1
    after = rows_of(loaded, "orders")
    assert after["_loaded_at"].to_pylist() == sorted(before["_loaded_at"].to_pylist())
    assert_once(loaded, *BATCHES)
    assert compact(table) == NOTHING
    assert all(result.skipped for batch in BATCHES for result in IcebergLoader(loaded).load(batch))


def test_compacted_files_are_not_larger_than_the_target(loaded: SqlCatalog) -> None:
    table = table_of(loaded, "orders")
    sizes = [task.file.file_size_in_bytes for task in table.scan().plan_files()]

    done = compact(table, target_bytes=int(max(sizes) * 2.5), min_files=2)

    assert done == Maintained(files=4, bytes=sum(sizes), written=2)
    assert len(list(table_of(loaded, "orders").scan().plan_files())) == 2
    assert_once(loaded, *BATCHES)


def test_files_of_different_days_are_not_merged_and_are_dropped_by_day(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (1, 2):
        monkeypatch.setattr("floe_synthetic.loader.now", lambda day=day: datetime(2025, 3, day, tzinfo=UTC))
        for number in range(2):
            IcebergLoader(catalog).load(BATCHES[2 * (day - 1) + number])

    done = compact(table_of(catalog, "orders"), min_files=2)

    assert (done.files, done.written) == (4, 2)
    assert_once(catalog, *BATCHES)
    monkeypatch.setattr("floe_synthetic.maintenance.now", lambda: datetime(2025, 3, 3, 5, tzinfo=UTC))
    for keep, files in ((2, 0), (1, 1), (1, 0)):
        planned = drop_past(table_of(catalog, "orders"), days=keep, dry_run=True)
        assert drop_past(table_of(catalog, "orders"), days=keep) == planned
        assert planned.files == files
    ids = set(rows_of(catalog, "orders")["_batch_id"].to_pylist())
    assert ids == {batch.batch_id for batch in BATCHES[2:]}


def test_an_append_during_a_compaction_is_kept(
    loaded: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rivals = [lambda: IcebergLoader(open_catalog(folder)).load(OTHER)]
    interrupt(loaded, monkeypatch, rivals)

    done = compact(table_of(loaded, "orders"))

    assert (done.files, done.written, rivals) == (4, 1, [])
    assert len(list(table_of(loaded, "orders").scan().plan_files())) == 2
    assert_once(loaded, *BATCHES, OTHER)


@pytest.mark.parametrize("rival", ["compact", "drop_past"])
def test_a_compaction_whose_files_were_removed_meanwhile_starts_again(
    loaded: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch, later: Later, rival: str
) -> None:
    def act() -> None:
        if rival == "compact":
            compact(table_of(open_catalog(folder), "orders"))
        else:
            later(timedelta(days=3))
            drop_past(table_of(open_catalog(folder), "orders"), days=1)

    interrupt(loaded, monkeypatch, [act])

    assert compact(table_of(loaded, "orders")) == NOTHING

    if rival == "compact":
        assert_once(loaded, *BATCHES)
    else:
        assert rows_of(loaded, "orders").num_rows == 0
    later(timedelta(days=9))
    table = table_of(loaded, "orders")
    expire_snapshots(table, older_than=timedelta(hours=1))
    remove_orphans(table)
    parquet = [path for path in files_of(folder, "orders") if path.suffix == ".parquet"]
    assert len(parquet) == len(list(table.scan().plan_files()))


def test_an_append_whose_base_expired_meanwhile_is_kept(
    loaded: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def maintain() -> None:
        table = table_of(open_catalog(folder), "orders")
        compact(table)
        assert expire_snapshots(table, older_than=timedelta(0)).snapshots == len(BATCHES)

    interrupt(loaded, monkeypatch, [maintain])

    assert not any(done.skipped for done in IcebergLoader(loaded).load(OTHER))
    assert_once(loaded, *BATCHES, OTHER)


def interrupt(catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch, actions: list[Callable[[], Any]]) -> None:
    """Before each commit, do the next of the given things, which another process could do at this moment."""
    commit = catalog.commit_table

    def interrupted(*arguments: Any) -> Any:
        if actions:
            actions.pop(0)()
        return commit(*arguments)

    monkeypatch.setattr(catalog, "commit_table", interrupted)


def test_snapshots_expire_only_some_time_after_they_were_replaced(loaded: SqlCatalog, later: Later) -> None:
    table = table_of(loaded, "orders")
    oldest = table.snapshots()[0].snapshot_id
    table.manage_snapshots().create_tag(oldest, "audit").commit()

    assert expire_snapshots(table, older_than=timedelta(hours=1)) == NOTHING
    later(timedelta(hours=2))
    assert expire_snapshots(table, older_than=timedelta(hours=1), keep=2, dry_run=True) == Maintained(snapshots=1)
    assert len(table_of(loaded, "orders").snapshots()) == 4
    assert expire_snapshots(table, older_than=timedelta(hours=1), keep=2) == Maintained(snapshots=1)
    assert expire_snapshots(table, older_than=timedelta(hours=1)) == Maintained(snapshots=1)

    left = table_of(loaded, "orders").snapshots()
    assert [snapshot.snapshot_id for snapshot in left] == [oldest, table.metadata.current_snapshot_id]
    assert_once(loaded, *BATCHES)


def test_an_old_snapshot_that_was_replaced_just_now_stays_for_its_readers(loaded: SqlCatalog, later: Later) -> None:
    table = table_of(loaded, "orders")
    reader = table.scan()
    later(timedelta(hours=2))  # since then, nobody has changed the table
    expire_snapshots(table, older_than=timedelta(hours=1))
    compact(table)
    later(timedelta(minutes=59))

    assert expire_snapshots(table, older_than=timedelta(hours=1)) == NOTHING
    remove_orphans(table, older_than=timedelta(hours=1))

    assert reader.to_arrow().num_rows == rows_of(loaded, "orders").num_rows


def test_unused_files_disappear_and_no_other(loaded: SqlCatalog, folder: Path, later: Later) -> None:
    table = table_of(loaded, "orders")
    compact(table)
    stray = folder / "warehouse" / "raw" / "orders" / "data" / "of an interrupted writer.parquet"
    stray.write_bytes(b"rows")
    IcebergLoader(loaded).load(Batch("other", {"products": GENERATOR.reference().tables["products"]}))
    elsewhere = files_of(folder, "products")
    assert remove_orphans(table) == NOTHING  # the stray file may be about to be committed

    later(timedelta(hours=2))
    expire_snapshots(table, older_than=timedelta(hours=1))
    before = files_of(folder, "orders")
    planned = remove_orphans(table, older_than=timedelta(hours=1), dry_run=True)
    assert files_of(folder, "orders") == before
    sizes = {path: path.stat().st_size for path in before}
    assert remove_orphans(table, older_than=timedelta(hours=1)) == planned

    gone = before - files_of(folder, "orders")
    assert stray in gone
    assert planned == Maintained(files=len(gone), bytes=sum(sizes[path] for path in gone))
    assert len([path for path in gone if path.suffix == ".parquet"]) == len(BATCHES) + 1
    assert files_of(folder, "products") == elsewhere
    assert rows_of(loaded, "orders").num_rows == sum(batch.tables["orders"].num_rows for batch in BATCHES)
    IcebergLoader(loaded).load(OTHER)


def test_data_bytes_counts_files_until_their_snapshot_expires(loaded: SqlCatalog, folder: Path, later: Later) -> None:
    def on_disk() -> int:
        return sum(path.stat().st_size for path in files_of(folder, "orders") if path.suffix == ".parquet")

    table = table_of(loaded, "orders")
    assert data_bytes(table) == on_disk()
    compact(table)
    assert data_bytes(table) == on_disk()
    later(timedelta(hours=2))
    expire_snapshots(table, older_than=timedelta(hours=1))
    remove_orphans(table, older_than=timedelta(hours=1))
    assert data_bytes(table) == on_disk() < 30_000


def test_wrong_arguments_are_refused(loaded: SqlCatalog) -> None:
    table, state = table_of(loaded, "orders"), state_of(loaded)

    with pytest.raises(FloeError, match=r"files of raw\.orders that are only 0:59:00 old cannot be removed"):
        remove_orphans(table, older_than=timedelta(minutes=59))
    with pytest.raises(FloeError, match=r"raw\.orders has no column status that holds a time"):
        drop_past(table, days=1, column="status")
    with pytest.raises(FloeError, match="the days to keep cannot be -1"):
        drop_past(table, days=-1)
    assert state_of(loaded) == state


def test_files_outside_of_the_location_of_the_table_are_never_taken_for_unused(
    loaded: SqlCatalog, monkeypatch: pytest.MonkeyPatch, later: Later
) -> None:
    IcebergLoader(loaded).load(OTHER)
    IcebergLoader(loaded, "elsewhere").load(OTHER)
    later(timedelta(days=2))
    # As if the storage listed the files under other names than the metadata have.
    table = table_of(loaded, "orders")
    monkeypatch.setattr(table, "location", loaded.load_table("elsewhere.orders").location)

    with pytest.raises(FloeError, match=r"the files of raw\.orders are not in its location"):
        remove_orphans(table)
    assert_once(loaded, *BATCHES, OTHER)
    assert loaded.load_table("elsewhere.orders").scan().to_arrow().num_rows == OTHER.tables["orders"].num_rows


def test_a_catalog_that_fails_during_maintenance_is_reported(
    loaded: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of(loaded, "orders")

    def unreachable(*_: object) -> None:
        raise ConnectionResetError(104, "secret")

    monkeypatch.setattr(loaded, "commit_table", unreachable)
    with pytest.raises(FloeError, match=r"raw\.orders: compact failed: Connection reset by peer"):
        compact(table)
    assert_once(open_catalog(folder), *BATCHES)


def test_a_table_without_the_columns_of_the_loader_is_compacted_as_well(catalog: SqlCatalog) -> None:
    rows = pa.table({"day": pa.array([1, 2, 3])})
    catalog.create_namespace("marts")
    table = catalog.create_table("marts.days", rows.schema)
    for _ in range(4):
        table.append(rows)

    assert compact(table).written == 1
    assert sorted(table.scan().to_arrow()["day"].to_pylist()) == sorted([1, 2, 3] * 4)
