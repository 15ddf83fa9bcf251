"""`floe generate`: synthetic data as files, or in the tables of an environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from floe import console
from floe.cli.options import AsJson
from floe.errors import FloeError

if TYPE_CHECKING:
    from floe.generate.run import Report

app = typer.Typer()


@app.command()
def generate(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="ecommerce or saas")],
    since: Annotated[str | None, typer.Option(metavar="TIME", help="start of the data; by default the opening")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="end of the data, which is excluded")] = None,
    rows: Annotated[
        int | None, typer.Option(metavar="N", help="instead of --until: so many rows after --since, or some more")
    ] = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same data")] = 42,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            "--orders-per-day",
            metavar="N",
            help="orders (6000) or organisations that sign up (3) on an average day of the first year",
        ),
    ] = None,
    opened: Annotated[str, typer.Option(metavar="DATE", help="the day from which there are data")] = "2026-01-01",
    defects: Annotated[
        list[str] | None,
        typer.Option(metavar="SCENARIO|KIND=RATE", help="clean, messy or broken, or one kind; may be repeated"),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="a folder that does not exist or is empty")] = None,
    to: Annotated[str | None, typer.Option(metavar="ENV", help="load into the catalog of this environment")] = None,
    namespace: Annotated[
        str | None, typer.Option(metavar="NAME", help="with --to: where the tables are; by default, the domain's name")
    ] = None,
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="parquet or arrow")] = "parquet",
    profile: Annotated[
        bool,
        typer.Option("--profile", help="print the patterns; with --out, also draw them as profile.svg and profile.png"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Generate data of a web shop or of a software service: one file for each table, or a picture of their patterns.

    The same arguments give the same data on every machine. What was before --since (customers, the catalogue, running
    subscriptions) is included, so that every reference has its row. With --defects there is one table more, `defects`,
    with a row for each defect. The folder appears when it is complete. A time without a zone is in UTC.

    With --to, the data are appended to Iceberg tables of an environment, whose platform.yaml names the catalog and the
    variables with its credentials; `embedded` is the one of `make demo`. Tables that are there already are continued
    from where they end until --until, so a command that is repeated adds nothing.

    \b
    Kinds of defects: nulls, duplicates, near_duplicates, out_of_range, broken_references, encoding, late, new_columns.

    \b
    Examples:
      floe generate ecommerce --since 2026-03-01 --until 2026-03-15 --out shop
      floe generate saas --rows 1000000 --out service --format arrow
      floe generate ecommerce --until 2026-02-15 --defects messy --defects late=0.05 --out messy
      floe generate saas --until 2026-04-01 --profile
      floe generate ecommerce --since 2026-03-01 --until 2026-06-01 --to dev
    """
    from floe import repo
    from floe.contract.files import load as read
    from floe.generate import load, request, run
    from floe_runtime.contract.platform import Platform

    if (to is None) == (out is None and not profile):
        problem = "there is nothing to do" if to is None else "--to goes with neither --out nor --profile"
        raise FloeError(f"{problem}: give --out DIR, --profile or both, or --to ENV", "Run `floe generate --help`.")
    if namespace is not None and (to is None or not namespace.isidentifier()):
        raise FloeError("--namespace must be a name like raw, and goes with --to", "Run `floe generate --help`.")
    wanted = request.request(domain, since, until, rows, seed, rate, opened, defects or [])
    platform = read(Platform, repo.current().platform_file(to)) if to else None
    if platform and not platform.synthetic:
        raise FloeError(
            f"{to} has no synthetic data: its platform.yaml does not say `synthetic: true`",
            "Load into an environment that does, or write files with --out.",
        )
    with console.progress(f"generating {domain}") as say:
        if platform:
            report = load.load(wanted, platform, str(to), namespace or domain, say)
        else:
            report = run.run(wanted, domain, out, format_, say, profile=profile)
    if as_json:
        print(report.model_dump_json(indent=2))
    else:
        _print(report, f" in {namespace or domain} of {to}" if to else f" in {out}" if out else "")


def _print(report: Report, where: str) -> None:
    to = console.out()
    for name, table in report.tables.items():
        size = f"{table.bytes / 1e6:>10,.1f} MB" if table.bytes else ""
        to.print(f"  {name:<20} {table.rows:>14,} rows {size}", markup=False)
    for title, line in report.profile.items():
        to.print(f"  {title:<15} {line}", markup=False)
    if report.rows:
        to.print(f"[green]✓[/] {report.rows:,} rows{where}, {report.rows_per_second:,} a second", soft_wrap=True)
    else:
        to.print(f"[green]✓[/] no rows{where}: nothing was missing", soft_wrap=True)
