"""Processes that are killed while they load or maintain a table, storage that is full, a catalog that goes away."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from floe_runtime.errors import FloeError
from floe_synthetic import Batch, IcebergLoader
from floe_synthetic.maintenance import compact, expire_snapshots, remove_orphans
from fuzz import inputs
from iceberg_tables import AT, BATCH, GENERATOR, assert_once, open_catalog, rows_of, state_of, table_of

# A server that has imported the packages forks in milliseconds, and copies no thread of this process.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "faker",
        "floe_synthetic.ecommerce",
        "floe_synthetic.loader",
        "hypothesis",
        "pyiceberg.catalog.sql",
        "pytest",
        "sqlite3",
    ]
)

KILLS = inputs(5)
"""100 of them: FLOE_FUZZ=20 make test ARGS=tests/integration/iceberg/test_crashes.py"""


def batch_of(number: int) -> Batch:
    return GENERATOR.batch(f"{number:06}", AT)


def load_and_compact(folder: Path, number: int, started: Connection) -> None:
    """Load a batch. Every fourth time, compact the table of orders and expire its snapshots afterwards."""
    catalog, batch = open_catalog(folder), batch_of(number)
    started.send(None)
    IcebergLoader(catalog).load(batch)
    if number % 4 == 3:
        compact(table_of(catalog, "orders"), min_files=2)
        expire_snapshots(table_of(catalog, "orders"), older_than=timedelta(0))
    started.send(None)


def kill_during_a_load(folder: Path, number: int, seconds: float) -> float | None:
    """Kill a process this long after it began to load. Return how long it took if it finished before."""
    receive, send = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=load_and_compact, args=(folder, number, send))
    process.start()
    send.close()
    receive.recv()
    started = time.monotonic()
    took = time.monotonic() - started if receive.poll(seconds) else None
    if process.pid is not None and took is None:
        os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    assert process.exitcode == (0 if took is not None else -signal.SIGKILL)
    return took


def test_killed_loads_are_completed_by_a_retry(
    catalog: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    took = kill_during_a_load(folder, 0, 60)
    assert took is not None
    chance, batches, killed, partial = random.Random(), [batch_of(0)], 0, 0
    while killed < KILLS:
        batches.append(batch_of(len(batches)))
        if kill_during_a_load(folder, len(batches) - 1, chance.uniform(0, took)) is not None:
            continue
        killed += 1
        # Nobody repeats every third load at once: other loads come first.
        if len(batches) % 3:
            results = IcebergLoader(open_catalog(folder)).load(batches[-1])
            partial += len({done.skipped for done in results}) == 2
    for batch in batches:
        IcebergLoader(open_catalog(folder)).load(batch)

    assert_once(catalog, *batches)
    monkeypatch.setattr("floe_synthetic.maintenance.now", lambda: datetime.now(UTC) + timedelta(hours=2))
    orphans = 0
    for name in BATCH.tables:
        table = table_of(catalog, name)
        expire_snapshots(table, older_than=timedelta(hours=1))
        orphans += remove_orphans(table, older_than=timedelta(hours=1)).files
        used = {task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()}
        assert used == {str(path) for path in folder.rglob(f"{name}/**/*.parquet")}
    assert_once(catalog, *batches)
    with capsys.disabled():
        print(f" {killed} kills, {partial} in the middle of a batch, {orphans} files left over and removed", end="")


# A full disk


def load_with_little_space(folder: Path, limit: int, result: Connection) -> None:
    """Load a batch while no file may become larger than this, which fails as on a full disk, but without root."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        IcebergLoader(open_catalog(folder)).load(BATCH)
    except FloeError as error:
        result.send((error.message, error.hint))
    except BaseException as error:
        result.send((repr(error), ""))
    else:
        result.send(("loaded", ""))


def test_a_full_disk_leaves_nothing_half_written(catalog: SqlCatalog, folder: Path) -> None:
    earlier = GENERATOR.batch("earlier", AT)
    IcebergLoader(catalog).load(earlier)
    files = set(folder.rglob("*.parquet"))
    largest = max(path.stat().st_size for path in files)
    receive, send = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=load_with_little_space, args=(folder, largest // 2, send))
    process.start()
    send.close()
    message, hint = receive.recv()
    process.join(60)

    assert message.endswith("could not be read or written: File too large")
    assert "repeat the load: it appends what is missing" in hint
    for name, rows in BATCH.tables.items():
        found = rows_of(catalog, name)["_batch_id"].to_pylist().count("first")
        assert found in (0, rows.num_rows)
    unused = set(folder.rglob("*.parquet")) - files
    used = {task.file.file_path for name in BATCH.tables for task in table_of(catalog, name).scan().plan_files()}
    assert {f"file://{path}" for path in unused} <= used
    IcebergLoader(catalog).load(BATCH)
    assert_once(catalog, earlier, BATCH)


# A catalog that goes away


@pytest.mark.parametrize("landed", [False, True], ids=["before the commit", "after the commit"])
def test_a_catalog_that_goes_away_is_reported_and_a_retry_completes_the_load(
    catalog: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    IcebergLoader(catalog).load(GENERATOR.batch("earlier", AT))
    commit = catalog.commit_table

    def gone(*arguments: object) -> None:
        if landed:
            commit(*arguments)  # type: ignore[arg-type] # passed on as they came
        raise ConnectionError("https://user:secret@catalog")

    monkeypatch.setattr(catalog, "commit_table", gone)
    with pytest.raises(FloeError) as error:
        IcebergLoader(catalog).load(BATCH)

    assert (
        error.value.message == "raw.customers could not be read or written: storage or catalog failed (ConnectionError)"
    )
    again = IcebergLoader(open_catalog(folder)).load(BATCH)
    assert [done.skipped for done in again] == [landed, False, False]
    assert_once(catalog, GENERATOR.batch("earlier", AT), BATCH)


def test_a_catalog_without_its_database_is_reported(catalog: SqlCatalog, folder: Path) -> None:
    IcebergLoader(catalog).load(BATCH)
    state, database = state_of(catalog), folder / "catalog.db"
    content = database.read_bytes()
    catalog.engine.dispose()
    database.write_bytes(b"no database" * 1000)
    try:
        with pytest.raises(
            FloeError, match=r"raw\.customers could not be read or written: the catalog failed: file is not a database"
        ):
            IcebergLoader(catalog).load(GENERATOR.batch("second", AT))
    finally:
        catalog.engine.dispose()
        database.write_bytes(content)
    assert state_of(catalog) == state
