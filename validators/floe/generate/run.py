"""One run of `floe generate`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

from floe.errors import FloeError
from floe.generate import files
from floe.generate.request import Request
from floe_runtime.contract.model import Model


class Table(Model):
    """What was generated of a table; no bytes if nothing was written."""

    rows: int
    bytes: int = 0


class Report(Model):
    """What was generated, and in how many seconds. `profile`: by title a line of text."""

    tables: dict[str, Table]
    rows: int
    seconds: float
    rows_per_second: int
    profile: dict[str, str]


def run(
    wanted: Request, domain: str, out: Path | None, kind: str, say: Callable[[str], None], *, profile: bool
) -> Report:
    """Generate what is wanted, write it to the folder `out` if there is one, and count it.

    Raises FloeError if the format does not exist or the folder cannot be written.
    """
    from floe.generate.profile import SHAPES, Profile

    if kind not in files.FORMATS:
        raise FloeError(f"there is no format {kind!r}", f"Use one of these formats: {', '.join(files.FORMATS)}.")
    begun = time.monotonic()
    counts: dict[str, int] = {}
    shape = Profile(SHAPES[domain], int(wanted.since.timestamp()) * 1_000_000)
    with files.folder(out, kind, wanted.generator.domain) if out else nullcontext() as writer:
        for name, rows in wanted.parts():
            counts[name] = counts.get(name, 0) + rows.num_rows
            if writer:
                writer.add(name, rows)
            if profile:
                shape.add(name, rows)
            total, seconds = sum(counts.values()), time.monotonic() - begun
            say(f"{total:,} rows, {total / max(seconds, 1e-3):,.0f} a second")
        panels = [*shape.panels()] if profile else []
        if writer and profile:
            from floe.generate.plots import draw

            draw(f"floe generate {domain}", panels, writer.path)
    sizes = {name: (out / f"{name}.{kind}").stat().st_size for name in counts} if out else {}
    return report(counts, time.monotonic() - begun, sizes, {panel.title: panel.line() for panel in panels})


def report(
    counts: Mapping[str, int],
    seconds: float,
    sizes: Mapping[str, int] | None = None,
    profile: Mapping[str, str] | None = None,
) -> Report:
    """The report of a run from the rows and, if files were written, bytes of each table."""
    total = sum(counts.values())
    return Report(
        tables={name: Table(rows=count, bytes=(sizes or {}).get(name, 0)) for name, count in counts.items()},
        rows=total,
        seconds=round(seconds, 3),
        rows_per_second=round(total / max(seconds, 1e-3)),
        profile=dict(profile or {}),
    )
