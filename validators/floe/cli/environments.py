"""`floe render`, `diff`, `compile`, `preflight` and `demo`: show, compile and check an environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from floe import console
from floe.cli.options import SYNC, AsJson, Environment, OptionalEnvironment
from floe.errors import FloeError

app = typer.Typer()


@app.command()
def render(
    environment: Environment,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="write the objects to this folder, one file each"),
    ] = None,
    form: Annotated[str, typer.Option(help="manifests, or flux: the objects with which Flux installs the charts")] = (
        "manifests"
    ),
) -> None:
    """Print an overlay's manifests: `kustomize build --enable-helm overlays/ENV`.

    With -o, each object becomes a file in DIR, such as deployment-floe-prod_cube-api.yaml. DIR is replaced as a whole,
    so floe refuses a folder that holds files of another origin.

    \b
    Examples:
      floe render prod | floe-validate
      floe render prod -o rendered/prod
      floe render prod --form flux
    """
    from floe import render as renderer
    from floe import repo

    checkout = repo.current()

    if output is None:
        renderer.print_manifests(checkout, environment, form)
    else:
        from floe import manifest_files

        count = manifest_files.write(renderer.render(checkout, environment, form), output)
        print(f"{output}: {count} object{'s' * (count != 1)}", file=sys.stderr)


@app.command()
def diff(
    environments: Annotated[list[str] | None, typer.Argument(metavar="ENV…", help="overlays")] = None,
    base: Annotated[str, typer.Option(metavar="REV", help="commit, tag or branch to compare with")] = "HEAD",
    every: Annotated[bool, typer.Option("--all", help="all overlays that exist on either side")] = False,
    output: Annotated[str, typer.Option("--format", "-f", help="text, markdown (a pull request's comment) or json")] = (
        "text"
    ),
    exit_code: Annotated[bool, typer.Option("--exit-code", help="exit 1 if anything differs")] = False,
) -> None:
    """Show what a change does to the rendered objects: the working tree against a revision.

    Values of Secrets and everything that looks like a credential are masked; the diff still shows that they changed.
    Exit codes: 0 done, whether anything differs or not; 1 something differs (only with --exit-code); 2 cannot run.

    \b
    Examples:
      floe diff prod
      floe diff prod --base HEAD~1
      floe diff --all --base origin/main --format markdown > comment.md
      floe diff --all --exit-code
    """
    from floe import repo
    from floe.diff import comparison, formats

    if output not in formats.WRITERS:
        raise FloeError(f"there is no format {output!r}", f"Use one of these formats: {', '.join(formats.WRITERS)}.")
    checkout = repo.current()
    if bool(environments) == every:
        existing = ", ".join(checkout.environments())
        raise FloeError("give either environments or --all", f"These overlays exist: {existing}.")
    report = comparison.report(checkout, environments or [], base)
    formats.WRITERS[output](report)
    if exit_code and any(environment.objects for environment in report.environments):
        raise typer.Exit(1)


@app.command("compile")
def compile_(
    environment: OptionalEnvironment = None,
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; exit 1 if the committed file is out of date")
    ] = False,
    stdout: Annotated[bool, typer.Option("--stdout", help="print the result instead of writing the file")] = False,
) -> None:
    """Compile floe.yaml and platform.yaml into an environment's CompiledArtifacts.json.

    \b
    Examples:
      floe compile dev
      floe compile --check prod
      floe compile --stdout | jq .platform.compute
    """
    from floe import repo
    from floe.contract.compiling import committed, compile_environment, out_of_date

    checkout, name = repo.current(), environment or repo.EMBEDDED
    text = compile_environment(checkout, name).text()
    path = checkout.artifacts_file(name)
    same = committed(checkout, name) == text
    where = checkout.relative(path)
    if stdout:
        print(text, end="")
    elif check:
        if not same:
            console.err().print(
                f"[red]{where} is out of date with floe.yaml and platform.yaml[/]\n  next: Run `floe compile {name}`."
            )
            raise typer.Exit(1)
    else:
        console.write(path, text)
        console.err().print(f"{where}: {'unchanged' if same else 'written'}")
        if not same and environment:
            console.err().print(SYNC)
        for other in out_of_date(checkout, without=name):
            file = checkout.relative(checkout.artifacts_file(other))
            console.err().print(f"[yellow]warning:[/] {file} is out of date too\n  next: Run `floe compile {other}`.")


@app.command()
def preflight(
    environment: OptionalEnvironment = None,
    mounted: Annotated[
        bool,
        typer.Option(
            "--mounted", help="check the file that FLOE_COMPILED_ARTIFACTS names, as in a pod; needs no checkout"
        ),
    ] = False,
    check_postgres: Annotated[
        bool,
        typer.Option(
            "--check-postgres",
            help="also check the PostgreSQL that FLOE_POSTGRES_{HOST,PORT,DATABASE,USER,PASSWORD} name",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check from this machine every service that an environment needs, with the environment's own settings.

    \b
    Examples:
      floe preflight
      floe preflight prod --json
      FLOE_POSTGRES_HOST=db FLOE_POSTGRES_PASSWORD=… floe preflight --check-postgres
    """
    from floe import repo
    from floe.preflight import run

    if environment and mounted:
        raise FloeError("give either an environment or --mounted", "Run `floe preflight --help` for examples.")
    raise typer.Exit(
        run(None if mounted else repo.current(), environment, check_postgres=check_postgres, as_json=as_json)
    )


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="stop after the second pipeline run")] = False,
    dagster_port: Annotated[int, typer.Option(help="port of Dagster's UI; 0 picks a free one")] = 3000,
    cube_port: Annotated[int, typer.Option(help="port of Cube's API; 0 picks a free one")] = 4000,
) -> None:
    """Run the whole platform on this machine: render, validate, preflight, then live data up to Cube's REST API.

    \b
    Examples:
      floe demo
      floe demo --once
      floe demo --dagster-port 3001 --cube-port 0
    """
    from floe import repo
    from floe.demo.show import show

    raise typer.Exit(show(repo.current(), once=once, dagster_port=dagster_port, cube_port=cube_port))
