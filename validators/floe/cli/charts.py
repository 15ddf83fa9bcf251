"""The command `floe charts`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from floe import console
from floe.cli.options import SYNC, AsJson

app = typer.Typer(
    help="""Manage the upstream charts that overlays inflate, and floe's own charts in charts/.

    \b
    Examples:
      floe charts pull
      floe charts verify
      floe charts sync --check
    """,
    no_args_is_help=True,
)

Environments = Annotated[list[str] | None, typer.Argument(metavar="[ENV]…", help="overlays; without any, all of them")]
Mirror = Annotated[
    str | None,
    typer.Option(
        envvar="FLOE_CHART_MIRROR",
        help="used instead of the public repositories: a folder, the URL of a chart repository, or oci://registry/path",
    ),
]


@app.command()
def pull(
    environments: Environments = None,
    mirror: Mirror = None,
    stand_ins: Annotated[
        bool,
        typer.Option("--stand-ins", help="if a chart cannot be fetched, use its small stand-in from tests/charts"),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="fetch charts again that are already there")] = False,
) -> None:
    """Pull the pinned charts to where kustomize looks for them, and copy them into charts/*/charts.

    Every archive is checked against charts.lock. A mirror folder holds NAME-VERSION.tgz, or the unpacked chart as
    NAME/, whose sha256 cannot be checked. A registry on this machine is accessed without TLS. Archives are kept in the
    cache, so that another checkout needs no network.

    \b
    Examples:
      floe charts pull
      floe charts pull prod
      FLOE_CHART_MIRROR=/srv/charts floe charts pull
      floe charts pull --mirror oci://registry.example.com/charts
    """
    from rich.markup import escape

    from floe import charts, repo
    from floe.charts import packaged

    checkout, err = repo.current(), console.err()
    for chart in charts.pull(
        checkout, environments or checkout.environments(), mirror, stand_ins=stand_ins, force=force
    ):
        if chart.source != "present" or chart.note:
            note = f" [dim]({escape(chart.note)})[/]" if chart.note else ""
            err.print(f"charts: {chart.chart} ({', '.join(chart.environments)}): {_SOURCES[chart.source]}{note}")
    for put in packaged.fill(checkout):
        err.print(f"charts: {put}")


_SOURCES = {
    "present": "already there",
    "checkout": "from another overlay here",
    "cache": "from the cache",
    "mirror": "from the mirror",
    "repository": "from its repository",
    "stand-in": "[yellow]a stand-in[/] for trying things out; do not deploy it",
}


@app.command()
def lock(
    mirror: Mirror = None,
    update: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="accept the changed archive of this chart; may be repeated")
    ] = None,
) -> None:
    """Record the sha256 of each pinned chart's archive in charts.lock.

    An archive that differs from the locked one is refused unless --update names its chart. A chart that cannot be
    fetched keeps its entry.
    Exit codes: 0 all locked, 1 an archive differs from the locked one, 2 a chart could not be fetched.

    \b
    Examples:
      floe charts lock
      floe charts lock --update cube
      floe charts lock --mirror https://charts.example.com
    """
    from rich.markup import escape

    from floe import repo
    from floe.charts import lockfile

    out = console.out()
    statuses = set()
    for outcome in lockfile.lock(repo.current(), mirror, update or ()):
        statuses.add(outcome.status)
        colour = "red" if outcome.status in ("differs", "failed") else "green"
        message = f": {escape(outcome.message)}" if outcome.message else ""
        out.print(f"[{colour}]{outcome.status:<9}[/] {outcome.chart}{message}")
        if outcome.remedy:
            out.print(f"  [dim]next: {escape(outcome.remedy)}[/]")
    raise typer.Exit(1 if "differs" in statuses else 2 if "failed" in statuses else 0)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the charts: version, whether charts.lock has its sha256, and where each overlay got it from.

    \b
    Examples:
      floe charts list
      floe charts list --json | jq -r '.[] | select(.locked == null) | .name'
    """
    from floe import repo
    from floe.charts import audit

    rows = audit.rows(repo.current())
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    out = console.out()
    width = max((len(f"{row.name} {row.version}") for row in rows), default=0)
    for row in rows:
        locked = "[green]locked[/]  " if row.locked else "[yellow]unlocked[/]"
        by_state: dict[str, list[str]] = {}
        for environment, state in row.overlays.items():
            by_state.setdefault(state, []).append(environment)
        where = "; ".join(f"{', '.join(names)}: {state}" for state, names in by_state.items())
        out.print(f"{f'{row.name} {row.version}':<{width}}  {locked}  {where}")


@app.command()
def verify(environments: Environments = None, as_json: AsJson = False) -> None:
    """Check that every pinned chart is a real one, unchanged since it was pulled, and matches charts.lock.

    Also reports values in overlays that their chart does not know.

    \b
    Examples:
      floe charts verify
      floe charts verify prod
      floe charts verify --json | jq -r '.findings[].message'
    """
    from rich.markup import escape

    from floe import repo
    from floe.charts import audit

    checkout = repo.current()
    names = environments or checkout.environments()
    with console.progress("charts: verifying"):
        findings = [finding for name in names for finding in audit.verify(checkout, name)]
    if as_json:
        print(json.dumps({"environments": names, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        out = console.out()
        for finding in findings:
            out.print(
                f"[red]{finding.environment}[/] [bold]{finding.chart}[/]: {escape(finding.message)} "
                f"[dim]next: {escape(finding.remedy)}[/]"
            )
        many = f"{len(findings)} finding{'s' * (len(findings) != 1)}"
        out.print(f"{', '.join(names)}: {many if findings else '[green]ok[/]'}")
    if findings:
        raise typer.Exit(1)


@app.command()
def sync(
    check: Annotated[bool, typer.Option("--check", help="write nothing; print the diff and exit 1 if there is one")] = (
        False
    ),
) -> None:
    """Update charts/ from base/ and overlays/: chart versions, values files and the README's table of values.

    Fails if Helm would not install floe's objects as kustomize renders them.

    \b
    Examples:
      floe charts sync
      floe charts sync --check
    """
    from floe import charts, repo
    from floe.charts import packaging

    checkout = repo.current()
    for name in checkout.environments():
        charts.pinned(checkout, name)  # reports file and line of bad YAML; kustomize does not
    changes = list(packaging.changes(checkout))
    err = console.err()
    if check:
        for change in changes:
            print(change.diff())
        if changes:
            many = f"{len(changes)} file{'s' * (len(changes) != 1)}"
            err.print(f"[red]charts/ is out of date with base/ and overlays/: {many}[/]")
            err.print(SYNC)
            raise typer.Exit(1)
        err.print("charts/: [green]up to date with base/ and overlays/[/]")
        return
    packaging.write(checkout, changes)
    for change in changes:
        err.print(f"{change.path}: {'removed' if change.new is None else 'written'}")
    if not changes:
        err.print("charts/: unchanged")
