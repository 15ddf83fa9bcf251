"""Flux follows a fork: seconds from a push until it is applied, with a notification and with the default polling.

Needs the same programs as `make test-gitops`.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from gitops.flux import first_day, tell
from gitops.following import NEXT, Following, following
from images.build import TAG


def run() -> dict[str, object]:
    """Seconds, each with its reference value."""
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name, following(Path(name)) as one:
        charts = {str(chart): "stand-in" if chart.is_stand_in() else "upstream" for chart in one.fork.pulled()}
        figures |= {f"chart {chart}": origin for chart, origin in charts.items()}
        figures["bootstrap to all Ready, s"] = round(first_day(one, Path(name)), 1)
        figures["push to applied, told at once, s (goal 60)"] = _applied(one, NEXT, told=True)
        figures["push to applied, polled, s (goal 180)"] = _applied(one, TAG, told=False)
    return figures


def _applied(one: Following, tag: str, *, told: bool) -> float:
    """Wait until the Deployment has changed."""
    one.dev.wait_ready()
    one.fork.set_tag("dev", "cube", tag)
    started = time.monotonic()
    one.fork.push(f"Cube {tag}")
    if told:
        tell(one, "gitrepository", "floe-dev")
    one.wait(lambda: one.tag("cube-api") == tag, 200)
    return round(time.monotonic() - started, 1)
