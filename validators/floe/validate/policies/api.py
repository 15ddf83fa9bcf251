"""What the API server says of each object by itself."""

from __future__ import annotations

from collections.abc import Iterator

from floe.kubernetes import names
from floe.kubernetes.objects import Object
from floe.validate import values
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
        elif schemas.owns(item) and not _removed(item, schemas):
            similar = schemas.similar(item)
            span = schemas.catalog.span(item.api_version, item.kind)
            yield Hit(
                item,
                f"Kubernetes {schemas.kubernetes} has no {item.api_version} {item.kind}"
                + (f", {span[0]} has it" if span else f"; did you mean {similar}?" if similar else ""),
            )


def deprecated(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        found = schemas.lifecycle(item)
        if found and found.deprecated and schemas.reaches(found.deprecated) and schemas.knows(item):
            yield Hit(
                item,
                f"{item.api_version} {item.kind} is deprecated since Kubernetes {found.deprecated}"
                + (f" and goes with {found.removed}" if found.removed else "")
                + (f"; use {found.replacement}" if found.replacement else ""),
            )


def removed(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        if schemas.owns(item) and not schemas.knows(item) and (since := _removed(item, schemas)):
            found = schemas.lifecycle(item)
            use = f"; use {found.replacement}" if found and found.replacement else ""
            yield Hit(
                item, f"Kubernetes {schemas.kubernetes} has no {item.api_version} {item.kind} any more{since}{use}"
            )


def _removed(item: Object, schemas: Schemas) -> str:
    """Since when the release lacks a kind that earlier ones had, in words; nothing if they had none either."""
    found, span = schemas.lifecycle(item), schemas.catalog.span(item.api_version, item.kind)
    if found and found.removed and schemas.reaches(found.removed):
        return f", {found.removed} removed it"
    return f", {span[1]} was the last to have it" if span and schemas.reaches(span[1]) else ""


def bad_name(stream: Stream, _: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        if item.kind and item.api_version:
            yield from (Hit(item, problem) for problem in names.problems(item))


def bad_value(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        if schemas.accepts(item):  # what is of the wrong type is the schema's to tell
            yield from (Hit(item, problem) for problem in values.problems(item))
            yield from (Hit(item, problem) for problem in schemas.broken_rules(item))


def unknown_kind(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        if item.api_version and item.kind and not schemas.knows(item) and not schemas.owns(item):
            yield Hit(
                item,
                f"no schema of {item.api_version} {item.kind} in Kubernetes {schemas.kubernetes}: not checked",
                severity="error" if schemas.strict_kinds else None,
            )


def colliding(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    seen: dict[tuple[str, str, str, str], Object] = {}
    for item in stream.objects:
        if not item.kind or not item.name:
            continue
        group = item.api_version.rpartition("/")[0]  # two versions of one group are the same object
        kind = schemas.kind(item)
        namespace = item.namespace if kind is None or kind.namespaced else ""
        first = seen.setdefault((group, item.kind, namespace, item.name), item)
        if first is not item:
            yield Hit(item, f"the same object stands in document {first.document}, line {first.line}")
