"""`floe new` and `floe remove`: environments and apps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from floe.cli.options import AsJson
from floe.errors import FloeError

if TYPE_CHECKING:
    from floe.new.staging import Report
    from floe.repo import Checkout

app = typer.Typer()
new = typer.Typer(
    help="""Make an environment or an app from another one, with names of its own everywhere.

    \b
    Examples:
      floe new env qa --from staging
      floe new app returns --from ecommerce
    """,
    no_args_is_help=True,
)
remove = typer.Typer(
    help="""Remove an environment or an app from the repository. What runs in a cluster stays.

    \b
    Examples:
      floe remove env qa
      floe remove app returns
    """,
    no_args_is_help=True,
)
app.add_typer(new, name="new")
app.add_typer(remove, name="remove")


NewName = Annotated[str, typer.Argument(metavar="NAME", help="lower-case letters, digits and hyphens")]
Force = Annotated[bool, typer.Option("--force", help="also lose files that are in no commit")]


@new.command("env")
def new_env(
    name: NewName,
    source: Annotated[str, typer.Option("--from", metavar="ENV", help="the overlay that is copied")],
    after: Annotated[
        str | None,
        typer.Option(metavar="ENV", help="its predecessor in the promotion order; by default ENV of --from"),
    ] = None,
    promotion: Annotated[
        bool, typer.Option("--promotion/--no-promotion", help="whether versions reach it by promotion")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Make an environment from another one: overlay, clusters/NAME, place in the promotion order, floe's charts.

    The name of the other environment is replaced wherever it stands for it. Hosts, a bucket and a warehouse that do not
    contain it become other ones too. The output lists what you should check, with file and line. What is copied must be
    committed. Encrypted Secrets are not copied. An environment after another one in the promotion order runs promoted
    specifications; one from an overlay outside of the order, such as demo, stays outside.

    \b
    Examples:
      floe new env qa --from staging
      floe new env qa --from dev --after staging
      floe new env sandbox --from dev --no-promotion
    """
    from floe.new import environments

    def make(checkout: Checkout, command: str) -> Report:
        return environments.new(
            checkout, environments.request(checkout, name, source, after, promotion=promotion), command
        )

    _run(f"floe new env {name} --from {source}", make, as_json=as_json)


@new.command("app")
def new_app(
    name: NewName,
    source: Annotated[str | None, typer.Option("--from", metavar="APP", help="the app that is copied")] = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="copy no app: one model of a table that something loads")
    ] = False,
    environments: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="ENV", help="an overlay that runs it; may be repeated"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an app: folder, package, dbt project, namespaces, Cube's names, and the line in each overlay that runs it.

    Without --env these are the overlays that run APP and whose platform.yaml says `specification: follow`. What is
    copied must be committed.

    \b
    Examples:
      floe new app returns --from ecommerce
      floe new app returns --empty --env dev --env staging
    """
    from floe.new import apps

    if (source is None) != empty:
        raise FloeError("give either --from APP or --empty", "Run `floe new app --help` for examples.")

    def make(checkout: Checkout, command: str) -> Report:
        return apps.new(checkout, name, source, environments or (), command)

    _run(f"floe new app {name} {f'--from {source}' if source else '--empty'}", make, as_json=as_json)


@remove.command("env")
def remove_env(
    name: Annotated[str, typer.Argument(metavar="ENV", help="name of an overlay")],
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Remove an environment: overlay, clusters/ENV, place in the promotion order, floe's charts. Its cluster stays.

    \b
    Examples:
      floe remove env qa
    """
    from floe.new import environments

    def make(checkout: Checkout, command: str) -> Report:
        return environments.remove(checkout, name, command, force=force)

    _run(f"floe remove env {name}", make, as_json=as_json)


@remove.command("app")
def remove_app(
    name: Annotated[str, typer.Argument(metavar="APP", help="name of an app")],
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Remove an app: its folder, and its line in every overlay. Tables and marts that it wrote stay.

    \b
    Examples:
      floe remove app returns
    """
    from floe.new import apps

    def make(checkout: Checkout, command: str) -> Report:
        return apps.remove(checkout, name, command, force=force)

    _run(f"floe remove app {name}", make, as_json=as_json)


def _run(command: str, make: Callable[[Checkout, str], Report], *, as_json: bool) -> None:
    """Run a command and print its report. What an interrupted run left is finished first."""
    from floe import console, repo
    from floe.new import staging

    checkout = repo.current()
    try:
        with staging.only_one(checkout), console.progress(command):
            report = staging.finished(checkout)
            if report is None or report.command != command:
                if report:
                    console.err().print(f"finished first, since it was interrupted: {report.command}", markup=False)
                report = make(checkout, command)
    except KeyboardInterrupt:
        console.err().print(staging.after_interrupt(checkout), markup=False)
        raise
    if as_json:
        print(report.model_dump_json(indent=2))
        return
    out = console.out()
    for line in report.done:
        out.print("[green]✓[/]", end=" ")
        out.print(line, markup=False)
    if report.set:
        out.print("Look at these values, and set those that are not right:")
        for value, places in report.set.items():
            out.print(f"  {value}", *(f"    {place}" for place in places), sep="\n", markup=False)
    for note in report.notes:
        out.print("[yellow]-[/]", end=" ")
        out.print(note, markup=False)
    for line in report.next:
        out.print("  [dim]next:[/]", end=" ")
        out.print(line, markup=False)
