"""dbt inside the run's own process: starting its command line costs more than a whole build of this project."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from floe.contract.app import App
from floe.contract.platform import DuckDB, Platform
from floe.errors import FloeError


class DbtFailed(FloeError):
    """dbt could not build what it was asked to: which nodes failed, and why."""

    exit_code = 1


@dataclass(frozen=True)
class Project:
    """A dbt project, and where what dbt makes of it goes."""

    folder: Path
    target: Path
    platform: Platform
    app: App

    def arguments(self, command: str) -> list[str]:
        pipeline = self.app.pipeline
        names = {"raw_namespace": pipeline.raw_namespace, "marts_namespace": pipeline.marts_namespace}
        folders = ["--project-dir", str(self.folder), "--profiles-dir", str(self.folder)]
        made = ["--target-path", str(self.target), "--log-path", str(self.target / "logs")]
        return [
            command,
            *folders,
            *made,
            "--target",
            self.platform.compute.target,
            "--vars",
            json.dumps(names),
            "--quiet",
            "--no-use-colors",
        ]

    def environment(self, scratch: Path) -> dict[str, str]:
        """Variables that profiles.yml reads."""
        compute = self.platform.compute
        if isinstance(compute, DuckDB):
            return {
                "FLOE_SCRATCH": str(scratch),
                "FLOE_DUCKDB_THREADS": str(compute.threads),
                "FLOE_DUCKDB_MEMORY": compute.memory_limit,
            }
        raise FloeError(f"compute target {compute.target} has no profile yet", "use duckdb")


def manifest(project: Project) -> Path:
    """The project's manifest, parsed anew where a file of the project is newer (an image brings it along).

    Raises DbtFailed where the project does not parse.
    """
    path = project.target / "manifest.json"
    sources = (file for file in project.folder.rglob("*") if file.is_file() and project.target not in file.parents)
    if not path.is_file() or path.stat().st_mtime < max(file.stat().st_mtime for file in sources):
        for _ in _invoke(project.arguments("parse"), {}):
            pass
    return path


def build(project: Project, scratch: Path) -> Iterator[dict[str, Any]]:
    """Run and test every node in the scratch database; yields dbt's events as they come, as in its JSON log.

    Raises DbtFailed at the end where a node failed.
    """
    try:
        yield from _invoke(project.arguments("build"), project.environment(scratch))
    finally:
        _close_scratch()


def _close_scratch() -> None:
    """dbt-duckdb keeps its database open for the life of a process, which locks the file."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    if DuckDBConnectionManager._ENV is not None:
        DuckDBConnectionManager.env().close()
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call] # dbt-duckdb types it not


def _invoke(arguments: list[str], env: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    from dbt.cli.main import dbtRunner
    from dbt_common.events.functions import msg_to_dict

    # dbt calls back from its own threads, and a generator hands on in this one.
    events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    outcome: list[Any] = []

    def run() -> None:
        try:
            runner = dbtRunner(callbacks=[lambda event: events.put(msg_to_dict(event))])
            outcome.append(runner.invoke(arguments))
        finally:
            events.put(None)

    os.environ.update(env)
    thread = threading.Thread(target=run, name="dbt")
    thread.start()
    while (event := events.get()) is not None:
        yield event
    thread.join()
    if not outcome or not outcome[0].success:
        raise DbtFailed(f"dbt {arguments[0]} failed{_reasons(outcome[0]) if outcome else ''}", "see the run's log")


def _reasons(result: Any) -> str:
    """The nodes that failed, a line each; dbt's own exception where it did not get that far."""
    if result.exception is not None:
        return f": {result.exception}"
    failed = [node for node in getattr(result.result, "results", ()) if node.status in ("error", "fail")]
    return "".join(f"\n  {node.node.name}: {node.message}" for node in failed)
