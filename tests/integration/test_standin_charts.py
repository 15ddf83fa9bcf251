"""Compares the stand-in charts with the upstream charts: the objects they render and the values they use."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from floe import repo
from rendering import ROOT, Release, Tree, Values, by_identity, differences, helm, parse

Key = tuple[str | int, ...]
"""The path of a value: keys of mappings and indices of lists."""
Where = frozenset[str] | None
"""The objects that depend on a value; None if the chart refuses another value."""

CHARTS = sorted(folder.name for folder in (ROOT / "tests" / "charts").iterdir())


def test_stand_ins_render_the_same_objects_as_upstream(environment: str, stand_ins: Tree, upstream: Tree) -> None:
    ours, theirs = (
        {key: comparable(one) for key, one in by_identity(tree.render(environment)).items()}
        for tree in (stand_ins, upstream)
    )
    assert not (difference := differences(ours, theirs, ("stand-in", "upstream"))), difference


def comparable(value: Any, key: str = "") -> Any:
    """An object without allowed differences: annotations, form of commands, order of variables, empty values."""
    if isinstance(value, dict):
        kept = {
            name: comparable(part, name)
            for name, part in value.items()
            if name != "annotations" and (name != "command" or key == "exec")
        }
        return {name: part for name, part in kept.items() if part not in (None, {}, [])}
    if isinstance(value, list):
        parts = [comparable(part) for part in value]
        return sorted(parts, key=lambda part: str(part["name"])) if key == "env" else parts
    if key in {"dagster.yaml", "workspace.yaml"}:
        return comparable(yaml.safe_load(value))
    return value


class Chart:
    """A chart without its schema, which is slow and would refuse made-up values."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        folder.mkdir()
        shutil.copytree(source, folder / "chart", ignore=shutil.ignore_patterns("values.schema.json"))
        self._plain: dict[int, dict[str, Values]] = {}
        self.name = source.name

    def where(self, release: Release, values: Values) -> Where:
        """The objects that differ from those with the values of the release; None if the chart refuses the values."""
        if id(release) not in self._plain:
            plain = self.render(release, release.values)
            assert plain is not None, f"{release.chart} refuses its own values"
            self._plain[id(release)] = plain
        before, after = self._plain[id(release)], self.render(release, values)
        if after is None:
            return None
        return frozenset(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))

    def render(self, release: Release, values: Values) -> dict[str, Values] | None:
        with tempfile.NamedTemporaryFile("w", suffix=".json", dir=self.folder) as file:
            json.dump(values, file)
            file.flush()
            command = helm(self.folder / "chart", release, Path(file.name))
            done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        return {one.label: without_checksums(one.value) for one in parse(done.stdout)} if done.returncode == 0 else None


def without_checksums(one: Values) -> Values:
    """An object without checksums of other objects."""
    annotations = one.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations") or {}
    for name in [name for name in annotations if name.startswith("checksum/")]:
        del annotations[name]
    return one


@dataclass(frozen=True)
class Effect:
    """The effect of a value that an overlay sets, in the stand-in (`ours`) and in the upstream chart (`theirs`)."""

    chart: str
    key: Key
    ours: Where
    theirs: Where

    def __str__(self) -> str:
        return f"{self.chart}: {'.'.join(map(str, self.key))}"


@pytest.fixture(scope="module", params=CHARTS)
def effects(
    request: pytest.FixtureRequest, stand_ins: Tree, upstream: Tree, tmp_path_factory: pytest.TempPathFactory
) -> list[Effect]:
    """The effects of all values of a chart, measured by changing each in the first overlay that sets it."""
    name: str = request.param
    firsts: dict[Key, Release] = {}
    folder = tmp_path_factory.mktemp(name)
    for environment in repo.current().environments():
        (release,) = [one for one in stand_ins.flux(environment).releases if one.chart == name]
        for key in leaves(release.values):
            firsts.setdefault(key, release)
    ours = Chart(folder / "ours", stand_ins.chart(environment, release))
    theirs = Chart(folder / "theirs", upstream.chart(environment, release))

    def alone(key: Key) -> Effect:
        release = firsts[key]
        values = changed(release.values, key)
        return Effect(name, key, ours.where(release, values), theirs.where(release, values))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        releases = {id(release): release for release in firsts.values()}.values()
        texts = [
            [key for key in firsts if firsts[key] is one and isinstance(at(one.values, key), str)] for one in releases
        ]
        together = [one for part in pool.map(partial(seen_together, ours, theirs), releases, texts) for one in part]
        return together + list(pool.map(alone, firsts.keys() - {one.key for one in together}))


def seen_together(ours: Chart, theirs: Chart, release: Release, keys: list[Key]) -> list[Effect]:
    """The effects of texts, measured by changing all of them at once, which takes a tenth of the time.

    Texts that do not appear unchanged in the output, or not in the same objects of both charts, are left out. If a
    chart refuses the values, each half of the texts is tried separately.
    """
    if len(keys) < 2:
        return []
    marks = {key: f"made-up-{number}-" for number, key in enumerate(keys)}
    values = release.values
    for key, mark in marks.items():
        values = changed(values, key, mark)
    sides = [chart.render(release, values) for chart in (ours, theirs)]
    if None in sides:
        half = len(keys) // 2
        return [one for part in (keys[:half], keys[half:]) for one in seen_together(ours, theirs, release, part)]
    written = [{label: json.dumps(one) for label, one in side.items()} for side in sides if side is not None]
    effects = []
    for key, mark in marks.items():
        in_ours, in_theirs = (frozenset(label for label, text in side.items() if mark in text) for side in written)
        if in_ours and in_ours == in_theirs:
            effects.append(Effect(ours.name, key, in_ours, in_theirs))
    return effects


def leaves(value: Any, key: Key = ()) -> Iterator[Key]:
    """The paths of all values that contain no other value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not parts or not value:
        yield key
    for name, part in parts:
        yield from leaves(part, (*key, name))


def at(values: Any, key: Key) -> Any:
    for step in key:
        values = values[step]
    return values


def changed(values: Values, key: Key, mark: str = "made-up") -> Values:
    """The values with a different value of the same type at one path."""
    result = copy.deepcopy(values)
    parent, old = at(result, key[:-1]), at(result, key)
    other: dict[type, Any] = {bool: not old, list: [mark], dict: {mark: mark}}
    parent[key[-1]] = other.get(type(old), old + 1 if isinstance(old, int) else f"{old or ''}{mark}")
    return result


def test_a_value_affects_the_same_objects_in_both_charts(effects: list[Effect]) -> None:
    """A stand-in may refuse a value that it does not support, but must not ignore it."""
    wrong = []
    for one in effects:
        if one.theirs is None:
            wrong.append(f"{one}: the upstream chart refuses another value, so nothing is known")
        elif one.ours is not None and one.ours != one.theirs:
            wrong.append(f"{one}: upstream in {sorted(one.theirs)}, in the stand-in {sorted(one.ours)}")
    assert not wrong, "\n".join(wrong)


def test_every_value_has_an_effect(effects: list[Effect]) -> None:
    """A value without effect would mislead readers of the overlay."""
    dead = [str(one) for one in effects if one.theirs == frozenset()]
    assert not dead, "\n".join(dead)
