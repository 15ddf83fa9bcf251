"""The command `floe check`."""

from __future__ import annotations

from typing import Annotated

import typer

from floe import console
from floe.errors import FloeError

app = typer.Typer()


@app.command()
def check(
    environments: Annotated[
        list[str] | None, typer.Argument(metavar="[ENV]…", help="overlays; without any, those that your change touches")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="check every environment")] = False,
    base: Annotated[
        str | None,
        typer.Option(metavar="REVISION", help="what changed is counted from here (default: origin/main, else HEAD)"),
    ] = None,
    output: Annotated[str, typer.Option("--format", "-f", help="text, json or github")] = "text",
) -> None:
    """Check environments before a merge: all that needs neither their cluster nor their services.

    Without names, checks those that your change touches, uncommitted edits included. For each environment: are the
    compiled files current, are the charts the locked ones and do they know every value, are the rendered objects and
    the bootstrap in clusters/ valid, does every code location load and its dbt project parse, and does Cube compile
    the model. Then: are the Helm charts in sync with the overlays.

    \b
    Examples:
      floe check
      floe check dev prod
      floe check --all --format json
      floe check --base origin/main --format github
    """
    from floe import repo
    from floe.check import changed, checks, report

    if output not in report.WRITERS:
        raise FloeError(f"there is no format {output!r}", f"Use one of these formats: {', '.join(report.WRITERS)}.")
    checkout = repo.current()
    names = changed.chosen(checkout, environments or [], every=every)
    if names is None:
        names, revision = changed.environments(checkout, base)
        console.err().print(
            f"changed since {revision}: {', '.join(names)}"
            if names
            else f"No environment changed since {revision}. To check one anyway, name it, or use --all."
        )
        if not names:
            raise typer.Exit
    with console.progress("check") as say:
        results = report.WRITERS[output](checks.run(checkout, names, say))
    if any(result.failed for result in results):
        raise typer.Exit(1)
