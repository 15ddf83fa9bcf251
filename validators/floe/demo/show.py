"""The steps of `floe demo`, in the order in which the user sees them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from floe import charts, console, render
from floe.contract.compiling import compile_environment
from floe.demo import cube
from floe.demo.dagster_api import Dagster
from floe.demo.ports import claim
from floe.demo.processes import Supervisor, supervisor
from floe.demo.services import CubeApi, start_cube, start_dagster
from floe.errors import FloeError
from floe.repo import EMBEDDED, Checkout
from floe_runtime.contract.app import BATCH_AT
from floe_runtime.contract.artifacts import CompiledArtifacts

Row = dict[str, Any]

PIPELINE = "pipeline"
"""The name of each app's job (floe_runtime.definitions, which takes seconds to import)."""

_INTERVAL = timedelta(hours=1)
"""What the second run loads: so long that the example of each app has another answer then, also at night."""
_RUN_SECONDS = 240
_CUBE_SECONDS = 60


class Story:
    """Prints the progress: a heading per chapter, and a line per step with the seconds that it took."""

    def __init__(self) -> None:
        """Print to stdout, and collect the seconds of each step by its title."""
        self.out = console.out()
        self.seconds: dict[str, float] = {}

    def chapter(self, title: str) -> None:
        """Print a heading."""
        self.out.print(f"\n[bold]{title}[/]")

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Print a line after the block; what the block appends to the yielded list is shown after the title."""
        notes: list[str] = []
        started = time.monotonic()
        with console.progress(title):
            yield notes
        took = self.seconds[title] = time.monotonic() - started
        self.out.print(f"[green]✓[/] {title}{': ' if notes else ''}{', '.join(notes)} [dim]({took:.1f} s)[/]")


def show(checkout: Checkout, *, once: bool, dagster_port: int, cube_port: int) -> int:
    """Run the demo; returns the exit code. Raises FloeError if a step fails.

    `once`: stop after the second run instead of waiting for Ctrl-C. A port of 0 picks a free one.
    """
    story = Story()
    dagster_port = claim(dagster_port, "Dagster", "--dagster-port")
    cube_port = claim(cube_port, "Cube", "--cube-port")
    if _check_overlays(checkout, story) or _check_services(checkout, story):
        return 1
    artifacts = compile_environment(checkout, EMBEDDED)
    console.write(checkout.artifacts_file(EMBEDDED), artifacts.text())
    with supervisor(checkout.state / "logs") as processes:
        try:
            dagster, api = _run_pipeline(checkout, story, processes, artifacts, dagster_port, cube_port)
            if not once:
                _keep_running(story, processes, dagster, api, artifacts)
        except KeyboardInterrupt:
            story.out.print("\nstopping …")
            return 130 if once else 0
        finally:
            with console.progress("stopping"):
                processes.stop()
    return 0


def _check_overlays(checkout: Checkout, story: Story) -> bool:
    """Render and validate the overlays; returns whether there are errors."""
    from floe.validate.output import text, verdict
    from floe.validate.schema import Schemas
    from floe.validate.validation import validate

    story.chapter("1. Overlays, rendered and validated")
    schemas, failed = Schemas(), False
    promoted = [name for name in checkout.settings.promotion if name in checkout.environments()]
    shown = promoted or checkout.environments()
    for name in dict.fromkeys((*shown[:1], *shown[-1:])):  # the first and the last one show enough
        with story.step(f"overlays/{name}") as notes:
            report = validate(render.render(checkout, name), f"overlays/{name}", schemas, checkout=checkout)
            notes.append(verdict(report, console.markup))
            if names := [str(chart) for chart in charts.pinned(checkout, name) if chart.is_stand_in()]:
                notes.append(f"[yellow]with stand-ins for the charts {', '.join(names)}[/]")
        if report.count("error"):
            text([report])
            failed = True
    return failed


def _check_services(checkout: Checkout, story: Story) -> bool:
    from floe.preflight import run

    story.chapter("2. Preflight of the embedded default")
    return run(checkout, None) != 0


def _run_pipeline(
    checkout: Checkout,
    story: Story,
    processes: Supervisor,
    artifacts: CompiledArtifacts,
    dagster_port: int,
    cube_port: int,
) -> tuple[Dagster, CubeApi]:
    story.chapter("3. Live data: generator → Iceberg → dbt → Cube")
    with story.step("Dagster is up") as notes:
        dagster = start_dagster(checkout, processes, artifacts, dagster_port)
        notes.append(dagster.url)
    start = datetime.now(UTC)
    ran = _run_apps(story, processes, dagster, artifacts, "first run", start - _INTERVAL)
    with story.step("Cube is up") as notes:
        api = start_cube(checkout, processes, artifacts, cube_port)
        notes.append(api.url)
        if api.native == "stand-in":
            notes.append("[yellow]with our stand-in for its native addon, which cannot be downloaded here[/]")
    examples = {name: query for name, query in _examples(artifacts).items() if name in ran}
    before = {}
    for name, query in examples.items():
        with story.step(f"Cube answers for {name}") as notes:
            before[name] = _query(api, query)
            notes.append(_words(before[name]))
    _run_apps(story, processes, dagster, artifacts, "second run", start)
    for name, query in examples.items():
        if artifacts.apps[name].app.synthetic:  # other tables need not have new rows
            with story.step(f"Cube has the new rows of {name}") as notes:
                notes.append(_words(_ask_until_other(processes, api, query, before[name])))
    slowest = max(story.seconds, key=lambda title: story.seconds[title])
    story.out.print(f"[dim]slowest step: {slowest} ({story.seconds[slowest]:.1f} s)[/]")
    return dagster, api


def _run_apps(
    story: Story, processes: Supervisor, dagster: Dagster, artifacts: CompiledArtifacts, title: str, at: datetime
) -> list[str]:
    """Run each app whose sources exist, those that load data first; returns the names of the apps that ran.

    `at`: the end of the time span whose data is loaded.
    """
    ran = []
    for name in sorted(artifacts.apps, key=lambda name: artifacts.apps[name].app.synthetic is None):
        app = artifacts.apps[name].app
        if not app.synthetic and not _has_tables(artifacts, app.pipeline.raw_namespace):
            story.out.print(
                f"[yellow]-[/] {name}: loaded, but not run, since nothing has filled the tables of "
                f"{app.pipeline.raw_namespace} yet"
            )
            continue
        with story.step(f"{name}: {title}") as notes:
            run_id = dagster.launch(name, PIPELINE, {BATCH_AT: at.isoformat()})
            status = dagster.follow(run_id, _RUN_SECONDS, processes.check)
            if status != "SUCCESS":
                raise FloeError(
                    f"the run {run_id} of {name} ended with the status {status}",
                    f"Open {dagster.url}/runs/{run_id} or read the logs in {processes.logs}",
                )
            batch = "batch appended, " if app.synthetic else ""
            notes.append(f"run {run_id[:8]}, {batch}models tested, marts published")
        ran.append(name)
    return ran


def _has_tables(artifacts: CompiledArtifacts, namespace: str) -> bool:
    from floe_runtime.connect import open_catalog

    catalog = open_catalog(artifacts.platform)
    return catalog.namespace_exists(namespace) and bool(catalog.list_tables(namespace))


def _examples(artifacts: CompiledArtifacts) -> dict[str, dict[str, Any]]:
    """The queries that the apps give as examples (semantic_layer.example in floe.yaml), by app."""
    examples = {name: one.app.semantic_layer.example for name, one in artifacts.apps.items()}
    return {name: query.model_dump(mode="json") for name, query in examples.items() if query}


def _query(api: CubeApi, query: dict[str, Any]) -> Row:
    (row,) = cube.load(api.url, api.token, query, _CUBE_SECONDS)
    return row


def _ask_until_other(processes: Supervisor, api: CubeApi, query: dict[str, Any], before: Row) -> Row:
    """Repeat the query until the answer is another one, since Cube looks for new data only every few seconds."""
    deadline = time.monotonic() + _CUBE_SECONDS
    while (row := _query(api, query)) == before:
        processes.check()
        if time.monotonic() > deadline:
            raise FloeError(f"Cube shows no new rows after {_CUBE_SECONDS} s", f"Read {processes.logs / 'cube.log'}")
        time.sleep(0.5)
    return row


def _words(row: Row) -> str:
    return ", ".join(f"{measure} {value}" for measure, value in row.items())


def _keep_running(
    story: Story, processes: Supervisor, dagster: Dagster, api: CubeApi, artifacts: CompiledArtifacts
) -> None:
    """Print the addresses of all services and keep them running until Ctrl-C."""
    import json

    crons = ", ".join(f"{name} {one.app.pipeline.schedule.cron}" for name, one in artifacts.apps.items())
    story.chapter("4. Running until Ctrl-C")
    story.out.print(
        f"Dagster   {dagster.url}  [dim](schedules: {crons}; for a run by hand: Jobs, {PIPELINE}, Materialize all)[/]"
    )
    story.out.print(f"Cube API  {api.url}/cubejs-api/v1")
    for query in _examples(artifacts).values():
        text = json.dumps(query, separators=(",", ":"))
        story.out.print(
            f"  curl -G {api.url}/cubejs-api/v1/load -H 'Authorization: {api.token}' --data-urlencode 'query={text}'",
            markup=False,
        )
    story.out.print(f"logs      {processes.logs}")
    while True:
        processes.check()
        time.sleep(2)
