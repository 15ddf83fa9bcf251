"""Reads the generated schemas, and only those of the kinds that occur, so that floe-validate starts quickly."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from floe.errors import FloeError
from floe.kubernetes.releases import RELEASE
from floe.yaml import documents

_FOLDER = Path(__file__).parent
_REFERENCE = re.compile(r'"#/\$defs/([^"]+)"')


class Kind(NamedTuple):
    """A kind: the name of its type, and whether its objects have a namespace."""

    type: str
    namespaced: bool


class Lifecycle(NamedTuple):
    """The releases that deprecate and remove a version of a kind, and the replacement as `apiVersion Kind`."""

    deprecated: str | None
    removed: str | None
    replacement: str | None


class Catalog:
    """The kinds of one Kubernetes release and custom kinds.

    `crds`: a folder of CustomResourceDefinitions to add. Raises FloeError for a release without schemas, and if the
    folder does not exist, has no definition or has an invalid one.
    """

    def __init__(self, kubernetes: str = RELEASE, crds: Path | None = None) -> None:
        generated = json.loads((_FOLDER / "kinds.json").read_bytes())
        self.releases: list[str] = generated["releases"]
        """The releases with schemas, the oldest first."""
        if kubernetes not in self.releases:
            raise FloeError(
                f"there are no schemas of Kubernetes {kubernetes}", f"use one of: {', '.join(self.releases)}"
            )
        self.kubernetes = kubernetes
        self._lifecycle = generated["lifecycle"]
        self._types: dict[str, str] = {}
        self._elsewhere: dict[str, tuple[str, str]] = {}  # (first, last) release of types that this one lacks
        wanted = number(kubernetes)
        for line in (_FOLDER / "types.tsv").read_text().splitlines():
            name, first, last, schema = line.split("\t")
            if number(first) <= wanted <= number(last):
                self._types[name] = schema
            else:
                self._elsewhere[name] = (first, last)
        self._all: dict[str, dict[str, list[Any]]] = generated["kinds"]
        named = ((version, kind[0]) for version, kinds in self._all.items() for kind in kinds.values())
        own = {*self._lifecycle, *(version for version, name in named if name.startswith("io.k8s."))}
        self._own = {version.rpartition("/")[0] for version in own}
        if crds is not None:
            self._add_custom_kinds(crds)

    def kind(self, version: str, kind: str) -> Kind | None:
        """A kind by its apiVersion and name; None if the release does not have it."""
        entry = self._all.get(version, {}).get(kind)
        return Kind(*entry) if entry and entry[0] in self._types else None

    def owns(self, group: str) -> bool:
        """Whether an API group belongs to Kubernetes, so that nobody else adds kinds to it."""
        return "." not in group or group in self._own

    def kinds(self) -> Iterator[tuple[str, str]]:
        """Yield (apiVersion, kind) of every kind that the release has."""
        for version, kinds in self._all.items():
            yield from ((version, kind) for kind, (name, _) in kinds.items() if name in self._types)

    def lifecycle(self, version: str, kind: str) -> Lifecycle | None:
        """When a kind is deprecated and removed, in any release; None if that is not known."""
        stages = self._lifecycle.get(version, {}).get(kind)
        return Lifecycle(*stages) if stages else None

    def span(self, version: str, kind: str) -> tuple[str, str] | None:
        """The first and the last release with schemas that has a kind which this release does not have."""
        entry = self._all.get(version, {}).get(kind)
        return self._elsewhere.get(entry[0]) if entry and entry[0] not in self._types else None

    def schema(self, kind: Kind) -> str:
        """The JSON schema, as text, of whole objects of a kind."""
        needed: dict[str, str] = {}
        todo = [kind.type]
        while todo:
            name = todo.pop()
            if name not in needed:
                needed[name] = self._types[name]
                todo += _REFERENCE.findall(needed[name])
        types = ",".join(f'"{name}":{schema}' for name, schema in needed.items())
        return f'{{"$ref":"#/$defs/{kind.type}","required":["metadata"],"$defs":{{{types}}}}}'

    def own_schema(self, kind: Kind) -> str:
        """The JSON schema of a kind, as text, without the schemas of the types that it refers to."""
        return self._types[kind.type]

    def _add_custom_kinds(self, folder: Path) -> None:
        from floe.kubernetes.schemas import custom

        for definition, place in _definitions(folder):
            try:
                kinds = list(custom.kinds(definition))
            except (AttributeError, KeyError, TypeError):
                raise FloeError(
                    f"{place}: this CustomResourceDefinition is not valid in apiextensions.k8s.io/v1",
                    "fix it, or remove it from the folder",
                ) from None
            for kind in kinds:
                self._types[kind.type] = json.dumps(kind.schema)
                self._all.setdefault(kind.version, {})[kind.kind] = [kind.type, kind.namespaced]


def _definitions(folder: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each CustomResourceDefinition in the YAML and JSON files of a folder and its subfolders, and its place."""
    if not folder.is_dir():
        raise FloeError(f"{folder} is not a folder", "name a folder of CustomResourceDefinitions")
    count = 0
    for file in sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml", ".json")):
        for document in documents(file.read_bytes(), str(file)):
            for value in _unfolded(document.value):
                if value.get("kind") == "CustomResourceDefinition":
                    count += 1
                    yield value, f"{file}: document {document.number}"
    if not count:
        raise FloeError(f"{folder} contains no CustomResourceDefinition", "name a folder that contains one")


def _unfolded(value: Any) -> Iterable[dict[str, Any]]:
    if not isinstance(value, dict):
        return ()
    items = value.get("items")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else [value]


def number(release: str) -> int:
    """The minor version of a release, by which releases are compared: 34 for 1.34."""
    return int(release[2:])
