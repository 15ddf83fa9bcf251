"""Columns, metrics and exposures that no longer exist on the other side of dbt and Cube."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from floe import repo
from floe.check import semantic_layer
from floe.contract.applications import application
from floe.new.app_files import renamed
from floe.repo import Checkout
from forks import edit

DBT, CUBE = "dbt/models/marts", "cube/model/cubes"


@pytest.fixture
def fork(tmp_path: Path) -> Checkout:
    """A checkout with a copy of the shop alone."""
    ours = repo.current().app("ecommerce")
    shutil.copytree(ours, tmp_path / "apps/ecommerce", ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
    return Checkout(tmp_path)


def gaps(checkout: Checkout, app: str = "ecommerce") -> list[semantic_layer.Gap]:
    return list(semantic_layer.gaps(checkout, app, application(checkout, app)))


def test_the_shop_has_no_gaps(fork: Checkout) -> None:
    assert gaps(fork) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "wanted"),
    [
        (f"{DBT}/marts.yml", "{name: payment_method,", "{name: paid_by,", (
            "the cube orders reads the column payment_method, which the mart fct_orders does not have",
            "the semantic model reads the column payment_method, which the model fct_orders does not have",
        )),
        (f"{DBT}/marts.yml", "- name: status", "- name: state", (
            "the cube orders reads the column status, which the mart fct_orders does not have",
            "the cube placed reads the column status, which the mart fct_orders does not have",
            "the semantic model reads the column status, which the model fct_orders does not have",
        )),
        (f"{CUBE}/customers.yml", "{orders}.customer_id", "{orders}.customer", (
            "the cube customers reads the column customer, which the mart fct_orders does not have",
        )),
        (f"{CUBE}/products.yml", "'dim_products'", "'products'", (
            "a cube reads the mart products, which the dbt project does not have",
        )),
        (f"{DBT}/metrics.yml", "cube: orders.count", "cube: orders.number", (
            "the metric orders names orders.number, which Cube's model does not have",
        )),
        ("cube/model/views/operations.yml", "- name: operations", "- name: operating", (
            "the exposure operations names operations, which Cube's model does not have",
        )),
        (f"{DBT}/metrics.yml", "then amount else", "then price else", (
            "the semantic model reads the column price, which the model fct_orders does not have",
        )),
    ],
)  # fmt: skip
def test_what_is_missing_is_found_where_it_is_named(
    fork: Checkout, file: str, old: str, new: str, wanted: tuple[str, ...]
) -> None:
    edit(fork.root / "apps/ecommerce" / file, old, new)
    found = gaps(fork)
    assert set(wanted) == {one.message for one in found}
    for one in found:
        assert one.remedy
        line = (fork.root / one.file).read_text().splitlines()[one.line - 1]
        assert "sql" in line or "name" in line or "expr" in line or "cube:" in line, (one, line)


def test_an_app_that_is_made_from_another_one_has_no_gaps(fork: Checkout) -> None:
    ours = fork.root / "apps/ecommerce"
    files = {file.relative_to(ours).as_posix(): file.read_bytes() for file in ours.rglob("*") if file.is_file()}
    for path, content in renamed(files, "ecommerce", "returns").items():
        file = fork.root / "apps/returns" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    assert "cube: returns_order_items.revenue" in (fork.root / "apps/returns" / DBT / "metrics.yml").read_text()
    assert gaps(fork, "returns") == []


@pytest.mark.parametrize(
    "text",
    ["cubes: [{dimensions: [{sql: lost}]}]", "cubes: 3", "views: [{cubes: [{join_path: a, includes: '*'}]}]", "[]", ""],
)
def test_a_model_of_another_form_is_no_gap(fork: Checkout, text: str) -> None:
    """Cube itself says what is wrong with it."""
    (fork.root / "apps/ecommerce" / CUBE / "odd.yml").write_text(text)
    assert gaps(fork) == []
