"""Kubernetes objects of a stream, and the parts of them that several policies look at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from floe.yaml import Document

ENVIRONMENT = "floe-runtime.io/environment"
"""The annotation by which an overlay stamps its objects."""
SOPS = "ENC[AES256_GCM,"
"""How a value begins that SOPS encrypted."""


class Object:
    """One Kubernetes object and where it stands. What every policy asks for is looked up once."""

    __slots__ = (
        "annotations",
        "api_version",
        "document",
        "kind",
        "line",
        "metadata",
        "name",
        "namespace",
        "source",
        "value",
    )

    def __init__(self, source: str, document: int, line: int, value: dict[str, Any]) -> None:
        self.source, self.document, self.line, self.value = source, document, line, value
        self.kind, self.api_version = text(value.get("kind")), text(value.get("apiVersion"))
        self.metadata = metadata = mapping(value.get("metadata"))
        self.name, self.namespace = text(metadata.get("name")), text(metadata.get("namespace"))
        self.annotations = mapping(metadata.get("annotations"))

    @property
    def label(self) -> str:
        """How a finding names it: `Deployment floe-prod/cube-api`."""
        return f"{self.kind or 'object'} {self.namespace + '/' if self.namespace else ''}{self.name or '(no name)'}"

    @property
    def origin(self) -> str:
        """What it was made from, relative to the overlay, where kustomize says so; else nothing.

        kustomize says it with `buildMetadata: [originAnnotations]`.
        """
        origin = text(self.annotations.get("config.kubernetes.io/origin"))
        found = _ORIGIN.search(origin)
        return "" if found is None or "repo:" in origin else found[1]


_ORIGIN = re.compile(r"^(?:path|configuredIn): *(\S+)$", re.MULTILINE)


def text(node: Any) -> str:
    """The node if it is text, else nothing: the schema says what is wrong with it."""
    return node if isinstance(node, str) else ""


def mapping(node: Any) -> dict[str, Any]:
    """The node if it is a mapping, else an empty one: policies run on objects that the schema may have refused."""
    return node if isinstance(node, dict) else {}


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    """The mappings of a list; nothing where it is no list."""
    return (item for item in node if isinstance(item, dict)) if isinstance(node, list) else iter(())


def objects(documents: Iterable[Document], source: str) -> Iterator[Object]:
    """The objects of a stream, lists unfolded. What is no mapping becomes an object with the one key ""."""
    for document in documents:
        for value in _unfolded(document.value):
            yield Object(source, document.number, document.line, value)


def _unfolded(value: Any) -> Iterator[dict[str, Any]]:
    """One object, or those of a List; in a typed one such as ConfigMapList they need not say what they are."""
    if not isinstance(value, dict):
        yield {"": value}
        return
    kind, items = text(value.get("kind")), value.get("items")
    if not kind.endswith("List") or not isinstance(items, list):
        yield value
        return
    implied = {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")} if kind != "List" else {}
    for item in items:
        yield from _unfolded({**implied, **item} if isinstance(item, dict) else item)


def environment_of(found: Iterable[Object]) -> str | None:
    """The environment that a stream's objects are stamped with, if they agree on one."""
    stamps = {str(stamp) for item in found if (stamp := item.annotations.get(ENVIRONMENT))}
    return stamps.pop() if len(stamps) == 1 else None
