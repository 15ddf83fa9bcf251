"""`floe status`: what each overlay runs, how far it is behind the environment before, and its state in a cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from rich.markup import escape

from floe import console
from floe.promote import carried
from floe.promote.cluster import Live
from floe.repo import Checkout
from floe.validate import pins
from floe.validate.stream import LeftOut


@dataclass(frozen=True)
class Behind:
    """One value that differs from the environment before.

    `here` is the value of this environment, `there` that of the environment before. `versions`: how many newer values
    that one has had in its commits; None if it never had `here`, or if the history cannot be read.
    """

    file: str
    place: str
    here: str
    there: str
    versions: int | None


@dataclass(frozen=True)
class Status:
    """One environment. `follows`: the environment before it in the promotion order, if any."""

    environment: str
    in_order: bool  # whether it is part of the promotion order
    follows: str | None
    runs: carried.Held
    behind: tuple[Behind, ...]


def status(checkout: Checkout) -> list[Status]:
    """Every environment, in the promotion order; those outside the order come last."""
    held = {name: carried.held(checkout, name) for name in checkout.in_promotion_order()}
    statuses = []
    for name, runs in held.items():
        before = checkout.predecessor(name)
        follows = before if before in held else None
        behind = _behind(checkout, follows, carried.held(checkout, follows, name), runs) if follows else ()
        statuses.append(Status(name, name in checkout.settings.promotion, follows, runs, behind))
    return statuses


def _behind(checkout: Checkout, before: str, theirs: carried.Held, ours: carried.Held) -> tuple[Behind, ...]:
    differs = [
        (file, place, ours[file][place], there)
        for file, places in theirs.items()
        for place, there in places.items()
        if place in ours.get(file, {}) and ours[file][place] != there
    ]
    counts = _versions(checkout, before, [(file, place, here) for file, place, here, _ in differs]) if differs else {}
    return tuple(Behind(file, place, here, there, counts.get((file, place))) for file, place, here, there in differs)


def _versions(checkout: Checkout, before: str, wanted: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str], int]:
    """How many newer values a place in an overlay has had since the wanted one; nothing for one it never had."""
    newer: dict[tuple[str, str], set[str]] = {(file, place): set() for file, place, _ in wanted}
    counts: dict[tuple[str, str], int] = {}
    try:
        for name, old in pins.history(checkout, before):
            for file, place, here in wanted:
                key = (file, place)
                if file != f"values/{name}" or key in counts or place not in old:
                    continue
                if old[place] == here:
                    counts[key] = len(newer[key])
                else:
                    newer[key].add(old[place])
            if len(counts) == len(wanted):
                break
    except LeftOut:
        return {}  # not in a Git repository
    return counts


def show(statuses: Sequence[Status], live: dict[str, Live] | None = None) -> None:
    """Print a table of what runs where, then for each environment its differences and its state in the cluster."""
    out = console.out()
    for line in _table(statuses):
        out.print(line)
    out.print()
    for state in statuses:
        out.print(_summary(state))
        for item in state.behind:
            change = f"{carried.shortened(item.here)} → {carried.shortened(item.there)}{_age(item.versions)}"
            out.print(f"    {escape(_label(item.file, item.place))}  {escape(change)}")
        if live and state.environment in live:
            live[state.environment].show(out)


def _age(versions: int | None) -> str:
    if versions is None:
        return ""
    return f" ({versions} version{'s' * (versions != 1)} behind)" if versions else " (not committed yet)"


def _table(statuses: Sequence[Status]) -> Iterator[str]:
    """The lines of a table: one row per value, one column per environment. Values that are behind are yellow."""
    ordered = [state for state in statuses if state.in_order]
    rows = dict.fromkeys((file, place) for state in ordered for file, places in state.runs.items() for place in places)
    cells = [["", *(state.environment for state in statuses)]]
    cells += [
        [_label(*row), *(carried.shortened(state.runs.get(row[0], {}).get(row[1], "")) for state in statuses)]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    late = {(state.environment, item.file, item.place) for state in statuses for item in state.behind}
    for row, line in zip([("", ""), *rows], cells, strict=True):
        padded = [escape(cell.ljust(width)) for cell, width in zip(line, widths, strict=True)]
        for number, state in enumerate(statuses, 1):
            if (state.environment, *row) in late:
                padded[number] = f"[yellow]{padded[number]}[/]"
        yield "  ".join(padded).rstrip()


def _summary(state: Status) -> str:
    if state.follows is None:
        return f"[green]✓[/] {state.environment}: {'first' if state.in_order else 'not'} in the promotion order"
    if not state.behind:
        return f"[green]✓[/] {state.environment}: runs the same as {state.follows}"
    count = len(state.behind)
    next_ = f"floe promote {state.follows} {state.environment} --dry-run"
    return (
        f"[yellow]-[/] {state.environment}: {count} value{'s' * (count != 1)} differ{'s' * (count == 1)} from "
        f"{state.follows}  [dim]{next_}[/]"
    )


def _label(file: str, place: str) -> str:
    """`values/dagster.yaml`, `valuesInline.dagsterWebserver.image.tag` → `dagster  dagsterWebserver.image.tag`."""
    if file == carried.ARTIFACTS:
        return f"app  {place.removeprefix('apps.')}"
    if file.startswith("values/"):
        return f"{file.removeprefix('values/').removesuffix('.yaml')}  {place.removeprefix('valuesInline.')}"
    name, _, field = place.removeprefix("images[").partition("].")
    return f"image  {name.rpartition('/')[2]} {field}"


def as_json(statuses: Sequence[Status], live: dict[str, Live] | None = None) -> None:
    """Print the status as JSON."""
    document = {
        state.environment: asdict(state) | ({"cluster": live[state.environment].as_dict()} if live else {})
        for state in statuses
    }
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    print()
