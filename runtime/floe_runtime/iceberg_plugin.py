"""dbt-duckdb plugin: a dbt source is the current snapshot of an Iceberg table in the platform's catalog."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import SourceConfig
from pyiceberg.catalog import Catalog

from floe_runtime.connect import open_catalog
from floe_runtime.contract.artifacts import mounted


class Plugin(BasePlugin):
    """Named by profiles.yml as `floe_runtime.iceberg_plugin`."""

    @cached_property
    def _catalog(self) -> Catalog:
        # Opened at the first source, since parsing needs none.
        return open_catalog(mounted().platform)

    def load(self, source_config: SourceConfig) -> Any:
        """The source's rows as Arrow batches, read while DuckDB takes them in."""
        table = self._catalog.load_table((source_config.schema, source_config.identifier))
        return table.scan().to_arrow_batch_reader()
