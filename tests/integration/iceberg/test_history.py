"""A history is continued: no window is loaded twice, none is left out, whatever fails and whoever else loads."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from floe_runtime.errors import FloeError
from floe_synthetic import Appended, Batch, EcommerceGenerator, IcebergLoader, SaaSGenerator, WithDefects
from floe_synthetic.entities import Generates
from floe_synthetic.history import continued
from floe_synthetic.loader import WrongWindowError
from floe_synthetic.schema import TABLES
from iceberg_tables import assert_once, open_catalog, rows_of, state_of, table_of

START = datetime(2025, 3, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHOP = EcommerceGenerator(customers=20, products=8, orders_per_day=240, opened=START.date() - timedelta(days=20))


def load(catalog: SqlCatalog, until: datetime, first: timedelta = HOUR) -> list[Appended]:
    return list(continued(IcebergLoader(catalog), SHOP, until, first))


def expected(until: datetime, first: timedelta = HOUR) -> list[Batch]:
    """What the tables contain if the first load was that of START."""
    return [SHOP.reference(START - first), SHOP.batch(START - first, until, START - first)]


def test_the_first_load_has_the_catalogue_and_a_history_and_creates_every_table(catalog: SqlCatalog) -> None:
    load(catalog, START, timedelta(days=10))
    assert_once(catalog, *expected(START, timedelta(days=10)))
    ends = IcebergLoader(catalog).loaded_until(TABLES)
    assert ends == {**dict.fromkeys(TABLES, START), "products": START - timedelta(days=10)}


def test_a_history_before_the_opening_begins_with_it(catalog: SqlCatalog) -> None:
    load(catalog, START, timedelta(days=300))
    assert_once(catalog, SHOP.reference(SHOP.opened), SHOP.batch(SHOP.opened, START))


def test_a_quiet_window_creates_every_table_and_is_not_loaded_again(catalog: SqlCatalog) -> None:
    load(catalog, START, timedelta(microseconds=1))
    assert {name for (_, name) in catalog.list_tables("raw")} == set(TABLES)
    state = state_of(catalog)
    assert load(catalog, START) == []
    assert state_of(catalog) == state


def test_a_missed_tick_is_caught_up_and_none_is_doubled(catalog: SqlCatalog) -> None:
    for hours in (0, 1, 1, 4, 2, 0):  # the third again, two missed before the fourth, and two that come late
        load(catalog, START + hours * HOUR)
    assert_once(catalog, *expected(START + 4 * HOUR))
    assert set(IcebergLoader(catalog).loaded_until(["orders", "returns"]).values()) == {START + 4 * HOUR}


class CrashError(Exception):
    """Takes the place of a crash of the process."""


@pytest.mark.parametrize("landed", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("survivors", [0, 1, 5, 8])
def test_after_a_crash_the_next_tick_completes_what_is_missing(
    catalog: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch, survivors: int, landed: bool
) -> None:
    commit, commits = catalog.commit_table, 0

    def crash(*arguments: Any) -> Any:
        nonlocal commits
        commits += 1
        if commits <= survivors:
            return commit(*arguments)
        if landed:
            commit(*arguments)
        raise CrashError

    monkeypatch.setattr(catalog, "commit_table", crash)
    with pytest.raises(CrashError):
        load(catalog, START)

    again = open_catalog(folder)
    load(again, START + HOUR)

    # If the first load left nothing, the second is the first.
    first = START if survivors or landed else START + HOUR
    assert_once(again, SHOP.reference(first - HOUR), SHOP.batch(first - HOUR, START + HOUR, first - HOUR))


@pytest.mark.parametrize("other", [START + HOUR, START + 2 * HOUR, START + HOUR / 2], ids=["same", "more", "less"])
def test_windows_of_two_writers_that_overlap_are_not_both_loaded(
    catalog: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch, other: datetime
) -> None:
    load(catalog, START)
    commit, interruptions = catalog.commit_table, [lambda: load(open_catalog(folder), other)]

    def interrupted(*arguments: Any) -> Any:
        if interruptions:
            interruptions.pop()()
        return commit(*arguments)

    monkeypatch.setattr(catalog, "commit_table", interrupted)
    if other < START + HOUR:
        with pytest.raises(WrongWindowError, match=r"does not follow what raw.customers has: its history ends at"):
            load(catalog, START + HOUR)
        load(catalog, START + HOUR)
    else:
        assert all(done.skipped for done in load(catalog, START + HOUR))
    assert_once(catalog, *expected(max(other, START + HOUR)))


def test_a_window_that_leaves_a_gap_or_has_no_beginning_is_refused(catalog: SqlCatalog) -> None:
    loader = IcebergLoader(catalog)
    with pytest.raises(WrongWindowError, match=r"raw.customers has: its history has no beginning$"):
        loader.load(SHOP.batch(START, START + HOUR))
    load(catalog, START)
    state = state_of(catalog)
    for since, until in ((START + HOUR, START + 2 * HOUR), (START - HOUR / 2, START + HOUR)):
        with pytest.raises(WrongWindowError, match=r"raw.customers has: its history ends at 2025-03-20T12:00:00"):
            loader.load(SHOP.batch(since, until))
    assert state_of(catalog) == state
    assert table_of(catalog, "orders").properties["floe.loaded-until"] == START.isoformat()


def test_a_long_history_is_loaded_in_parts_of_a_bounded_size(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("floe_synthetic.history._ROWS", 1000)
    parts = load(catalog, START, timedelta(days=5))
    assert sum(part.table == "orders" for part in parts) > 4
    assert 1 < max(part.rows for part in parts if part.table == "orders") < 1000
    assert_once(catalog, *expected(START, timedelta(days=5)))


def test_the_history_of_a_software_service_is_continued(catalog: SqlCatalog) -> None:
    service = SaaSGenerator(organisations=30, events_per_user=2)
    loader, since, middle = IcebergLoader(catalog), START.replace(year=2026), START.replace(year=2026, month=5)
    for until in (middle, middle, middle + HOUR):
        list(continued(IcebergLoader(catalog), service, until, middle - since))

    assert set(loader.loaded_until(service.domain.tables).values()) == {middle + HOUR}
    before, windows = service.reference(since), service.batch(since, middle + HOUR, since)
    for name in service.domain.tables:
        expected_ids = before.tables[name].column(0).to_pylist() + windows.tables[name].column(0).to_pylist()
        assert sorted(rows_of(catalog, name).column(0).to_pylist()) == sorted(expected_ids), name
    assert windows.tables["invoice_events"].num_rows > 10  # also of invoices that an earlier batch has


def test_defects_and_their_ledger_are_continued_together(catalog: SqlCatalog) -> None:
    messy = WithDefects(SHOP, "broken")
    for until in (START, START + HOUR):
        list(continued(IcebergLoader(catalog), messy, until, 72 * HOUR))

    since = START - 72 * HOUR
    before, windows = messy.reference(since), messy.batch(since, START + HOUR, since)
    for name in SHOP.domain.tables:
        rows = sum(part.tables[name].num_rows for part in (before, windows) if name in part.tables)
        assert rows_of(catalog, name).num_rows == rows, name
    found, parts = rows_of(catalog, "defects"), [part.tables["defects"] for part in (before, windows)]
    said = Counter(kind for rows in (found, *parts) for kind in rows["kind"].to_pylist())
    assert said.pop("late") > 5  # depends on where the windows end
    assert said == Counter(found["kind"].to_pylist() * 2) - Counter({"late": 10**6})


@pytest.mark.parametrize("first", ["clean", "broken"])
def test_a_history_is_not_continued_with_and_without_defects(catalog: SqlCatalog, first: str) -> None:
    """A row that was held back would never come, and one that was in time would come again."""
    generators: dict[str, Generates] = {"clean": SHOP, "broken": WithDefects(SHOP, "broken")}
    list(continued(IcebergLoader(catalog), generators.pop(first), START, HOUR))
    state = state_of(catalog)
    (other,) = generators.values()
    with pytest.raises(FloeError, match=r"the tables of raw were loaded with(out)? defects, and cannot be continued"):
        list(continued(IcebergLoader(catalog), other, START + HOUR, HOUR))
    assert state_of(catalog) == state


def test_a_first_load_with_defects_that_failed_is_completed(
    catalog: SqlCatalog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, commit, commits = WithDefects(SHOP, "broken"), catalog.commit_table, 0

    def crash(*arguments: Any) -> Any:
        nonlocal commits
        commits += 1
        if commits > 1:
            raise CrashError
        return commit(*arguments)

    monkeypatch.setattr(catalog, "commit_table", crash)
    with pytest.raises(CrashError):
        list(continued(IcebergLoader(catalog), broken, START, HOUR))
    again = open_catalog(folder)
    list(continued(IcebergLoader(again), broken, START, HOUR))

    ledgers = [broken.reference(START - HOUR), broken.batch(START - HOUR, START, START - HOUR)]
    expected_ids = [one for part in ledgers for one in part.tables["defects"].column(0).to_pylist()]
    assert sorted(rows_of(again, "defects").column(0).to_pylist()) == sorted(expected_ids)
