"""The real Cube on small Parquet marts, whose results must equal those that Python computes from the same rows."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import signal
import socket
import subprocess
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from floe import repo
from floe.demo import cube
from floe.errors import FloeError

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
    "dim_customers": {
        "customer_id": pa.string(),
        "name": pa.string(),
        "email": pa.string(),
        "country": pa.string(),
        "segment": pa.string(),
        "created_at": TIME,
        "orders": pa.int64(),
        "lifetime_value": MONEY,
    },
    "dim_products": {
        "product_id": pa.string(),
        "name": pa.string(),
        "category": pa.string(),
        "unit_price": PRICE,
        "units_sold": pa.int64(),
        "revenue": MONEY,
    },
    "fct_orders": {
        "order_id": pa.string(),
        "customer_id": pa.string(),
        "ordered_at": TIME,
        "status": pa.string(),
        "payment_method": pa.string(),
        "item_count": pa.int64(),
        "amount": MONEY,
        "batch_id": pa.string(),
    },
    "fct_order_items": {
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
                order | customer | {"status": ("delivered", "shipped")[n % 2], "item_count": count, "amount": amount}
            )

    def write(self, folder: Path, address: str = "") -> None:
        """Publish the marts as the pipeline does: files with new names, and then one list of them.

        `address`: how Cube names the folder, if it reads it from elsewhere.
        """
        folder = folder / "marts"
        folder.mkdir(parents=True, exist_ok=True)
        queries = {}
        for mart, columns in CONTRACT.items():
            file = f"{mart}-{uuid.uuid4().hex}.parquet"
            pq.write_table(
                pa.Table.from_pylist(self.rows[mart.partition("_")[2]], schema=pa.schema(list(columns.items()))),
                folder / file,
            )
            place = f"{address}/marts/{file}" if address else str(folder / file)
            queries[mart] = "select * from read_parquet(['{}'])".format(place.replace("'", "''"))  # noqa: S608 # a path of the test
        part = folder / ".marts.part"
        part.write_text(json.dumps({"publication": 1, "marts": queries}))
        part.replace(folder / "marts.json")

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


def until(wanted: object, ask: Callable[[], object]) -> float:
    """Wait until an answer is the expected one; returns the seconds. Fails after a minute."""
    start = time.monotonic()
    while (answer := ask()) != wanted:
        assert time.monotonic() - start < 60, f"still {answer}, not {wanted}"
        time.sleep(0.1)
    return time.monotonic() - start


def by_day(running: Served) -> dict[str, Decimal]:
    return numbers(running.answer(REVENUE_BY_DAY)["data"], *REVENUE_BY_DAY_MEMBERS)
