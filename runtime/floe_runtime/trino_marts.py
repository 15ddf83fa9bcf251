"""Publishes marts with Trino: no rows pass through this process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING, Any

import trino.exceptions
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError

from floe_runtime.connect import trino_connection
from floe_runtime.contract.platform import Trino
from floe_runtime.inputs import Inputs, Superseded
from floe_runtime.tables import quoted

if TYPE_CHECKING:
    from floe_runtime.marts import Mart


def publish(compute: Trino, scratch: str, marts: Sequence[Mart], inputs: Inputs, catalog: Catalog) -> date | None:
    """Publish the marts from a scratch schema; returns the newest day of a mart that has days.

    Trino cannot make a commit depend on a snapshot, so each mart is compared before and after its one statement.
    """
    newest: list[date] = []
    with closing(trino_connection(compute)) as connection:
        cursor = connection.cursor()

        def run(sql: str) -> list[Any]:
            rows: list[Any] = cursor.execute(sql).fetchall()
            return rows

        for mart in marts:
            table = f"{compute.catalog}.{inputs.marts_namespace}.{quoted(mart.name)}"
            built = f"{compute.catalog}.{scratch}.{quoted(mart.name)}"
            delta = f"{compute.catalog}.{scratch}.{quoted(mart.name + '__delta')}"
            before = _snapshots(catalog, inputs, mart)[:1]
            expected = [inputs.last.marts[mart.name]] if mart.name in inputs.last.marts else before
            if before != expected:
                raise Superseded(f"the mart {mart.name} was published by another run")
            adds = inputs.incremental and bool(mart.key)
            if adds:
                statement = _merge(run, mart, table, delta, inputs)
            elif inputs.incremental and not run(_different(built, table)):
                statement = ""
            else:
                days = f" with (partitioning = array['day({mart.event_time})'])" if mart.event_time else ""
                statement = f"create or replace table {table}{days} as select * from {built}"  # noqa: S608 # names of the project
            if statement:
                try:
                    run(statement)
                except trino.exceptions.TrinoUserError as error:
                    if error.error_name not in ("ICEBERG_COMMIT_ERROR", "TRANSACTION_CONFLICT"):
                        raise
                    raise Superseded(f"the mart {mart.name} was published by another run") from None
                if before and adds and _snapshots(catalog, inputs, mart)[1:2] not in (before, []):
                    raise Superseded(f"the mart {mart.name} was published by another run")
            if mart.event_time:
                ((day,),) = run(f"select max(cast({mart.event_time} as date)) from {delta if adds else built}")  # noqa: S608 # names of the project
                newest += [date.fromisoformat(str(day))] if day else []
    return max(newest, default=None)


def _snapshots(catalog: Catalog, inputs: Inputs, mart: Mart) -> list[int | None]:
    """The current snapshot of a mart and the one before it; empty if there is no table."""
    try:
        table = catalog.load_table((inputs.marts_namespace, mart.name))
    except NoSuchTableError:
        return []
    snapshot = table.current_snapshot()
    return [snapshot.snapshot_id, snapshot.parent_snapshot_id] if snapshot else [None]


def _different(one: str, other: str) -> str:
    """A query that has a row if two relations differ."""
    return (
        f"select 1 from ((select * from {one} except all select * from {other}) union all"  # noqa: S608 # names of the project
        f" (select * from {other} except all select * from {one})) limit 1"
    )


def _merge(run: Any, mart: Mart, table: str, delta: str, inputs: Inputs) -> str:
    """The statement that adds what has changed; empty if nothing has."""
    seen = f" where {mart.event_time} >= timestamp '{inputs.since} 00:00:00'" if mart.event_time else ""
    changed = f"select * from {delta} except select * from (select * from {table}{seen})"  # noqa: S608 # names of the project
    if not run(f"select 1 from ({changed}) limit 1"):  # noqa: S608 # names of the project
        return ""
    columns = [name for name, *_ in run(f"show columns from {delta}")]
    same = " and ".join(f"old.{key} = new.{key}" for key in mart.key)
    days = f" and old.{mart.event_time} >= timestamp '{inputs.since} 00:00:00'" if mart.event_time else ""
    return (
        f"merge into {table} as old using ({changed}) as new on {same}{days}"  # noqa: S608 # names of the project
        f" when matched then update set {', '.join(f'{quoted(name)} = new.{quoted(name)}' for name in columns)}"
        f" when not matched then insert ({', '.join(map(quoted, columns))})"
        f" values ({', '.join(f'new.{quoted(name)}' for name in columns)})"
    )
