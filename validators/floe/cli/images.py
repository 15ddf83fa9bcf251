"""`floe images` and `floe pin`: build the production images, and pin those that an overlay runs."""

from __future__ import annotations

from typing import Annotated

import typer

from floe import console
from floe.cli.options import SYNC, AsJson, Environment
from floe.errors import FloeError

app = typer.Typer()


@app.command()
def images(
    names: Annotated[
        list[str] | None, typer.Argument(help="dagster, cube, store, or an app that has a Dockerfile; without any, all")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="docker, podman or buildah; by default the first that works")
    ] = None,
    tag: Annotated[str, typer.Option(help="tag of the images")] = "0.1.0",
    adapters: Annotated[
        str, typer.Option(help="dbt adapters to install besides DuckDB's")
    ] = "trino snowflake bigquery",
    as_json: AsJson = False,
) -> None:
    """Build the production images, and print the size of each, its layers and its largest packages.

    \b
    Examples:
      floe images
      floe images dagster --engine podman --tag 0.2.0 --adapters trino
    """
    from floe import image_builds, repo

    checkout = repo.current()
    known = list(image_builds.images(checkout))
    if unknown := sorted(set(names or ()) - set(known)):
        raise FloeError(f"there is no image {unknown[0]!r}", f"Use one of these images: {', '.join(known)}.")
    image_builds.check(tag, adapters)
    image_builds.report(checkout, image_builds.builder(engine), names or known, tag, adapters, as_json=as_json)


@app.command()
def pin(
    environment: Environment,
    name: Annotated[str, typer.Argument(metavar="IMAGE", help="dagster or cube")],
    tag: Annotated[str, typer.Argument(help="tag and digest, such as 0.1.0@sha256:…")],
) -> None:
    """Pin the image that an overlay runs: write its tag and digest into the overlay's values.

    \b
    Examples:
      floe pin dev dagster 0.2.0@sha256:0f2c…
    """
    from floe import image_builds, repo

    file = image_builds.pin(repo.current(), environment, name, tag)
    console.out().print(f"[green]✓[/] {file}: {tag}")
    console.err().print(SYNC)
