"""dbt inside the run's own process: starting its command line costs more than a whole build of this project."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from floe_runtime.contract.app import App, Pipeline
from floe_runtime.contract.model import parse
from floe_runtime.contract.platform import DuckDB, Platform
from floe_runtime.errors import FloeError, in_words
from floe_runtime.profile import variables

MADE = "target"
"""Name of the folder in a project for what dbt makes of it."""


class DbtFailed(FloeError):
    """dbt could not build what it was asked to: which nodes failed, and why."""

    exit_code = 1


@dataclass(frozen=True)
class Project:
    """A dbt project, and the folder for what dbt makes of it, which has a folder of its own for each compute target."""

    folder: Path
    made: Path
    platform: Platform
    app: App

    @property
    def target(self) -> Path:
        """The target folder of dbt for the platform's engine: manifests of two engines differ."""
        return self.made / self.platform.compute.target

    def arguments(self, command: str) -> list[str]:
        """The command line of dbt, without `dbt`, for a command such as `build`."""
        return _arguments(command, self.folder, self.target, self.app.pipeline)


def _arguments(command: str, folder: Path, made: Path, pipeline: Pipeline) -> list[str]:
    """What dbt is called with; the last part of `made` names the output of profiles.yml."""
    names = {"raw_namespace": pipeline.raw_namespace, "marts_namespace": pipeline.marts_namespace}
    folders = ["--project-dir", str(folder), "--profiles-dir", str(folder)]
    results = ["--target-path", str(made), "--log-path", str(made / "logs")]
    rest = ["--target", made.name, "--vars", json.dumps(names), "--quiet", "--no-use-colors"]
    return [command, *folders, *results, *rest]


def manifest(project: Project) -> Path:
    """The project's manifest: the one an image brings along, or one made here, parsed anew where a file is newer.

    Raises DbtFailed where the project does not parse.
    """
    made = project.folder / MADE
    sources = (file for file in project.folder.rglob("*") if file.is_file() and made not in file.parents)
    newest = max(file.stat().st_mtime for file in sources)
    for folder in (project.target, made / project.platform.compute.target):
        path = folder / "manifest.json"
        if path.is_file() and path.stat().st_mtime >= newest:
            return path
    for _ in _invoke(project.arguments("parse"), {}):
        pass
    return project.target / "manifest.json"


def build(project: Project, scratch: str) -> Iterator[dict[str, Any]]:
    """Run and test every node in the scratch place; yields dbt's events as they come, as in its JSON log.

    Raises DbtFailed at the end where a node failed.
    """
    try:
        yield from _invoke(project.arguments("build"), variables(project.platform, scratch))
    finally:
        if isinstance(project.platform.compute, DuckDB):
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


def _prepare(apps: Path, targets: list[str]) -> None:
    """Make the manifest of every app for every compute target, as an image brings them along."""
    for file in sorted(apps.glob("*/floe.yaml")):
        # As PyYAML reads it: whether others would read it otherwise, floe-validate has asked before.
        pipeline = parse(App, yaml.safe_load(file.read_text()), file).pipeline
        folder = file.parent / pipeline.dbt
        for target in targets:
            for _ in _invoke(_arguments("parse", folder, folder / MADE / target, pipeline), {}):
                pass
            (folder / MADE / target / "partial_parse.msgpack").unlink(missing_ok=True)


if __name__ == "__main__":
    with in_words():
        _prepare(Path(sys.argv[1]).resolve(), sys.argv[2:])
