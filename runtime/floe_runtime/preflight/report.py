"""The output of `floe preflight`."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict

from floe_runtime.contract.platform import Platform
from floe_runtime.preflight import runner
from floe_runtime.preflight.checks import POSTGRES

_MARKS = {"passed": "[green]✓[/]", "failed": "[red]✗[/]", "unchecked": "[yellow]-[/]"}


def run(
    name: str,
    platform: Platform,
    *,
    check_postgres: bool = False,
    as_json: bool = False,
    waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> int:
    """Check an environment and print the outcomes; returns the exit code: 1 if a check failed, otherwise 0.

    `name`: of the environment, for the heading. `check_postgres`: check PostgreSQL even if the platform has none.
    `waiting`: makes the context in which each check runs, such as a progress display.
    """
    from rich.console import Console
    from rich.markup import escape

    out = Console(highlight=False, soft_wrap=True)
    outcomes = []
    checks = runner.run(platform, frozenset({POSTGRES}) if check_postgres else frozenset())
    while True:
        with waiting():
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
