"""Rows per second of the shop's generator, compared with a simple Faker loop that generates the same columns.

Both take turns in the same process and are compared by the median of their rounds, in seconds of the processor. The
generator makes days of orders with their items, events, returns and new customers, the loop about 100,000 rows of
orders and items. It creates Arrow tables of the same schema too, because the loader needs them. The generator's memory
is that of a process of its own, which streams a hundred million order items.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

import pyarrow as pa
from faker import Faker

from floe_synthetic import EcommerceGenerator
from floe_synthetic.schema import arrow_schema

ROWS = 100_000
ROUNDS = 3
AT = datetime(2026, 3, 1, tzinfo=UTC)
PAYMENTS = ["card", "invoice", "wallet"]

Tables = dict[str, pa.Table]

STREAM = """
import resource
from datetime import timedelta
from bench.bench_generator import AT, EcommerceGenerator
stream = EcommerceGenerator(orders_per_day=3_000_000).stream(AT, AT + timedelta(days=13))
items = sum(rows.num_rows for name, rows in stream if name == "order_items")
print(items, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""


def by_generator(generator: EcommerceGenerator) -> Counter[str]:
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


def run() -> dict[str, float]:
    """Medians of several rounds after a warm-up: rows per second of both, their ratio, and the generator's memory."""
    generator = EcommerceGenerator(orders_per_day=300_000)
    catalogue = generator.reference(AT).tables["products"].to_pylist()
    prices = {row["product_id"]: row["unit_price"] for row in catalogue}
    fake = Faker("en_US")
    fake.seed_instance(42)
    by_generator(generator)

    speeds: dict[str, list[float]] = {"all": [], "items": [], "faker": []}
    for number in range(ROUNDS):
        start = time.process_time()
        rows = by_generator(generator)
        seconds = time.process_time() - start
        speeds["all"].append(rows.total() / seconds)
        speeds["items"].append(rows["order_items"] / seconds)
        start = time.process_time()
        made = by_faker(fake, prices, f"{number}")
        speeds["faker"].append(sum(table.num_rows for table in made.values()) / (time.process_time() - start))
    done = subprocess.run([sys.executable, "-c", STREAM], capture_output=True, text=True, check=True)
    streamed, megabytes = map(float, done.stdout.split())
    all_rows, items, by_loop = (median(speed) for speed in speeds.values())
    return {
        "generator_rows_per_second": round(all_rows),
        "generator_items_per_second": round(items),
        "faker_rows_per_second": round(by_loop),
        "times_faster": round(all_rows / by_loop, 1),
        "streamed_items": streamed,
        "streamed_peak_mb": round(megabytes),
    }


if __name__ == "__main__":
    print(json.dumps(run()))
