"""What Cube should answer about the shop, computed from the generated batches and their ledger of defects alone.

Nothing here knows dbt, SQL or the marts: a row counts unless the ledger says that it cannot be used, or what it refers
to cannot be used. Entities are linked as in a shop: a customer has orders, an order has items, an item is a product.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from floe_synthetic import Batch
from floe_synthetic.defects import LEDGER

Row = dict[str, Any]
Number = int | Decimal | float
Answer = dict[Any, Number]
"""The value of a measure by the value of a dimension. A group without rows is left out."""

UNUSABLE = ("out_of_range", "broken_references")
"""The kinds of defects for which a row is not used."""
CHAIN = ("customers", "orders", "order_items", "products")
"""The entities. Each one is linked with those beside it."""
COUNTED = ("placed", "shipped", "delivered")
"""The statuses of orders whose items are revenue."""
_PARENTS = {"orders": ("customers",), "order_items": ("orders", "products"), "order_events": ("orders",)}


def stops(batches: Iterable[Batch]) -> bool:
    """Whether nothing may be published: more than 5 % of a table's rows, and at least 5, cannot be used."""
    rows: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for batch in batches:
        rows.update({name: table.num_rows for name, table in batch.tables.items() if name != LEDGER})
        wrong.update(entry["table_name"] for entry in _ledger(batch) if entry["kind"] in UNUSABLE)
    return any(count >= 5 and count > 0.05 * rows[name] for name, count in wrong.items())


def _ledger(batch: Batch) -> list[Row]:
    return batch.tables[LEDGER].to_pylist() if LEDGER in batch.tables else []


@dataclass(frozen=True)
class Shop:
    """The rows that count, by entity and key."""

    rows: dict[str, dict[str, Row]]

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> Shop:
        """What a shop is after these batches."""
        unusable = {
            (entry["table_name"], entry["row_key"])
            for batch in batches
            for entry in _ledger(batch)
            if entry["kind"] in UNUSABLE
        }
        rows: dict[str, dict[str, Row]] = {}
        for name in ("customers", "products", "orders", "order_items", "order_events"):
            found: dict[str, Row] = {}
            for batch in batches:
                for key, row in _versions(batch, name):
                    parents = ((parent, row[_key(parent)]) for parent in _PARENTS.get(name, ()))
                    if (name, key) not in unusable and all(parent in rows[table] for table, parent in parents):
                        found[key] = row
            rows[name] = found
        for order in rows["orders"].values():
            order["at"] = order["updated_at"], order["status"]
        for event in rows.pop("order_events").values():
            order = rows["orders"][event["order_id"]]
            order["at"] = max(order["at"], (event["occurred_at"], event["status"]))
        for order in rows["orders"].values():
            order["status"] = order["at"][1]
        for item in rows["order_items"].values():
            item["amount"] = item["quantity"] * item["unit_price"] - item["discount"]
            item["ordered_at"] = rows["orders"][item["order_id"]]["ordered_at"]
        return cls(rows)

    @cached_property
    def _links(self) -> dict[tuple[str, str], dict[str, set[str]]]:
        """By two entities beside each other: the keys of one that each key of the other is linked with."""
        links: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for one, other, table in (
            ("customers", "orders", "orders"),
            ("orders", "order_items", "order_items"),
            ("order_items", "products", "order_items"),
        ):
            for row in self.rows[table].values():
                links[one, other][row[_key(one)]].add(row[_key(other)])
                links[other, one][row[_key(other)]].add(row[_key(one)])
        return links

    def linked(self, entity: str, key: str, other: str) -> set[str]:
        """The keys of another entity that one row is linked with."""
        first, last = CHAIN.index(entity), CHAIN.index(other)
        step = 1 if last > first else -1
        keys = {key}
        for place in range(first, last, step):
            links = self._links[CHAIN[place], CHAIN[place + step]]
            keys = {found for one in keys for found in links.get(one, ())}
        return keys

    def answer(self, measure: str, dimension: str | None = None, granularity: str | None = None) -> Answer:
        """The value of a measure by a dimension; a row that is linked with none of its values counts under None."""
        entity, value = MEASURES[measure]
        groups: dict[Any, list[Row]] = defaultdict(list)
        for key, row in self.rows[entity].items():
            for group in self._groups(entity, key, dimension, granularity):
                groups[group].append(row)
        return {group: number for group, rows in groups.items() if (number := value(self, rows))}

    def _groups(self, entity: str, key: str, dimension: str | None, granularity: str | None) -> set[Any]:
        if dimension is None:
            return {None}
        other, column = dimension.split(".")
        values = {self.rows[other][one][column] for one in self.linked(entity, key, other)}
        if granularity:
            values = {_begin(value, granularity) for value in values}
        return values or {None}


def _key(entity: str) -> str:
    return {"customers": "customer_id", "products": "product_id", "orders": "order_id"}.get(entity, "order_item_id")


def _versions(batch: Batch, name: str) -> Iterable[tuple[str, Row]]:
    """The rows of a table with their keys; if a key is there several times, the last one is the greatest."""
    if name not in batch.tables:
        return []
    rows = [row | {"batch_id": batch.batch_id} for row in batch.tables[name].to_pylist()]
    key = next(iter(rows[0])) if rows else ""
    keys = Counter(row[key] for row in rows)
    several = sorted((row for row in rows if keys[row[key]] > 1), key=lambda row: list(row.values()))
    return [(row[key], row) for row in (*(row for row in rows if keys[row[key]] == 1), *several)]


def _begin(time: datetime, granularity: str) -> str:
    at = time.astimezone(UTC).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    return (at.replace(hour=0) if granularity == "day" else at).isoformat(timespec="milliseconds")


def _count(_: Shop, rows: Collection[Row]) -> int:
    return len(rows)


def _sold(shop: Shop, rows: Collection[Row]) -> int:
    return sum(bool(shop.linked("products", row["product_id"], "order_items")) for row in rows)


def _completed(_: Shop, rows: Collection[Row]) -> int:
    return sum(row["status"] == "delivered" for row in rows)


def _amount(*statuses: str) -> Callable[[Shop, Collection[Row]], Decimal]:
    """What the items of orders with these statuses cost."""
    return lambda shop, rows: sum((row["amount"] for row in _of(shop, rows, statuses)), Decimal(0))


def _of(shop: Shop, items: Iterable[Row], statuses: Collection[str] = COUNTED) -> list[Row]:
    return [item for item in items if shop.rows["orders"][item["order_id"]]["status"] in statuses]


def _pieces(shop: Shop, rows: Collection[Row]) -> int:
    return sum(row["quantity"] for row in _of(shop, rows))


def _orders(shop: Shop, rows: Collection[Row]) -> int:
    return len({row["order_id"] for row in _of(shop, rows)})


def _average(shop: Shop, rows: Collection[Row]) -> float:
    return float(_amount(*COUNTED)(shop, rows)) / (_orders(shop, rows) or 1)


MEASURES: dict[str, tuple[str, Callable[[Shop, Collection[Row]], Number]]] = {
    "customers.count": ("customers", _count),
    "products.count": ("products", _sold),
    "orders.count": ("orders", _count),
    "orders.completed": ("orders", _completed),
    "order_items.revenue": ("order_items", _amount(*COUNTED)),
    "order_items.gross_revenue": ("order_items", _amount(*COUNTED, "cancelled", "returned")),
    "order_items.cancelled_revenue": ("order_items", _amount("cancelled")),
    "order_items.returned_revenue": ("order_items", _amount("returned")),
    "order_items.items_sold": ("order_items", _pieces),
    "order_items.orders_with_items": ("order_items", _orders),
    "order_items.average_order_value": ("order_items", _average),
}
"""Each measure of the cubes: the entity whose rows it counts, and its value."""


def same(answered: Answer, expected: Answer) -> bool:
    """Whether two answers have the same groups and numbers: to the cent, and a quotient to 12 digits."""
    return answered.keys() == expected.keys() and all(
        math.isclose(number, expected[group], rel_tol=1e-12)
        if isinstance(expected[group], float)
        else number == expected[group]
        for group, number in answered.items()
    )
