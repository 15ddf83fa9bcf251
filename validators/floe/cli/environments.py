"""`floe render`, `diff`, `compile`, `preflight` and `demo`: what an environment is, and whether it would run."""

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
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="write one file an object there")
    ] = None,
    form: Annotated[str, typer.Option(help="manifests, or flux: the objects by which Flux installs the charts")] = (
        "manifests"
    ),
) -> None:
    """Print an overlay's manifests: `kustomize build --enable-helm overlays/ENV`.

    With -o, DIR holds one file an object (deployment-floe-prod_cube-api.yaml) and is replaced as a whole; a folder that
    holds anything else is refused.

    \b
    Examples:
      floe render prod | floe-validate
      floe render prod -o rendered/prod
      floe render prod --form flux
    """
    from floe import render as renderer

    if output is None:
        renderer.print_manifests(environment, form)
    else:
        from floe import manifest_files

        count = manifest_files.write(renderer.render(environment, form), output)
        print(f"{output}: {count} object{'s' * (count != 1)}", file=sys.stderr)


@app.command()
def diff(
    environments: Annotated[list[str] | None, typer.Argument(metavar="ENV…", help="overlays")] = None,
    base: Annotated[str, typer.Option(metavar="REV", help="commit, tag or branch to compare with")] = "HEAD",
    every: Annotated[bool, typer.Option("--all", help="every overlay that either side has")] = False,
    output: Annotated[str, typer.Option("--format", "-f", help="text, markdown (a pull request's comment) or json")] = (
        "text"
    ),
    exit_code: Annotated[bool, typer.Option("--exit-code", help="exit 1 where anything differs")] = False,
) -> None:
    """Show what a change does to the rendered objects: the working tree against a revision.

    Values of Secrets, and what looks like a credential, are masked; that they differ is shown.
    Exit codes: 0 also where something differs (1 with --exit-code), 2 cannot run.

    \b
    Examples:
      floe diff prod
      floe diff prod --base HEAD~1
      floe diff --all --base origin/main --format markdown > comment.md
      floe diff --all --exit-code
    """
    from floe import repo
    from floe.diff import formats, run

    if output not in formats.WRITERS:
        raise FloeError(f"there is no format {output!r}", f"formats: {', '.join(formats.WRITERS)}")
    if bool(environments) == every:
        raise FloeError(
            "name environments or --all, one of the two", f"overlays that exist: {', '.join(repo.environments())}"
        )
    report = run.report(environments or [], base)
    formats.WRITERS[output](report)
    if exit_code and any(comparison.objects for comparison in report.environments):
        raise typer.Exit(1)


@app.command("compile")
def compile_(
    environment: OptionalEnvironment = None,
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; exit 1 where the committed file differs")
    ] = False,
    stdout: Annotated[bool, typer.Option("--stdout", help="print instead of writing")] = False,
) -> None:
    """Compile floe.yaml and platform.yaml into an environment's CompiledArtifacts.json.

    \b
    Examples:
      floe compile dev
      floe compile --check prod
      floe compile --stdout | jq .platform.compute
    """
    from floe import repo
    from floe.contract.compiling import compile_environment

    name = environment or repo.EMBEDDED
    text = compile_environment(name).text()
    path = repo.artifacts_file(name)
    same = path.is_file() and path.read_text() == text
    where = path.relative_to(repo.root())
    if stdout:
        print(text, end="")
    elif check:
        if not same:
            console.err().print(f"[red]{where} is not what its sources compile to[/]\n  next: floe compile {name}")
            raise typer.Exit(1)
    else:
        console.write(path, text)
        console.err().print(f"{where}: {'unchanged' if same else 'written'}")
        if not same and environment:
            console.err().print(SYNC)


@app.command()
def preflight(
    environment: OptionalEnvironment = None,
    mounted: Annotated[
        bool,
        typer.Option(
            "--mounted", help="of the file that FLOE_COMPILED_ARTIFACTS names, as in a pod, without a checkout"
        ),
    ] = False,
    check_postgres: Annotated[
        bool,
        typer.Option(
            "--check-postgres",
            help="check PostgreSQL where platform.yaml names none: FLOE_POSTGRES_{HOST,PORT,DATABASE,USER,PASSWORD}",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check every service that an environment needs, from here, with the environment's own settings.

    \b
    Examples:
      floe preflight
      floe preflight prod --json
      FLOE_POSTGRES_HOST=db FLOE_POSTGRES_PASSWORD=… floe preflight --check-postgres
    """
    from floe.preflight import run

    if environment and mounted:
        raise FloeError("name an environment or --mounted, one of the two", "floe preflight --help")
    raise typer.Exit(run(environment, mounted=mounted, check_postgres=check_postgres, as_json=as_json))


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="stop after the second tick")] = False,
    dagster_port: Annotated[int, typer.Option(help="port of Dagster's UI; 0 picks a free one")] = 3000,
    cube_port: Annotated[int, typer.Option(help="port of Cube's API; 0 picks a free one")] = 4000,
) -> None:
    """Show the whole platform on this machine: render, validate, preflight, then live data up to Cube's REST API.

    \b
    Examples:
      floe demo
      floe demo --once
      floe demo --dagster-port 3001 --cube-port 0
    """
    from floe.demo.show import show

    raise typer.Exit(show(once=once, dagster_port=dagster_port, cube_port=cube_port))
