"""Two apps in one checkout: each has its own assets, tables and files, and one Cube serves both."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from code_location import Location, edit
from cube_server import serving
from floe import repo
from floe.demo import cube
from floe_runtime.contract.artifacts import VARIABLE
from second_app import copy_app

ORDERS = {"ecommerce": 6000, "returns": 2000}
"""The orders per day of each app, from which a test sees whose rows it reads."""


def test_two_apps_side_by_side(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    current = repo.current()
    monkeypatch.setenv(VARIABLE, str(current.artifacts_file(repo.EMBEDDED)))
    monkeypatch.setenv("FLOE_DBT_TARGET", str(current.state / "dbt"))
    copy_app(checkout / "apps", "ecommerce", "returns")
    for name, orders in ORDERS.items():
        edit(checkout / "apps" / name / "floe.yaml", ("pipeline", "retries"), {"max": 0})
        synthetic = {"customers": 20, "products": 8, "orders_per_day": orders}
        edit(checkout / "apps" / name / "floe.yaml", ("synthetic",), synthetic)
    first, second = (Location(checkout, name) for name in ORDERS)

    keys = [{key.to_user_string() for key in each.module.defs.resolve_all_asset_keys()} for each in (first, second)]
    assert not keys[0] & keys[1]
    assert {"raw/orders", "ecommerce/staging/stg_orders", "marts/fct_orders"} <= keys[0]
    assert {"returns_raw/orders", "returns/staging/stg_orders", "returns_marts/fct_orders"} <= keys[1]

    assert first.run(0).success
    before = first.rows("marts", "fct_orders")
    assert second.run(0).success
    assert first.rows("marts", "fct_orders") == before
    assert len(before) == len(first.rows("raw", "orders"))
    published = second.rows("returns_marts", "fct_orders")
    assert len(published) == len(second.rows("returns_raw", "orders")) != len(before)
    marts = current.state / "marts"
    assert {file.relative_to(marts).as_posix() for file in marts.rglob("*.*")} == {
        "marts/marts.json",
        "returns_marts/marts.json",
    }

    install = cube.install(current)
    if install.native == "stand-in":
        warnings.warn("Cube ran with the stand-in of its Rust addon", pytest.PytestWarning, stacklevel=1)
    models = {name: current.app(name) / "cube/model" for name in ORDERS}
    model = cube.gather_models(models, current.state / "cube/model")
    with serving(install, marts, FLOE_CUBE_MODEL=str(model)) as running:
        assert running.load(measures=["orders.count"]) == [{"orders.count": str(len(before))}]
        assert running.load(measures=["returns_orders.count"]) == [{"returns_orders.count": str(len(published))}]
        (row,) = running.load(measures=["returns_sales.revenue"])
    assert float(row["returns_sales.revenue"]) == pytest.approx(float(sum(order["amount"] for order in published)))
