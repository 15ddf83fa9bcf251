"""Turns an app's dbt project into Dagster assets and asset checks."""

import os
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from floe_runtime import columns, dbt, marts
from floe_runtime.contract.app import FULL_REFRESH, App, Retries, package
from floe_runtime.contract.platform import Platform
from floe_runtime.failures import in_dagster
from floe_runtime.inputs import Inputs
from floe_runtime.runs import run

_UNKNOWN = "?"  # as dagster-dbt writes the type of a column without data_type in dbt's documentation

TARGET = "FLOE_DBT_TARGET"
"""The variable with the folder for dbt's output. If it is not set, each project's own target folder is used."""


def project(app: App, folder: Path, platform: Platform) -> dbt.Project:
    """The dbt project of an app whose files are in `folder`."""
    source = folder / app.pipeline.dbt
    output = os.environ.get(TARGET)
    return dbt.Project(source, Path(output) / app.name if output else source / dbt.OUTPUT, platform, app)


def retry_policy(retries: Retries) -> dg.RetryPolicy:
    """Dagster's retry policy: exponential backoff with jitter, so that not all steps retry at the same time."""
    return dg.RetryPolicy(
        max_retries=retries.max,
        delay=retries.delay_seconds,
        backoff=dg.Backoff.EXPONENTIAL,
        jitter=dg.Jitter.PLUS_MINUS,
    )


def owners_of(dbt_resource_props: Mapping[str, Any]) -> list[str]:
    """The owners that `meta: {dagster: {owners: […]}}` gives a node or a source of dbt."""
    return list(DagsterDbtTranslator().get_owners(dbt_resource_props) or ())


def sources(manifest: Mapping[str, Any], namespace: str) -> dict[str, Mapping[str, Any]]:
    """The sources of a dbt project in a namespace, by the name of their table."""
    return {one["identifier"]: one for one in manifest["sources"].values() if one["schema"] == namespace}


class Translator(DagsterDbtTranslator):
    """Names the assets of a dbt project so that those of two applications differ.

    A source and a mart have the names of their Iceberg tables (namespace, table). Any other model exists only during a
    run and is named after the application: APP, layer, model.
    """

    def __init__(self, app: App, manifest: Mapping[str, Any], origins: columns.Origins) -> None:
        """`app`: the application that the project belongs to. `origins`: those of the columns of its models."""
        super().__init__()
        self.app = app
        self._nodes: Mapping[str, Any] = manifest["sources"] | manifest["nodes"]
        self._origins = origins

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """The key of a model or a source of the project."""
        node = dbt_resource_props
        if node["resource_type"] == "source":
            return dg.AssetKey([node["schema"], node["identifier"]])
        if marts.is_mart(node):
            return dg.AssetKey([self.app.pipeline.marts_namespace, node["name"]])
        return super().get_asset_key(node).with_prefix(package(self.app.name))

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The group that the project sets, otherwise the layer of the model."""
        return super().get_group_name(dbt_resource_props) or dbt_resource_props["config"].get("schema")

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """The tags of dbt, and for a mart the kind of its table."""
        kind = {"dagster/kind/iceberg": ""} if marts.is_mart(dbt_resource_props) else {}
        return {**super().get_tags(dbt_resource_props), **kind}

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """What dbt knows of a model, its columns with those that they are made from, and the published table.

        dbt would name the table in the scratch database.
        """
        metadata = {**super().get_metadata(dbt_resource_props)}
        metadata.pop("dagster/table_name", None)
        if marts.is_mart(dbt_resource_props):
            metadata["dagster/table_name"] = f"{self.app.pipeline.marts_namespace}.{dbt_resource_props['name']}"
        if found := self._origins.get(dbt_resource_props["unique_id"]):
            documented = {one.name: one for one in getattr(metadata.get("dagster/column_schema"), "columns", ())}
            shown = [documented.get(name) or dg.TableColumn(name, _UNKNOWN) for name in found]
            metadata["dagster/column_schema"] = dg.TableSchema(shown)
            made_from = {name: [self._column(*one) for one in of] for name, of in found.items()}
            metadata["dagster/column_lineage"] = dg.TableColumnLineage(made_from)
        return metadata

    def _column(self, unique_id: str, name: str) -> dg.TableColumnDep:
        return dg.TableColumnDep(self.get_asset_key(self._nodes[unique_id]), name)


def dbt_project_assets(dbt_project: dbt.Project, manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """One asset for each dbt model, one asset check for each dbt test. `manifest`: that of the project.

    A mart is reported as materialized only after all tests passed and the mart was published. A run builds the whole
    project even if it selects only a part, because its scratch database starts empty. A build takes seconds.

    A run for a day, as a backfill is, works through all raw rows that were loaded on that day or later.
    """
    translator = Translator(dbt_project.app, manifest, dbt.origins(dbt_project))

    @dbt_assets(
        manifest=manifest,
        name=f"{dbt_project.app.name}_dbt",
        dagster_dbt_translator=translator,
        retry_policy=retry_policy(dbt_project.app.pipeline.retries),
    )
    def models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        unpublished: dict[str, Any] = {}  # materializations by mart, reported once the mart is published
        published: dict[str, marts.Published] = {}
        full_refresh = context.run.tags.get(FULL_REFRESH) == "true"
        again = date.fromisoformat(context.partition_key) if context.has_partition_key else None
        with in_dagster(context.op_execution_context, dbt_project.platform, dbt_project.app.pipeline.retries.max):
            for each in run(dbt_project, manifest, context.run.run_id, full_refresh=full_refresh, again_since=again):
                if isinstance(each, Inputs):
                    seen = f"adds to publication {each.last.number}, and sees marts from {each.since}"
                    what = seen if each.incremental else "builds everything from all raw rows"
                    context.log.info(f"part {each.part} of {each.parts}: this run {what}")
                elif isinstance(each, marts.Published):
                    context.log.info(f"published {each.mart}: {each.rows} rows, snapshot {each.snapshot_id}")
                    published[each.mart] = each
                else:
                    event = DbtCoreCliEventMessage(raw_event=each, event_history_metadata={})
                    if event.is_result_event:
                        context.log.info(str(event))
                    for result in event.to_default_asset_events(manifest, translator, context, dbt_project.target):
                        if not _selected(context, result):
                            continue
                        mart = _mart_of(context, result, dbt_project.app.pipeline.marts_namespace)
                        if mart is None:
                            yield result
                        else:
                            unpublished[mart] = result
        for mart, output in unpublished.items():  # in the order in which dbt built them, as Dagster demands
            yield _with_metadata(output, published[mart])

    return models


def _selected(context: dg.AssetExecutionContext, result: Any) -> bool:
    if isinstance(result, dg.Output):
        return result.output_name in context.op_execution_context.selected_output_names
    if isinstance(result, dg.AssetCheckResult):
        return any(
            key.name == result.check_name and key.asset_key == result.asset_key
            for key in context.selected_asset_check_keys
        )
    return True


def _mart_of(context: dg.AssetExecutionContext, result: Any, namespace: str) -> str | None:
    """The name of the mart that a result materializes; None for any other result."""
    if not isinstance(result, dg.Output):
        return None
    *above, name = context.asset_key_for_output(result.output_name).path
    return name if above == [namespace] else None


def _with_metadata(output: dg.Output[Any], done: marts.Published) -> dg.Output[Any]:
    numbers: dict[str, Any] = {"dagster/row_count": done.rows, "iceberg/snapshot_id": str(done.snapshot_id)}
    return dg.Output(output.value, output_name=output.output_name, metadata={**output.metadata, **numbers})
