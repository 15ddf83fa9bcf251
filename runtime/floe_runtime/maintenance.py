"""The maintenance job of an application. It shrinks the application's Iceberg tables and deletes Dagster's old runs.

Without it the files, the snapshots and Dagster's events of a pipeline that runs every few minutes grow without end, and
each run becomes slower. How long things are kept is `retention` of platform.yaml.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
from pyiceberg.catalog import Catalog

from floe_runtime import inputs
from floe_runtime.connect import open_catalog, trino_connection
from floe_runtime.contract.app import APP, App
from floe_runtime.contract.platform import Platform, Retention, Trino
from floe_runtime.failures import in_dagster
from floe_runtime.raw import generator
from floe_synthetic import datafiles, maintenance
from floe_synthetic.defects import LEDGER

MAINTENANCE = "maintenance"
"""Name of the job that removes what is not needed any more."""

_UNUSED = timedelta(days=1)
"""How old a file is that no snapshot refers to before it is deleted. A writer commits its files much earlier."""

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RUNS_AT_ONCE = 100

Name = tuple[str, ...]
"""A table: its namespace and its name."""


class Maintenance(dg.Config):
    """The configuration of the job's steps. With `dry_run` they change nothing and log what they would do."""

    dry_run: bool = False


def maintenance_job(app: App, platform: Platform) -> dg.JobDefinition:
    """The job that maintains the tables that the app writes, and the history of Dagster."""

    @dg.op
    def maintain_tables(context: dg.OpExecutionContext, config: Maintenance) -> None:
        """Drop old days, merge small files, expire snapshots and delete the files that nothing refers to."""
        with in_dagster(context, platform):
            for line in _tables(app, platform, dry_run=config.dry_run):
                context.log.info(line)

    @dg.op
    def delete_old_runs(context: dg.OpExecutionContext, config: Maintenance) -> None:
        """Delete the runs that ended long ago, with their events and logs."""
        before = datafiles.now() - timedelta(days=platform.retention.run_days)
        deleted = _delete_runs(context.instance, before, dry_run=config.dry_run)
        context.log.info(f"{deleted} runs from before {before.isoformat(timespec='seconds')}")

    @dg.job(
        name=MAINTENANCE,
        tags={APP: app.name},
        executor_def=dg.in_process_executor,
        description="Delete raw rows, snapshots and runs past their retention and unused files; merge small files.",
    )
    def maintenance() -> None:
        maintain_tables()
        delete_old_runs()

    return maintenance


def maintenance_schedule(app: App, platform: Platform) -> dg.ScheduleDefinition:
    """The schedule of the maintenance, which runs by default if that of the pipeline does."""
    running = app.pipeline.schedule.enabled
    return dg.ScheduleDefinition(
        name=MAINTENANCE,
        job_name=MAINTENANCE,
        cron_schedule=platform.retention.cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
    )


def _tables(app: App, platform: Platform, *, dry_run: bool) -> Iterator[str]:
    """Maintain the tables that the app writes; yields a line about each."""
    catalog, keep = open_catalog(platform), platform.retention
    raw = _names(catalog, app.pipeline.raw_namespace) if app.synthetic else []
    marts = _names(catalog, app.pipeline.marts_namespace)
    if keep.raw_days is not None and app.synthetic:
        # Customers and products are described once; without them, the orders that are kept would refer to nothing.
        events = {*generator(app.synthetic).domain.families, LEDGER}
        for name in (name for name in raw if name[-1] in events):
            dropped = maintenance.drop_past(catalog.load_table(name), days=keep.raw_days, dry_run=dry_run)
            yield f"{'.'.join(name)}: {dropped.files} files from before the last {keep.raw_days} days"
    if marts and not dry_run:
        # What a killed run has left in the marts would otherwise count as their content, and outlive what is read.
        inputs.renew(catalog, app.pipeline.marts_namespace)
    if not isinstance(platform.compute, Trino):
        yield from _in_files(catalog, raw, marts, keep, dry_run=dry_run)
    elif not dry_run:
        yield from _in_trino(platform.compute, catalog, raw, marts, keep)


def _names(catalog: Catalog, namespace: str) -> list[Name]:
    return sorted(catalog.list_tables(namespace)) if catalog.namespace_exists(namespace) else []


def _in_files(catalog: Catalog, raw: list[Name], marts: list[Name], keep: Retention, *, dry_run: bool) -> Iterator[str]:
    """Maintain the tables in this process. Marts have few files already: each publication writes one for a day."""
    older_than = timedelta(hours=keep.snapshot_hours)
    for name in [*raw, *marts]:
        table = catalog.load_table(name)
        merged = maintenance.compact(table, dry_run=dry_run) if name in raw else maintenance.Maintained()
        expired = maintenance.expire_snapshots(table, older_than=older_than, dry_run=dry_run)
        removed = maintenance.remove_orphans(table, older_than=_UNUSED, dry_run=dry_run)
        yield (
            f"{'.'.join(name)}: {merged.files} files merged into {merged.written}, "
            f"{expired.snapshots} snapshots expired, {removed.files} unused files deleted ({removed.bytes:,} bytes)"
        )


def _in_trino(compute: Trino, catalog: Catalog, raw: list[Name], marts: list[Name], keep: Retention) -> Iterator[str]:
    """Let Trino maintain the tables: it knows the deletions that its own MERGE left beside the data files."""
    hours, unused = f"{keep.snapshot_hours}h", f"{_UNUSED // timedelta(hours=1)}h"
    with closing(trino_connection(compute)) as connection:
        cursor = connection.cursor()

        def execute(name: Name, step: str) -> None:
            cursor.execute(f'alter table {compute.catalog}.{name[0]}."{name[1]}" execute {step}').fetchall()

        # By default, Trino refuses to expire what is younger than seven days.
        for step, shortest in (("expire_snapshots", hours), ("remove_orphan_files", unused)):
            cursor.execute(f"set session {compute.catalog}.{step}_min_retention = '{shortest}'").fetchall()
        for name in [*raw, *marts]:
            if name[-1] != inputs.TABLE:  # the summary of its snapshot is its content
                execute(name, "optimize(file_size_threshold => '48MB')")
        if marts:
            inputs.renew(catalog, marts[0][0])
        for name in [*raw, *marts]:
            execute(name, f"expire_snapshots(retention_threshold => '{hours}')")
            execute(name, f"remove_orphan_files(retention_threshold => '{unused}')")
            yield f"{'.'.join(name)}: small files merged, old snapshots expired, unused files deleted"


def _delete_runs(instance: dg.DagsterInstance, before: datetime, *, dry_run: bool) -> int:
    """Delete the runs that were created before a time and have ended; returns their number."""
    chosen = dg.RunsFilter(statuses=_FINISHED, created_before=before)
    if dry_run:
        return instance.get_runs_count(chosen)
    deleted = 0
    while records := instance.get_run_records(chosen, limit=_RUNS_AT_ONCE):
        for record in records:
            run = record.dagster_run.run_id
            instance.compute_log_manager.delete_logs(prefix=[run])
            instance.delete_run(run)
            _delete_database(instance, run)
        deleted += len(records)
    return deleted


def _delete_database(instance: dg.DagsterInstance, run: str) -> None:
    """Delete the file in which Dagster kept the events of a run, if it stores them in SQLite: it leaves it, emptied."""
    from dagster._core.storage.event_log import SqliteEventLogStorage

    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        Path(storage.path_for_shard(run)).unlink(missing_ok=True)
