"""The definitions that Dagster loads: the pipeline from raw batches to published marts, and its schedule."""

from datetime import UTC
from pathlib import Path

import dagster as dg

from floe_runtime.assets import dbt_project_assets, project
from floe_runtime.contract.artifacts import mounted

from .raw import BATCH_AT, BATCH_ID, raw_assets

_artifacts = mounted()
_app = _artifacts.apps["ecommerce"].app
_project = project(_app, Path(__file__).parents[1], _artifacts.platform)

pipeline = dg.define_asset_job(
    "pipeline",
    selection=dg.AssetSelection.all(),
    description="Append a batch, build and test the models, publish the marts.",
    executor_def=dg.in_process_executor,  # separate processes would import dbt and PyIceberg for each step
)


@dg.schedule(
    job=pipeline,
    cron_schedule=_app.pipeline.schedule.cron,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING
    if _app.pipeline.schedule.enabled
    else dg.DefaultScheduleStatus.STOPPED,
)
def ticks(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Request a run. The batch id is the time of the tick, so that a repeated tick loads no batch twice."""
    at = context.scheduled_execution_time.astimezone(UTC).isoformat()
    return dg.RunRequest(run_key=at, tags={BATCH_ID: at, BATCH_AT: at})


defs = dg.Definitions(
    assets=[raw_assets(_app, _artifacts.platform), dbt_project_assets(_project)],
    jobs=[pipeline],
    schedules=[ticks],
)
