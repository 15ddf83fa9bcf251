"""Rows per second of the generators, compared with a simple Faker loop and with jafgen, the Jaffle shop generator.

All take turns and are compared by the median of their rounds, in seconds of the processor. The generators make a week:
the shop with and without defects, and the software service. The loop makes about 100,000 rows of orders and items, as
Arrow tables of the same schema, because the loader needs them. jafgen makes a year of its shop as CSV files, in an
environment that uv makes for it alone. The generator's memory is that of a process of its own, which streams a hundred
million order items.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
from faker import Faker

from floe_synthetic import EcommerceGenerator, SaaSGenerator, WithDefects
from floe_synthetic.entities import Generates
from floe_synthetic.schema import arrow_schema

ROWS = 100_000
ROUNDS = 3
AT = datetime(2026, 3, 1, tzinfo=UTC)
JAFGEN = "jafgen==0.4.14"
PAYMENTS = ["card", "invoice", "wallet"]

Tables = dict[str, pa.Table]

STREAM = """
import resource
from datetime import timedelta
from bench.bench_generator import AT, EcommerceGenerator
stream = EcommerceGenerator(orders_per_day=3_000_000).stream(AT, AT + timedelta(days=14))
items = sum(rows.num_rows for name, rows in stream if name == "order_items")
print(items, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""


def by_generator(generator: Generates) -> Counter[str]:
    """The number of rows of each table in a week."""
    rows: Counter[str] = Counter()
    for name, table in generator.stream(AT, AT + timedelta(days=7)):
        rows[name] += table.num_rows
    return rows


def by_faker(fake: Faker, prices: dict[str, Decimal], batch_id: str) -> Tables:
    """About as many rows, with one call of Faker for each value."""
    products = list(prices)
    orders: list[dict[str, Any]] = []
    items: list[dict[str, Any]] = []
    while len(orders) + len(items) < ROWS:
        order_id = f"O-{batch_id}-{len(orders):07}"
        orders.append(
            {
                "order_id": order_id,
                "customer_id": f"C{fake.random_int(1, 1000):07}",
                "ordered_at": (at := fake.date_time_between(AT - timedelta(days=1), AT, tzinfo=UTC)),
                "status": "placed",
                "payment_method": fake.random_element(PAYMENTS),
                "total": Decimal(0),
                "updated_at": at,
            }
        )
        for line in range(fake.random_int(1, 3)):
            product_id = fake.random_element(products)
            quantity = fake.random_int(1, 3)
            percent = fake.random_element((0, 0, 0, 5, 10, 20))
            gross = quantity * prices[product_id]
            items.append(
                {
                    "order_item_id": f"{order_id}-{line}",
                    "order_id": order_id,
                    "product_id": product_id,
                    "quantity": quantity,
                    "unit_price": prices[product_id],
                    "discount": (discount := (gross * percent / 100).quantize(Decimal("0.01"))),
                }
            )
            orders[-1]["total"] += gross - discount
    made = {"orders": orders, "order_items": items}
    return {name: pa.Table.from_pylist(rows, schema=arrow_schema(name)) for name, rows in made.items()}


def by_jafgen(folder: str) -> int:
    """The number of rows of a year. Raises CalledProcessError or TimeoutExpired if jafgen cannot be got or fails."""
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "tool", "run", "--quiet", "--from", JAFGEN, "jafgen", "1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    files = Path(folder).rglob("*.csv")
    return sum(file.read_bytes().count(b"\n") - 1 for file in files)


def jafgen_speeds() -> list[float]:
    """Rows per second of the processor in several rounds after the first, which may install it; none without jafgen."""
    speeds = []
    for _ in range(1 + ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            try:
                rows = by_jafgen(folder)
            except (subprocess.SubprocessError, OSError):
                return []
            speeds.append(rows / (resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start))
    return speeds[1:]


def run() -> dict[str, float | str]:
    """Medians of several rounds after a warm-up: rows per second, ratios, and the generator's memory."""
    generator = EcommerceGenerator(orders_per_day=300_000)
    generators: dict[str, Generates] = {
        "shop": generator,
        "shop, messy": WithDefects(generator, "messy"),
        "shop, broken": WithDefects(generator, "broken"),
        "saas": SaaSGenerator(organisations=20_000, organisations_per_day=60, opened=AT.date()),
    }
    catalogue = generator.reference(AT).tables["products"].to_pylist()
    prices = {row["product_id"]: row["unit_price"] for row in catalogue}
    fake = Faker("en_US")
    fake.seed_instance(42)
    for one in generators.values():
        by_generator(one)

    speeds: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        for name, one in generators.items():
            start = time.process_time()
            rows = by_generator(one)
            seconds = time.process_time() - start
            speeds.setdefault(name, []).append(rows.total() / seconds)
            if name != "saas":
                speeds.setdefault(f"{name}, order items", []).append(rows["order_items"] / seconds)
        start = time.process_time()
        made = by_faker(fake, prices, f"{number}")
        loop = sum(table.num_rows for table in made.values()) / (time.process_time() - start)
        speeds.setdefault("Faker loop", []).append(loop)
    speeds["jafgen, to CSV"] = jafgen_speeds()
    tests = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", STREAM], cwd=tests, capture_output=True, text=True, check=True)
    streamed, megabytes = map(float, done.stdout.split())
    medians = {name: median(speed) if speed else None for name, speed in speeds.items()}
    shown: dict[str, float | str] = {
        f"{name}, rows/s": "jafgen cannot be got here" if speed is None else round(speed)
        for name, speed in medians.items()
    }
    for name in ("shop, messy", "shop, broken", "Faker loop", "jafgen, to CSV"):
        if one_speed := medians[name]:
            shown[f"ratio, {name} / shop"] = float(f"{one_speed / (medians['shop'] or 1):.2g}")
    return shown | {"items of the stream": streamed, "memory of the stream, MB": round(megabytes)}


if __name__ == "__main__":
    print(json.dumps(run()))
