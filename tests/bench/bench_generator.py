"""Rows per second of the shop's generator, compared with a simple Faker loop that generates the same columns.

Both generate about 100,000 rows of orders and order items, take turns in the same process, and are compared by the
median of their rounds. The loop also creates Arrow tables of the same schema, because the loader needs them.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

import pyarrow as pa
from faker import Faker

from floe_synthetic import EcommerceGenerator
from floe_synthetic.schema import arrow_schema

ROWS = 100_000
ROUNDS = 5
AT = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
STATUSES = ["completed", "pending", "cancelled", "returned"]

Tables = dict[str, pa.Table]


def by_generator(generator: EcommerceGenerator, batch_id: str) -> Tables:
    """The number of rows in a batch of the generator, without new customers."""
    tables = generator.batch(batch_id, AT).tables
    return {name: tables[name] for name in ("orders", "order_items")}


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
                "ordered_at": fake.date_time_between(AT - timedelta(minutes=5), AT, tzinfo=UTC),
                "status": fake.random_element(STATUSES),
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
                    "discount": (gross * percent / 100).quantize(Decimal("0.01")),
                }
            )
    made = {"orders": orders, "order_items": items}
    return {name: pa.Table.from_pylist(rows, schema=arrow_schema(name)) for name, rows in made.items()}


def run() -> dict[str, float]:
    """Medians of several rounds after a warm-up: rows per second of both, and their ratio."""
    # A third of the rows are orders, and more orders are placed at noon than on average.
    generator = EcommerceGenerator(orders_per_batch=int(ROWS / 3.15 / 1.45))
    catalogue = generator.reference().tables["products"].to_pylist()
    prices = {row["product_id"]: row["unit_price"] for row in catalogue}
    fake = Faker("en_US")
    fake.seed_instance(42)
    by_generator(generator, "warm-up")

    speeds: dict[str, list[float]] = {"generator": [], "faker": []}
    rows = 0
    for number in range(ROUNDS):
        for name, speed in speeds.items():
            start = time.perf_counter()
            made = by_generator(generator, f"{number}") if name == "generator" else by_faker(fake, prices, f"{number}")
            seconds = time.perf_counter() - start
            rows = sum(table.num_rows for table in made.values())
            speed.append(rows / seconds)
    fast, slow = (median(speed) for speed in speeds.values())
    return {
        "rows": rows,
        "generator_rows_per_second": round(fast),
        "faker_rows_per_second": round(slow),
        "times_faster": round(fast / slow, 1),
    }


if __name__ == "__main__":
    print(json.dumps(run()))
