"""Find values that a chart does not know. Helm accepts them silently, and they have no effect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from floe import render
from floe.charts.chart import pinned
from floe.repo import Checkout
from floe.yaml import documents, load_file

Known = dict[str, Any]
"""The keys that a chart knows, each with the keys below it; None if any value is allowed below it."""

_ACTION = re.compile(r"\{\{-?\s*(.*?)\}\}", re.DOTALL)
_INDEX = re.compile(r'index \$?\.Values((?: "[\w-]+")+)')
_PATH = re.compile(r"\.Values((?:\.[\w-]+)+)")
_LIVE = re.compile(r"( *)([\w.-]+):")
_COMMENTED = re.compile(r"( *)# ?([\w.-]+):(?!/)")


def unknown_values(checkout: Checkout, environment: str) -> list[str]:
    """Each value of an overlay that its pulled chart does not know, as `chart: path.of.the.key`.

    Stand-ins and charts that floe did not pull are skipped.
    """
    charts = {
        chart.name: chart for chart in pinned(checkout, environment) if chart.record() and not chart.is_stand_in()
    }
    return [
        f"{name}: {path}"
        for generator in (render.chart_generators(checkout, environment) if charts else ())
        if (name := generator.get("name")) in charts
        for path in _unknown_paths(generator.get("valuesInline") or {}, _known_keys(charts[name].path))
    ]


def _unknown_paths(values: dict[str, Any], keys: Known, path: str = "") -> Iterator[str]:
    for key, value in values.items():
        if key not in keys:
            yield path + key
        elif isinstance(value, dict) and isinstance(keys[key], dict):
            yield from _unknown_paths(value, keys[key], f"{path}{key}.")


def _known_keys(chart: Path) -> Known:
    """The keys that a chart and its subcharts know: those in values.yaml, also commented out, and in templates."""
    file = chart / "values.yaml"
    text = file.read_text() if file.is_file() else ""
    keys: Known = {}
    for document in documents(text, str(file)):
        keys = _keys_of(document.value)
    _add_commented_keys(keys, text)
    for template in sorted(path for path in (chart / "templates").rglob("*") if path.is_file()):
        _add_template_keys(keys, template.read_text(errors="replace"))
    for subchart in sorted((chart / "charts").glob("*/Chart.yaml")):
        below = _known_keys(subchart.parent)
        name = subchart.parent.name
        keys[name] = _merged_keys(below, keys.get(name) or {})
    for dependency in load_file(chart / "Chart.yaml").get("dependencies") or []:
        if isinstance(dependency, dict):
            keys.setdefault(str(dependency.get("alias") or dependency.get("name")), None)
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
