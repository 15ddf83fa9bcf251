"""The Kubernetes objects of a stream, with the parts of them that several policies need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from floe.yaml import Document

ENVIRONMENT = "floe-runtime.io/environment"
"""The annotation with the name of the environment, which an overlay sets on all of its objects."""
SOPS = "ENC[AES256_GCM,"
"""The beginning of a value that SOPS encrypted."""


class Object:
    """One Kubernetes object and its place in a stream.

    `source`: the name of the stream. `document` and `line`: the number of its document and the line of that document's
    first key; both count from 1. The other attributes are read from `value` once, because every policy needs them.
    """

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
        """The name of the object in findings, such as `Deployment floe-prod/cube-api`."""
        return f"{self.kind or 'object'} {self.namespace + '/' if self.namespace else ''}{self.name or '(no name)'}"

    @property
    def origin(self) -> str:
        """The file that the object was rendered from, relative to the overlay; empty if unknown.

        It comes from the annotation that kustomize writes with `buildMetadata: [originAnnotations]`.
        """
        origin = text(self.annotations.get("config.kubernetes.io/origin"))
        match = _ORIGIN.search(origin)
        return "" if match is None or "repo:" in origin else match[1]


_ORIGIN = re.compile(r"^(?:path|configuredIn): *(\S+)$", re.MULTILINE)


def text(node: Any) -> str:
    """The node if it is text, else an empty text. The schema reports a node of the wrong type."""
    return node if isinstance(node, str) else ""


def mapping(node: Any) -> dict[str, Any]:
    """The node if it is a mapping, else an empty one, because policies also run on objects that have schema errors."""
    return node if isinstance(node, dict) else {}


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the items of a list that are mappings; nothing if the node is not a list."""
    return (item for item in node if isinstance(item, dict)) if isinstance(node, list) else iter(())


def texts(node: Any) -> Iterator[str]:
    """Yield every text in a value, at any depth, without keys."""
    if isinstance(node, str):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from texts(part)


def objects(documents: Iterable[Document], source: str) -> Iterator[Object]:
    """Yield the objects of a stream, including the items of each List.

    `source` is the name of the stream. A document that is not a mapping becomes an object whose only key is empty.
    """
    for document in documents:
        for value in _unfolded(document.value):
            yield Object(source, document.number, document.line, value)


def _unfolded(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the object, or the items of a List.

    The items of a typed list, such as ConfigMapList, may leave out apiVersion and kind.
    """
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


def environment_of(items: Iterable[Object]) -> str | None:
    """The environment that the annotations of the objects name; None if they name none or several."""
    stamps = {str(stamp) for item in items if (stamp := item.annotations.get(ENVIRONMENT))}
    return stamps.pop() if len(stamps) == 1 else None
