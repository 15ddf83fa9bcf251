"""`floe generate`: synthetic data as files."""

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
    format_: Annotated[str, typer.Option("--format", metavar="FORMAT", help="parquet or arrow")] = "parquet",
    profile: Annotated[
        bool, typer.Option("--profile", help="print the patterns; with --out, also draw them in profile.svg")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Generate data of a web shop or of a software service: one file for each table, or a picture of their patterns.

    The same arguments give the same data on every machine. What was before --since (customers, the catalogue, running
    subscriptions) is included, so that every reference has its row. With --defects there is one table more, `defects`,
    with a row for each defect. The folder appears when it is complete. A time without a zone is in UTC.

    \b
    Kinds of defects: nulls, duplicates, near_duplicates, out_of_range, broken_references, encoding, late, new_columns.

    \b
    Examples:
      floe generate ecommerce --since 2026-03-01 --until 2026-03-15 --out shop
      floe generate saas --rows 1000000 --out service --format arrow
      floe generate ecommerce --until 2026-02-15 --defects messy --defects late=0.05 --out messy
      floe generate saas --until 2026-04-01 --profile
    """
    from floe.generate import request, run

    if out is None and not profile:
        raise FloeError("there is nothing to do: give --out DIR, --profile or both", "Run `floe generate --help`.")
    wanted = request.request(domain, since, until, rows, seed, rate, opened, defects or [])
    with console.progress(f"generating {domain}") as say:
        report = run.run(wanted, domain, out, format_, say, profile=profile)
    if as_json:
        print(report.model_dump_json(indent=2))
    else:
        _print(report, out)


def _print(report: Report, out: Path | None) -> None:
    to = console.out()
    for name, table in report.tables.items():
        size = f"{table.bytes / 1e6:>10,.1f} MB" if out else ""
        to.print(f"  {name:<20} {table.rows:>14,} rows {size}", markup=False)
    for title, line in report.profile.items():
        to.print(f"  {title:<15} {line}", markup=False)
    what = f" in {out}" if out else ""
    to.print(f"[green]✓[/] {report.rows:,} rows{what}, {report.rows_per_second:,} a second", soft_wrap=True)
