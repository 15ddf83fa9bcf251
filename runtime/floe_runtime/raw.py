"""The raw tables. Each run appends one batch of synthetic data, and a retried run does not append it again."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from floe_runtime.assets import retry_policy
from floe_runtime.connect import open_catalog
from floe_runtime.contract.app import App, Synthetic
from floe_runtime.contract.platform import Platform

BATCH_ID = "floe/batch-id"
BATCH_AT = "floe/batch-at"
"""Run tags: the id of the batch that a run loads, and its time (ISO 8601). A retry has the same tags."""

TABLES = ("customers", "products", "orders", "order_items")


@dataclass(frozen=True)
class BatchKey:
    """The values from which a batch is generated."""

    batch_id: str
    at: datetime


def batch_key(instance: dg.DagsterInstance, run: dg.DagsterRun) -> BatchKey:
    """The batch of a run: from the tags that the schedule set, or else the id and time of the run's first attempt."""
    if BATCH_ID in run.tags:
        return BatchKey(run.tags[BATCH_ID], datetime.fromisoformat(run.tags[BATCH_AT]))
    first = instance.get_run_record_by_id(run.root_run_id or run.run_id)
    created = first.create_timestamp if first else datetime.now(UTC)
    return BatchKey(run.root_run_id or run.run_id, created.astimezone(UTC))


def raw_assets(app: App, synthetic: Synthetic, platform: Platform) -> dg.AssetsDefinition:
    """The assets of the raw tables. One step appends to all of them, because a batch has rows for each."""
    namespace = app.pipeline.raw_namespace

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                [namespace, table], group_name="raw", kinds={"iceberg"}, description=f"Raw {table}, as loaded."
            )
            for table in TABLES
        ],
        name="load_batch",
        retry_policy=retry_policy(app.pipeline.retries),
    )
    def load_batch(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        from floe_synthetic import EcommerceGenerator, IcebergLoader

        generator = EcommerceGenerator(
            synthetic.seed, synthetic.customers, synthetic.products, synthetic.orders_per_batch
        )
        loader = IcebergLoader(open_catalog(platform), namespace)
        key = batch_key(context.instance, context.run)
        appended = [*loader.load(generator.reference()), *loader.load(generator.batch(key.batch_id, key.at), key.at)]
        for table in TABLES:
            rows = sum(done.rows for done in appended if done.table == table and not done.skipped)
            context.log.info(f"{namespace}.{table}: {rows} rows of batch {key.batch_id}")
            metadata: dict[str, Any] = {"rows_appended": rows, "batch_id": key.batch_id}
            yield dg.MaterializeResult(asset_key=[namespace, table], metadata=metadata)

    return load_batch
