"""`dagster api grpc`, with run workers that start warm.

Dagster starts a Python process per run, and importing Dagster, dbt and Iceberg's client costs it more seconds than the
run itself. Here a run's process is forked from one that has imported them already (multiprocessing's forkserver, which
has no threads, so forking it is safe). For one machine; in a cluster a run is a pod and starts cold.
"""

from __future__ import annotations

import multiprocessing
import sys

PRELOADED = [
    "dagster",
    "dagster_dbt",
    "dbt.cli.main",
    "dbt.adapters.duckdb",
    "floe_runtime.assets",
    "floe_runtime.iceberg_plugin",
    "floe_synthetic.ecommerce",
    "floe_synthetic.loader",
    "pyiceberg.catalog.sql",
    "pyiceberg.io.pyarrow",
]


def main() -> None:
    """Entry point: the arguments of `dagster api grpc`."""
    from dagster._cli.api import grpc_command
    from dagster._grpc.server import DagsterApiServer

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    started = DagsterApiServer.__init__

    def start(self: DagsterApiServer, *args: object, **kwargs: object) -> None:
        started(self, *args, **kwargs)  # type: ignore[arg-type] # handed on as they came
        self._mp_ctx = context  # type: ignore[assignment] # Dagster's is the spawn context, of the same interface

    DagsterApiServer.__init__ = start  # type: ignore[method-assign] # Dagster has no setting for it
    grpc_command(sys.argv[1:])


if __name__ == "__main__":
    main()
