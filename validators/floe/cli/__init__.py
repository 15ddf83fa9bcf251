"""The command `floe`: each subcommand imports what it needs when it runs, so that `floe --help` stays fast."""

from __future__ import annotations

from typing import Annotated

import typer

from floe import console
from floe.cli import charts, check, environments, fork, generate, gitops, images, new, tools

app = typer.Typer(
    help="""Render, compile, check and show a floe-runtime deployment.

    Exit codes: 0 ok, 1 findings, 2 cannot run.

    \b
    Examples:
      floe render prod | floe-validate
      floe diff prod
      floe --help, floe charts --help, floe charts pull --help
    """,
    no_args_is_help=True,
    context_settings=console.HELP,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(images.app)
app.add_typer(tools.app)
app.add_typer(environments.app)
app.add_typer(check.app)
app.add_typer(charts.app, name="charts")
app.add_typer(gitops.app)
app.add_typer(new.app)
app.add_typer(fork.app)
app.add_typer(generate.app)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"floe {version('floe-deploy')}")
        raise typer.Exit


@app.callback()
def _floe(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    del version  # its callback has printed it
