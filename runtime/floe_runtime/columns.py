"""The columns of tables as Dagster shows them: what a table has, and which columns a dbt model makes its own from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from pyiceberg.schema import Schema

Origins = dict[str, dict[str, list[tuple[str, str]]]]
"""By unique id of a model and by its column: (unique id of a model or a source, column) of each origin, sorted."""


def schema_of(columns: Schema) -> dg.TableSchema:
    """The columns of an Iceberg table, with their types and comments."""

    def shown(name: str, kind: object, text: str | None, *, required: bool) -> dg.TableColumn:
        return dg.TableColumn(name, str(kind), text, dg.TableColumnConstraints(nullable=not required))

    return dg.TableSchema([shown(one.name, one.field_type, one.doc, required=one.required) for one in columns.fields])


def origins(manifest: Mapping[str, Any]) -> Origins:
    """The origins of the columns of each model, as far as its compiled SQL shows them.

    `manifest`: that of dbt's command `compile`. A model is left out if it has no compiled SQL, or sqlglot, with which
    dagster-dbt works too, does not understand it.
    """
    from sqlglot import MappingSchema
    from sqlglot.errors import SqlglotError
    from sqlglot.expressions import normalize_table_name, to_table

    dialect = manifest["metadata"]["adapter_type"]
    nodes = {id_: node for id_, node in (manifest["sources"] | manifest["nodes"]).items() if node.get("relation_name")}
    places = {normalize_table_name(to_table(one["relation_name"], dialect=dialect)): id_ for id_, one in nodes.items()}
    known, found = MappingSchema(dialect=dialect), Origins()
    above = {id_: node["depends_on"]["nodes"] for id_, node in manifest["nodes"].items()}
    for id_ in TopologicalSorter(above).static_order():
        node = nodes.get(id_, {})
        if node.get("resource_type") != "model" or node["language"] != "sql" or not node.get("compiled_code"):
            continue
        try:
            found[id_] = dict(_of_a_model(node["compiled_code"], places, known))
        except (SqlglotError, RecursionError):
            continue
        known.add_table(to_table(node["relation_name"], dialect=dialect), dict.fromkeys(found[id_], "unknown"))
    return found


def _of_a_model(sql: str, places: Mapping[str, str], known: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The columns of a query with their origins. `places`: by name of a relation; `known`: the columns of relations."""
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError
    from sqlglot.expressions import normalize_table_name
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    query = qualify(parse_one(sql, dialect=known.dialect), schema=known, dialect=known.dialect, infer_schema=True)
    scope = build_scope(query)
    if not isinstance(query, exp.Query):
        raise SqlglotError("not a query")
    for column in query.named_selects:
        found = set()
        for node in lineage(column, query, scope=scope, dialect=known.dialect, trim_selects=False, copy=False).walk():
            table = None if node.downstream else node.expression.find(exp.Table)
            if table and (place := places.get(normalize_table_name(table, dialect=known.dialect))):
                found.add((place, exp.to_column(node.name).name))
        yield column, sorted(found)
