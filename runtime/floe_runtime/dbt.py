"""Runs dbt in this process, because starting its command line takes longer than a whole build."""

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

from floe_runtime import profile
from floe_runtime.contract.app import App, Pipeline
from floe_runtime.contract.model import parse
from floe_runtime.contract.platform import DuckDB, Platform
from floe_runtime.errors import FloeError, in_words

OUTPUT = "target"
"""Name of the folder in a project for dbt's output."""
_VARIABLES = "floe-variables.json"
"""Name of the file beside a manifest with the variables for which dbt made it."""


class DbtFailed(FloeError):
    """A dbt command failed. The message names the nodes that failed, and why."""

    exit_code = 1


@dataclass(frozen=True)
class Project:
    """A dbt project. `output`: the folder for dbt's output, which has a subfolder for each compute target."""

    folder: Path
    output: Path
    platform: Platform
    app: App

    @property
    def target(self) -> Path:
        """The target folder of dbt for the platform's engine. Each engine has its own, because manifests differ."""
        return self.output / self.platform.compute.target

    @property
    def profiles(self) -> Path:
        """The folder of the profile that a run builds with. The profile for parsing is beside it, undisturbed."""
        return self.target / "profile"


def _arguments(command: str, folder: Path, output: Path, profiles: Path, pipeline: Pipeline) -> list[str]:
    """The arguments of dbt. `output`: the target folder; `profiles`: the folder of profiles.yml."""
    folders = ["--project-dir", str(folder), "--profiles-dir", str(profiles), "--profile", profile.NAME]
    results = ["--target-path", str(output), "--log-path", str(output / "logs")]
    return [command, *folders, *results, "--vars", _namespaces(pipeline), "--quiet", "--no-use-colors"]


def _namespaces(pipeline: Pipeline) -> str:
    """The variables of the project, which decide what its sources are."""
    return json.dumps({"raw_namespace": pipeline.raw_namespace, "marts_namespace": pipeline.marts_namespace})


def _parse(folder: Path, output: Path, target: str, pipeline: Pipeline) -> None:
    """Write the manifest of the project in `folder` for a compute target to `output`, with the profile for that."""
    profile.for_parsing(target, output)
    for _ in _invoke(_arguments("parse", folder, output, output, pipeline), {}):
        pass
    (output / _VARIABLES).write_text(_namespaces(pipeline))


def manifest(project: Project) -> Path:
    """The path of the project's manifest.

    Uses a manifest that exists already, such as the one in the image. If there is none for the app's namespaces, or a
    file of the project is newer, dbt parses the project. Raises DbtFailed if that fails.
    """
    output = project.folder / OUTPUT
    sources = (file for file in project.folder.rglob("*") if file.is_file() and output not in file.parents)
    newest = max(file.stat().st_mtime for file in sources)
    for folder in (project.target, output / project.platform.compute.target):
        path, variables = folder / "manifest.json", folder / _VARIABLES
        is_ours = variables.is_file() and variables.read_text() == _namespaces(project.app.pipeline)
        if is_ours and path.is_file() and path.stat().st_mtime >= newest:
            return path
    _parse(project.folder, project.target, project.platform.compute.target, project.app.pipeline)
    return project.target / "manifest.json"


def build(project: Project, scratch: str) -> Iterator[dict[str, Any]]:
    """Build and test all nodes in the scratch database or schema; yields dbt's events as they occur.

    Each event is a dictionary as in dbt's JSON log. Raises DbtFailed after the last event if a node failed.
    """
    try:
        variables = profile.for_run(project.platform.compute, scratch, project.profiles)
        yield from _invoke(
            _arguments("build", project.folder, project.target, project.profiles, project.app.pipeline), variables
        )
    finally:
        if isinstance(project.platform.compute, DuckDB):
            _close_scratch()


def _close_scratch() -> None:
    """Close the database, which dbt-duckdb would keep open, and so locked, until the process ends."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    if DuckDBConnectionManager._ENV is not None:
        DuckDBConnectionManager.env().close()
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call] # not typed by dbt-duckdb


def _invoke(arguments: list[str], env: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    from dbt.cli.main import dbtRunner
    from dbt_common.events.functions import msg_to_dict

    # dbt calls the callback in its own threads, but a generator can only yield in this one. The queue connects them.
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
        reasons = _reasons(outcome[0]) if outcome else ""
        raise DbtFailed(f"dbt {arguments[0]} failed{reasons}", "Read the log of the run.")


def _reasons(result: Any) -> str:
    """The nodes that failed, one line for each, or dbt's exception if it failed before it built nodes."""
    if result.exception is not None:
        return f": {result.exception}"
    failed = [node for node in getattr(result.result, "results", ()) if node.status in ("error", "fail")]
    return "".join(f"\n  {node.node.name}: {node.message}" for node in failed)


def _prepare(apps: Path, targets: list[str]) -> None:
    """Write the manifests and profiles of all apps for the given compute targets. The build of the image calls this."""
    for file in sorted(apps.glob("*/floe.yaml")):
        # PyYAML is good enough: floe-validate has already refused files that YAML parsers read differently.
        pipeline = parse(App, yaml.safe_load(file.read_text()), file).pipeline
        folder = file.parent / pipeline.dbt
        for target in targets:
            output = folder / OUTPUT / target
            _parse(folder, output, target, pipeline)
            (output / "partial_parse.msgpack").unlink(missing_ok=True)


if __name__ == "__main__":
    with in_words():
        _prepare(Path(sys.argv[1]).resolve(), sys.argv[2:])
