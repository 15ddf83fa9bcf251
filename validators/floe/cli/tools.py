"""`floe tools`: list and fetch the command-line tools that floe runs."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from floe import console
from floe.cli.options import AsJson

app = typer.Typer()


@app.command()
def tools(
    names: Annotated[list[str] | None, typer.Argument(help="only these tools")] = None,
    get: Annotated[bool, typer.Option("--get", help="fetch the missing tools")] = False,
    as_json: AsJson = False,
) -> None:
    """List the command-line tools: version, path, and how to get those that are missing.

    \b
    Examples:
      floe tools
      floe tools --get kustomize helm
      floe tools --json | jq -r .kustomize.path
    """
    from floe import tools as resolver

    installed = {name: (resolver.get if get else resolver.find)(name) for name in names or resolver.TOOLS}
    if as_json:
        table: dict[str, dict[str, object]] = {
            name: {"path": str(tool.path), "version": tool.version, "source": tool.source}
            if tool
            else {"path": None, "version": None, "get": resolver.ways(name)}
            for name, tool in installed.items()
        }
        print(json.dumps(table, indent=2))
    else:
        out = console.out()
        width = max(map(len, installed))
        for name, tool in installed.items():
            if tool:
                out.print(f"[green]✓[/] {name:<{width}}  {tool.version:<10} {tool.path} [dim]({tool.source})[/]")
            else:
                out.print(f"[yellow]-[/] {name:<{width}}  missing    [dim]{'; or '.join(resolver.ways(name))}[/]")
        if None in installed.values():
            out.print("[dim]Commands fetch missing tools when they need them. `floe tools --get` fetches them now.[/]")
