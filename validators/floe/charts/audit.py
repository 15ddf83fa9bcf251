"""Audit the pulled charts: the table of `floe charts list` and the findings of `floe charts verify`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from floe.charts import lockfile
from floe.charts.chart import Chart, digest, pinned, places
from floe.charts.unknown_values import unknown_values
from floe.repo import Checkout


@dataclass(frozen=True)
class Row:
    """A pinned chart version, and the state of its copy in each overlay."""

    name: str
    version: str
    repository: str
    locked: str | None  # sha256
    overlays: dict[str, str]  # by name of the overlay: repository, mirror, stand-in, unrecorded or missing


def rows(checkout: Checkout) -> list[Row]:
    """All pinned chart versions of all overlays."""
    locked = lockfile.digests(checkout)
    return [
        Row(*key, locked.get(key), {pin.environment: _state(pin) for pin in pins})
        for key, pins in sorted(places(checkout, checkout.environments()).items())
    ]


def _state(pin: Chart) -> str:
    record = pin.record()
    return record.origin if record else "unrecorded" if pin.is_pulled() else "missing"


@dataclass(frozen=True)
class Finding:
    """A problem with a chart in an overlay, and how to fix it."""

    environment: str
    chart: str
    message: str
    remedy: str


def verify(checkout: Checkout, environment: str, *, stand_ins: bool = False) -> list[Finding]:
    """The problems of an overlay's charts and of the values that it gives them. `stand_ins`: accept stand-ins."""
    locked = lockfile.digests(checkout)
    charts = pinned(checkout, environment)
    findings = [
        Finding(environment, str(chart), message, remedy)
        for chart in charts
        if not (stand_ins and chart.is_stand_in())
        for message, remedy in _problems(chart, locked.get(chart.key))
    ]
    versions = {chart.name: str(chart) for chart in charts}
    for name, value in unknown_values(checkout, environment):
        remedy = f"Correct or remove the value in base/charts, overlays/{environment}/values or an app's deploy/."
        findings.append(Finding(environment, versions[name], str(value), remedy))
    return findings


def _problems(chart: Chart, wanted: str | None) -> Iterator[tuple[str, str]]:
    """(message, remedy) of each problem. `wanted`: the sha256 in charts.lock."""
    pull = f"floe charts pull {chart.environment}"
    record = chart.record()
    if not chart.is_pulled():
        yield "not pulled", f"Run `{pull}`."
        return
    if record is None:
        yield "not pulled by floe, so its origin is unknown", f"Run `{pull} --force`."
        return
    if record.origin == "stand-in":
        yield (
            "a stand-in, so values were not compared with the real chart's",
            f"Run `{pull}` on a machine that reaches a chart repository or mirror.",
        )
        return
    if record.content != digest(chart.path):
        yield "its files were changed after the pull", f"Run `{pull} --force`."
    if record.archive is None:
        yield (
            "pulled as an unpacked folder, so not checked against charts.lock",
            "Pull it from a repository or from a mirror of .tgz files.",
        )
    if wanted is None:
        yield "unlocked: charts.lock has no sha256 for it", "Run `floe charts lock`."
    elif record.archive not in (wanted, None):
        yield f"its archive has the sha256 {record.archive}, but charts.lock says {wanted}", f"Run `{pull}`."
