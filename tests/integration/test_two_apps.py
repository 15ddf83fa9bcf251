"""The two apps of the repository: each has its own assets, tables and files, and one Cube serves both."""

from __future__ import annotations

import warnings
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from code_location import Location, edit
from cube_server import Served, serving
from floe import repo
from floe.demo import cube
from floe_runtime.contract.artifacts import VARIABLE

SYNTHETIC: dict[str, dict[str, Any]] = {
    "ecommerce": {"customers": 20, "products": 8, "orders_per_day": 6000},
    "saas": {"organisations": 60, "organisations_per_day": 4, "events_per_user": 0.5, "history_days": 62},
}
TICKS = (0, 8_000, 12_000)
"""The ticks of the second app; they are weeks apart, so that subscriptions change and end, and months begin."""
MARTS = ("fct_events", "fct_subscriptions", "mart_churn", "mart_mrr")

Row = dict[str, Any]


def test_two_apps_side_by_side(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    current = repo.current()
    monkeypatch.setenv(VARIABLE, str(current.artifacts_file(repo.EMBEDDED)))
    monkeypatch.setenv("FLOE_DBT_TARGET", str(current.state / "dbt"))
    for name, synthetic in SYNTHETIC.items():
        edit(checkout / "apps" / name / "floe.yaml", ("pipeline", "retries"), {"max": 0})
        for key, value in synthetic.items():
            edit(checkout / "apps" / name / "floe.yaml", ("synthetic", key), value)
    shop, saas = (Location(checkout, name) for name in SYNTHETIC)

    keys = [{key.to_user_string() for key in each.module.defs.resolve_all_asset_keys()} for each in (shop, saas)]
    assert not keys[0] & keys[1]
    assert {"raw/orders", "ecommerce/staging/stg_orders", "marts/fct_orders"} <= keys[0]
    assert {"saas_raw/invoices", "saas/staging/stg_invoices", "saas_marts/mart_mrr"} <= keys[1]

    assert shop.run(0).success
    orders = shop.rows("marts", "fct_orders")
    assert len(orders) == len(shop.rows("raw", "orders"))
    for tick in TICKS:
        assert saas.run(tick).success
    assert shop.rows("marts", "fct_orders") == orders
    marts = current.state / "marts"
    assert {file.relative_to(marts).as_posix() for file in marts.rglob("*.*")} == {
        "marts/marts.json",
        "saas_marts/marts.json",
    }

    published = {mart: Counter(map(str, saas.rows("saas_marts", mart))) for mart in MARTS}
    assert saas.run(TICKS[-1], full_refresh=True).success
    assert {mart: Counter(map(str, saas.rows("saas_marts", mart))) for mart in MARTS} == published

    install = cube.install(current)
    if install.native == "stand-in":
        warnings.warn("Cube ran with the stand-in of its Rust addon", pytest.PytestWarning, stacklevel=1)
    models = {name: current.app(name) / "cube/model" for name in SYNTHETIC}
    model = cube.gather_models(models, current.state / "cube/model")
    with serving(install, marts, FLOE_CUBE_MODEL=str(model)) as running:
        assert running.load(measures=["orders.count"]) == [{"orders.count": str(len(orders))}]
        answers_are_those_of_the_raw_rows(running, saas)


def answers_are_those_of_the_raw_rows(running: Served, saas: Location) -> None:
    """Cube's answers about subscriptions against what Python computes from the raw tables."""
    started = {row["subscription_id"]: row for row in saas.rows("saas_raw", "subscriptions")}
    changes = sorted(saas.rows("saas_raw", "subscription_events"), key=lambda row: row["occurred_at"])
    ended = {row["subscription_id"]: row["occurred_at"] for row in changes if row["change"] == "cancelled"}
    plan = {key: row["plan"] for key, row in started.items()} | {row["subscription_id"]: row["plan"] for row in changes}
    countries = {row["organisation_id"]: row["country"] for row in saas.rows("saas_raw", "organisations")}
    assert len({row["change"] for row in changes}) == 4, "every kind of change happened"

    asked = running.load(measures=["saas_subscriptions.count", "saas_subscriptions.active"])
    counts = {
        "saas_subscriptions.count": str(len(started)),
        "saas_subscriptions.active": str(len(started) - len(ended)),
    }
    assert asked == [counts]
    asked = running.load(measures=["saas_subscriptions.count"], dimensions=["saas_subscriptions.plan"])
    assert _by(asked, "saas_subscriptions.plan", "saas_subscriptions.count") == Counter(plan.values())

    events = saas.rows("saas_raw", "events")
    asked = running.load(measures=["saas_events.count", "saas_events.active_users"])
    users = len({row["user_id"] for row in events})
    assert asked == [{"saas_events.count": str(len(events)), "saas_events.active_users": str(users)}]

    billed = Counter[tuple[str, str]]()
    for row in saas.rows("saas_raw", "invoices"):
        country = countries[started[row["subscription_id"]]["organisation_id"]]
        billed[country, _month(row["issued_at"])] += row["total"]
    issued = [{"dimension": "saas_revenue.issued_at", "granularity": "month"}]
    asked = running.load(
        measures=["saas_revenue.mrr"], dimensions=["saas_revenue.country"], timeDimensions=issued, limit=10_000
    )
    answered = {
        (row["saas_revenue.country"], row["saas_revenue.issued_at.month"][:7]): Decimal(row["saas_revenue.mrr"])
        for row in asked
    }
    assert answered == billed
    assert len({month for _, month in answered}) > 2

    asked = running.load(
        measures=["saas_churn.active_at_start", "saas_churn.started", "saas_churn.ended", "saas_churn.churn"],
        timeDimensions=[{"dimension": "saas_churn.month", "granularity": "month"}],
    )
    assert len(asked) > 2
    for row in asked:
        month = row["saas_churn.month.month"][:7]
        begin = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
        active = sum(
            one["started_at"] < begin and (key not in ended or ended[key] >= begin) for key, one in started.items()
        )
        assert int(row["saas_churn.active_at_start"]) == active
        assert int(row["saas_churn.started"]) == sum(_month(one["started_at"]) == month for one in started.values())
        assert int(row["saas_churn.ended"]) == sum(_month(at) == month for at in ended.values())
        if active:
            assert float(row["saas_churn.churn"]) == pytest.approx(int(row["saas_churn.ended"]) / active)


def _month(at: datetime) -> str:
    return at.strftime("%Y-%m")


def _by(rows: list[Row], dimension: str, measure: str) -> dict[str, int]:
    return {row[dimension]: int(row[measure]) for row in rows}
