"""The command `floe-validate`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from floe import console
from floe.errors import FloeError
from floe.kubernetes import RELEASE
from floe.validate import output
from floe.validate.policies import POLICIES
from floe.validate.run import FILES, validate
from floe.validate.schema import Schemas

app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)

FORMATS = tuple(output.WRITERS)


@app.command()
def command(
    sources: Annotated[
        list[str] | None, typer.Argument(help="overlays to render, or YAML files; stdin without any, and as -")
    ] = None,
    env: Annotated[str | None, typer.Option(help="environment of the stream; its annotation says it otherwise")] = None,
    form: Annotated[str, typer.Option("--format", "-f", help=f"one of {', '.join(FORMATS)}")] = "text",
    kubernetes: Annotated[str, typer.Option(help="Kubernetes release to check against")] = RELEASE,
    explain: Annotated[str | None, typer.Option(metavar="CODE", help="say what a code means and what to do")] = None,
) -> None:
    """Check rendered manifests: the API server's schema, references, credentials and the rules of the house.

    Exit codes: 0 ok (warnings included), 1 findings, 2 cannot run.

    \b
    Examples:
      kustomize build --enable-helm overlays/prod | floe-validate
      floe-validate dev prod
      floe-validate --format json prod > report.json
      floe-validate --format sarif prod > floe.sarif
      floe-validate --explain FLOE010
    """
    if explain:
        return _explain(explain)
    if form not in FORMATS:
        raise FloeError(f"there is no format {form!r}", f"formats: {', '.join(FORMATS)}")
    schemas = Schemas(kubernetes)
    reports = [validate(content, name, schemas, env) for name, content in _read(sources or [])]
    output.WRITERS[form](reports)
    if any(report.count("error") for report in reports):
        raise typer.Exit(1)
    return None


def _read(sources: list[str]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each source."""
    for source in sources or ["-"]:
        path = Path(source)
        if source == "-":
            yield "stdin", _stdin()
        elif path.suffix in FILES:
            try:
                yield source, path.read_bytes()
            except OSError as error:
                raise FloeError(f"cannot read {source}: {error.strerror}", "check the path") from error
        else:
            from floe.validate import origins

            environment = source.removeprefix("overlays/").rstrip("/")
            yield f"overlays/{environment}", origins.rendered(environment)


def _stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise FloeError(
            "no manifests on standard input", "floe-validate ENV, or pipe: kustomize build --enable-helm … |"
        )
    return sys.stdin.buffer.read()


def _explain(code: str) -> None:
    for policy in POLICIES:
        if policy.code == code.upper():
            heading, _, rest = output.explanation(policy).partition("\n")
            console.out().print(f"[bold]{heading}[/]\n{rest}", end="")
            return
    raise FloeError(f"there is no code {code!r}", f"codes: {', '.join(policy.code for policy in POLICIES)}")


def main() -> None:
    """Entry point."""
    gc.disable()  # what a validation builds lives until the end of the process
    console.run(app)
