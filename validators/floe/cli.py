"""The command `floe`: each subcommand imports what it needs when it runs, so that `floe --help` stays fast."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from floe import console
from floe.cli_charts import app as charts_app
from floe.cli_gitops import app as gitops_app
from floe.errors import FloeError

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
app.add_typer(charts_app, name="charts")
app.add_typer(gitops_app)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"floe {version('floe-deploy')}")
        raise typer.Exit


@app.callback()
def _floe(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="say which release this is")
    ] = False,
) -> None:
    del version  # its callback has said it


Environment = Annotated[str, typer.Argument(metavar="ENV", help="name of an overlay")]
OptionalEnvironment = Annotated[
    str | None, typer.Argument(metavar="[ENV]", help="an overlay; the embedded default without")
]
_SYNC = "  [dim]next:[/] floe charts sync"
"""What floe's own charts hold of an overlay is written anew."""

AsJson = Annotated[bool, typer.Option("--json", help="machine format")]


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
    console.err().print(_SYNC)


@app.command()
def tools(
    names: Annotated[list[str] | None, typer.Argument(help="only these")] = None,
    get: Annotated[bool, typer.Option("--get", help="fetch what is missing")] = False,
    as_json: AsJson = False,
) -> None:
    """List the command-line tools: where, which version, and how to get what is missing.

    \b
    Examples:
      floe tools
      floe tools --get kustomize helm
      floe tools --json | jq -r .kustomize.path
    """
    from floe import tools as resolver

    found = {name: (resolver.get if get else resolver.find)(name) for name in names or resolver.TOOLS}
    if as_json:
        table: dict[str, dict[str, object]] = {
            name: {"path": str(tool.path), "version": tool.version, "source": tool.source}
            if tool
            else {"path": None, "version": None, "get": resolver.ways(name)}
            for name, tool in found.items()
        }
        print(json.dumps(table, indent=2))
    else:
        out = console.out()
        width = max(map(len, found))
        for name, tool in found.items():
            if tool:
                out.print(f"[green]✓[/] {name:<{width}}  {tool.version:<10} {tool.path} [dim]({tool.source})[/]")
            else:
                out.print(f"[yellow]-[/] {name:<{width}}  missing    [dim]{'; or '.join(resolver.ways(name))}[/]")
        if None in found.values():
            out.print("[dim]A command that needs one fetches it; `floe tools --get` fetches them now.[/]")


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
    from floe.contract.artifacts import compile_environment

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
            console.err().print(_SYNC)


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
    from floe.preflight.report import run

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
