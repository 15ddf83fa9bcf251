"""`floe promote`, `floe status` and `floe secrets`: promote releases, compare environments, encrypt Secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from floe.cli.options import AsJson
from floe.errors import FloeError

app = typer.Typer()


@app.command()
def promote(
    source: Annotated[str, typer.Argument(metavar="FROM", help="overlay to promote from")],
    target: Annotated[str, typer.Argument(metavar="TO", help="overlay to promote to")],
    apps: Annotated[
        list[str] | None, typer.Option("--app", help="promote only this app's specification; may be repeated")
    ] = None,
    branch: Annotated[
        str | None, typer.Option(help="branch for the commit; by default promote/FROM-to-TO-COMMIT")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would change; commit nothing")] = False,
    allow_unproven: Annotated[
        bool, typer.Option("--allow-unproven", help="promote although an environment is skipped or FROM has findings")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(help="why --allow-unproven is needed; recorded in the commit and the overlay")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Promote chart versions, images and app specifications from one overlay to the next, as a commit on a new branch.

    Only values change; comments and everything else in the files stay. The working tree is not touched. FROM must be
    committed and valid, and TO must be valid after the change.

    Exit codes: 0 ok, 1 refused because of findings, 2 cannot run.

    \b
    Examples:
      floe promote dev staging --dry-run
      floe promote staging prod --branch release/2027-01
      floe promote dev staging --app ecommerce
      floe promote dev prod --allow-unproven --reason "fixes the outage of 3 May, staging is down"
    """
    from floe import repo
    from floe.promote import promotion

    recorded = None if reason is None else " ".join(reason.split())
    if allow_unproven != (recorded is not None) or (recorded is not None and len(recorded) < 10):
        raise FloeError(
            "--allow-unproven and --reason go together, and a reason has at least ten characters",
            'Give both: --allow-unproven --reason "what happened, and why it cannot wait".',
        )
    request = promotion.Request(source, target, promotion.names(apps), branch, dry_run, recorded)
    result = promotion.promote(repo.current(), request)
    (promotion.as_json if as_json else promotion.show)(result)


@app.command()
def status(
    cluster: Annotated[bool, typer.Option("--cluster", help="also ask the cluster")] = False,
    context: Annotated[str | None, typer.Option(help="context of the kubeconfig; by default the current one")] = None,
    timeout: Annotated[float, typer.Option(min=1, max=300, help="seconds that the cluster may take to answer")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show what each environment runs, and how far it is behind the environment before it.

    With --cluster, also show what Flux or Argo CD report, whether workloads run the overlay's images, and why a pod
    does not start.
    Exit codes: 0 ok, 1 something in the cluster failed, 2 cannot run (the cluster does not answer).

    \b
    Examples:
      floe status
      floe status --json | jq .prod.behind
      floe status --cluster --context prod
    """
    from floe import console, repo
    from floe.promote import status as overlays

    checkout = repo.current()
    statuses = overlays.status(checkout)
    live = None
    if cluster or context:
        from floe.promote.cluster import everywhere

        with console.progress("asking the cluster"):
            live = everywhere(checkout, context, timeout)
    (overlays.as_json if as_json else overlays.show)(statuses, live)
    if live and not all(state.ok for state in live.values()):
        raise typer.Exit(1)


secrets = typer.Typer(
    help="""Keep Secrets in Git, encrypted.

    \b
    Example:
      floe secrets init dev
    """,
    no_args_is_help=True,
)
app.add_typer(secrets, name="secrets")


@secrets.callback()
def _secrets() -> None:
    """Make `secrets` a command group: without a callback, typer would merge its only command `init` into it."""


@secrets.command("init")
def secrets_init(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="name of an overlay")] = "dev",
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="file of the age key, outside Git; default ~/.config/floe/ENV.agekey"),
    ] = None,
) -> None:
    """Create an age key outside of Git and configure SOPS to encrypt an environment's Secrets with it.

    Writes the key, the recipient in .sops.yaml, and overlays/ENV/secrets. A key, rule or file that exists already is
    not changed.

    \b
    Examples:
      floe secrets init
      floe secrets init prod --key /media/vault/prod.agekey
    """
    from floe import repo, sops

    sops.show(sops.init(repo.current(), environment, key))
