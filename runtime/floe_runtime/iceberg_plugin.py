"""A plugin of dbt-duckdb: it reads a dbt source from the current snapshot of an Iceberg table."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import SourceConfig
from pyiceberg.catalog import Catalog

from floe_runtime.connect import open_catalog
from floe_runtime.contract.artifacts import mounted


class Plugin(BasePlugin):
    """The plugin that the profile (floe_runtime.profile) refers to as `floe_runtime.iceberg_plugin`."""

    @cached_property
    def _catalog(self) -> Catalog:
        # Open the catalog when the first source is read, because parsing a project needs no catalog.
        return open_catalog(mounted().platform)

    def load(self, source_config: SourceConfig) -> Any:
        """The rows of the source as a stream of Arrow batches."""
        table = self._catalog.load_table((source_config.schema, source_config.identifier))
        return table.scan().to_arrow_batch_reader()
