"""The command `floe-validate`."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from floe import console, render
from floe.errors import FloeError
from floe.kubernetes import RELEASE
from floe.validate import policies
from floe.validate.findings import Finding
from floe.validate.run import Report, validate
from floe.validate.schema import Schemas

app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)

FORMATS = ("text", "json", "github")


@app.command()
def command(
    sources: Annotated[
        list[str] | None, typer.Argument(help="overlays to render, or YAML files; stdin without any, and as -")
    ] = None,
    env: Annotated[str | None, typer.Option(help="environment of the stream; its annotation says it otherwise")] = None,
    output: Annotated[str, typer.Option("--format", "-f", help=f"one of {', '.join(FORMATS)}")] = "text",
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
      floe-validate --explain FLOE010
    """
    if explain:
        return _explain(explain)
    if output not in FORMATS:
        raise FloeError(f"there is no format {output!r}", f"formats: {', '.join(FORMATS)}")
    schemas = Schemas(kubernetes)
    reports = [validate(content, name, schemas, env) for name, content in _read(sources or [])]
    _WRITERS[output](reports)
    if any(report.count("error") for report in reports):
        raise typer.Exit(1)
    return None


def _read(sources: list[str]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each source."""
    for source in sources or ["-"]:
        path = Path(source)
        if source == "-":
            yield "stdin", _stdin()
        elif path.suffix in (".yaml", ".yml", ".json"):
            try:
                yield source, path.read_bytes()
            except OSError as error:
                raise FloeError(f"cannot read {source}: {error.strerror}", "check the path") from error
        else:
            environment = source.removeprefix("overlays/").rstrip("/")
            yield f"overlays/{environment}", render.render(environment)


def _stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise FloeError(
            "no manifests on standard input", "floe-validate ENV, or pipe: kustomize build --enable-helm … |"
        )
    return sys.stdin.buffer.read()


def text(reports: list[Report]) -> None:
    """Print findings for a person, a verdict a report."""
    from rich.markup import escape

    out = console.out()
    for report in reports:
        for finding in report.findings:
            colour = "red" if finding.severity == "error" else "yellow"
            out.print(
                f"[{colour}]{finding.code} {finding.severity}[/] [bold]{escape(finding.object)}[/] "
                f"[dim]({escape(finding.source)}, document {finding.document}, line {finding.line})[/]"
            )
            out.print(f"  {escape(finding.message)}")
            out.print(f"  [dim]next: {escape(finding.remedy)}[/]")
        out.print(f"{escape(report.source)}: {verdict(report)}")


def verdict(report: Report) -> str:
    """In a few words, with rich's markup: `31 objects, ok, 1 warning`."""
    errors, warnings = report.count("error"), report.count("warning")
    objects = f"{report.objects} object{'s' * (report.objects != 1)}"
    words = [objects, f"[red]{errors} error{'s' * (errors != 1)}[/]" if errors else "[green]ok[/]"]
    if warnings:
        words.append(f"[yellow]{warnings} warning{'s' * (warnings != 1)}[/]")
    return ", ".join(words)


def _json(reports: list[Report]) -> None:
    json.dump({"reports": [asdict(report) for report in reports]}, sys.stdout, indent=2)
    print()


def _github(reports: list[Report]) -> None:
    for report in reports:
        for finding in report.findings:
            title = _escaped(f"{finding.code} {finding.object}").replace(":", "%3A").replace(",", "%2C")
            print(f"::{finding.severity} title={title}::{_escaped(_sentence(finding))}")


def _sentence(finding: Finding) -> str:
    return f"{finding.message} ({finding.source}, document {finding.document}, line {finding.line}). {finding.remedy}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


_WRITERS = {"text": text, "json": _json, "github": _github}


def _explain(code: str) -> None:
    for policy in policies.POLICIES:
        if policy.code == code.upper():
            out = console.out()
            out.print(
                f"[bold]{policy.code}[/] {policy.title} ({policy.severity})\n\n{policy.why}\n\n"
                f"What to do: {policy.remedy}"
            )
            return
    raise FloeError(f"there is no code {code!r}", f"codes: {', '.join(policy.code for policy in policies.POLICIES)}")


def main() -> None:
    """Entry point."""
    gc.disable()  # what a validation builds lives until the end of the process
    console.run(app)
