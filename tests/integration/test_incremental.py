"""Runs that add to what is published, compared with a run that builds everything from the same raw rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyiceberg.types import DecimalType, StringType

from code_location import Location, append, edit
from floe import repo
from floe_runtime import dbt, marts, profile, runs
from floe_runtime.assets import project
from floe_runtime.contract.artifacts import VARIABLE
from floe_runtime.errors import FloeError
from floe_runtime.inputs import Inputs, Publication, Superseded, last_publication
from floe_runtime.scratch import scratch
from floe_synthetic import EcommerceGenerator, IcebergLoader
from floe_synthetic.datafiles import exchange
from floe_synthetic.defects import WithDefects
from floe_synthetic.maintenance import MAINTENANCE_PROPERTY
from rendering import copy_repository

OPENED, BEGIN, EVERY = date(2026, 2, 1), datetime(2026, 3, 1, 6, tzinfo=UTC), timedelta(hours=6)
MARTS = ("dim_customers", "dim_products", "fct_orders", "fct_order_items", "fct_daily_revenue", "fct_quarantine")

pytestmark = pytest.mark.usefixtures("ticks")


class Shop:
    """The raw tables and the marts of a shop, and the dbt part of its pipeline, in this process."""

    def __init__(self, checkout: Path) -> None:
        """Compile an app that loads nothing itself: the test does."""
        edit(checkout / "apps/ecommerce/floe.yaml", ("synthetic",), None)
        self.location = Location(checkout)
        self.platform = self.location.artifacts.platform
        self.app = self.location.artifacts.apps["ecommerce"].app
        self.checkout = checkout
        self.catalog = self.location.catalog()
        self.project = project(self.app, checkout / "apps/ecommerce", self.platform)
        self.manifest = json.loads(dbt.manifest(self.project).read_bytes())
        shop = EcommerceGenerator(7, 300, 20, 500, opened=OPENED)
        self._generator = WithDefects(shop, "messy", drift=date(2026, 3, 2))
        self._loader = IcebergLoader(self.catalog)
        self._loader.load(self._generator.reference(BEGIN))
        self._ticks = 0

    def load(self) -> None:
        """Load what happens until the next tick."""
        since = BEGIN + self._ticks * EVERY
        self._loader.load(self._generator.batch(since, since + EVERY, BEGIN))
        self._ticks += 1

    def begun(
        self, namespace: str = "marts", *, full: bool = False, again: date | None = None, **settings: object
    ) -> Iterator[Any]:
        """A run, which goes on as far as its events are asked for. `settings`: of the pipeline."""
        pipeline = self.app.pipeline.model_copy(update={"marts_namespace": namespace, **settings})
        app = self.app.model_copy(update={"pipeline": pipeline})
        place = project(app, self.checkout / "apps/ecommerce", self.platform)
        return runs.run(place, self.manifest, "a-run", full_refresh=full, again_since=again)

    def run(
        self, namespace: str = "marts", *, full: bool = False, again: date | None = None
    ) -> tuple[Inputs, Counter[str]]:
        """Run dbt and publish; returns what the run read, and how many rows each failed or warned test found."""
        inputs, *events = self.begun(namespace, full=full, again=again)
        assert isinstance(inputs, Inputs)
        found: Counter[str] = Counter()
        for event in events:
            if isinstance(event, dict) and event["info"]["name"] == "LogTestResult":
                found[event["data"]["name"]] += int(event["data"]["num_failures"])
        return inputs, found

    def rows(self, mart: str, namespace: str = "marts") -> pa.Table:
        return self.catalog.load_table((namespace, mart)).scan().to_arrow()

    def published(self) -> tuple[Publication, str]:
        """What is published: the snapshots that belong together, and what Cube reads."""
        return last_publication(self.catalog, "marts"), (repo.current().state / "marts/marts/marts.json").read_text()

    def snapshot(self, mart: str) -> int | None:
        return self.catalog.load_table(("marts", mart)).metadata.current_snapshot_id

    def change(self, table: str, key: str, **values: Any) -> Callable[[], None]:
        """Load a later version of a row with other values, as somebody else than the loader; returns what undoes it."""
        raw = self.catalog.load_table(("raw", table))
        rows = raw.scan().to_arrow()
        name = rows.column_names[0]
        row = rows.filter(pc.equal(rows[name], key)).sort_by("_loaded_at").slice(0, 1)
        for column, value in values.items() | {("_loaded_at", datetime.now(UTC)), ("_batch_id", "by hand")}:
            place = row.schema.get_field_index(column)
            row = row.set_column(place, row.schema.field(place), pa.array([value], row.schema.field(place).type))
        files = append(raw, row)
        return lambda: exchange(raw.refresh(), files, [], {})

    def differences(self) -> dict[str, int]:
        """How many rows of each mart differ from those of a run that builds everything into another namespace."""
        self.run("rebuilt", full=True)
        return self.differences_from("rebuilt")

    def differences_from(self, namespace: str) -> dict[str, int]:
        """How many rows of each mart differ from those of another namespace."""
        counts = {}
        for mart in MARTS:
            added, rebuilt = self.rows(mart), self.rows(mart, namespace)
            assert added.num_rows
            assert added.column_names == rebuilt.column_names
            both = duckdb.sql("(from added except all from rebuilt) union all (from rebuilt except all from added)")
            counts[mart] = len(both.fetchall())
        return counts


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("incremental") / "fork"
    copy_repository(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOE_ROOT", str(folder))
        patch.setenv(VARIABLE, str(repo.current().artifacts_file(repo.EMBEDDED)))
        patch.setenv("FLOE_DBT_TARGET", str(repo.current().state / "dbt"))
        yield Shop(folder)


@pytest.fixture(scope="module")
def ticks(shop: Shop) -> list[Counter[str]]:
    """What the tests found in each tick of a shop with defects. Corrections and orphans come in between."""
    found = []
    for number in range(10):
        shop.load()
        for act in ACTS.get(number, ()):
            act(shop)
        inputs, counts = shop.run()
        assert inputs.incremental == (number > 0)
        found.append(counts)
    return found


@contextmanager
def interrupted(patch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> Iterator[None]:
    """Do something in place of a commit of a mart, and then that commit. `number`: the first has number 1."""
    exchange_files, commits = marts._exchange, count(1)

    def instead(*arguments: Any) -> None:
        if next(commits) == number:
            act()
        exchange_files(*arguments)

    with patch.context() as local:
        local.setattr(marts, "_exchange", instead)
        yield


def an_order(shop: Shop, number: int) -> dict[str, Any]:
    """A published order with several items."""
    orders = shop.rows("fct_orders")
    row: dict[str, Any] = (
        orders.filter(pc.greater(orders["item_count"], 1)).sort_by("order_id").slice(number, 1).to_pylist()[0]
    )
    return row


def an_item(shop: Shop, order: str) -> dict[str, Any]:
    items = shop.rows("fct_order_items")
    row: dict[str, Any] = items.filter(pc.equal(items["order_id"], order)).sort_by("order_item_id").to_pylist()[0]
    return row


def move_to_another_customer(shop: Shop) -> None:
    one, other = an_order(shop, 0), an_order(shop, 1)
    shop.change("orders", one["order_id"], customer_id=other["customer_id"])


def move_to_another_day(shop: Shop) -> None:
    one = an_order(shop, 2)
    shop.change("orders", one["order_id"], ordered_at=one["ordered_at"].replace(tzinfo=UTC) - timedelta(days=1))


def correct_an_item(shop: Shop) -> None:
    item = an_item(shop, an_order(shop, 3)["order_id"])
    shop.change("order_items", item["order_item_id"], quantity=item["quantity"] + 1)
    item = an_item(shop, an_order(shop, 4)["order_id"])
    shop.change("order_items", item["order_item_id"], order_id=an_order(shop, 5)["order_id"])


def spoil(shop: Shop) -> None:
    """Later versions that cannot be used, of an order and of an item."""
    shop.change("orders", an_order(shop, 6)["order_id"], total=Decimal(-1))
    shop.change("order_items", an_item(shop, an_order(shop, 7)["order_id"])["order_item_id"], product_id="p9u")


def repair(shop: Shop) -> None:
    shop.change("orders", an_order(shop, 6)["order_id"], total=Decimal(5))


def orphan(shop: Shop) -> None:
    """An order of a customer who has not come yet, with an item of it, and an event."""
    shop.change("orders", an_order(shop, 8)["order_id"], order_id="orphan", customer_id="later")
    shop.change(
        "order_items",
        an_item(shop, an_order(shop, 8)["order_id"])["order_item_id"],
        order_item_id="orphan-1",
        order_id="orphan",
    )
    event = shop.catalog.load_table(("raw", "order_events")).scan(limit=1).to_arrow()["order_event_id"][0].as_py()
    at = an_order(shop, 8)["updated_at"].replace(tzinfo=UTC) + timedelta(hours=1)
    shop.change("order_events", event, order_event_id="orphan-s", order_id="orphan", status="shipped", occurred_at=at)


def heal(shop: Shop) -> None:
    assert {"orphan", "orphan-1", "orphan-s"} <= set(shop.rows("fct_quarantine")["row_key"].to_pylist())
    shop.change("customers", an_order(shop, 8)["customer_id"], customer_id="later")


def repeat(shop: Shop) -> None:
    """The same row once more, in another load."""
    shop.change("orders", an_order(shop, 9)["order_id"])


ACTS: dict[int, Sequence[Callable[[Shop], None]]] = {
    2: (move_to_another_customer, orphan),
    3: (move_to_another_day, spoil),
    4: (correct_an_item,),
    5: (heal, repeat),
    7: (repair,),
}


def test_what_dbt_finds_is_the_ledger_kind_by_kind(shop: Shop, ticks: list[Counter[str]]) -> None:
    ledger = Counter(shop.catalog.load_table(("raw", "defects")).scan().to_arrow()["kind"].to_pylist())
    assert ledger.pop("new_columns") == 1
    assert "sales_channel" in shop.catalog.load_table(("raw", "orders")).schema().column_names
    found = sum(ticks, Counter[str]())
    by_hand = {"out_of_range": 1, "broken_references": 2, "late": 0}  # what ACTS brings
    caught = {kind: found[f"no_{kind}"] - by_hand.get(kind, 0) for kind in ledger}
    print("injected, caught:", {kind: (injected, caught[kind]) for kind, injected in sorted(ledger.items())})
    assert caught == ledger
    assert min(ledger.values()) > 3


def test_a_run_that_another_one_has_overtaken_publishes_nothing(shop: Shop) -> None:
    shop.load()
    slow = shop.begun()
    assert isinstance(next(slow), Inputs)
    shop.run()
    before = shop.published()
    with pytest.raises(Superseded):
        list(slow)
    assert shop.published() == before


def test_of_two_runs_that_publish_at_once_one_publishes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one begins and ends between two commits of the first."""
    shop.load()
    with interrupted(monkeypatch, 2, shop.run), pytest.raises(Superseded):
        shop.run()
    number = shop.published()[0].number
    assert shop.run()[0].last.number == number


@pytest.mark.parametrize("commits", [1, 3])
def test_a_run_that_is_killed_between_two_marts_has_published_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    def kill() -> None:
        raise KeyboardInterrupt

    shop.load()
    before = shop.published()
    with interrupted(monkeypatch, commits + 1, kill), pytest.raises(KeyboardInterrupt):
        shop.run()
    assert shop.published() == before
    moved = [name for name, snapshot in before[0].marts.items() if shop.snapshot(name) != snapshot]
    assert len(moved) == commits
    shop.run()
    publication, _ = shop.published()
    assert publication.number == before[0].number + 1
    assert {name: shop.snapshot(name) for name in MARTS} == publication.marts


def test_a_failed_test_leaves_what_is_published_and_the_next_run_heals(shop: Shop) -> None:
    shop.load()
    undo = shop.change("orders", an_order(shop, 0)["order_id"], order_id="lost", status="lost")
    before = shop.published()
    with pytest.raises(dbt.TestsFailed, match="accepted_values_fct_orders_status"):
        shop.run()
    assert shop.published() == before
    undo()
    orders = shop.catalog.load_table(("marts", "fct_orders"))
    exchange(orders, [], [], {MAINTENANCE_PROPERTY: "compact"})  # it does not change what is published
    maintained = shop.snapshot("fct_orders")
    shop.run()
    assert shop.published()[0].number == before[0].number + 1
    snapshot = orders.refresh().current_snapshot()
    assert snapshot is not None
    assert snapshot.parent_snapshot_id == maintained


MODEL, CONTRACT = "dim_products.sql", "marts.yml"
ONE_MORE = (MODEL, "  product.category,\n", "  product.category,\n  1 as one,\n")
PRICE = "product.unit_price as decimal(12, 2)) as unit_price"


@pytest.mark.parametrize(
    "changes",
    [
        {
            ONE_MORE: "contract",
            (
                CONTRACT,
                "      - {name: units_sold",
                "      - {name: one, data_type: integer}\n      - {name: units_sold",
            ): "",
        },
        {
            (CONTRACT, '"decimal(12, 2)", description: "The list', 'double, description: "The list'): "",
            (MODEL, PRICE, "product.unit_price as decimal(18, 2)) + 1e14 as unit_price"): "",
        },
    ],
    ids=["another column, without a contract and with it", "values that do not fit"],
)
def test_other_columns_than_the_published_ones_need_a_full_refresh(
    shop: Shop, changes: dict[tuple[str, str, str], str]
) -> None:
    """`changes`: (file, old text, new text), and what the error says if there is a run before the next change."""
    folder, before = shop.checkout / "apps/ecommerce/dbt/models/marts", shop.published()
    texts = {name: (folder / name).read_text() for name in (MODEL, CONTRACT)}
    shop.load()
    try:
        for number, ((name, old, new), words) in enumerate(changes.items(), start=1):
            text = (folder / name).read_text()
            assert old in text
            (folder / name).write_text(text.replace(old, new))
            if words or number == len(changes):
                with pytest.raises(FloeError) as raised:
                    shop.run()
                assert (words or "floe/full-refresh: true") in f"{raised.value.message} {raised.value.hint}"
    finally:
        for name, text in texts.items():
            (folder / name).write_text(text)
    assert shop.published() == before
    shop.run()


def test_the_models_pass_their_unit_tests(shop: Shop) -> None:
    """A run does not: they say nothing about its data. They need the models, but no rows of them."""
    inputs = Inputs(raw_namespace="raw", marts_namespace="marts")
    project, events = shop.project, list[dict[str, Any]]()
    with scratch(shop.platform) as place:
        environment = profile.for_run(shop.platform.compute, place, project.profiles, inputs=inputs)
        for command in (["run", "--empty"], ["test", "--select", "test_type:unit"]):
            folders = project.folder, project.target, project.profiles
            arguments = [*dbt._arguments(command[0], *folders, shop.app.pipeline), *command[1:]]
            try:
                events += dbt._invoke(arguments, environment, dbt._parsed(project))
            finally:
                dbt._close_scratch()
    passed = [one["data"]["name"] for one in events if one["info"]["name"] == "LogTestResult"]
    assert len(passed) == len(shop.manifest["unit_tests"]) > 2


def test_ten_ticks_give_what_a_full_rebuild_gives(shop: Shop) -> None:
    assert shop.differences() == dict.fromkeys(MARTS, 0)
    (healed,) = (row for row in shop.rows("fct_orders").to_pylist() if row["order_id"] == "orphan")
    assert (healed["status"], healed["item_count"]) == ("shipped", 1)
    assert "orphan" not in shop.rows("fct_quarantine")["row_key"].to_pylist()


def test_a_rebuild_in_parts_gives_the_same_and_is_published_as_one(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part has about 3,000 of the raw rows. A rebuild that is killed in its second part has published nothing."""

    def kill() -> None:
        raise KeyboardInterrupt

    events = list(shop.begun("in_parts", full=True, rows_at_once=3_000))
    parts = [one for one in events if isinstance(one, Inputs)]
    assert [one.part for one in parts] == list(range(1, parts[0].parts + 1))
    assert len(parts) > 2
    built = Counter(one["data"]["node_info"]["unique_id"] for one in events if _is_model(one))
    assert set(built.values()) == {1}
    assert shop.differences_from("in_parts") == dict.fromkeys(MARTS, 0)
    before = last_publication(shop.catalog, "in_parts")
    assert before.number == 1
    with interrupted(monkeypatch, len(MARTS) + 3, kill), pytest.raises(KeyboardInterrupt):
        list(shop.begun("in_parts", full=True, rows_at_once=3_000))
    assert last_publication(shop.catalog, "in_parts") == before
    shop.run("in_parts")
    assert shop.differences_from("in_parts") == dict.fromkeys(MARTS, 0)


def _is_model(event: object) -> bool:
    return isinstance(event, dict) and event["info"]["name"] == "LogModelResult"


def test_a_row_older_than_the_lookback_waits_for_a_run_of_its_day(shop: Shop) -> None:
    old = an_order(shop, 0)["ordered_at"].replace(tzinfo=UTC) - timedelta(days=60)
    shop.change("orders", an_order(shop, 0)["order_id"], order_id="ancient", ordered_at=old)
    shop.run()
    reasons = {row["row_key"]: row["reason"] for row in shop.rows("fct_quarantine").to_pylist()}
    assert reasons["ancient"] == "too_late: ordered_at"
    assert shop.run(again=old.date())[0].incremental
    assert "ancient" in shop.rows("fct_orders")["order_id"].to_pylist()
    assert "ancient" not in shop.rows("fct_quarantine")["row_key"].to_pylist()
    assert shop.differences() == dict.fromkeys(MARTS, 0)
    assert not shop.run("rebuilt", full=True)[0].incremental


def test_a_raw_column_of_another_type_publishes_nothing_and_the_error_names_the_model(shop: Shop) -> None:
    """It comes last, because it leaves the raw table as it is."""
    table = shop.catalog.load_table(("raw", "orders"))
    with table.update_schema() as change:
        change.update_column("total", DecimalType(14, 2))
    shop.change("orders", an_order(shop, 0)["order_id"], order_id="wide", total=Decimal("12.00"))
    shop.run()
    assert "wide" in shop.rows("fct_orders")["order_id"].to_pylist()  # the value fits the column of the mart
    with table.update_schema(allow_incompatible_changes=True) as change:
        change.delete_column("total")
    with table.update_schema() as change:
        change.add_column("total", StringType())
    shop.change("orders", an_order(shop, 0)["order_id"], order_id="text", total="twelve")
    before = shop.published()
    with pytest.raises(dbt.DbtFailed, match=r"(?s)stg_orders: .*VARCHAR"):
        shop.run()
    assert shop.published() == before
