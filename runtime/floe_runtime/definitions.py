"""The Dagster definitions of a data application: its pipeline from raw tables to published marts, and the schedule."""

import json
from datetime import UTC, date
from pathlib import Path
from typing import Any

import dagster as dg

from floe_runtime import dbt, freshness
from floe_runtime.assets import dbt_project_assets, project, sources
from floe_runtime.contract.app import APP, BATCH_AT
from floe_runtime.contract.artifacts import mounted
from floe_runtime.errors import FloeError
from floe_runtime.maintenance import maintenance_job, maintenance_schedule
from floe_runtime.raw import raw_assets

PIPELINE = "pipeline"
"""Name of the job that materializes all assets of an application."""

BACKFILL = "backfill"
"""Name of the job that works through old rows again. Its partitions are the days from which it does."""


def _every_day_since(first: date) -> dg.PartitionedConfig[Any]:
    """The days in UTC until today, as the partitions of a job that has no other configuration."""
    days = dg.DailyPartitionsDefinition(first.isoformat(), timezone="UTC", end_offset=1)
    return dg.PartitionedConfig(days, run_config_for_partition_key_fn=lambda _: {})


def definitions(file: str) -> dg.Definitions:
    """The definitions of the application whose `definitions.py` is `file`: apps/APP/PACKAGE/definitions.py.

    The settings are those of the application in the mounted CompiledArtifacts. An application whose floe.yaml has no
    section `synthetic` loads no data: its sources are tables that something else fills. Raises FloeError if the
    artifacts do not contain the application.
    """
    folder = Path(file).resolve().parents[1]
    artifacts = mounted()
    if folder.name not in artifacts.apps:
        raise FloeError(
            f"the CompiledArtifacts of {artifacts.environment} do not contain the app {folder.name!r}",
            f"Add apps/{folder.name}/deploy to the overlay's values/kustomization.yaml, then run "
            f"`floe compile {artifacts.environment}`.",
        )
    app = artifacts.apps[folder.name].app
    dbt_project = project(app, folder, artifacts.platform)
    manifest = json.loads(dbt.manifest(dbt_project).read_bytes())
    models = dbt_project_assets(dbt_project, manifest)
    documented = sources(manifest, app.pipeline.raw_namespace)
    raw = [raw_assets(app, app.synthetic, artifacts.platform, documented)] if app.synthetic else []
    job = dg.define_asset_job(
        PIPELINE,
        selection=dg.AssetSelection.all(),
        description="Append a batch, build and test the models, publish the marts.",
        tags={APP: app.name},
        executor_def=dg.in_process_executor,  # separate processes would import dbt and PyIceberg for each step
    )
    backfill = dg.define_asset_job(
        BACKFILL,
        selection=dg.AssetSelection.assets(models),
        description="Work through all rows that were loaded on a day or later, and publish the marts. "
        "Choose the first day only: its run does the later ones too.",
        tags={APP: app.name},
        executor_def=dg.in_process_executor,
        config=_every_day_since(app.pipeline.first_day),
    )
    running = app.pipeline.schedule.enabled

    @dg.schedule(
        job=job,
        cron_schedule=app.pipeline.schedule.cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
    )
    def ticks(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        """Request a run that loads what happened until the tick. A repeated tick adds nothing."""
        at = context.scheduled_execution_time.astimezone(UTC).isoformat()
        return dg.RunRequest(run_key=at, tags={BATCH_AT: at})

    tables, limits = {app.pipeline.raw_namespace, app.pipeline.marts_namespace}, freshness.policy(app.pipeline.schedule)

    def watched(spec: dg.AssetSpec) -> dg.AssetSpec:
        return dg.apply_freshness_policy(spec, limits) if limits and spec.key.path[0] in tables else spec

    upkeep = maintenance_job(app, artifacts.platform)
    return dg.Definitions(
        assets=[assets.map_asset_specs(watched) for assets in (*raw, models)],
        jobs=[job, backfill, upkeep],
        schedules=[ticks, maintenance_schedule(app, artifacts.platform)],
    )
