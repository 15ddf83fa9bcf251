"""`floe fork`: make a copy of this repository your own."""

from __future__ import annotations

from typing import Annotated

import typer

from floe.cli.options import AsJson

app = typer.Typer()


@app.command()
def fork(
    registry: Annotated[
        str | None, typer.Option(help="registry, and the path in it, for images and charts, such as ghcr.io/acme")
    ] = None,
    repository: Annotated[
        str | None, typer.Option(help="web address of the fork, such as https://github.com/acme/data-platform")
    ] = None,
    domain: Annotated[
        str | None, typer.Option(help="web domain below which environments have their hosts, such as data.acme.io")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would change; write nothing")] = False,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="go on although there are uncommitted changes; none is lost")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the registry, the repository and the domain of a fork into floe.toml and every file that names them.

    Then compile the environments and update charts/. The command prints what it changed, and what only you can fill in.

    Without options, it replaces what floe.toml does not say any more: after a merge from upstream, whose new files have
    upstream's values, or after a run that was interrupted. A run that finds nothing to change changes nothing.

    \b
    Examples:
      floe fork --registry ghcr.io/acme --repository https://github.com/acme/data-platform --domain data.acme.io
      floe fork --domain data.acme.io --dry-run
      git merge upstream/main; floe fork
    """
    from floe import console, repo
    from floe import fork as forks

    # Git hosts print the address with this ending, and browsers with a slash.
    address = repository and repository.removesuffix("/").removesuffix(".git")
    given = {"registry": registry, "repository": address, "domain": domain}
    wanted = {name: value for name, value in given.items() if value is not None}
    with console.progress("replacing values, compiling, updating charts/"):
        done = forks.fork(repo.current(), wanted, allow_dirty=allow_dirty, dry_run=dry_run)
    forks.show(done, as_json=as_json)
