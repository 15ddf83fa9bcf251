"""Compares Cube's model, and the metrics and exposures of dbt, with the columns that the dbt project documents.

dbt and Cube each check their own files: dbt does not know whether a column that a metric reads exists, nor Cube whether
a mart has the columns of a cube, and neither whether a metric or an exposure still names a member of Cube. Only YAML
is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from floe.errors import FloeError
from floe.kubernetes.objects import mapping, mappings
from floe.repo import Checkout
from floe.yaml import YamlError, load_file
from floe.yaml.places import Place, places
from floe_runtime.contract.app import App


class Gap(NamedTuple):
    """Something that one side names and the other lacks. `line` counts from 1; `file` is relative to the checkout."""

    message: str
    remedy: str
    file: str
    line: int


_MART = re.compile(r"replace\('\{mart\}', '(?P<name>\w+)'\)")
_OF_A_CUBE = re.compile(r"\{(?P<cube>\w+)\}\.(?P<column>\w+)")
_MEMBER = re.compile(r"\{[^{}]*\}")
_READS = re.compile(r"cubes\.\d+\.(?:dimensions|measures|segments|joins)\.\d+\.(?:filters\.\d+\.)?sql")
_COLUMN = re.compile(r"semantic_models\.\d+\.(?:entities|dimensions|measures)\.\d+\.(?:expr|name)")
_CUBE = re.compile(r"(?:metrics|exposures)\.\d+\.(?:config\.)?meta\.cube")
_REF = re.compile(r"ref\(['\"](?P<name>\w+)['\"]\)")


@dataclass
class _Cubes:
    """The cubes and views of an app. `marts`: the mart of each cube. `members`: the full names of all members.

    A cube with the member `*` has members that its file does not name.
    """

    names: set[str] = field(default_factory=set)
    marts: dict[str, str] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)

    def have(self, name: str, kind: str) -> bool:
        """Whether there is the cube or view that an exposure names, or the member that a metric names."""
        if kind == "exposures":
            return name in self.names
        return name in self.members or f"{name.partition('.')[0]}.*" in self.members


def gaps(checkout: Checkout, name: str, app: App) -> Iterator[Gap]:
    """What is missing on the other side, file by file. Raises YamlError.

    A model whose columns are not documented may have any column.
    """
    dbt, cube = (_files(checkout.app(name) / part) for part in (app.pipeline.dbt, app.semantic_layer.model))
    columns, models = _documented(dbt), {file.stem for file in (checkout.app(name) / app.pipeline.dbt).rglob("*.sql")}
    cubes = _Cubes()
    for file in cube:
        _collect(file, cubes)
    for file in cube:
        yield from _of_cube(checkout.relative(file), _by_path(file), cubes, columns, models)
    for file in dbt:
        yield from _of_dbt(checkout.relative(file), _by_path(file), cubes, columns)


def _files(folder: Path) -> list[Path]:
    found = (file for file in folder.rglob("*") if file.suffix in (".yml", ".yaml"))
    return sorted(file for file in found if not {"target", "dbt_packages"} & set(file.relative_to(folder).parts))


def _documented(files: list[Path]) -> dict[str, set[str]]:
    """The columns of each model that documents them."""
    found = {}
    for file in files:
        for model in mappings(_content(file).get("models")):
            if columns := {str(column.get("name")) for column in mappings(model.get("columns"))}:
                found[str(model.get("name"))] = columns
    return found


def _content(file: Path) -> dict[str, Any]:
    """The mapping in a file; empty if it holds something else, as an empty file does. Raises YamlError."""
    try:
        return load_file(file)
    except YamlError:
        raise
    except FloeError:
        return {}


def _by_path(file: Path) -> dict[str, Place]:
    """The nodes of a file by their path, its steps separated by dots."""
    return {".".join(place.path): place for place in places(file.read_text())}


def _collect(file: Path, cubes: _Cubes) -> None:
    content = _content(file)
    for cube in [*mappings(content.get("cubes")), *mappings(content.get("views"))]:
        name = str(cube.get("name"))
        cubes.names.add(name)
        if cube.get("extends"):
            cubes.members.add(f"{name}.*")
        for kind in ("measures", "dimensions", "segments"):
            cubes.members |= {f"{name}.{member.get('name')}" for member in mappings(cube.get(kind))}
        for included in mappings(cube.get("cubes")):
            for member in included.get("includes") or ():
                alias = (mapping(member).get("alias") or mapping(member).get("name")) if mapping(member) else member
                cubes.members.add(f"{name}.{alias}")
        if read := _MART.search(str(cube.get("sql_table"))):
            cubes.marts[name] = read["name"]


def _of_cube(
    file: str, nodes: Mapping[str, Place], cubes: _Cubes, columns: Mapping[str, set[str]], models: set[str]
) -> Iterator[Gap]:
    for path, node in nodes.items():
        text = node.text or ""
        if path.endswith(".sql_table") and (read := _MART.search(text)) and read["name"] not in models:
            yield Gap(
                f"a cube reads the mart {read['name']}, which the dbt project does not have",
                "Name a mart that exists, or write its model.",
                file,
                node.line,
            )
        if not _READS.fullmatch(path):
            continue
        own = _beside(nodes, path, "name")
        for cube, column in _columns(text):
            mart = cubes.marts.get(own if cube == "CUBE" else cube, "")
            if column not in columns.get(mart, {column}):
                yield Gap(
                    f"the cube {own} reads the column {column}, which the mart {mart} does not have",
                    f"Read another column, or add {column} to {mart} and to the columns of its YAML.",
                    file,
                    node.line,
                )


def _columns(sql: str) -> list[tuple[str, str]]:
    """(cube, column) of each column in an expression of Cube: `{orders}.status`, or `status` and `{CUBE}.status`."""
    found = [(match["cube"], match["column"]) for match in _OF_A_CUBE.finditer(sql)]
    rest = _MEMBER.sub("null", _OF_A_CUBE.sub("null", sql))
    return found + [("CUBE", column) for column in _plain(rest)]


def _plain(sql: str) -> list[str]:
    """The columns in an expression of SQL; none if it is not understood."""
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        return [column.name for column in parse_one(sql).find_all(exp.Column)]
    except SqlglotError:
        return []


def _beside(nodes: Mapping[str, Place], path: str, key: str) -> str:
    """The text of a key of the cube, metric or model that a node is in."""
    place = nodes.get(".".join([*path.split(".")[:2], key]))
    return (place and place.text) or ""


def _of_dbt(file: str, nodes: Mapping[str, Place], cubes: _Cubes, columns: Mapping[str, set[str]]) -> Iterator[Gap]:
    for path, node in nodes.items():
        text = node.text or ""
        above, _, key = path.rpartition(".")
        kind = path.partition(".")[0]
        if _CUBE.fullmatch(path) and not cubes.have(text, kind):
            yield Gap(
                f"the {kind.removesuffix('s')} {_beside(nodes, path, 'name')} names {text}, "
                "which Cube's model does not have",
                "Name a member of Cube that exists (a measure for a metric, a view for an exposure), or remove it.",
                file,
                node.line,
            )
        if _COLUMN.fullmatch(path) and not (key == "name" and f"{above}.expr" in nodes):
            ref = _REF.search(_beside(nodes, path, "model"))
            model = ref["name"] if ref else ""
            for column in _plain(text):
                if column not in columns.get(model, {column}):
                    yield Gap(
                        f"the semantic model reads the column {column}, which the model {model} does not have",
                        f"Read another column, or add {column} to {model} and to the columns of its YAML.",
                        file,
                        node.line,
                    )
