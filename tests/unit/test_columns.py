"""The origins of the columns of dbt's models, as far as their compiled SQL shows them."""

from __future__ import annotations

from typing import Any

import pytest

from floe_runtime.columns import origins


def manifest(engine: str, **models: tuple[str, str]) -> dict[str, Any]:
    """A manifest with the source raw.orders. `models`: by name, the model or source that it reads, and its SQL."""
    source = {"resource_type": "source", "relation_name": '"scratch"."raw"."orders"'}
    nodes = {
        name: {
            "resource_type": "model",
            "language": "sql",
            "relation_name": f'"scratch"."marts"."{name}"',
            "compiled_code": sql,
            "depends_on": {"nodes": [above]},
        }
        for name, (above, sql) in models.items()
    }
    return {"metadata": {"adapter_type": engine}, "sources": {"orders": source}, "nodes": nodes}


@pytest.mark.parametrize("engine", ["duckdb", "trino"])
def test_columns_are_followed_through_every_column_and_expressions(engine: str) -> None:
    found = origins(
        manifest(
            engine,
            last=(
                "first",
                'with all_of_it as (select * from "scratch"."marts"."first") select b + c as d from all_of_it',
            ),
            first=("orders", 'select a as b, c, 1 as one from "scratch"."raw"."orders"'),
        )
    )
    assert found["first"] == {"b": [("orders", "a")], "c": [("orders", "c")], "one": []}
    assert found["last"] == {"d": [("first", "b"), ("first", "c")]}


@pytest.mark.parametrize("sql", ["", "select from where (", "drop table x"])
def test_a_model_that_is_not_understood_is_left_out(sql: str) -> None:
    after = 'select x from "scratch"."marts"."odd"'
    found = origins(manifest("duckdb", odd=("orders", sql), after=("odd", after)))
    assert found == {"after": {"x": [("odd", "x")]}}
