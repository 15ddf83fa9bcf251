"""One run of a dbt project: decide what it reads, build and test in its scratch, and publish what passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from floe_runtime import dbt, marts
from floe_runtime.connect import open_catalog
from floe_runtime.inputs import Inputs, inputs_of
from floe_runtime.scratch import scratch


def run(
    project: dbt.Project,
    manifest: Mapping[str, Any],
    run_id: str,
    *,
    full_refresh: bool = False,
    again_since: date | None = None,
) -> Iterator[Inputs | dict[str, Any] | marts.Published]:
    """Yield what the run reads, then dbt's events as they occur, then each published mart.

    `manifest`: that of the project. `again_since`: the run works through all rows that were loaded from that day on.
    Raises dbt.DbtFailed, and inputs.Superseded if another run has published meanwhile.
    """
    declared, pipeline = marts.marts_of(manifest), project.app.pipeline
    sources = manifest["sources"].values()
    inputs = inputs_of(
        open_catalog(project.platform),
        pipeline.raw_namespace,
        pipeline.marts_namespace,
        {mart.name: mart.event_time for mart in declared},
        [source["identifier"] for source in sources if source["config"].get("event_time")],
        pipeline.lookback_days,
        full_refresh=full_refresh,
        again_since=again_since,
    )
    yield inputs
    with scratch(project.platform) as place:
        yield from dbt.build(project, place, inputs)
        yield from marts.publish(place, declared, inputs, project.platform, run_id)
