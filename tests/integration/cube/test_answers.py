"""The answers of the real Cube to queries: they equal the results that Python computes from the same rows."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import jwt
import pytest

from cube_server import (
    MODEL,
    REVENUE_BY_DAY,
    REVENUE_BY_DAY_MEMBERS,
    SECRET,
    Served,
    Shop,
    by_day,
    day,
    numbers,
    serving,
    until,
)
from floe import repo
from floe.demo import cube


def files() -> set[Path]:
    return {path for folder in (MODEL, repo.current().root / "images/cube") for path in folder.rglob("*")}


FILES = files()  # listed before any Cube is started


@pytest.fixture(scope="module")
def served(installed: cube.CubeInstall, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    marts = tmp_path_factory.mktemp("cube") / "the mart's folder"
    shop.write(marts)
    # Days are days in UTC, independent of the time zone of the machine.
    with serving(installed, marts, TZ="America/New_York") as running:
        yield running


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
    revenue = {(r["sales.ordered_at.day"], r["sales.category"]): Decimal(r["sales.revenue"]) for r in answer["data"]}
    wanted = shop.revenue_by(lambda item: f"{day(item)} {shop.category(item)}")
    assert {" ".join(key): value for key, value in revenue.items()} == wanted


def test_rows_are_returned_in_each_of_the_three_formats(served: Served) -> None:
    query: dict[str, Any] = {"measures": ["orders.count"], "dimensions": ["orders.status"]}
    query["order"] = {"orders.status": "asc"}
    members = ["orders.status", "orders.count"]
    rows = [["delivered", "45"], ["shipped", "45"]]
    assert served.answer(query)["data"] == [dict(zip(members, row, strict=True)) for row in rows]
    assert served.answer(query | {"responseFormat": "compact"})["data"] == {"members": members, "dataset": rows}
    columns = [list(column) for column in zip(*rows, strict=True)]
    assert served.answer(query | {"responseFormat": "columnar"})["data"] == {"members": members, "columns": columns}


def test_segments(served: Served) -> None:
    for measure, segment, count in (
        ("orders.count", "orders.completed_orders", "45"),
        ("orders.count", "orders.open_orders", "45"),
        ("operations.orders", "operations.open_orders", "45"),
        ("sales.orders_with_items", "sales.counted", "90"),
    ):
        assert served.load(measures=[measure], segments=[segment]) == [{measure: count}]


def limited(served: Served, countries: object, *measures: str) -> dict[str, Any]:
    """The answer to somebody whose token has the claim `countries`."""
    claims = {"countries": countries, "exp": int(time.time()) + 600}
    (row,) = cube.load(served.url, jwt.encode(claims, SECRET, algorithm="HS256"), {"measures": list(measures)})
    return row


def test_a_token_with_countries_shows_only_their_customers(served: Served, shop: Shop) -> None:
    orders = {order["order_id"] for order in shop.rows["orders"] if shop.country(order) == "DE"}
    items = [item for item in shop.rows["order_items"] if item["order_id"] in orders]
    wanted = {
        "customers.count": 4,
        "orders.count": len(orders),
        "order_items.revenue": sum(item["amount"] for item in items),
        "products.count": len({item["product_id"] for item in items}),
        "sales.items_sold": sum(item["quantity"] for item in items),
        "operations.orders": len(orders),
        "customer_base.customers": 4,
    }
    for measure, number in wanted.items():
        assert Decimal(limited(served, ["DE"], measure)[measure]) == number, measure
    cubes = list(wanted)[:4]
    assert {name: Decimal(number) for name, number in limited(served, ["DE"], *cubes).items()} == {
        name: wanted[name] for name in cubes
    }
    assert limited(served, ["DE", "FR", "NL"], "orders.count") == {"orders.count": "90"}


def test_cubes_without_a_policy_cannot_be_asked(served: Served) -> None:
    meta = cube.meta(served.url, cube.token(SECRET))["cubes"]
    asked = {member["name"] for each in meta for member in each["dimensions"] if member.get("public", True)}
    for hidden in ("placed.status", "buyers.country", "orders.buyer_country"):
        assert hidden not in asked
        with pytest.raises(cube.CubeError, match="hidden"):
            served.load(dimensions=[hidden])


def test_an_order_that_is_cancelled_leaves_the_revenue_of_the_rollup(served: Served, shop: Shop) -> None:
    """No item changes, only the status of the order."""
    less = Shop(orders=90)
    less.rows["orders"][0]["status"] = "cancelled"
    gone = sum(item["amount"] for item in less.rows["order_items"] if item["order_id"] == "o0")
    wanted = {
        name: value - gone * (name == day(less.rows["orders"][0])) for name, value in shop.revenue_by(day).items()
    }
    less.write(served.marts)
    try:
        until(wanted, lambda: by_day(served))
        (row,) = served.load(measures=["sales.gross_revenue", "sales.cancelled_revenue", "sales.returned_revenue"])
        amounts = [Decimal(value or 0) for value in row.values()]
        assert amounts == [sum(shop.revenue_by(day).values()), gone, 0]
    finally:
        shop.write(served.marts)


@pytest.mark.parametrize("countries", [[], None, "DE", ""])
def test_a_token_whose_countries_are_no_list_of_countries_shows_nothing(served: Served, countries: object) -> None:
    for measure in ("customers.count", "orders.count", "order_items.revenue", "products.count", "sales.revenue"):
        with pytest.raises(cube.CubeError) as refused:
            limited(served, countries, measure)
        assert refused.value.status == 400


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

    until([{"orders.count": "90"}], lambda: served.load(measures=["orders.count"]))  # what was there before the test
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


def test_cube_writes_no_files_to_the_repository(served: Served) -> None:
    served.load(measures=["orders.count"])
    assert files() == FILES
