"""The command `floe charts`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from floe import console
from floe.cli.options import AsJson

app = typer.Typer(
    help="""The upstream charts that overlays inflate, and floe's own in charts/.

    \b
    Examples:
      floe charts pull
      floe charts verify
      floe charts sync --check
    """,
    no_args_is_help=True,
)

Environments = Annotated[list[str] | None, typer.Argument(metavar="[ENV]…", help="overlays; all without")]
Mirror = Annotated[
    str | None,
    typer.Option(
        envvar="FLOE_CHART_MIRROR",
        help="stands in for the public repositories: a folder, the URL of a chart repository, or oci://registry/path",
    ),
]


@app.command()
def pull(
    environments: Environments = None,
    mirror: Mirror = None,
    stand_ins: Annotated[
        bool,
        typer.Option("--stand-ins", help="where a chart cannot be had, take the small one of tests/charts"),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="fetch anew what is there already")] = False,
) -> None:
    """Put the pinned charts where kustomize looks for them, checked against charts.lock; and into charts/*/charts.

    A mirror's folder holds NAME-VERSION.tgz, or the unpacked chart as NAME/ (which no sha256 can be checked of). A
    registry on this machine is spoken to without TLS. Archives are kept in the cache, so that another checkout needs
    no network.

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

    err = console.err()
    for chart in charts.pull(environments or repo.environments(), mirror, stand_ins=stand_ins, force=force):
        if chart.source != "present" or chart.note:
            note = f" [dim]({escape(chart.note)})[/]" if chart.note else ""
            err.print(f"charts: {chart.chart} ({', '.join(chart.environments)}): {_SOURCES[chart.source]}{note}")
    for put in packaged.fill():
        err.print(f"charts: {put}")


_SOURCES = {
    "present": "there already",
    "checkout": "from another overlay here",
    "cache": "from the cache",
    "mirror": "from the mirror",
    "repository": "from its repository",
    "stand-in": "[yellow]a stand-in[/], for a look, not to deploy",
}


@app.command()
def lock(
    mirror: Mirror = None,
    update: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="accept that this chart's archive is another one now")
    ] = None,
) -> None:
    """Write down the sha256 of each pinned chart's archive in charts.lock.

    An archive that is not the one locked before is refused. What could not be fetched keeps its entry as it was.
    Exit codes: 0 all locked, 1 an archive is not the locked one, 2 a chart could not be fetched.

    \b
    Examples:
      floe charts lock
      floe charts lock --update cube
      floe charts lock --mirror https://charts.example.com
    """
    from rich.markup import escape

    from floe.charts import lockfile

    out = console.out()
    statuses = set()
    for outcome in lockfile.lock(mirror, update or ()):
        statuses.add(outcome.status)
        colour = "red" if outcome.status in ("differs", "failed") else "green"
        message = f": {escape(outcome.message)}" if outcome.message else ""
        out.print(f"[{colour}]{outcome.status:<9}[/] {outcome.chart}{message}")
        if outcome.remedy:
            out.print(f"  [dim]next: {escape(outcome.remedy)}[/]")
    raise typer.Exit(1 if "differs" in statuses else 2 if "failed" in statuses else 0)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the charts: version, who pins it, where it was pulled from, and whether charts.lock has its sha256.

    \b
    Examples:
      floe charts list
      floe charts list --json | jq -r '.[] | select(.locked == null) | .name'
    """
    from floe.charts import audit

    rows = audit.rows()
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
    """Check that every pinned chart is the real one, as it was pulled and as charts.lock says.

    Also finds values of the overlays that their chart does not know.

    \b
    Examples:
      floe charts verify
      floe charts verify prod
      floe charts verify --json | jq -r '.findings[].message'
    """
    from rich.markup import escape

    from floe import repo
    from floe.charts import audit

    names = environments or repo.environments()
    with console.progress("charts: verifying"):
        findings = [finding for name in names for finding in audit.verify(name)]
    if as_json:
        print(json.dumps({"environments": names, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        out = console.out()
        for finding in findings:
            out.print(
                f"[red]{finding.environment}[/] [bold]{finding.chart}[/]: {escape(finding.message)} "
                f"[dim]next: {escape(finding.remedy)}[/]"
            )
        out.print(f"{', '.join(names)}: {f'{len(findings)} findings' if findings else '[green]ok[/]'}")
    if findings:
        raise typer.Exit(1)


@app.command()
def sync(
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; print the diff and exit 1 where there is one")
    ] = (False),
) -> None:
    """Write what charts/ has from base/ and overlays/: versions, values files, and the README's table of values.

    \b
    Examples:
      floe charts sync
      floe charts sync --check
    """
    from floe import charts, repo
    from floe.charts import packaging

    for name in repo.environments():
        charts.pinned(name)  # says file and line of bad YAML, which kustomize does not
    found = list(packaging.changes())
    err = console.err()
    if check:
        for change in found:
            print(change.diff())
        if found:
            many = f"{len(found)} file{'s' * (len(found) != 1)}"
            err.print(f"[red]charts/ is not what base/ and overlays/ say: {many}[/]\n  next: floe charts sync")
            raise typer.Exit(1)
        err.print("charts/: [green]as base/ and overlays/ say[/]")
        return
    packaging.write(found)
    for change in found:
        err.print(f"{change.path}: {'removed' if change.new is None else 'written'}")
    if not found:
        err.print("charts/: unchanged")
