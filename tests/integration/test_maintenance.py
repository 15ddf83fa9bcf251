"""The maintenance of an app's tables and of Dagster's history, on the embedded default."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from code_location import Location, edit
from floe import repo
from floe_runtime.contract.artifacts import VARIABLE

APP, PLATFORM = Path("apps/ecommerce/floe.yaml"), Path("platform.yaml")
RUNS = 4  # from so many small files of a day on, they are merged
GIB = 1 << 30


@pytest.fixture
def location(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Location:
    """An app, with Dagster's history in files."""
    monkeypatch.setenv(VARIABLE, str(repo.current().artifacts_file(repo.EMBEDDED)))
    monkeypatch.setenv("FLOE_DBT_TARGET", str(repo.current().state / "dbt"))
    edit(checkout / APP, ("pipeline", "retries"), {"max": 0})
    edit(checkout / APP, ("synthetic",), {"customers": 50, "orders_per_day": 12_000, "opened": date(2026, 2, 1)})
    edit(checkout / PLATFORM, ("retention",), {"raw_days": 2, "raw_max_gib": 1, "run_days": 1})
    location = Location(checkout)
    (tmp_path / "dagster").mkdir()
    location.instance = dg.DagsterInstance.local_temp(str(tmp_path / "dagster"))
    return location


def maintain(location: Location, *, dry_run: bool = False) -> list[str]:
    """Run the job; returns what its steps logged."""
    config = {"config": {"dry_run": dry_run}}
    done = location.module.defs.resolve_job_def("maintenance").execute_in_process(
        instance=location.instance, run_config={"ops": {"maintain_tables": config, "delete_old_runs": config}}
    )
    assert done.success
    records = location.instance.get_records_for_run(done.run_id).records
    return [record.event_log_entry.user_message for record in records]


def files(folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if file.is_file()}


def data_files(folder: Path) -> set[Path]:
    return {file for file in files(folder) if file.suffix == ".parquet"}


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Let the clock of the maintenance be ahead."""
    moment = datetime.now(UTC) + by
    for module in ("datafiles", "maintenance"):
        monkeypatch.setattr(f"floe_synthetic.{module}.now", lambda: moment)


def test_files_snapshots_and_runs_that_nobody_needs_are_removed(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tick in range(RUNS):
        assert location.run(tick).success
    warehouse, catalog = repo.current().state / "warehouse", location.catalog()
    before, data, rows = files(warehouse), len(data_files(warehouse)), location.rows("raw", "orders")
    assert len(location.instance.get_runs()) == RUNS
    later(monkeypatch, timedelta(days=2))

    assert any("4 files merged into 1" in line for line in maintain(location, dry_run=True))
    assert files(warehouse) == before
    lines = maintain(location)

    table = catalog.load_table(("raw", "orders"))
    assert len(table.snapshots()) == 1
    assert len(list(table.scan().plan_files())) == 1
    assert sorted(row["order_id"] for row in location.rows("raw", "orders")) == sorted(row["order_id"] for row in rows)
    assert len(data_files(warehouse)) < data / 2
    assert any(line.startswith("marts.fct_orders: ") for line in lines)
    # Dagster has the run of the maintenance alone, because the clock of the database is that of today.
    assert [run.job_name for run in location.instance.get_runs()] == ["maintenance"]
    events = Path(location.instance.root_directory) / "history" / "runs"
    assert {file.stem for file in events.glob("*-*.db")} == {run.run_id for run in location.instance.get_runs()}

    customers = location.rows("raw", "customers")
    later(monkeypatch, timedelta(days=4))
    maintain(location)
    assert location.rows("raw", "orders") == location.rows("raw", "order_items") == []
    assert location.rows("raw", "customers") == customers
    assert location.rows("marts", "fct_orders")
    jobs = [location.module.defs.resolve_job_def(name) for name in ("pipeline", "maintenance")]
    assert [job.tags["floe/app"] for job in jobs] == ["ecommerce", "ecommerce"]  # so that one waits for the other


def test_a_check_fails_before_the_ceiling_is_reached(location: Location, checkout: Path) -> None:
    (check,) = rooms(location, 0)
    used = check.metadata["bytes"].value
    assert check.passed
    assert isinstance(used, int)
    assert used > 0
    edit(checkout / PLATFORM, ("retention", "raw_max_gib"), used * 1.2 / GIB)
    (check,) = rooms(Location(checkout), 0)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    edit(checkout / PLATFORM, ("retention", "raw_max_gib"), used / 2 / GIB)
    assert not Location(checkout).run(1).success
    assert location.rows("marts", "fct_orders")


def rooms(location: Location, tick: int) -> list[dg.AssetCheckEvaluation]:
    """What the check of the raw tables' size said in a run."""
    checks = location.run(tick).get_asset_check_evaluations()
    return [check for check in checks if check.check_name == "has_room"]
