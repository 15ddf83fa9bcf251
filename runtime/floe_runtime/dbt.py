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

from floe_runtime import columns, profile
from floe_runtime.contract.app import App, Pipeline
from floe_runtime.contract.model import parse
from floe_runtime.contract.platform import DuckDB, Platform
from floe_runtime.errors import FloeError, in_words
from floe_runtime.inputs import Inputs

OUTPUT = "target"
"""Name of the folder in a project for dbt's output."""
_VARIABLES = "floe-variables.json"
"""Name of the file beside a manifest with the variables for which dbt made it."""
_OFFLINE = ("--select", "resource_type:model", "--no-introspect", "--no-populate-cache")
"""Options of `compile` with which dbt connects to nothing. It compiles the models alone."""
_WITHOUT_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
"""Options of `build`: unit tests say something about the models, not about the data of a run."""
_ORIGINS = "floe-columns.json"
"""Name of the file beside a manifest with the origins of the models' columns."""


class DbtFailed(FloeError):
    """A dbt command failed. The message names the nodes that failed, and why."""

    exit_code = 1


class TestsFailed(DbtFailed):
    """The models were built, and a test found rows that it should not. To build them again changes nothing."""


MACROS = Path(__file__).with_name("dbt_macros")
"""The macros that the dbt project of every application has in its macro-paths, by the variable FLOE_DBT_MACROS."""


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


def _arguments(
    command: str,
    folder: Path,
    output: Path,
    profiles: Path,
    pipeline: Pipeline,
    variables: Mapping[str, object] | None = None,
) -> list[str]:
    """The arguments of dbt. `output`: the target folder; `profiles`: the folder of profiles.yml."""
    folders = ["--project-dir", str(folder), "--profiles-dir", str(profiles), "--profile", profile.NAME]
    results = ["--target-path", str(output), "--log-path", str(output / "logs")]
    every = json.dumps({**_variables(pipeline), **(variables or {})})
    return [command, *folders, *results, "--vars", every, "--quiet", "--no-use-colors"]


def _variables(pipeline: Pipeline) -> dict[str, object]:
    """The variables of the project that floe.yaml sets: they decide what its sources and its models are."""
    return {"raw_namespace": pipeline.raw_namespace, "marts_namespace": pipeline.marts_namespace}


def _parse(folder: Path, output: Path, target: str, pipeline: Pipeline) -> None:
    """Write the manifest of the project in `folder` for a compute target to `output`, with the profile for that.

    Compiles the models, without a connection, to know where their columns come from.
    """
    profile.for_parsing(
        target, output, Inputs(raw_namespace=pipeline.raw_namespace, marts_namespace=pipeline.marts_namespace)
    )
    try:
        _run([*_arguments("compile", folder, output, output, pipeline), *_OFFLINE])
    except DbtFailed:  # a model that asks the database while it is compiled, or a mistake, which dbt then finds again
        _run(_arguments("parse", folder, output, output, pipeline))
    made = json.loads((output / "manifest.json").read_bytes())
    (output / _ORIGINS).write_text(json.dumps(columns.origins(made)))
    (output / _VARIABLES).write_text(json.dumps(_variables(pipeline)))


def _run(arguments: list[str]) -> None:
    for _ in _invoke(arguments, {}):
        pass


def manifest(project: Project) -> Path:
    """The path of the project's manifest.

    Uses a manifest that exists already, such as the one in the image. If there is none for the app's namespaces, or a
    file of the project is newer, dbt parses the project. Raises DbtFailed if that fails.
    """
    output = project.folder / OUTPUT
    files = (file for folder in (project.folder, MACROS) for file in folder.rglob("*") if file.is_file())
    newest = max(file.stat().st_mtime for file in files if output not in file.parents)
    for folder in (project.target, output / project.platform.compute.target):
        path, variables = folder / "manifest.json", folder / _VARIABLES
        is_ours = variables.is_file() and variables.read_text() == json.dumps(_variables(project.app.pipeline))
        if is_ours and path.is_file() and path.with_name(_ORIGINS).is_file() and path.stat().st_mtime >= newest:
            return path
    _parse(project.folder, project.target, project.platform.compute.target, project.app.pipeline)
    return project.target / "manifest.json"


def origins(project: Project) -> columns.Origins:
    """The origins of the columns of each model of the project."""
    found: columns.Origins = json.loads(manifest(project).with_name(_ORIGINS).read_bytes())
    return found


def build(project: Project, scratch: str, inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Build and test all nodes but unit tests in the scratch database or schema; yields dbt's events as they occur.

    Each event is a dictionary as in dbt's JSON log. After the last event, raises TestsFailed if only tests failed, and
    DbtFailed if another node did.
    """
    folders = project.folder, project.target, project.profiles
    try:
        environment = profile.for_run(project.platform.compute, scratch, project.profiles, inputs=inputs)
        arguments = _arguments("build", *folders, project.app.pipeline, inputs.variables())
        yield from _invoke([*arguments, *_WITHOUT_UNIT_TESTS], environment, _parsed(project))
    finally:
        if isinstance(project.platform.compute, DuckDB):
            _close_scratch()


def _parsed(project: Project) -> Any:
    """The project as it was parsed for its manifest. dbt would parse it again, since the variables of each run differ.

    None if there is no such file, or if the names of the relations differ from run to run too.
    """
    file = manifest(project).with_name("partial_parse.msgpack")
    if not isinstance(project.platform.compute, DuckDB) or not file.is_file():
        return None
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    parsed = Manifest.from_msgpack(file.read_bytes(), decoder=extended_mashumuro_decoder)
    parsed.build_flat_graph()  # type: ignore[no-untyped-call] # not typed by dbt
    return parsed


def _close_scratch() -> None:
    """Close the database, which dbt-duckdb would keep open, and so locked, until the process ends."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    if DuckDBConnectionManager._ENV is not None:
        DuckDBConnectionManager.env().close()
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call] # not typed by dbt-duckdb


def _invoke(arguments: list[str], env: Mapping[str, str], parsed: Any = None) -> Iterator[dict[str, Any]]:
    from dbt.cli.main import dbtRunner
    from dbt_common.events.functions import msg_to_dict

    # dbt calls the callback in its own threads, but a generator can only yield in this one. The queue connects them.
    events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    outcome: list[Any] = []

    def run() -> None:
        try:
            runner = dbtRunner(parsed, callbacks=[lambda event: events.put(msg_to_dict(event))])
            outcome.append(runner.invoke(arguments))
        finally:
            events.put(None)

    os.environ.update({**env, "FLOE_DBT_MACROS": str(MACROS)})
    thread = threading.Thread(target=run, name="dbt")
    thread.start()
    while (event := events.get()) is not None:
        yield event
    thread.join()
    if not outcome or not outcome[0].success:
        failed = _failed(outcome[0]) if outcome else []
        kind = TestsFailed if {node.status for node in failed} == {"fail"} else DbtFailed
        reasons = "".join(f"\n  {node.node.name}: {node.message}" for node in failed)
        if outcome and outcome[0].exception is not None:  # before it built nodes
            reasons = f": {outcome[0].exception}"
        raise kind(f"dbt {arguments[0]} failed{reasons}", "Read the log of the run.")


def _failed(result: Any) -> list[Any]:
    return [node for node in getattr(result.result, "results", ()) if node.status in ("error", "fail")]


def _prepare(apps: Path, targets: list[str]) -> None:
    """Write the manifests and profiles of all apps for the given compute targets. The build of the image calls this."""
    for file in sorted(apps.glob("*/floe.yaml")):
        # PyYAML is good enough: floe-validate has already refused files that YAML parsers read differently.
        pipeline = parse(App, yaml.safe_load(file.read_text()), file).pipeline
        folder = file.parent / pipeline.dbt
        for target in targets:
            _parse(folder, folder / OUTPUT / target, target, pipeline)


if __name__ == "__main__":
    with in_words():
        _prepare(Path(sys.argv[1]).resolve(), sys.argv[2:])
