"""A plugin of dbt-duckdb: it shows the Iceberg tables that a run reads as views of the scratch database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import BooleanExpression, GreaterThanOrEqual
from pyiceberg.table import Table
from pyiceberg.types import DateType

from floe_runtime import tables
from floe_runtime.connect import open_catalog
from floe_runtime.contract.artifacts import mounted
from floe_runtime.inputs import Inputs, Raw, raw_of

PUBLISHED = "published"
"""The schema of the marts as they were published last."""


class Plugin(BasePlugin):
    """The plugin that the profile (floe_runtime.profile) refers to as `floe_runtime.iceberg_plugin`.

    Its configuration is an object of the class Inputs. Without a table in it, dbt is run by hand, and reads everything.
    """

    def initialize(self, plugin_config: dict[str, object]) -> None:
        """Keep the configuration. The catalog is opened with the connection: to parse a project needs none."""
        self._inputs = Inputs.model_validate(plugin_config) if plugin_config.get("raw_namespace") else None

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Create the views."""
        if self._inputs:
            catalog, inputs = open_catalog(mounted().platform), self._inputs
            if not inputs.raw:
                inputs = inputs.model_copy(update={"raw": raw_of(catalog, inputs.raw_namespace, {})})
            show(conn, catalog, inputs)


def show(connection: duckdb.DuckDBPyConnection, catalog: Catalog, inputs: Inputs) -> None:
    """Create the views of the raw tables, and in an incremental run those of the published marts."""
    for (schema, name), (table, query) in _views(catalog, inputs):
        tables.open_storage(connection, table)
        connection.execute(f"create schema if not exists {tables.quoted(schema)}")
        connection.execute(f"create or replace view {tables.quoted(schema)}.{tables.quoted(name)} as {query}")


def _views(catalog: Catalog, inputs: Inputs) -> Iterator[tuple[tuple[str, str], tuple[Table, str]]]:
    for name, raw in inputs.raw.items():
        table = catalog.load_table((inputs.raw_namespace, name))
        yield (inputs.raw_namespace, name), (table, _loaded(table, raw))
    if inputs.since:
        for name, snapshot_id in inputs.last.marts.items():
            table = catalog.load_table((inputs.marts_namespace, name))
            condition = since(table, inputs.event_times[name], inputs.since)
            yield (PUBLISHED, name), (table, _select(table, snapshot_id, condition))


def since(table: Table, column: str | None, day: date) -> BooleanExpression:
    """The condition for the rows of a mart that a run sees: from a day on, if the mart has a column for it."""
    if column is None:
        return tables.ALWAYS
    is_day = isinstance(table.schema().find_field(column).field_type, DateType)
    return GreaterThanOrEqual(column, day.isoformat() + ("" if is_day else "T00:00:00"))  # type: ignore[misc, call-arg, arg-type] # mypy assumes pydantic's __init__


def _loaded(table: Table, raw: Raw) -> str:
    """The rows of a raw table that a run reads."""
    rows, condition = _select(table, raw.position.snapshot_id, raw.expression()), raw.condition("timestamptz")
    return f"select * from ({rows}) where {condition}" if condition else rows  # noqa: S608 # a query that `tables` quotes, and times that floe formats


def _select(table: Table, snapshot_id: int | None, condition: BooleanExpression = tables.ALWAYS) -> str:
    files = tables.live_files(table, snapshot_id, condition)
    return tables.select(tables.columns(table), [tables.location(file) for file in files])
