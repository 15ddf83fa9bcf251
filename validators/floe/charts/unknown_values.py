"""Find values that a chart does not know, or not at their place. Helm accepts them silently; they have no effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from floe import render
from floe.charts.chart import pinned
from floe.kubernetes.objects import mapping, mappings
from floe.repo import Checkout
from floe.yaml import documents, load_file

Known = dict[str, Any]
"""The keys that a chart knows, each with the keys below it; None if any value is allowed below it."""

Steps = tuple[str, ...]

_FREE = re.compile(r"(labels|annotations|selector|env|config|data|resources|affinity|context)$", re.IGNORECASE)
"""Names of mappings whose keys are not the chart's, even if its values.yaml lists some of them."""
_RANGE = re.compile(r"range (?:\$\w+, *)?(\$\w+) *:=")
_ACTION = re.compile(r"\{\{-?\s*(.*?)\}\}", re.DOTALL)
_INDEX = re.compile(r'index \$?\.Values((?: "[\w-]+")+)')
_PATH = re.compile(r"\.Values((?:\.[\w-]+)+)")
_LIVE = re.compile(r"( *)([\w.-]+):")
_COMMENTED = re.compile(r"( *)# ?([\w.-]+):(?!/)")


class Unknown(NamedTuple):
    """The path of a value that a chart does not know, and the path at which it knows a value of that name, if any."""

    path: Steps
    known: Steps | None

    def __str__(self) -> str:
        """What is wrong, for a message: `the chart does not know the value a.b; it knows b`."""
        words = f"the chart does not know the value {'.'.join(self.path)}"
        return f"{words}; it knows {'.'.join(self.known)}" if self.known else words


def unknown_values(checkout: Checkout, environment: str) -> list[tuple[str, Unknown]]:
    """(name of the chart, value) of each value of an overlay that its pulled chart does not know.

    Stand-ins and charts that floe did not pull are skipped.
    """
    charts = {
        chart.name: chart for chart in pinned(checkout, environment) if chart.record() and not chart.is_stand_in()
    }
    return [
        (str(name), value)
        for generator in (render.chart_generators(checkout, environment) if charts else ())
        if (name := generator.get("name")) in charts
        for value in unknown_in(charts[name].path, generator.get("valuesInline") or {})
    ]


def unknown_in(chart: Path, values: dict[str, Any]) -> list[Unknown]:
    """The values that a chart does not know. `chart`: its folder.

    A value is unknown if neither values.yaml nor a template has it. Below a mapping that a template uses as a whole,
    any key could be used; there, a value is only found if values.yaml has that key at a higher level instead, and no
    template could read it where it is. Raises FloeError if a file of the chart is not valid YAML.
    """
    listed = _listed_keys(chart)
    unlisted = dict(_unlisted(values, listed))
    if not unlisted:
        return []  # templates are read only if they could matter
    unknown = set(_unknown_paths(values, _known_keys(chart)))
    texts = [template.read_text(errors="replace") for template in _templates(chart)]
    unknown |= {
        path
        for path, known in unlisted.items()
        if known and path[0] not in _subcharts(chart) and not _is_read(path, texts)
    }
    return [Unknown(path, unlisted.get(path)) for path in sorted(unknown)]


def _unknown_paths(values: dict[str, Any], keys: Known, path: Steps = ()) -> Iterator[Steps]:
    for key, value in _named(values):
        if key not in keys:
            yield (*path, key)
        elif isinstance(value, dict) and isinstance(keys[key], dict):
            yield from _unknown_paths(value, keys[key], (*path, key))


def _unlisted(
    values: dict[str, Any], keys: Known, path: Steps = (), above: Mapping[str, Steps] | None = None
) -> Iterator[tuple[Steps, Steps | None]]:
    """(path, path at a higher level with the same last key or None) of each value that values.yaml does not list."""
    for key, value in _named(values):
        if key not in keys:
            yield (*path, key), (above or {}).get(key)
        elif isinstance(value, dict) and keys[key] and not _FREE.search(key):
            here = {name: (*path, name) for name in keys}
            yield from _unlisted(value, keys[key], (*path, key), {**(above or {}), **here})


def _named(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((str(key), value) for key, value in values.items())


def _is_read(path: Steps, templates: list[str]) -> bool:
    """Whether a template could read a value: by its path, by its key in some mapping, or with the whole mapping."""
    key, dotted = path[-1], ".".join(path)
    wholes = {".".join(path[:end]) for end in range(1, len(path))}
    chain = re.compile(rf"([$\w]*)((?:\.[\w-]+)*)\.{re.escape(key)}\b")
    for template in templates:
        if f'"{key}"' in template or f".Values.{dotted}" in template:
            return True
        loops = set(_RANGE.findall(template))  # a loop's variable is an element of a list and not a mapping of values
        for root, steps in chain.findall(template):
            if not steps.startswith(".Values") and root not in loops:
                return True
        for action in _ACTION.finditer(template):
            if re.search(r"\bto\w*(Yaml|Json)\b", action[1]) and wholes.intersection(
                found.lstrip(".") for found in _PATH.findall(action[1])
            ):
                return True
    return False


def _subcharts(chart: Path) -> set[str]:
    """The keys of a chart's values that are values of its subcharts, whose own templates read them."""
    dependencies = mappings(load_file(chart / "Chart.yaml").get("dependencies"))
    names = {str(one.get("alias") or one.get("name")) for one in dependencies}
    return names | {folder.parent.name for folder in (chart / "charts").glob("*/Chart.yaml")}


def _templates(chart: Path) -> list[Path]:
    return sorted(path for path in (chart / "templates").rglob("*") if path.is_file())


def _listed_keys(chart: Path) -> Known:
    """The keys in values.yaml, also those that are commented out."""
    file = chart / "values.yaml"
    text = file.read_text() if file.is_file() else ""
    keys: Known = {}
    for document in documents(text, str(file)):
        keys = _keys_of(mapping(document.value))
    _add_commented_keys(keys, text)
    return keys


def _known_keys(chart: Path) -> Known:
    """The keys that a chart and its subcharts know: those in values.yaml, also commented out, and in templates."""
    keys = _listed_keys(chart)
    for template in _templates(chart):
        _add_template_keys(keys, template.read_text(errors="replace"))
    for subchart in sorted((chart / "charts").glob("*/Chart.yaml")):
        below = _known_keys(subchart.parent)
        name = subchart.parent.name
        keys[name] = _merged_keys(below, keys.get(name) or {})
    for name in _subcharts(chart):
        keys.setdefault(name, None)
    return keys | {"global": None, "tags": None}


def _keys_of(values: dict[str, Any]) -> Known:
    return {key: _keys_of(value) if isinstance(value, dict) and value else None for key, value in values.items()}


def _merged_keys(one: Known, other: Known) -> Known:
    both = one | other
    for key in one.keys() & other.keys():
        parts = one[key], other[key]
        both[key] = _merged_keys(*parts) if None not in parts else None
    return both


def _add_commented_keys(keys: Known, text: str) -> None:
    """Add keys that are commented out. A `# key:` belongs to the level at which the `#` is indented."""
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        live = _LIVE.match(line)
        match = live or _COMMENTED.match(line)
        if match is None:
            continue
        column, key = len(match[1]), match[2]
        above = [step for step in above if step[0] < column]
        if live:
            above.append((column, key))
        else:
            node: Any = keys
            for _, step in above:
                node = node.get(step) if isinstance(node, dict) else None
            if isinstance(node, dict):
                node.setdefault(key, None)


def _add_template_keys(keys: Known, template: str) -> None:
    """Add the paths that a template reads. Any key is allowed below a value that a template uses as a whole."""
    for action in _ACTION.finditer(template):
        asked = re.match(r"(else )?if\b", action[1])
        dotted = _INDEX.sub(lambda match: ".Values" + re.sub(r' "([\w-]+)"', r".\1", match[1]), action[1])
        for path in _PATH.findall(dotted):
            *parents, last = path[1:].split(".")
            node: Any = keys
            for step in parents:
                node = node.setdefault(step, {}) if isinstance(node, dict) else None
            if not isinstance(node, dict):
                continue
            if asked:
                node.setdefault(last, {})
            else:
                node[last] = None
