"""One run of a dbt project: decide what it reads, build and test in its scratch, and publish what passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from floe_runtime import dbt, marts
from floe_runtime.connect import open_catalog
from floe_runtime.contract.platform import DuckDB
from floe_runtime.errors import FloeError
from floe_runtime.inputs import Inputs, inputs_of
from floe_runtime.parts import in_parts
from floe_runtime.scratch import scratch


class TablesMissing(FloeError):
    """Raw tables that the models read do not exist."""

    exit_code = 1


def run(
    project: dbt.Project,
    manifest: Mapping[str, Any],
    run_id: str,
    *,
    full_refresh: bool = False,
    again_since: date | None = None,
) -> Iterator[Inputs | dict[str, Any] | marts.Published]:
    """Yield what each part of the run reads, then dbt's events of the last one as they occur, then each published mart.

    `manifest`: that of the project. `again_since`: the run works through all rows that were loaded from that day on.
    Raises TablesMissing, dbt.DbtFailed, and inputs.Superseded if another run has published meanwhile.
    """
    platform, catalog = project.platform, open_catalog(project.platform)
    declared, pipeline = marts.marts_of(manifest), project.app.pipeline
    sources = manifest["sources"].values()
    by_load_time = [source["identifier"] for source in sources if source["config"].get("event_time")]
    inputs = inputs_of(
        catalog,
        pipeline.raw_namespace,
        pipeline.marts_namespace,
        {mart.name: mart.event_time for mart in declared},
        by_load_time,
        pipeline.lookback_days,
        full_refresh=full_refresh,
        again_since=again_since,
    )
    if missing := sorted(_read_by_models(manifest, pipeline.raw_namespace) - set(inputs.raw)):
        raise _missing(project, missing)
    parts = [inputs]
    # With Trino, who reads the tables without Cube would see a rebuilt mart grow.
    if isinstance(platform.compute, DuckDB):
        parts = in_parts(catalog, inputs, by_load_time, pipeline.rows_at_once)
    publication = inputs.last
    for part in parts:
        part.last = publication.model_copy(update={"number": inputs.last.number})
        yield part
        with scratch(platform) as place:
            for event in dbt.build(project, place, part):
                if part.part == part.parts:  # Dagster reports each model once
                    yield event
            publication = marts.write(place, declared, part, platform, run_id)
    yield from marts.publish(publication, inputs, platform)


def _read_by_models(manifest: Mapping[str, Any], namespace: str) -> set[str]:
    """The tables of a namespace that a model or a test of the project reads."""
    read = {name for node in manifest["nodes"].values() for name in node["depends_on"].get("nodes", ())}
    sources = (manifest["sources"][name] for name in read if name in manifest["sources"])
    return {source["identifier"] for source in sources if source["schema"] == namespace}


def _missing(project: dbt.Project, names: list[str]) -> TablesMissing:
    namespace = project.app.pipeline.raw_namespace
    tables = f"table{'s' * (len(names) > 1)} {', '.join(names)}"
    hint = f"Let what loads the data of {project.app.name} create them: the next tick of the schedule continues then."
    if not project.platform.synthetic:
        hint += " For generated data, set `synthetic: true` in the environment's platform.yaml and compile it."
    return TablesMissing(
        f"the namespace {namespace} of the catalog lacks the {tables}, which models of {project.app.name} read", hint
    )
