"""The raw tables. Each run appends what happened since the last one, and a retried run does not append it again."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa

from floe_runtime import columns
from floe_runtime.assets import owners_of, retry_policy
from floe_runtime.connect import open_catalog
from floe_runtime.contract.app import BATCH_AT, App, Service, Shop
from floe_runtime.contract.platform import Platform
from floe_runtime.failures import in_dagster
from floe_synthetic import EcommerceGenerator, IcebergLoader, SaaSGenerator, WithDefects
from floe_synthetic.entities import Generates, GeneratesFamilies
from floe_synthetic.history import continued
from floe_synthetic.schema import iceberg_schema

_INTERVAL = timedelta(minutes=5)
"""What the first run loads without a history."""

_GIB = 1 << 30
_FULL = 0.8
_ROOM = f"The raw tables have less than {_FULL:.0%} of the bytes that retention.raw_max_gib of platform.yaml allows."


def batch_at(instance: dg.DagsterInstance, run: dg.DagsterRun) -> datetime:
    """The time up to which a run loads: from the tag that the schedule set, or else that of the run's first attempt."""
    if BATCH_AT in run.tags:
        return datetime.fromisoformat(run.tags[BATCH_AT])
    first = instance.get_run_record_by_id(run.root_run_id or run.run_id)
    created = first.create_timestamp if first else datetime.now(UTC)
    return created.astimezone(UTC)


def generator(synthetic: Shop | Service) -> Generates:
    """What generates the data of an app, with defects if it wants some."""
    made: GeneratesFamilies
    match synthetic:
        case Shop():
            sizes = synthetic.customers, synthetic.products, synthetic.orders_per_day
            made = EcommerceGenerator(synthetic.seed, *sizes, opened=synthetic.opened)
        case Service():
            rates = synthetic.organisations_per_day, synthetic.events_per_user
            made = SaaSGenerator(synthetic.seed, synthetic.organisations, *rates, opened=synthetic.opened)
    return WithDefects(made, synthetic.defects, synthetic.seed) if synthetic.defects else made


def raw_assets(
    app: App, synthetic: Shop | Service, platform: Platform, documented: Mapping[str, Mapping[str, Any]]
) -> dg.AssetsDefinition:
    """The assets of the raw tables. One step appends to all of them, because a window has rows for each.

    `documented`: the sources of the dbt project, by table, with their descriptions and owners. A table that is no
    source of it, as the ledger of defects, has the owners of all others.
    """
    namespace, source = app.pipeline.raw_namespace, generator(synthetic)
    tables = tuple(source.domain.tables)
    max_gib = platform.retention.raw_max_gib
    room = [dg.AssetCheckSpec("has_room", asset=[namespace, tables[0]], description=_ROOM)] if max_gib else []

    @dg.multi_asset(
        specs=[_spec(namespace, table, source.domain.schema(table), documented) for table in tables],
        check_specs=room,
        name="load_batch",
        retry_policy=retry_policy(app.pipeline.retries),
    )
    def load_batch(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        with in_dagster(context.op_execution_context, platform, app.pipeline.retries.max):
            max_bytes = int(max_gib * _GIB) if max_gib else None
            loader = IcebergLoader(open_catalog(platform), namespace, max_bytes=max_bytes)
            at = batch_at(context.instance, context.run)
            first = timedelta(days=synthetic.history_days) or _INTERVAL
            rows = dict.fromkeys(tables, 0)
            for appended in continued(loader, source, at, first):
                rows[appended.table] += appended.rows
            for table, total in loader.rows(tables).items():
                context.log.info(f"{namespace}.{table}: {rows[table]} rows until {at.isoformat()}")
                metadata: dict[str, str | int] = {"rows_appended": rows[table], "loaded_until": at.isoformat()}
                metadata["dagster/row_count"] = total
                yield dg.MaterializeResult(asset_key=[namespace, table], metadata=metadata)
            if max_bytes:
                stored = loader.stored_bytes()
                yield dg.AssetCheckResult(
                    asset_key=room[0].asset_key,
                    check_name=room[0].name,
                    passed=stored < _FULL * max_bytes,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"bytes": stored, "bytes_allowed": max_bytes, "part_used": stored / max_bytes},
                )

    return load_batch


def _spec(namespace: str, table: str, rows: pa.Schema, documented: Mapping[str, Mapping[str, Any]]) -> dg.AssetSpec:
    owners = {name: owners_of(source) for name, source in documented.items()}
    return dg.AssetSpec(
        [namespace, table],
        group_name="raw",
        kinds={"iceberg"},
        description=documented.get(table, {}).get("description") or f"The raw table {table}, as loaded.",
        owners=owners.get(table) or sorted({one for every in owners.values() for one in every}),
        metadata={
            "dagster/table_name": f"{namespace}.{table}",
            "dagster/column_schema": columns.schema_of(iceberg_schema(rows)),
        },
    )
