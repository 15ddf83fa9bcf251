"""Policies on names and values that the API server refuses despite their right type, and on objects that collide."""

from __future__ import annotations

from collections.abc import Iterator

from floe.kubernetes import names
from floe.kubernetes.objects import Object
from floe.validate import object_checks
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


@Policy(
    code="FLOE007",
    stage=Stage.API_SERVER,
    severity="error",
    title="A name, label or annotation has an invalid form",
    why="The API server refuses the object, because names become parts of host names and paths, and selectors compare "
    "labels.",
    remedy="Use lower-case letters, digits and hyphens in a name, and shorten what is too long. If a chart builds the "
    "name or label, check the values that it is built from.",
    waivable=False,
    fails="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: Web_Settings}
    """,
    passes="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: web-settings}
    """,
)
def bad_name(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Check the metadata of every object that has apiVersion and kind; FLOE002 reports the others."""
    for item in stream.objects:
        if item.kind and item.api_version:
            yield from (Hit(item, problem) for problem in names.problems(item))


@Policy(
    code="FLOE008",
    stage=Stage.API_SERVER,
    severity="error",
    title="The API server does not accept a value",
    why="The value has the right type and is still not allowed. Examples are a port out of range, a selector that does "
    "not match the workload's own pods, a volume that does not exist, and a request above its limit.",
    remedy="Change the value to one that the message allows.",
    waivable=False,
    fails="""
        apiVersion: v1
        kind: Service
        metadata: {name: database}
        spec: {ports: [{port: 70000}]}
    """,
    passes="""
        apiVersion: v1
        kind: Service
        metadata: {name: database}
        spec: {ports: [{port: 5432}]}
    """,
)
def bad_value(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    """Check the values of every object that is valid against its schema, and the CEL rules of its kind."""
    for item in stream.objects:
        if schemas.accepts(item):  # FLOE002 reports the other objects
            yield from (Hit(item, problem) for problem in object_checks.problems(item))
            yield from (Hit(item, problem) for problem in schemas.broken_rules(item))


@Policy(
    code="FLOE004",
    stage=Stage.API_SERVER,
    severity="error",
    title="Two objects have the same identity",
    why="Both have the same API group, kind, namespace and name, so the object that is applied last overwrites the "
    "other one. With the next reconciliation the order may be the opposite.",
    remedy="Rename one of the two objects, or delete the copy.",
    waivable=False,
    fails="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings}
        data: {theme: light}
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings}
        data: {theme: dark}
    """,
    passes="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings}
        data: {theme: light}
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings-of-the-night}
        data: {theme: dark}
    """,
)
def colliding(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    """Report every object that an earlier document of the stream already contains."""
    seen: dict[tuple[str, str, str, str], Object] = {}
    for item in stream.objects:
        if not item.kind or not item.name:
            continue
        group = item.api_version.rpartition("/")[0]  # two versions of one group are the same object
        kind = schemas.kind(item)
        namespace = item.namespace if kind is None or kind.namespaced else ""
        first = seen.setdefault((group, item.kind, namespace, item.name), item)
        if first is not item:
            yield Hit(item, f"the same object is already in document {first.document}, line {first.line}")
