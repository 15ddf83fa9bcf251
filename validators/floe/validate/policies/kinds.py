"""Policies on kinds, their API versions and their fields, by the schemas of one Kubernetes release."""

from __future__ import annotations

from collections.abc import Iterator

from floe.kubernetes.objects import Object
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


@Policy(
    code="FLOE002",
    stage=Stage.API_SERVER,
    severity="error",
    title="A field is unknown, missing or of the wrong type",
    why="The API server refuses the object under strict field validation. Without it, the server silently drops a "
    "field that it does not know.",
    remedy="Compare the field with the output of `kubectl explain`, and correct its name, its place or its type.",
    waivable=False,
    fails="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings}
        data: {port: 8080}
    """,
    passes="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings}
        data: {port: "8080"}
    """,
)
def schema(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    """Check every object against the schema of its kind.

    A kind that Kubernetes never had is an error in an API group of Kubernetes. FLOE003 reports unknown kinds of other
    groups, and FLOE006 reports kinds that the release no longer has.
    """
    for item in stream.objects:
        if "" in item.value:
            yield Hit(item, "the document is a list or a single value and not an object")
        elif not item.api_version or not item.kind:
            yield Hit(item, "apiVersion and kind must both be set to a string")
        elif schemas.knows(item):
            for error in schemas.errors(item):
                yield Hit(item, error)
        elif schemas.owns(item) and not _removal_words(item, schemas):
            similar = schemas.similar(item)
            span = schemas.catalog.span(item.api_version, item.kind)
            yield Hit(
                item,
                f"Kubernetes {schemas.kubernetes} has no {item.api_version} {item.kind}"
                + (f", but {span[0]} does" if span else f"; did you mean {similar}?" if similar else ""),
            )


@Policy(
    code="FLOE003",
    stage=Stage.API_SERVER,
    severity="warning",
    title="There is no schema for the kind",
    why="Without a schema the object is not checked, and a misspelled API group looks the same as a custom one.",
    remedy="Check the spelling of apiVersion and kind. If a CustomResourceDefinition defines the kind, give the folder "
    "of that file with `--crds`.",
    fails="""
        apiVersion: source.toolkit.flux.io/v1
        kind: GitRepository
        metadata: {name: platform}
        spec: {interval: 1m, url: "https://git.example.com/platform.git"}
    """,
    passes="""
        apiVersion: source.toolkit.fluxcd.io/v1
        kind: GitRepository
        metadata: {name: platform}
        spec: {interval: 1m, url: "https://git.example.com/platform.git"}
    """,
)
def unknown_kind(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    """Report kinds without a schema in API groups that are not part of Kubernetes; an error with --strict-kinds."""
    for item in stream.objects:
        if item.api_version and item.kind and not schemas.knows(item) and not schemas.owns(item):
            yield Hit(
                item,
                f"there is no schema of {item.api_version} {item.kind} for Kubernetes {schemas.kubernetes}, "
                "so the object is not checked",
                severity="error" if schemas.strict_kinds else None,
            )


@Policy(
    code="FLOE005",
    stage=Stage.API_SERVER,
    severity="warning",
    title="The API version is deprecated",
    why="The version still works, but a later release of Kubernetes removes it, and the object cannot be applied after "
    "that upgrade.",
    remedy="Use the version or kind that replaces it, and compare its fields with the output of `kubectl explain`.",
    fails="""
        apiVersion: v1
        kind: Endpoints
        metadata: {name: database}
        subsets: [{addresses: [{ip: 10.0.0.5}], ports: [{port: 5432}]}]
    """,
    passes="""
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: database, labels: {kubernetes.io/service-name: database}}
        addressType: IPv4
        endpoints: [{addresses: [10.0.0.5]}]
        ports: [{port: 5432}]
    """,
)
def deprecated(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    """Report objects whose API version is deprecated in the release that is checked against, and still served."""
    for item in stream.objects:
        lifecycle = schemas.lifecycle(item)
        if lifecycle and lifecycle.deprecated and schemas.reaches(lifecycle.deprecated) and schemas.knows(item):
            yield Hit(
                item,
                f"{item.api_version} {item.kind} is deprecated since Kubernetes {lifecycle.deprecated}"
                + (f" and removed in {lifecycle.removed}" if lifecycle.removed else "")
                + (f"; use {lifecycle.replacement}" if lifecycle.replacement else ""),
            )


@Policy(
    code="FLOE006",
    stage=Stage.API_SERVER,
    severity="error",
    title="The API version has been removed",
    why="The API server of this release of Kubernetes does not know the version, so it refuses the object.",
    remedy="Use the version or kind that replaces it. If the cluster runs an older release, name that release with "
    "`--kubernetes`.",
    waivable=False,
    fails="""
        apiVersion: scheduling.k8s.io/v1beta1
        kind: PriorityClass
        metadata: {name: urgent}
        value: 1000
    """,
    passes="""
        apiVersion: scheduling.k8s.io/v1
        kind: PriorityClass
        metadata: {name: urgent}
        value: 1000
    """,
)
def removed(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    """Report objects whose kind an earlier release had and the release that is checked against does not have."""
    for item in stream.objects:
        if schemas.owns(item) and not schemas.knows(item) and (since := _removal_words(item, schemas)):
            lifecycle = schemas.lifecycle(item)
            hint = f"; use {lifecycle.replacement}" if lifecycle and lifecycle.replacement else ""
            yield Hit(
                item, f"Kubernetes {schemas.kubernetes} no longer has {item.api_version} {item.kind}{since}{hint}"
            )


def _removal_words(item: Object, schemas: Schemas) -> str:
    """The end of a message that says when the kind was removed; empty if no earlier release had the kind."""
    lifecycle, span = schemas.lifecycle(item), schemas.catalog.span(item.api_version, item.kind)
    if lifecycle and lifecycle.removed and schemas.reaches(lifecycle.removed):
        return f", {lifecycle.removed} removed it"
    return f", {span[1]} was the last release that had it" if span and schemas.reaches(span[1]) else ""
