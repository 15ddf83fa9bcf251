"""The pipeline with the engine of prod: dbt on a real Trino, with an Iceberg REST catalog that takes Polaris' place."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import servers
import trino_server
from code_location import SHOP, Location, append, edit
from cube_server import serving, until
from floe import repo
from floe.demo import cube
from floe_runtime import marts
from floe_runtime.connect import trino_connection
from floe_runtime.contract.artifacts import VARIABLE
from floe_runtime.inputs import last_publication
from floe_runtime.scratch import scratch
from floe_synthetic.datafiles import exchange

FIRST = 10
"""A tick after all of the other tests, which load into the same tables: so it brings rows."""
MARTS = ("dim_customers", "dim_products", "fct_orders", "fct_order_items", "fct_daily_revenue", "fct_quarantine")


@pytest.fixture
def location(
    checkout: Path, object_store: servers.ObjectStore, trino: trino_server.Server, monkeypatch: pytest.MonkeyPatch
) -> Location:
    for name, value in object_store.env.items():
        monkeypatch.setenv(name, value)
    trino.use(checkout, object_store)
    edit(checkout / "apps" / "ecommerce" / "floe.yaml", ("pipeline", "retries"), {"max": 0})
    edit(checkout / "apps" / "ecommerce" / "floe.yaml", ("synthetic",), SHOP)
    monkeypatch.setenv(VARIABLE, str(repo.current().artifacts_file(repo.EMBEDDED)))
    monkeypatch.setenv("FLOE_DBT_TARGET", str(repo.current().state / "dbt"))
    return Location(checkout)


def query(server: trino_server.Server, sql: str) -> list[Any]:
    with closing(trino_connection(server.compute)) as connection:
        rows: list[Any] = connection.cursor().execute(sql).fetchall()
        return rows


def test_marts_contain_the_rows_of_the_batches(location: Location, trino: trino_server.Server) -> None:
    assert location.run(0).success
    assert location.run(1).success

    ((orders, batches),) = query(trino, "select count(*), count(distinct batch_id) from iceberg.marts.fct_orders")
    assert orders == len(location.rows("raw", "orders")) > 0
    assert batches == 2
    ((same,),) = query(
        trino,
        "select (select sum(amount) from iceberg.marts.fct_orders)"
        " = (select sum(quantity * unit_price - discount) from iceberg.raw.order_items)",
    )
    assert same
    merged = {mart: Counter(map(str, location.rows("marts", mart))) for mart in MARTS}
    snapshot = location.catalog().load_table(("marts", "fct_orders")).current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary.get("total-records") == str(orders)
    assert int(snapshot.summary.get("added-records") or 0) < orders  # one statement added what was new
    assert location.run(1, full_refresh=True).success
    assert {mart: Counter(map(str, location.rows("marts", mart))) for mart in MARTS} == merged
    times = {row["order_id"]: row["ordered_at"].replace(tzinfo=None) for row in location.rows("raw", "orders")}
    assert {row["order_id"]: row["ordered_at"] for row in location.rows("marts", "fct_orders")} == times
    assert not query(trino, "show schemas from iceberg like 'scratch%'")


def test_marts_that_fail_their_tests_are_not_published(location: Location, trino: trino_server.Server) -> None:
    assert location.run(0).success
    before = {mart: location.catalog().load_table(("marts", mart)).current_snapshot() for mart in MARTS}
    table = location.catalog().load_table(("raw", "orders"))
    bad = table.scan(limit=1).to_arrow()
    bad = bad.set_column(bad.schema.get_field_index("order_id"), bad.schema.field("order_id"), pa.array(["o-1"]))
    bad = bad.set_column(bad.schema.get_field_index("status"), bad.schema.field("status"), pa.array(["lost"]))
    files = append(table, bad)
    try:
        done = location.run(1)
    finally:
        exchange(table.refresh(), files, [], {})

    assert not done.success
    materialized = {event.asset_key.path[0] for event in done.get_asset_materialization_events() if event.asset_key}
    assert "marts" not in materialized
    assert {mart: location.catalog().load_table(("marts", mart)).current_snapshot() for mart in MARTS} == before
    assert not query(trino, "show schemas from iceberg like 'scratch%'")


def test_every_model_is_an_asset_with_its_rows(location: Location) -> None:
    done = location.run(0)
    events = {event.asset_key.path[-1]: event for event in done.get_asset_materialization_events() if event.asset_key}
    assert set(events) >= set(MARTS)
    metadata = events["fct_order_items"].materialization.metadata
    assert metadata["dagster/row_count"].value == len(location.rows("marts", "fct_order_items"))
    snapshot = location.catalog().load_table(("marts", "fct_order_items")).current_snapshot()
    assert snapshot is not None
    assert metadata["iceberg/snapshot_id"].value == str(snapshot.snapshot_id)


def test_trino_maintains_the_tables_and_the_next_run_goes_on(location: Location, trino: trino_server.Server) -> None:
    for tick in range(3):
        assert location.run(tick).success
    rows = "select order_id, amount from iceberg.marts.fct_orders order by 1"
    files = 'select count(*) from iceberg.{}."{}$files" where content = 0'
    before = query(trino, rows)
    assert query(trino, files.format("raw", "orders")) > [[1]]

    assert location.module.defs.resolve_job_def("maintenance").execute_in_process(instance=location.instance).success
    for table in (("raw", "orders"), ("marts", "fct_orders")):
        assert query(trino, files.format(*table)) == [[1]], table
    assert query(trino, rows) == before
    last = last_publication(location.catalog(), "marts")
    assert location.run(3).success
    orders = location.catalog().load_table(("marts", "fct_orders")).current_snapshot()
    assert orders is not None
    assert orders.parent_snapshot_id == last.marts["fct_orders"]
    assert last_publication(location.catalog(), "marts").number == last.number + 1


@pytest.mark.usefixtures("location")  # which sets the checkout's platform to Trino
def test_the_second_app_computes_the_same_on_trino(checkout: Path, trino: trino_server.Server) -> None:
    file = checkout / "apps/saas/floe.yaml"
    edit(file, ("pipeline", "retries"), {"max": 0})
    for name, value in {"organisations": 40, "organisations_per_day": 4, "events_per_user": 0.5}.items():
        edit(file, ("synthetic", name), value)
    saas = Location(checkout, "saas")
    for tick in (0, 9_000):  # a month later
        assert saas.run(tick).success
    months = query(trino, "select date_trunc('month', issued_at), sum(mrr) from iceberg.saas_marts.mart_mrr group by 1")
    billed = Counter[tuple[int, int]]()
    for invoice in saas.rows("saas_raw", "invoices"):
        billed[invoice["issued_at"].year, invoice["issued_at"].month] += invoice["total"]
    assert {(month.year, month.month): mrr for month, mrr in months} == billed
    ((ended,),) = query(trino, "select count(*) from iceberg.saas_marts.fct_subscriptions where ended_at is not null")
    assert ended == sum(row["change"] == "cancelled" for row in saas.rows("saas_raw", "subscription_events")) > 0
    ((in_months,),) = query(trino, "select sum(ended) from iceberg.saas_marts.mart_churn")
    assert in_months == ended


def test_only_old_scratch_schemas_are_dropped(location: Location, trino: trino_server.Server) -> None:
    old, young, foreign = "scratch_20260101000000_0a1b2c3d", "scratch_29990101000000_0a1b2c3d", "scratch_of_somebody"
    for name in (old, young, foreign):
        query(trino, f"create schema iceberg.{name}")
        query(trino, f"create table iceberg.{name}.kept as select 1 as one")
    try:
        with scratch(location.artifacts.platform) as place:
            assert place not in (old, young, foreign)
        left = {name for (name,) in query(trino, "show schemas from iceberg like 'scratch%'")}
        assert left == {young, foreign}
    finally:
        for name in (young, foreign):
            query(trino, f"drop schema iceberg.{name} cascade")


def test_cube_shows_the_marts_of_one_publication(
    location: Location, trino: trino_server.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the tables of a run that was killed before its publication have more rows already."""
    assert location.run(FIRST).success
    with serving(cube.install(repo.current()), tmp_path / "unused", "readyz", **trino.cube) as running:

        def shown() -> tuple[int, Decimal]:
            (row,) = running.load(measures=["orders.count", "order_items.gross_revenue"])
            return int(row["orders.count"]), Decimal(row["order_items.gross_revenue"])

        def in_the_tables() -> tuple[int, Decimal]:
            orders, items = location.rows("marts", "fct_orders"), location.rows("marts", "fct_order_items")
            return len(orders), sum((item["amount"] for item in items), Decimal(0))

        before = in_the_tables()
        assert shown() == before

        with monkeypatch.context() as patch:
            patch.setattr(marts, "conclude", killed)
            assert not location.run(FIRST + 1).success
        assert in_the_tables() > before
        time.sleep(2 * cube._REFRESH_SECONDS)  # how long Cube may show what it has answered before
        assert shown() == before

        assert location.run(FIRST + 1).success
        assert in_the_tables() > before
        until(in_the_tables(), shown)


def killed(*_: Any) -> None:
    """Takes the place of the commit that a killed run never gets to."""
    raise RuntimeError("killed")
