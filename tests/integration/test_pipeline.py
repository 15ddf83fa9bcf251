"""The whole pipeline in this process, from raw batches to published marts, on files and on an object store."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster._core.definitions.asset_health.asset_freshness_health import AssetFreshnessHealthState
from dagster._core.definitions.asset_health.asset_health import AssetHealthStatus
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time
from dagster._daemon.freshness import FreshnessDaemon
from pyiceberg.io.pyarrow import PyArrowFileIO

import servers
from code_location import EVERY, SHOP, TICK, Location, append, edit
from floe import repo
from floe_runtime import dbt
from floe_runtime.assets import project
from floe_runtime.connect import s3_client
from floe_runtime.contract.artifacts import VARIABLE
from floe_runtime.contract.platform import S3Storage
from floe_synthetic import maintenance
from floe_synthetic.schema import arrow_schema, loaded_schema

APP = Path("apps/ecommerce/floe.yaml")
WINDOWS = [f"{(TICK + n * EVERY).isoformat()} from {(TICK + (n - 1) * EVERY).isoformat()}" for n in range(2)]
"""The ids of the batches of the first two ticks."""
MARTS = {
    "dim_customers": "customer_id",
    "dim_products": "product_id",
    "fct_orders": "order_id",
    "fct_order_items": "order_item_id",
    "fct_daily_revenue": "day",
}
"""The key of each mart."""
RAW = ("raw", "orders")
RAW_TABLES = ("customers", "products", "orders", "order_items", "order_events", "returns")
KEYS = {"access": "ACCESS_KEY_ID", "secret": "SECRET_ACCESS_KEY"}


@pytest.fixture
def location(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Location:
    monkeypatch.setenv(VARIABLE, str(repo.current().artifacts_file(repo.EMBEDDED)))
    monkeypatch.setenv("FLOE_DBT_TARGET", str(repo.current().state / "dbt"))
    edit(checkout / APP, ("pipeline", "retries"), {"max": 0})
    edit(checkout / APP, ("synthetic",), SHOP)
    return Location(checkout)


def exported(mart: str) -> list[dict[str, Any]]:
    """The rows of a mart as Cube reads them: by the list of files."""
    listed = json.loads((repo.current().state / "marts/marts/marts.json").read_bytes())
    rows: list[dict[str, Any]] = duckdb.sql(listed["marts"][mart]).to_arrow_table().to_pylist()
    return rows


def occurred(event: dict[str, Any]) -> datetime:
    moment: datetime = event["occurred_at"]
    return moment


def test_marts_contain_the_rows_of_the_batches(location: Location, checkout: Path) -> None:
    edit(checkout / APP, ("synthetic", "history_days"), 6)
    edit(checkout / APP, ("synthetic", "orders_per_day"), 200)
    location = Location(checkout)
    assert location.run(0).success
    once = len(location.rows(*RAW))
    assert location.run(1).success

    items = location.rows("raw", "order_items")
    amounts: dict[str, Decimal] = {}
    for item in items:
        amount = item["quantity"] * item["unit_price"] - item["discount"]
        amounts[item["order_id"]] = amounts.get(item["order_id"], Decimal(0)) + amount
    orders = {order["order_id"]: order for order in location.rows("marts", "fct_orders")}
    assert len(orders) == len(location.rows(*RAW)) > once > 0
    assert {name: order["amount"] for name, order in orders.items()} == amounts
    assert {name: order["total"] for name, order in orders.items()} == amounts
    latest = {one["order_id"]: one["status"] for one in sorted(location.rows("raw", "order_events"), key=occurred)}
    assert {order["status"] for order in orders.values()} > {"placed", "shipped", "delivered"}
    assert all(order["status"] == latest.get(name, "placed") for name, order in orders.items())
    batches = sorted({order["batch_id"] for order in orders.values()})
    assert batches[0].endswith(f" from {(TICK - timedelta(days=6)).isoformat()}")
    assert batches[-1] == WINDOWS[1]
    assert batches == sorted({row["_batch_id"] for row in location.rows(*RAW)})
    raw_times = {row["order_id"]: row["ordered_at"].replace(tzinfo=None) for row in location.rows(*RAW)}
    assert {name: order["ordered_at"] for name, order in orders.items()} == raw_times

    products = location.rows("marts", "dim_products")
    assert sum(product["units_sold"] for product in products) == sum(item["quantity"] for item in items)
    customers = location.rows("marts", "dim_customers")
    assert sum(customer["lifetime_value"] for customer in customers) == sum(amounts.values())

    days = location.rows("marts", "fct_daily_revenue")
    assert sum(day["gross_revenue"] for day in days) == sum(amounts.values())
    counted = [order for order in orders.values() if order["status"] not in ("cancelled", "returned")]
    assert sum(day["revenue"] for day in days) == sum(order["amount"] for order in counted)

    for mart, key in MARTS.items():
        by_key = lambda row, key=key: row[key]  # noqa: E731 # shorter than a function of its own
        assert sorted(exported(mart), key=by_key) == sorted(location.rows("marts", mart), key=by_key)
    assert [path.name for path in (repo.current().state / "marts/marts").iterdir()] == ["marts.json"]


def test_without_synthetic_data_the_app_models_tables_that_others_fill(checkout: Path, location: Location) -> None:
    assert location.run(0).success
    before = location.rows(*RAW)
    edit(checkout / "platform.yaml", ("synthetic",), False)
    other = Location(checkout)
    run = other.run()
    assert run.success
    assert {event.step_key for event in run.get_step_success_events()} == {"ecommerce_dbt"}
    assert location.rows(*RAW) == before
    assert len(exported("fct_orders")) == len(before)
    tick = other.module.defs.resolve_schedule_def("ticks").evaluate_tick(
        dg.build_schedule_context(other.instance, scheduled_execution_time=TICK)
    )
    assert [request.run_key for request in tick.run_requests or ()] == [TICK.isoformat()]

    for table in ("order_items", "returns"):
        location.catalog().drop_table(("raw", table))
    edit(checkout / APP, ("pipeline", "retries"), {"max": 3})
    done = Location(checkout).run()
    assert not done.success
    (failure,) = (event.step_failure_data for event in done.all_node_events if event.is_step_failure)
    assert failure.user_failure_data
    assert str(failure.user_failure_data.description).splitlines() == [
        "the namespace raw of the catalog lacks the tables order_items, returns, which models of ecommerce read",
        "next: Let what loads the data of ecommerce create them: the next tick of the schedule continues then. "
        "For generated data, set `synthetic: true` in the environment's platform.yaml and compile it.",
    ]
    assert failure.error
    assert failure.error.cause is None
    assert not any(event.is_step_up_for_retry for event in done.all_node_events)


def test_a_repeated_run_of_a_batch_adds_no_rows(location: Location) -> None:
    assert location.run(0).success
    before = location.rows(*RAW)
    assert location.run(0).success
    assert location.rows(*RAW) == before


def test_a_catalog_in_a_file_takes_commits_while_somebody_reads_it(location: Location) -> None:
    catalog = location.catalog()
    for name in ("first", "second"):
        catalog.create_namespace(name)
    with closing(sqlite3.connect(repo.current().state / "catalog.db")) as reader:
        rows = reader.execute("select namespace from iceberg_namespace_properties")
        assert rows.fetchone()  # not the last row, so that the reader has not finished
        catalog.create_namespace("third")
    assert ("third",) in catalog.list_namespaces()


def test_marts_that_fail_their_tests_are_not_published(location: Location, checkout: Path) -> None:
    assert location.run(0).success
    before = {mart: (location.rows("marts", mart), exported(mart)) for mart in MARTS}
    table = location.catalog().load_table(RAW)
    bad = table.scan(limit=1).to_arrow()
    bad = bad.set_column(bad.schema.get_field_index("order_id"), bad.schema.field("order_id"), pa.array(["o-1"]))
    bad = bad.set_column(bad.schema.get_field_index("status"), bad.schema.field("status"), pa.array(["lost"]))
    append(table, bad)
    edit(checkout / "apps" / "ecommerce" / "floe.yaml", ("pipeline", "retries"), {"max": 2, "delay_seconds": 0.1})

    done = Location(checkout).run(1)

    assert not done.success
    assert not [event for event in done.all_events if event.is_step_up_for_retry]  # the data would be the same
    materialized = {event.asset_key.path[0] for event in done.get_asset_materialization_events() if event.asset_key}
    assert "marts" not in materialized
    assert any(not check.passed for check in done.get_asset_check_evaluations())
    assert {mart: (location.rows("marts", mart), exported(mart)) for mart in MARTS} == before


def test_every_model_is_an_asset_and_every_test_a_check(location: Location) -> None:
    done = location.run(0)
    materialized = {tuple(event.asset_key.path) for event in done.get_asset_materialization_events() if event.asset_key}
    assert materialized >= {("raw", table) for table in RAW_TABLES} | {("marts", mart) for mart in MARTS}
    assert {path[:-1] for path in materialized} == {
        ("raw",), ("ecommerce", "staging"), ("ecommerce", "intermediate"), ("marts",)
    }  # fmt: skip
    checks = {check.check_name for check in done.get_asset_check_evaluations()}
    assert {"orders_and_items_agree", "order_totals_agree", "no_negative_amount", "few_rows_are_refused"} <= checks
    assert not done.get_asset_observation_events()  # each test is a check
    (orders,) = (
        event
        for event in done.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["marts", "fct_orders"])
    )
    assert orders.materialization.metadata["dagster/row_count"].value == len(location.rows("marts", "fct_orders"))
    rows = {
        tuple(event.asset_key.path): event.materialization.metadata["dagster/row_count"].value
        for event in done.get_asset_materialization_events()
        if event.asset_key and event.asset_key.path[0] == "raw"
    }
    assert rows == {("raw", table): len(location.rows("raw", table)) for table in RAW_TABLES}
    graph = location.module.defs.resolve_asset_graph()
    shown, staged = (
        graph.get(dg.AssetKey(["marts", "fct_orders"])),
        graph.get(dg.AssetKey(["ecommerce", "staging", "stg_orders"])),
    )
    assert (shown.group_name, staged.group_name) == ("marts", "staging")
    assert shown.metadata["dagster/table_name"] == "marts.fct_orders"  # what is published
    assert "dagster/table_name" not in staged.metadata  # it is gone after the run
    columns = {one.name: one.description for one in shown.metadata["dagster/column_schema"].columns}
    assert list(columns) == location.catalog().load_table(("marts", "fct_orders")).schema().column_names
    assert columns["amount"] == "The sum of its items."
    assert shown.kinds == {"dbt", "duckdb", "iceberg"}
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.owners == ["team:data-engineering"], key
        assert node.description, key
        assert node.kinds, key
    raw = graph.get(dg.AssetKey(RAW))
    assert raw.metadata["dagster/table_name"] == "raw.orders"
    assert {column.name: column.type for column in raw.metadata["dagster/column_schema"].columns} == {
        field.name: str(field.field_type) for field in location.catalog().load_table(RAW).schema().fields
    }


def test_columns_show_what_they_are_made_from(location: Location) -> None:
    graph = location.module.defs.resolve_asset_graph()
    keys: set[dg.AssetKey] = set()
    columns: dict[str, list[dg.TableColumnDep]] = {}
    for key in graph.materializable_asset_keys - {dg.AssetKey(["raw", table]) for table in RAW_TABLES}:
        lineage = graph.get(key).metadata["dagster/column_lineage"].deps_by_column
        assert {column.name for column in graph.get(key).metadata["dagster/column_schema"].columns} == set(lineage)
        columns |= {f"{key.path[-1]}.{name}": made_from for name, made_from in lineage.items()}
        keys |= {column.asset_key for made_from in lineage.values() for column in made_from}
    assert keys <= graph.materializable_asset_keys  # tables that are published, and models: nothing in the scratch

    def made_from(column: str) -> set[str]:
        return {f"{'/'.join(one.asset_key.path)}.{one.column_name}" for one in columns[column]}

    assert made_from("stg_orders.ordered_at") == {"raw/orders.ordered_at"}
    assert made_from("fct_orders.amount") == {"marts/fct_order_items.amount"}
    assert made_from("fct_order_items.amount") == {
        f"ecommerce/staging/stg_order_items.{name}" for name in ("quantity", "unit_price", "discount")
    }
    assert made_from("dim_customers.orders") == set()  # a number of rows


def test_everything_in_the_dbt_project_is_described(location: Location, checkout: Path) -> None:
    """Each model and source with all its columns; each mart has a contract; metrics and exposures name what exists."""
    place = project(location.artifacts.apps["ecommerce"].app, checkout / "apps/ecommerce", location.artifacts.platform)
    made, columns = json.loads(dbt.manifest(place).read_bytes()), dbt.origins(place)
    models = {name: node for name, node in made["nodes"].items() if node["resource_type"] == "model"}
    assert {name: set(node["columns"]) for name, node in models.items()} == {
        name: set(columns[name]) for name in models
    }
    raw = [one for one in made["sources"].values() if one["source_name"] == "raw"]
    assert {one["name"]: set(one["columns"]) for one in raw} == {
        table: set(loaded_schema(arrow_schema(table)).names) for table in RAW_TABLES
    }
    nodes = [*models.values(), *made["sources"].values(), *made["exposures"].values(), *made["metrics"].values()]
    for node in nodes:
        assert node["description"], node["unique_id"]
        for column in node.get("columns", {}).values():
            assert column["description"], (node["unique_id"], column["name"])
    assert {one["name"] for one in raw if one["freshness"] and one["freshness"]["warn_after"]["count"]} == {
        "orders",
        "order_items",
        "order_events",
    }
    assert {one["loaded_at_field"] for one in raw} == {"_loaded_at"}
    for node in models.values():
        assert node["contract"]["enforced"] == (node["config"]["schema"] == "marts"), node["name"]
    measures = {one["name"] for model in made["semantic_models"].values() for one in model["measures"]}
    used = {one["name"] for metric in made["metrics"].values() for one in metric["type_params"]["input_measures"]}
    assert {"revenue", "orders", "customers"} < used <= measures
    views = {file.stem for file in (checkout / "apps/ecommerce/cube/model/views").glob("*.yml")}
    assert {one["name"] for one in made["exposures"].values()} == views


def test_a_backfill_of_a_day_works_through_what_was_loaded_since(location: Location) -> None:
    assert location.run(0).success
    before = location.rows("marts", "fct_orders")
    backfill = location.module.defs.resolve_job_def("backfill")
    assert backfill.partitions_def.get_partition_keys()[-1] == str(datetime.now(UTC).date())
    day = str(before[0]["ordered_at"].date())
    done = backfill.execute_in_process(instance=location.instance, partition_key=day, raise_on_error=False)
    assert done.success
    assert {event.step_key for event in done.get_step_success_events()} == {"ecommerce_dbt"}
    assert location.rows("marts", "fct_orders") == before


def test_a_run_of_the_schedule_loads_until_its_tick(location: Location) -> None:
    at = datetime(2026, 3, 2, 12, 5, tzinfo=UTC)
    context = dg.build_schedule_context(instance=location.instance, scheduled_execution_time=at)
    (ticks,) = (schedule for schedule in location.module.defs.schedules if schedule.name == "ticks")
    request = ticks(context)
    assert request.run_key == at.isoformat()
    assert request.tags == {"floe/batch-at": at.isoformat()}
    assert ticks.cron_schedule == "*/5 * * * *"
    assert ticks.default_status == dg.DefaultScheduleStatus.RUNNING


@pytest.fixture
def served(
    location: Location, checkout: Path, object_store: servers.ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> Location:
    """The location with the services of the dev overlay; SeaweedFS takes the place of Polaris and S3."""
    del location  # has made the settings of the embedded default
    for name, value in object_store.env.items():
        monkeypatch.setenv(name, value)
    file = checkout / "platform.yaml"
    keys = {f"{which}_key": {"env": f"AWS_{name}", "secret": "floe-object-store"} for which, name in KEYS.items()}
    edit(file, ("storage",), {"kind": "s3", "bucket": object_store.bucket, "endpoint": object_store.s3, **keys})
    edit(file, ("catalog",), {"kind": "rest", "uri": object_store.catalog, "warehouse": object_store.warehouse})
    edit(file, ("marts", "path"), f"s3://{object_store.bucket}")
    edit(checkout / APP, ("pipeline", "retries"), {"max": 1, "delay_seconds": 0.1})
    return Location(checkout)


WRONG = "not-the-secret-of-this-test"


@pytest.mark.parametrize(
    ("change", "refused", "words"),
    [
        (
            {"AWS_SECRET_ACCESS_KEY": WRONG},
            True,
            [
                "storage: S3 bucket failed on authorization: s3://floe: ",
                "next: Renew the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which come from the "
                "Secret floe-object-store.",
            ],
        ),
        (
            {"FLOE_CATALOG_CLIENT_SECRET": WRONG},
            True,
            [
                "catalog: Iceberg REST failed on authentication: http://",
                "next: Renew the credentials in FLOE_CATALOG_CLIENT_ID and FLOE_CATALOG_CLIENT_SECRET.",
            ],
        ),
        (
            {},  # the services are gone
            False,
            [
                "storage: S3 bucket failed on connection: s3://floe: ",
                "next: Check storage.endpoint, and that it can be reached from here.",
                "catalog: Iceberg REST failed on connection: http://127.0.0.1:1: ",
                "next: Check catalog.uri, and that it can be reached from here.",
            ],
        ),
    ],
    ids=["key-of-the-store", "secret-of-the-catalog", "stopped"],
)
def test_a_run_says_first_which_service_fails_and_what_to_renew(
    served: Location,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    refused: bool,
    words: list[str],
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    if not change:
        edit(checkout / "platform.yaml", ("storage", "endpoint"), "http://127.0.0.1:1")
        edit(checkout / "platform.yaml", ("catalog", "uri"), "http://127.0.0.1:1")
        served = Location(checkout)
    done = served.run(0)

    assert not done.success
    retried = [event for event in done.all_events if event.is_step_up_for_retry]
    assert len(retried) == (0 if refused else 1)  # refused credentials stay the same during a run
    (failure,) = (event.step_failure_data for event in done.all_node_events if event.is_step_failure)
    assert failure.user_failure_data
    told = str(failure.user_failure_data.description).splitlines()
    assert [line.startswith(begin) for line, begin in zip(told, words, strict=True)] == [True] * len(words), told
    everything = served.instance.all_logs(done.run_id)
    assert not [entry for entry in everything if WRONG in str(entry)]
    assert failure.error
    assert failure.error.message.startswith(f"dagster._core.definitions.events.Failure: {words[0]}")
    assert failure.error.cause is None  # no traceback of a client library


def test_object_store_and_rest_catalog(served: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    location = served
    assert location.run(0).success
    assert location.run(1).success

    storage = location.artifacts.platform.storage
    assert isinstance(storage, S3Storage)
    body = s3_client(storage).get_object(Bucket=storage.bucket, Key="marts/marts.json")["Body"].read()
    files = re.findall(r"'s3://([^']+\.parquet)'", json.loads(body)["marts"]["fct_orders"])
    storage_of_files = location.catalog().load_table(("marts", "fct_orders")).io
    assert isinstance(storage_of_files, PyArrowFileIO)
    published = pq.read_table(files, filesystem=storage_of_files.fs_by_scheme("s3", "")).to_pylist()
    assert {row["batch_id"] for row in published} == set(WINDOWS)
    assert len(published) == len(location.rows(*RAW)) == len(location.rows("marts", "fct_orders"))
    assert not (repo.current().state / "marts").exists()
    assert "AWS_SECRET_ACCESS_KEY" in os.environ  # the next run in this process needs the variable too

    table, before = location.catalog().load_table(RAW), {row["order_id"] for row in location.rows(*RAW)}
    monkeypatch.setattr("floe_synthetic.maintenance.now", lambda: datetime.now(UTC) + timedelta(days=2))
    assert maintenance.compact(table, min_files=2).written == 1
    assert maintenance.expire_snapshots(table, older_than=timedelta(hours=1)).snapshots == 3
    assert maintenance.remove_orphans(table).files >= 2
    assert maintenance.remove_orphans(table).files == 0
    after = [row["order_id"] for row in location.rows(*RAW)]
    assert (set(after), len(after)) == (before, len(published))


def test_broken_data_are_loaded_with_their_ledger_and_not_published(location: Location, checkout: Path) -> None:
    file = checkout / "apps" / "ecommerce" / "floe.yaml"
    edit(file, ("synthetic", "defects"), "broken")
    edit(file, ("pipeline", "raw_namespace"), "raw_broken")
    done = Location(checkout).run(0)

    assert not done.success
    materialized = {tuple(event.asset_key.path) for event in done.get_asset_materialization_events() if event.asset_key}
    assert ("raw_broken", "defects") in materialized
    assert not any(namespace == "marts" for namespace, *_ in materialized)
    kinds = {row["kind"] for row in location.rows("raw_broken", "defects")}
    assert {"duplicates", "nulls", "broken_references"} <= kinds

    edit(file, ("synthetic", "defects"), "clean")  # what docs/13-synthetic-data.md says about the way back
    edit(file, ("pipeline", "raw_namespace"), "raw")
    again = Location(checkout)
    assert again.run(0).success
    assert len(exported("fct_orders")) == len(again.rows(*RAW)) > 0


@pytest.mark.parametrize(("cron", "warn", "fail"), [("*/5 * * * *", 10, 15), ("0 9 * * 1-5", 4 * 1440, 5 * 1440)])
def test_a_table_is_late_after_missed_ticks(
    location: Location, checkout: Path, cron: str, warn: int, fail: int
) -> None:
    """`warn`, `fail`: minutes after a run, asked of the daemon that Dagster evaluates freshness with."""
    edit(checkout / APP, ("pipeline", "schedule", "cron"), cron)
    location = Location(checkout)
    keys = [dg.AssetKey(["raw", table]) for table in RAW_TABLES] + [dg.AssetKey(["marts", mart]) for mart in MARTS]
    for key in keys:
        location.instance.report_runless_asset_event(dg.AssetMaterialization(key))
    now = datetime.now(UTC)
    daemon, graph = FreshnessDaemon(), location.module.defs.resolve_asset_graph()

    async def judged() -> set[AssetHealthStatus]:
        for key in keys:
            await daemon._evaluate_asset(LoadingContextForTest(location.instance), graph.get(key))
        found = LoadingContextForTest(location.instance)
        return {(await AssetFreshnessHealthState.compute_for_asset(key, found)).health_status for key in keys}

    def health(minutes: float) -> set[AssetHealthStatus]:
        with freeze_time(now + timedelta(minutes=minutes)):
            return asyncio.run(judged())

    assert health(warn - 1) == {AssetHealthStatus.HEALTHY}
    assert health(warn + 1) == {AssetHealthStatus.WARNING}
    assert health(fail + 1) == {AssetHealthStatus.DEGRADED}
    assert graph.get(dg.AssetKey(["ecommerce", "staging", "stg_orders"])).freshness_policy is None


@pytest.mark.usefixtures("location")
def test_a_schedule_that_is_disabled_makes_no_table_late(checkout: Path) -> None:
    edit(checkout / APP, ("pipeline", "schedule", "enabled"), False)
    graph = Location(checkout).module.defs.resolve_asset_graph()
    assert {graph.get(key).freshness_policy for key in graph.materializable_asset_keys} == {None}


def test_a_model_that_asks_the_database_while_it_is_compiled_needs_none_to_be_loaded(
    location: Location, checkout: Path
) -> None:
    """Without a connection its columns have no origins, and all else is as it was."""
    file = checkout / "apps/ecommerce/dbt/models/marts/dim_products.sql"
    file.write_text("{% if execute %}{% do run_query('select 1') %}{% endif %}\n" + file.read_text())
    graph = Location(checkout).module.defs.resolve_asset_graph()
    assert graph.materializable_asset_keys == location.module.defs.resolve_asset_graph().materializable_asset_keys
    assert "dagster/column_lineage" not in graph.get(dg.AssetKey(["marts", "fct_orders"])).metadata
