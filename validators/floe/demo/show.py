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

OVERLAYS = ("dev", "prod")
APP = "ecommerce"
QUERY = {"measures": ["orders.count", "order_items.revenue", "customers.count"]}
"""The demo's query to Cube: measures of three marts."""

_INTERVAL = timedelta(minutes=5)
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
    for name in OVERLAYS:
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
    _run_once(story, processes, dagster, "first tick", start - _INTERVAL)
    with story.step("Cube is up") as notes:
        api = start_cube(checkout, processes, artifacts, cube_port)
        notes.append(api.url)
        if api.native == "stand-in":
            notes.append("[yellow]with our stand-in for its native addon, which cannot be downloaded here[/]")
    with story.step("Cube answers") as notes:
        before = _query(api)
        notes.append(_count_words(before))
    _run_once(story, processes, dagster, "second tick", start)
    with story.step("Cube has the new rows") as notes:
        after = _ask_until_more(processes, api, before)
        notes.append(_count_words(after))
    slowest = max(story.seconds, key=lambda title: story.seconds[title])
    story.out.print(f"[dim]slowest step: {slowest} ({story.seconds[slowest]:.1f} s)[/]")
    return dagster, api


def _run_once(story: Story, processes: Supervisor, dagster: Dagster, title: str, at: datetime) -> None:
    with story.step(title) as notes:
        run_id = dagster.launch(APP, "pipeline", {BATCH_AT: at.isoformat()})
        status = dagster.follow(run_id, _RUN_SECONDS, processes.check)
        if status != "SUCCESS":
            raise FloeError(
                f"the run {run_id} ended with the status {status}",
                f"Open {dagster.url}/runs/{run_id} or read the logs in {processes.logs}",
            )
        notes.append(f"run {run_id[:8]}, batch appended, models tested, marts published")


def _query(api: CubeApi) -> dict[str, Any]:
    (row,) = cube.load(api.url, api.token, QUERY, _CUBE_SECONDS)
    return row


def _ask_until_more(processes: Supervisor, api: CubeApi, before: dict[str, Any]) -> dict[str, Any]:
    """Repeat the query until the counts have increased, since Cube looks for new data only every few seconds."""
    deadline = time.monotonic() + _CUBE_SECONDS
    while int((row := _query(api))["orders.count"]) <= int(before["orders.count"]):
        processes.check()
        if time.monotonic() > deadline:
            raise FloeError(f"Cube shows no new orders after {_CUBE_SECONDS} s", f"Read {processes.logs / 'cube.log'}")
        time.sleep(0.5)
    return row


def _count_words(row: dict[str, Any]) -> str:
    return f"{row['orders.count']} orders, revenue {row['order_items.revenue']}, {row['customers.count']} customers"


def _keep_running(
    story: Story, processes: Supervisor, dagster: Dagster, api: CubeApi, artifacts: CompiledArtifacts
) -> None:
    """Print the addresses of all services and keep them running until Ctrl-C."""
    import json

    cron = artifacts.apps[APP].app.pipeline.schedule.cron
    story.chapter("4. Running until Ctrl-C")
    story.out.print(
        f"Dagster   {dagster.url}  [dim](schedule {cron}; for a run by hand: Jobs, pipeline, Materialize all)[/]"
    )
    story.out.print(f"Cube API  {api.url}/cubejs-api/v1")
    query = json.dumps(QUERY, separators=(",", ":"))
    story.out.print(
        f"  curl -G {api.url}/cubejs-api/v1/load -H 'Authorization: {api.token}' --data-urlencode 'query={query}'",
        markup=False,
    )
    story.out.print(f"logs      {processes.logs}")
    while True:
        processes.check()
        time.sleep(2)
