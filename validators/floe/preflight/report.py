"""The output of `floe preflight`."""

from __future__ import annotations

import json
from dataclasses import asdict

from floe import console, repo
from floe.contract import artifacts
from floe.contract.model import load
from floe.contract.platform import Platform
from floe.preflight import runner
from floe.preflight.checks import POSTGRES

_MARKS = {"passed": "[green]✓[/]", "failed": "[red]✗[/]", "unchecked": "[yellow]-[/]"}


def run(environment: str | None, *, mounted: bool = False, check_postgres: bool = False, as_json: bool = False) -> int:
    """Check an environment and print the outcomes; returns the exit code: 1 if a check failed, otherwise 0.

    `environment`: None for the embedded default. `mounted`: check the environment of the mounted CompiledArtifacts, as
    in a pod. `check_postgres`: check PostgreSQL even if the platform does not use it.
    """
    from rich.markup import escape

    if mounted:
        compiled = artifacts.mounted()
        name, platform = compiled.environment, compiled.platform
    else:
        name = environment or repo.EMBEDDED
        platform = load(Platform, repo.platform_file(name))
    out = console.out()
    outcomes = []
    checks = runner.run(platform, frozenset({POSTGRES}) if check_postgres else frozenset())
    while True:
        with console.progress(f"preflight {name}: checking"):
            outcome = next(checks, None)
        if outcome is None:
            break
        outcomes.append(outcome)
        if not as_json:
            out.print(
                f"{_MARKS[outcome.status]} {outcome.title}: {escape(outcome.detail)} [dim]({outcome.seconds:.1f} s)[/]"
            )
            if outcome.remedy:
                out.print(f"  next: {escape(outcome.remedy)}")
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in _MARKS}
    if as_json:
        print(
            json.dumps({"environment": name, **counts, "checks": [asdict(outcome) for outcome in outcomes]}, indent=2)
        )
    else:
        out.print(
            f"preflight {name}: "
            + ", ".join(f"{n} {status}" for status, n in counts.items() if n or status == "passed")
        )
    return 1 if counts["failed"] else 0
