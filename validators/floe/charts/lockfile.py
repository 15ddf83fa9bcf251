"""charts.lock: the sha256 of each pinned chart's archive, recorded when it was first fetched."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from floe import console
from floe.charts import archives
from floe.charts.chart import Chart, Key, places
from floe.contract.files import load
from floe.errors import FloeError
from floe.repo import Checkout
from floe_runtime.contract.model import Model

_HEAD = """\
# sha256 of the archive of every upstream chart that an overlay pins, as its repository (or a mirror) served it.
# `floe charts lock` writes this file; `floe charts pull` takes no other archive.
# An entry without sha256 is unlocked: nobody who ran the command has reached the chart's repository yet.
"""
_PLAIN = re.compile(r"[A-Za-z][\w.+:/@-]*|\d+\.\d+\.\d+[\w.+-]*|[0-9a-f]{64}")


class Entry(Model):
    """One chart in charts.lock."""

    name: str
    version: str
    repository: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class Lock(Model):
    """The content of charts.lock."""

    charts: list[Entry]


def file(checkout: Checkout) -> Path:
    """The path of charts.lock in a checkout."""
    return checkout.root / "charts.lock"


def digests(checkout: Checkout) -> dict[Key, str | None]:
    """The sha256 of each chart in charts.lock, None for an entry without one; empty if the file does not exist.

    Raises FloeError for an invalid file.
    """
    if not file(checkout).is_file():
        return {}
    hashes: dict[Key, str | None] = {}
    for entry in load(Lock, file(checkout)).charts:
        key = (entry.name, entry.version, entry.repository)
        if key in hashes:
            raise FloeError(
                f"charts.lock has {entry.name} {entry.version} twice",
                "Remove one of the two entries, or delete the file and run `floe charts lock`.",
            )
        hashes[key] = entry.sha256
    return hashes


def text(locked: Mapping[Key, str | None]) -> str:
    """The text of charts.lock for these digests, sorted by chart."""
    lines = [_HEAD + ("charts:" if locked else "charts: []")]
    for key in sorted(locked):
        fields = dict(zip(("name", "version", "repository", "sha256"), (*key, locked[key]), strict=True))
        entry = [f"{name}: {_scalar(value)}" for name, value in fields.items() if value]
        lines += [f"  {'-' if number == 0 else ' '} {line}" for number, line in enumerate(entry)]
    return "\n".join(lines) + "\n"


def _scalar(value: str) -> str:
    """Quote a value that YAML could read as a number: a sha256 may consist of digits only, or look like 12e34."""
    doubtful = re.fullmatch(r"\d+(e\d+)?", value)
    return value if _PLAIN.fullmatch(value) and not doubtful else json.dumps(value)


@dataclass(frozen=True)
class Locking:
    """The result of locking one chart."""

    chart: str
    status: Literal["locked", "unchanged", "updated", "differs", "failed"]
    message: str = ""
    remedy: str = ""


def lock(checkout: Checkout, mirror: str | None = None, update: Collection[str] = ()) -> Iterator[Locking]:
    """Fetch the archive of every pinned chart and write the sha256 of each to charts.lock, after the last one.

    Charts are independent of each other: one that cannot be fetched, or whose archive differs from the locked one,
    keeps its entry. `update`: names of charts whose changed archive is accepted. Entries that no overlay pins any more
    are removed. Raises FloeError for a name in `update` that no overlay pins.
    """
    pins = places(checkout, checkout.environments())
    names = {name for name, _, _ in pins}
    if strange := sorted(set(update) - names):
        raise FloeError(
            f"no overlay pins a chart {', '.join(strange)}", f"Use one of these charts: {', '.join(sorted(names))}."
        )
    before = digests(checkout)
    after = {key: before.get(key) for key in pins}
    for key, (chart, *_) in pins.items():
        outcome, after[key] = _lock_chart(chart, mirror, before.get(key), accept=chart.name in update)
        yield outcome
    new = text(after)
    if not file(checkout).is_file() or file(checkout).read_text() != new:
        try:
            console.write(file(checkout), new)
        except OSError as error:
            raise FloeError(
                f"cannot write charts.lock: {error}", "Fix the permissions of the file and its folder."
            ) from error


def _lock_chart(chart: Chart, mirror: str | None, known: str | None, *, accept: bool) -> tuple[Locking, str | None]:
    """The outcome, and the sha256 to write to charts.lock."""
    name = str(chart)
    with tempfile.TemporaryDirectory() as folder:
        try:
            fetched = archives.fetch(chart, mirror, Path(folder))
            archives.unpack(chart, fetched, Path(folder) / "unpacked")
        except FloeError as error:
            return Locking(name, "failed", error.message, error.hint), known
        if fetched.sha256 is None:
            message = f"{fetched.location} is an unpacked folder, and only an archive has a sha256"
            return Locking(name, "failed", message, "Use a repository or a mirror of .tgz files."), known
        if known == fetched.sha256:
            return Locking(name, "unchanged"), known
        if known and not accept:
            message = f"{fetched.location} serves the sha256 {fetched.sha256}, but charts.lock says {known}"
            remedy = (
                "Find out why the archive changed. To accept the new one, run "
                f"`floe charts lock --update {chart.name}`."
            )
            return Locking(name, "differs", message, remedy), known
        archives.keep(chart, fetched, fetched.sha256)
        return Locking(name, "updated" if known else "locked", fetched.sha256), fetched.sha256
