"""What the API server says of each object by itself."""

from __future__ import annotations

from collections.abc import Iterator

from floe.validate.objects import Object
from floe.validate.policies.policy import Hit
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


def schema(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        if "" in item.value:
            yield Hit(item, "not an object but a list or a bare value")
        elif not item.api_version or not item.kind:
            yield Hit(item, "apiVersion and kind must both be set, to a string")
        elif schemas.knows(item):
            for error in schemas.errors(item):
                yield Hit(item, error)
            if item.metadata and item.metadata.get("name") in (None, "") and not item.metadata.get("generateName"):
                yield Hit(item, "metadata.name must be set")
        elif schemas.owns(item):
            similar = schemas.similar(item)
            yield Hit(
                item,
                f"Kubernetes {schemas.kubernetes} has no {item.api_version} {item.kind}"
                + (f"; did you mean {similar}?" if similar else ""),
            )


def unknown_kind(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        if item.api_version and item.kind and not schemas.knows(item) and not schemas.owns(item):
            yield Hit(
                item, f"no schema of {item.api_version} {item.kind} in Kubernetes {schemas.kubernetes}: not checked"
            )


def colliding(stream: Stream, _: Schemas) -> Iterator[Hit]:
    seen: dict[tuple[str, str, str, str], Object] = {}
    for item in stream.objects:
        if not item.kind or not item.name:
            continue
        group = item.api_version.rpartition("/")[0]  # two versions of one group are the same object
        first = seen.setdefault((group, item.kind, item.namespace, item.name), item)
        if first is not item:
            yield Hit(item, f"the same object stands in document {first.document}, line {first.line}")
