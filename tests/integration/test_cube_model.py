"""The real Cube on small Parquet marts. Its results must equal those that Python computes from the same rows."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from floe import repo
from floe.demo import cube
from floe.errors import FloeError
from floe.tools import resolve

SECRET = "only-this-test-signs-with-it-0123456789"
MODEL = repo.current().root / "apps/ecommerce/cube/model"
REVENUE_BY_DAY = {
    "measures": ["order_items.revenue"],
    "timeDimensions": [{"dimension": "order_items.ordered_at", "granularity": "day"}],
}
REVENUE_BY_DAY_MEMBERS = ("order_items.ordered_at.day", "order_items.revenue")

Row = dict[str, Any]
MONEY, PRICE, TIME = pa.decimal128(18, 2), pa.decimal128(12, 2), pa.timestamp("us")
CONTRACT = {
    "customers": {
        "customer_id": pa.string(),
        "name": pa.string(),
        "email": pa.string(),
        "country": pa.string(),
        "segment": pa.string(),
        "created_at": TIME,
        "orders": pa.int64(),
        "lifetime_value": MONEY,
    },
    "products": {
        "product_id": pa.string(),
        "name": pa.string(),
        "category": pa.string(),
        "unit_price": PRICE,
        "units_sold": pa.int64(),
        "revenue": MONEY,
    },
    "orders": {
        "order_id": pa.string(),
        "customer_id": pa.string(),
        "ordered_at": TIME,
        "status": pa.string(),
        "item_count": pa.int64(),
        "amount": MONEY,
        "batch_id": pa.string(),
    },
    "order_items": {
        "order_item_id": pa.string(),
        "order_id": pa.string(),
        "product_id": pa.string(),
        "quantity": pa.int32(),
        "unit_price": PRICE,
        "discount": PRICE,
        "amount": MONEY,
        "ordered_at": TIME,
    },
}


def files() -> set[Path]:
    return {path for folder in (MODEL, repo.current().root / "images/cube") for path in folder.rglob("*")}


FILES = files()  # listed before any Cube is started


@dataclass
class Shop:
    """Rows of the four marts with their documented columns, and the results that Cube should return."""

    orders: int
    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        pick = random.Random(7)
        start = dt.datetime(2026, 3, 1, 22, 30)  # marts contain UTC times without a time zone
        for n in range(12):
            key = {"customer_id": f"c{n}", "name": f"n{n}", "email": f"{n}@example.org"}
            key["country"] = ("DE", "FR", "NL")[n % 3]
            rest = {"segment": ("new", "loyal")[n % 2], "created_at": start, "orders": 0, "lifetime_value": Decimal(0)}
            self.rows["customers"].append(key | rest)
            key = {"product_id": f"p{n}", "name": f"product {n}", "category": ("Books", "Toys", "Garden")[n % 3]}
            rest = {"unit_price": Decimal(n) + Decimal("0.99"), "units_sold": self.orders, "revenue": Decimal(0)}
            self.rows["products"].append(key | rest)
        for n in range(self.orders):
            order = {"order_id": f"o{n}", "ordered_at": start + dt.timedelta(minutes=41 * n)}
            count = pick.randint(1, 4)
            for k in range(count):
                product = pick.choice(self.rows["products"])
                quantity, discount = pick.randint(1, 5), Decimal(pick.randint(0, 60)) / 100
                amount = quantity * product["unit_price"] - discount
                item = {"order_item_id": f"o{n}-{k}", "product_id": product["product_id"], "quantity": quantity}
                price = {"unit_price": product["unit_price"], "discount": discount, "amount": amount}
                self.rows["order_items"].append(order | item | price)
            amount = sum(item["amount"] for item in self.rows["order_items"][-count:])
            customer = {
                "customer_id": f"c{pick.randrange(9)}",
                "batch_id": "b1",
            }  # the customers c9 to c11 have no orders
            self.rows["orders"].append(
                order | customer | {"status": ("paid", "shipped")[n % 2], "item_count": count, "amount": amount}
            )

    def write(self, folder: Path) -> None:
        """Replace the marts one after the other, each in one step, as the pipeline does."""
        folder.mkdir(exist_ok=True)
        for mart, columns in CONTRACT.items():
            part = folder / f".{mart}.part"
            pq.write_table(pa.Table.from_pylist(self.rows[mart], schema=pa.schema(list(columns.items()))), part)
            part.replace(folder / f"{mart}.parquet")

    def revenue_by(self, key: Callable[[Row], str]) -> dict[str, Decimal]:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for item in self.rows["order_items"]:
            sums[key(item)] += item["amount"]
        return dict(sums)

    def category(self, item: Row) -> str:
        return next(str(p["category"]) for p in self.rows["products"] if p["product_id"] == item["product_id"])

    def country(self, order: Row) -> str:
        return next(str(c["country"]) for c in self.rows["customers"] if c["customer_id"] == order["customer_id"])


def day(row: Row) -> str:
    return f"{row['ordered_at']:%Y-%m-%d}T00:00:00.000"


def numbers(rows: list[Row], key: str, value: str) -> dict[str, Decimal]:
    """Cube's rows as a mapping. Fails if a number is not a string, as Cube documents it."""
    assert all(isinstance(row[value], str) for row in rows)
    return {row[key]: Decimal(row[value]) for row in rows}


@dataclass
class Served:
    """A running Cube and the folder of its marts."""

    url: str
    marts: Path

    def load(self, **query: Any) -> list[Row]:
        return cube.load(self.url, cube.token(SECRET), query)

    def answer(self, query: dict[str, Any]) -> dict[str, Any]:
        return cube.answer(self.url, cube.token(SECRET), query)


@pytest.fixture(scope="module")
def installed() -> cube.CubeInstall:
    install = cube.install(repo.current())
    if install.native == "stand-in":
        warnings.warn("Cube ran with the stand-in of its Rust addon", pytest.PytestWarning, stacklevel=1)
    return install


def wait_ready(url: str, seconds: float, check: Literal["readyz", "livez"] = "readyz") -> None:
    """Wait until a health check of Cube (`readyz` or `livez`) succeeds. Raises FloeError if it does not in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            cube._get(f"{url}/{check}", "", 5)
        except cube.CubeError as error:
            if time.monotonic() > deadline:
                raise FloeError(
                    f"{url}/{check} fails after {seconds:.0f} s: {error}", "Read the log of Cube."
                ) from error
            time.sleep(0.1)
        else:
            return


_RELEASE = """
const { createRequire } = require('node:module');
const [folder, home] = process.argv.slice(1);
const driverPackage = createRequire(home + '/package.json')('@cubejs-backend/duckdb-driver');
const driver = require(folder + '/duckdb.js')(driverPackage.DuckDBDriver ?? driverPackage);
(async () => {
  await driver.query('SELECT 1', []);
  const running = driver.query('SELECT count(*) AS n FROM range(300000000) a(i) WHERE i % 7 = 0', []);
  await new Promise((done) => setTimeout(done, 50));
  await driver.release();
  console.log(JSON.stringify(await running));
})();
"""


def test_duckdb_is_closed_after_the_query_that_runs(installed: cube.CubeInstall) -> None:
    """Cube may shut down while its refresh worker queries. To close DuckDB during a query crashes the process."""
    command = [str(resolve("node")), "-e", _RELEASE, str(repo.current().root / "images" / "cube"), str(installed.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, '[{"n":"42857143"}]\n'), done.stderr


@contextmanager
def serving(
    install: cube.CubeInstall, marts: Path, check: Literal["readyz", "livez"] = "readyz", **changes: str
) -> Iterator[Served]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = marts.parent / f"{marts.name}.log"
    env = cube.environment(MODEL, cube.parquet_marts(marts), port, SECRET) | changes
    with log.open("w") as out:
        # A separate session, so that all processes that Cube starts end with it.
        process = subprocess.Popen(
            cube.command(repo.current(), install), env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_ready(f"http://127.0.0.1:{port}", 60, check)
        yield Served(f"http://127.0.0.1:{port}", marts)
        assert process.poll() is None, log.read_text()
        process.terminate()
        assert process.wait(20) == 0, log.read_text()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(orders=90)


@pytest.fixture(scope="module")
def served(installed: cube.CubeInstall, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    marts = tmp_path_factory.mktemp("cube") / "the mart's folder"
    shop.write(marts)
    # Days are days in UTC, independent of the time zone of the machine.
    with serving(installed, marts, TZ="America/New_York") as running:
        yield running


def until(wanted: object, ask: Callable[[], object]) -> float:
    """Wait until an answer is the expected one; returns the seconds. Fails after a minute."""
    start = time.monotonic()
    while (got := ask()) != wanted:
        assert time.monotonic() - start < 60, f"still {got}, not {wanted}"
        time.sleep(0.1)
    return time.monotonic() - start


def by_day(running: Served) -> dict[str, Decimal]:
    return numbers(running.answer(REVENUE_BY_DAY)["data"], *REVENUE_BY_DAY_MEMBERS)


def test_totals(served: Served, shop: Shop) -> None:
    items = shop.rows["order_items"]
    revenue = sum(item["amount"] for item in items)
    (row,) = served.load(measures=["order_items.revenue", "order_items.items_sold", "order_items.average_order_value"])
    assert Decimal(row["order_items.revenue"]) == revenue
    assert row["order_items.items_sold"] == str(sum(item["quantity"] for item in items))
    assert float(row["order_items.average_order_value"]) == pytest.approx(float(revenue) / 90)
    for cube_name, count in (("orders", "90"), ("customers", "12"), ("products", "12")):
        assert served.load(measures=[f"{cube_name}.count"]) == [{f"{cube_name}.count": count}]


def test_revenue_by_category_through_the_join(served: Served, shop: Shop) -> None:
    rows = served.load(measures=["order_items.revenue"], dimensions=["products.category"])
    assert numbers(rows, "products.category", "order_items.revenue") == shop.revenue_by(shop.category)


def test_orders_by_country_through_two_joins(served: Served, shop: Shop) -> None:
    rows = served.load(measures=["orders.count"], dimensions=["customers.country"])
    assert numbers(rows, "customers.country", "orders.count") == Counter(map(shop.country, shop.rows["orders"]))


def test_an_order_is_counted_once_for_any_number_of_items(served: Served, shop: Shop) -> None:
    (row,) = served.load(measures=["orders.count", "order_items.revenue"])
    assert row["orders.count"] == "90"
    assert Decimal(row["order_items.revenue"]) == sum(shop.revenue_by(day).values())


def test_revenue_by_day_uses_the_rollup(served: Served, shop: Shop) -> None:
    answer = served.answer(REVENUE_BY_DAY)
    (used,) = answer["usedPreAggregations"].values()
    assert used["preAggregationId"] == "order_items.revenue_by_day"
    assert numbers(answer["data"], *REVENUE_BY_DAY_MEMBERS) == shop.revenue_by(day)


def test_the_view_uses_the_same_rollup_and_returns_the_same_rows(served: Served, shop: Shop) -> None:
    time_dimension = {"dimension": "sales.ordered_at", "granularity": "day"}
    query = {"measures": ["sales.revenue"], "dimensions": ["sales.category"], "timeDimensions": [time_dimension]}
    answer = served.answer(query)
    assert answer["usedPreAggregations"]
    got = {(r["sales.ordered_at.day"], r["sales.category"]): Decimal(r["sales.revenue"]) for r in answer["data"]}
    wanted = shop.revenue_by(lambda item: f"{day(item)} {shop.category(item)}")
    assert {" ".join(key): value for key, value in got.items()} == wanted


def test_rows_are_returned_in_each_of_the_three_formats(served: Served) -> None:
    query: dict[str, Any] = {"measures": ["orders.count"], "dimensions": ["orders.status"]}
    query["order"] = {"orders.status": "asc"}
    members = ["orders.status", "orders.count"]
    rows = [["paid", "45"], ["shipped", "45"]]
    assert served.answer(query)["data"] == [dict(zip(members, row, strict=True)) for row in rows]
    assert served.answer(query | {"responseFormat": "compact"})["data"] == {"members": members, "dataset": rows}
    columns = [list(column) for column in zip(*rows, strict=True)]
    assert served.answer(query | {"responseFormat": "columnar"})["data"] == {"members": members, "columns": columns}


@pytest.mark.parametrize("token", ["", cube.token("somebody-else-entirely-0123456789abcdef"), cube.token(SECRET, -1)])
def test_requests_without_a_valid_token_are_refused(served: Served, token: str) -> None:
    with pytest.raises(cube.CubeError) as refused:
        cube.load(served.url, token, {"measures": ["orders.count"]})
    assert refused.value.status == 403


def test_health(served: Served) -> None:
    for path in ("livez", "readyz"):
        assert cube._get(f"{served.url}/{path}", "", 5) == {"health": "HEALTH"}


def test_the_model_contains_no_personal_data(served: Served) -> None:
    meta = cube._get(f"{served.url}/cubejs-api/v1/meta", cube.token(SECRET), 10)
    names = {member["name"] for each in meta["cubes"] for member in each["dimensions"]}
    assert "customers.country" in names
    assert not names & {"customers.email", "customers.name"}


def test_new_rows_appear_within_seconds(served: Served, shop: Shop) -> None:
    more = Shop(orders=150)
    more.write(served.marts)
    try:
        plain = until([{"orders.count": "150"}], lambda: served.load(measures=["orders.count"]))
        rollup = until(more.revenue_by(day), lambda: by_day(served))
        print(f"new rows after {plain:.1f} s, through the rollup after {plain + rollup:.1f} s")
    finally:
        shop.write(served.marts)


def test_queries_before_the_first_run_fail_and_cube_keeps_running(
    installed: cube.CubeInstall, shop: Shop, tmp_path: Path
) -> None:
    with serving(installed, tmp_path / "marts") as running:
        for query in ({"measures": ["orders.count"]}, REVENUE_BY_DAY):
            with pytest.raises(cube.CubeError, match="No files found"):
                running.answer(query)
        shop.write(running.marts)
        until([{"orders.count": "90"}], lambda: running.load(measures=["orders.count"]))
        until(shop.revenue_by(day), lambda: by_day(running))


def test_marts_may_be_replaced_while_they_are_read(served: Served, shop: Shop) -> None:
    """Every query returns either the old or the new rows, even if marts are replaced very often."""
    variants = (Shop(orders=60), shop)
    wanted = {sum(each.revenue_by(day).values()) for each in variants}
    done = threading.Event()

    def replace() -> None:
        for each in itertools.cycle(variants):
            each.write(served.marts)
            if done.wait(0.1) and each is shop:
                return

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        for asked in range(150):
            # A different filter each time, so that no answer comes from the cache.
            since = [f"2025-01-01T00:00:00.{asked:03}"]
            newer = {"member": "order_items.ordered_at", "operator": "afterDate", "values": since}
            (row,) = served.load(measures=["order_items.revenue"], filters=[newer])
            assert Decimal(row["order_items.revenue"]) in wanted
    finally:
        done.set()
        writer.join()


def test_the_same_model_works_with_tables_of_trino(installed: cube.CubeInstall, tmp_path: Path) -> None:
    trino = {"CUBEJS_DB_TYPE": "trino", "CUBEJS_DB_HOST": "127.0.0.1", "FLOE_MART": "iceberg.marts.{mart}"}
    with serving(installed, tmp_path / "marts", "livez", CUBEJS_REFRESH_WORKER="false", **trino) as running:
        query = '{"measures":["order_items.revenue"],"dimensions":["products.name"]}'
        reply = cube._get(f"{running.url}/cubejs-api/v1/sql?query={query}", cube.token(SECRET), 20)
    sql = reply["sql"]["sql"][0]
    assert 'iceberg.marts.order_items AS "order_items"' in sql
    assert 'iceberg.marts.products AS "products"' in sql


@pytest.mark.parametrize("name", ["FLOE_MART", "FLOE_CUBE_MODEL", "CUBEJS_DB_TYPE", "CUBEJS_API_SECRET"])
def test_a_missing_variable_is_reported(installed: cube.CubeInstall, tmp_path: Path, name: str) -> None:
    env = cube.environment(MODEL, cube.parquet_marts(tmp_path), 1, SECRET)
    del env[name]
    done = subprocess.run(
        cube.command(repo.current(), installed), env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"cube: {name} is not set: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"FLOE_MART": "marts.orders"}, "has no {mart}"),
        ({"FLOE_CUBE_MODEL": "model"}, "is not the absolute path of a folder"),
        ({"FLOE_CUBE_REFRESH": "soon"}, "is not a whole number of seconds"),
    ],
)
def test_an_invalid_variable_is_reported(
    installed: cube.CubeInstall, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    env = cube.environment(MODEL, cube.parquet_marts(tmp_path), 1, SECRET) | change
    done = subprocess.run(
        cube.command(repo.current(), installed), env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_each_model_file_of_a_mounted_config_map_is_read_once(
    installed: cube.CubeInstall, shop: Shop, tmp_path: Path
) -> None:
    """Kubernetes mounts each file as a link into a hidden folder, to which another hidden link points."""
    model = tmp_path / "model"
    real = model / "..2026_11_24"
    real.mkdir(parents=True)
    (model / "..data").symlink_to(real.name)
    for file in MODEL.rglob("*.yml"):
        shutil.copy(file, real)
        (model / file.name).symlink_to(Path("..data") / file.name)
    shop.write(tmp_path / "marts")
    with serving(installed, tmp_path / "marts", FLOE_CUBE_MODEL=str(model)) as running:
        assert running.load(measures=["orders.count"]) == [{"orders.count": "90"}]


def test_a_folder_with_braces_in_its_name_is_refused() -> None:
    with pytest.raises(FloeError, match="in its name"):
        cube.parquet_marts(Path("/data/{marts}"))


def install_script(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(repo.current().root / "images/cube/install.sh"), *arguments]
    return subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False)


def test_an_installation_without_npm_is_reported(tmp_path: Path) -> None:
    done = install_script(str(tmp_path / "new"), NPM="no-such-npm")
    assert done.returncode == 1
    assert done.stderr.startswith("install.sh: npm is missing")
    assert not list(tmp_path.iterdir())


def test_an_image_never_uses_the_stand_in(tmp_path: Path) -> None:
    place = tmp_path / "in the image"
    place.mkdir()
    (place / "native.txt").write_text("stand-in\n")
    standin = str(repo.current().root / "tests/cube-native")
    assert install_script(str(place), standin).stdout == "native: stand-in\n"
    done = install_script(str(place))
    assert done.returncode == 1
    assert "none was allowed" in done.stderr


def test_cube_writes_no_files_to_the_repository(served: Served) -> None:
    served.load(measures=["orders.count"])
    assert files() == FILES
