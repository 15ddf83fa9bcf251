"""`floe images` and `floe pin`: the production images, and which of them an overlay runs."""

from __future__ import annotations

from typing import Annotated

import typer

from floe import console
from floe.cli.options import SYNC, AsJson, Environment
from floe.errors import FloeError

app = typer.Typer()


@app.command()
def images(
    names: Annotated[list[str] | None, typer.Argument(help="dagster, cube, store; all without")] = None,
    engine: Annotated[str | None, typer.Option(help="docker, podman or buildah; the first that works without")] = None,
    tag: Annotated[str, typer.Option(help="tag of the images")] = "0.1.0",
    adapters: Annotated[str, typer.Option(help="dbt's adapters besides DuckDB's")] = "trino snowflake bigquery",
    as_json: AsJson = False,
) -> None:
    """Build the production images, and say what they weigh and why.

    \b
    Examples:
      floe images
      floe images dagster --engine podman --tag 0.2.0 --adapters trino
    """
    from floe import images as production

    unknown = sorted(set(names or ()) - set(production.IMAGES))
    if unknown:
        raise FloeError(f"there is no image {unknown[0]!r}", f"images: {', '.join(production.IMAGES)}")
    production.check(tag, adapters)
    production.report(production.builder(engine), names or [*production.IMAGES], tag, adapters, as_json=as_json)


@app.command()
def pin(
    environment: Environment,
    name: Annotated[str, typer.Argument(metavar="IMAGE", help="dagster or cube")],
    tag: Annotated[str, typer.Argument(help="tag and digest, such as 0.1.0@sha256:…")],
) -> None:
    """Let an overlay run another image: write its tag and digest where the overlay has them.

    \b
    Examples:
      floe pin dev dagster 0.2.0@sha256:0f2c…
    """
    from floe import images as production

    file = production.pin(environment, name, tag)
    console.out().print(f"[green]✓[/] {file}: {tag}")
    console.err().print(SYNC)
