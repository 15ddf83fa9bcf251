"""The loader when a load is interrupted, and with other writers at the same time: each batch is loaded exactly once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from floe_runtime.errors import FloeError
from floe_synthetic import Batch, IcebergLoader
from floe_synthetic.maintenance import expire_snapshots
from iceberg_tables import AT, BATCH, GENERATOR, NAMES, assert_once, open_catalog, rows_of, table_of

# Crashes


class CrashError(Exception):
    """Takes the place of a crash of the process."""


@pytest.mark.parametrize("landed", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("survivors", range(3))
def test_the_retry_after_a_crash_completes_only_what_is_missing(
    catalog: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch, survivors: int, landed: bool
) -> None:
    commit, commits = catalog.commit_table, Counter[str]()

    def crash(*arguments: Any) -> Any:
        commits["seen"] += 1
        if commits["seen"] <= survivors:
            return commit(*arguments)
        if landed:
            commit(*arguments)
        raise CrashError

    monkeypatch.setattr(catalog, "commit_table", crash)
    with pytest.raises(CrashError):
        IcebergLoader(catalog).load(BATCH)

    results = IcebergLoader(open_catalog(folder)).load(BATCH)

    complete = survivors + landed
    assert [done.skipped for done in results] == [True] * complete + [False] * (3 - complete)
    assert_once(catalog, BATCH)


# Other writers at the same time


def interrupt_commits(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch, interruptions: list[Callable[[], Any]]
) -> None:
    """Before each commit, do the next of the given things, which another process could do at this moment."""
    commit = catalog.commit_table

    def interrupted(*arguments: Any) -> Any:
        if interruptions:
            interruptions.pop(0)()
        return commit(*arguments)

    monkeypatch.setattr(catalog, "commit_table", interrupted)


@pytest.mark.parametrize("used", [False, True], ids=["new table", "used table"])
def test_another_writer_loads_the_same_batch_between_check_and_commit(
    catalog: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch, used: bool
) -> None:
    earlier = [GENERATOR.batch("zero", AT)] if used else []
    for batch in earlier:
        IcebergLoader(catalog).load(batch)
    rival = IcebergLoader(open_catalog(folder))
    interrupt_commits(catalog, monkeypatch, [lambda: rival.load(BATCH)])

    results = IcebergLoader(catalog).load(BATCH)

    assert [(done.rows, done.skipped) for done in results] == [(0, True)] * 3
    assert all(done.snapshot_id == table_of(catalog, done.table).metadata.current_snapshot_id for done in results)
    assert_once(catalog, *earlier, BATCH)


def test_other_writers_load_other_batches_between_check_and_commit(
    catalog: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = IcebergLoader(open_catalog(folder))
    others = [GENERATOR.batch(f"rival {number}", AT) for number in range(3)]
    interrupt_commits(catalog, monkeypatch, [partial(rival.load, batch) for batch in others])

    results = IcebergLoader(catalog).load(BATCH)

    assert not any(done.skipped for done in results)
    assert results[0].snapshot_id == table_of(catalog, "customers").metadata.current_snapshot_id
    assert_once(catalog, BATCH, *others)


def test_another_writer_loads_the_same_batch_before_the_second_attempt(
    catalog: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = IcebergLoader(open_catalog(folder))
    other = GENERATOR.batch("other", AT)
    interrupt_commits(catalog, monkeypatch, [lambda: rival.load(other), lambda: rival.load(BATCH)])

    assert all(done.skipped for done in IcebergLoader(catalog).load(BATCH))
    assert_once(catalog, other, BATCH)


def test_a_commit_that_succeeded_but_was_reported_as_failed_is_kept(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, lies = catalog.commit_table, Counter[str]()

    def lie(table: Table, *arguments: Any) -> Any:
        response = commit(table, *arguments)
        lies[table.name()[-1]] += 1
        if lies[table.name()[-1]] == 1:
            raise CommitFailedException("a proxy sent the request twice")
        return response

    monkeypatch.setattr(catalog, "commit_table", lie)
    results = IcebergLoader(catalog).load(BATCH)

    assert [(done.rows, done.skipped) for done in results] == [(rows.num_rows, False) for rows in BATCH.tables.values()]
    assert lies == dict.fromkeys(NAMES, 1)
    assert_once(catalog, BATCH)


def test_a_commit_reported_as_failed_whose_snapshot_has_expired_since_is_kept(
    catalog: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, orders = catalog.commit_table, Batch("first", {"orders": BATCH.tables["orders"]})
    later = Batch("later", {"orders": GENERATOR.batch("later", AT).tables["orders"]})
    IcebergLoader(catalog).load(Batch("earlier", {"orders": GENERATOR.batch("earlier", AT).tables["orders"]}))

    def lie(*arguments: Any) -> Any:
        monkeypatch.undo()
        commit(*arguments)
        IcebergLoader(open_catalog(folder)).load(later)
        expire_snapshots(table_of(open_catalog(folder), "orders"), older_than=timedelta(0))
        raise CommitFailedException("a proxy sent the request twice")

    monkeypatch.setattr(catalog, "commit_table", lie)
    IcebergLoader(catalog).load(orders)

    ids = Counter(rows_of(catalog, "orders")["_batch_id"].to_pylist())
    assert ids["first"] == orders.tables["orders"].num_rows
    assert ids["later"] == later.tables["orders"].num_rows


WORKER = """
import sys, time
from datetime import datetime
from pathlib import Path
from floe_synthetic import IcebergLoader
from iceberg_tables import GENERATOR
from pyiceberg.catalog.sql import SqlCatalog

folder, name, at, *batch_ids = sys.argv[1:]
catalog = SqlCatalog("test", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
loader = IcebergLoader(catalog)
batches = [GENERATOR.batch(batch_id, datetime.fromisoformat(at)) for batch_id in batch_ids]
Path(folder, f"{name}.ready").touch()
while not Path(folder, "go").exists():
    time.sleep(0.001)
for batch in batches:
    for done in loader.load(batch):
        print(batch.batch_id, done.table, done.rows)
"""


def test_processes_that_load_the_same_batches_at_the_same_time(catalog: SqlCatalog, folder: Path) -> None:
    batches = [GENERATOR.batch(f"batch {number}", AT) for number in range(3)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    names = ["one", "two", "three"]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), name, AT.isoformat(), *(batch.batch_id for batch in batches)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    deadline = time.monotonic() + 60
    while not all((folder / f"{name}.ready").exists() for name in names) and time.monotonic() < deadline:
        time.sleep(0.01)
    (folder / "go").touch()
    outputs = [worker.communicate(timeout=120) for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0, 0], [errors for _, errors in outputs]
    assert_once(catalog, *batches)
    # Each table of each batch was loaded by one process, and the others report that they skipped it.
    lines = [line.rsplit(" ", 2) for shown, _ in outputs for line in shown.splitlines()]
    brought = Counter((batch_id, table) for batch_id, table, rows in lines if int(rows))
    assert brought == Counter((batch.batch_id, table) for batch in batches for table in batch.tables)


def test_another_writer_creates_the_tables_first(
    catalog: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = GENERATOR.batch("other", AT)
    create = catalog.create_table

    def beaten(identifier: Any, *arguments: Any, **options: Any) -> Table:
        monkeypatch.undo()
        IcebergLoader(open_catalog(folder)).load(other)
        return create(identifier, *arguments, **options)

    monkeypatch.setattr(catalog, "create_table", beaten)
    IcebergLoader(catalog).load(BATCH)

    assert_once(catalog, BATCH, other)


def test_another_writer_creates_the_namespace_first(catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    create = catalog.create_namespace

    def beaten(namespace: Any) -> None:
        create(namespace)
        raise CrashError("UNIQUE constraint failed")

    monkeypatch.setattr(catalog, "create_namespace", beaten)

    assert len(IcebergLoader(catalog).load(BATCH)) == 3


def test_a_namespace_that_cannot_be_created_is_an_error(catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: Any) -> None:
        raise PermissionError("read-only catalog")

    monkeypatch.setattr(catalog, "create_namespace", forbidden)
    with pytest.raises(FloeError, match=r"raw\.customers could not be read or written: .*PermissionError"):
        IcebergLoader(catalog).load(BATCH)
