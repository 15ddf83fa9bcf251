"""What lies in the charts' places: the table of `floe charts list`, the findings of `floe charts verify`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from floe import repo
from floe.charts import lockfile
from floe.charts.chart import Chart, digest, pinned, places
from floe.charts.values import unknown_values


@dataclass(frozen=True)
class Row:
    """A chart as overlays pin it."""

    name: str
    version: str
    repository: str
    locked: str | None  # sha256
    overlays: dict[str, str]  # name: repository, mirror, stand-in, unrecorded or missing


def rows() -> list[Row]:
    """Every pinned chart of every overlay."""
    locked = lockfile.digests(repo.root())
    return [
        Row(*key, locked.get(key), {pin.environment: _state(pin) for pin in pins})
        for key, pins in sorted(places(repo.environments()).items())
    ]


def _state(pin: Chart) -> str:
    record = pin.record()
    return record.origin if record else "unrecorded" if pin.is_pulled() else "missing"


@dataclass(frozen=True)
class Finding:
    """What is not as it should be with a chart in an overlay."""

    environment: str
    chart: str
    message: str
    remedy: str


def verify(environment: str) -> list[Finding]:
    """What is wrong with an overlay's charts and the values it gives them."""
    locked = lockfile.digests(repo.root())
    charts = pinned(environment)
    found = [
        Finding(environment, str(chart), message, remedy)
        for chart in charts
        for message, remedy in _problems(chart, locked.get(chart.key))
    ]
    versions = {chart.name: str(chart) for chart in charts}
    for value in unknown_values(environment):
        name, _, path = value.partition(": ")
        remedy = f"mend the name in base/charts, overlays/{environment}/values or an app's deploy/, or take it out"
        found.append(Finding(environment, versions[name], f"the chart does not know the value {path}", remedy))
    return found


def _problems(chart: Chart, wanted: str | None) -> Iterator[tuple[str, str]]:
    """(message, remedy) of each."""
    pull = f"floe charts pull {chart.environment}"
    record = chart.record()
    if not chart.is_pulled():
        yield "not pulled", pull
        return
    if record is None:
        yield "something else than floe put it there", f"{pull} --force"
        return
    if record.origin == "stand-in":
        yield "a stand-in; its values were not compared with the chart's", f"{pull}, where a repository or mirror is"
        return
    if record.content != digest(chart.path):
        yield "its files are not what was pulled", f"{pull} --force"
    if record.archive is None:
        yield "pulled unpacked, so not checked against charts.lock", "pull it from a repository, or a mirror of .tgz"
    if wanted is None:
        yield "unlocked: charts.lock has no sha256 for it", "floe charts lock"
    elif record.archive not in (wanted, None):
        yield f"its archive had the sha256 {record.archive}, charts.lock says {wanted}", pull
