"""Remove references to the internet from charts' values schemas, so that rendering needs no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from floe.errors import FloeError


def bundle_schemas(chart: Path) -> None:
    """Replace the remote references in the values schemas of a chart and its subcharts by local definitions.

    Dagster's chart refers to Kubernetes' definitions on the internet (dagster-io/dagster#29629), so Helm would need the
    network to render. The package kubernetes-validate contains the same definitions. Raises FloeError for a schema that
    is not JSON, and for a reference to anything else.
    """
    for file in chart.rglob("values.schema.json"):
        try:
            schema = json.loads(file.read_text())
        except ValueError as error:
            raise FloeError(
                f"{file.relative_to(chart.parent)} is not JSON: {error}", "Run `floe charts pull --force`."
            ) from error
        needed: set[str] = set()
        for node in _reference_nodes(schema):
            remote, _, pointer = node["$ref"].partition("#")
            if "://" in remote:
                if not remote.endswith("/_definitions.json"):
                    raise FloeError(
                        f"{file.relative_to(chart.parent)} refers to {remote}, but floe has only Kubernetes' schemas",
                        "Use another version of the chart.",
                    )
                needed.add(_make_local(node, pointer))
        if needed:
            schema.setdefault("definitions", {}).update(_needed_definitions(needed))
            file.write_text(json.dumps(schema))


def _reference_nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON document that has a `$ref`."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node
        for value in node.values():
            yield from _reference_nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _reference_nodes(value)


def _make_local(node: dict[str, Any], pointer: str) -> str:
    """Change a reference to point into the same document; returns the name of the definition that it needs."""
    _, _, name, *rest = pointer.split("/")
    node["$ref"] = "/".join(["#/definitions", name, *rest])
    return name


def _needed_definitions(names: set[str]) -> dict[str, Any]:
    from floe.kubernetes.releases import definitions

    known, closure, todo = definitions(strict=False), {}, sorted(names)
    while todo:
        name = todo.pop()
        if name in closure:
            continue
        if name not in known:
            raise FloeError(
                f"a chart's schema refers to {name}, which Kubernetes does not define",
                "Run `floe charts pull --force`.",
            )
        closure[name] = json.loads(json.dumps(known[name]))
        todo += [_make_local(node, node["$ref"].partition("#")[2]) for node in _reference_nodes(closure[name])]
    return closure
