"""Kubernetes objects of a stream, and the parts of them that several policies look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from floe import yamlio

ENVIRONMENT = "floe-runtime.io/environment"
"""The annotation by which an overlay stamps its objects."""


@dataclass(frozen=True)
class Object:
    """One Kubernetes object and where it stands."""

    source: str
    document: int
    line: int
    value: dict[str, Any]

    @cached_property
    def kind(self) -> str:
        return text(self.value.get("kind"))

    @cached_property
    def api_version(self) -> str:
        return text(self.value.get("apiVersion"))

    @cached_property
    def metadata(self) -> dict[str, Any]:
        return mapping(self.value.get("metadata"))

    @property
    def name(self) -> str:
        return text(self.metadata.get("name"))

    @property
    def namespace(self) -> str:
        return text(self.metadata.get("namespace"))

    @property
    def label(self) -> str:
        """How a finding names it: `Deployment floe-prod/cube-api`."""
        return f"{self.kind or 'object'} {self.namespace + '/' if self.namespace else ''}{self.name or '(no name)'}"

    @cached_property
    def pod(self) -> dict[str, Any]:
        """The PodSpec of a workload; empty for every other object."""
        node: Any = self.value
        for step in _POD_PATHS.get(self.kind, ("no such key",)):
            node = mapping(node).get(step)
        return mapping(node)

    def containers(self) -> Iterator[dict[str, Any]]:
        """Containers and init containers of a workload."""
        for group in ("initContainers", "containers"):
            yield from mappings(self.pod.get(group))


_TEMPLATE = ("spec", "template", "spec")
_POD_PATHS = {
    "Pod": ("spec",),
    "Deployment": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
    "DaemonSet": _TEMPLATE,
    "ReplicaSet": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "PodTemplate": ("template", "spec"),
    "Job": _TEMPLATE,
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
}


def text(node: Any) -> str:
    """The node if it is text, else nothing: the schema says what is wrong with it."""
    return node if isinstance(node, str) else ""


def mapping(node: Any) -> dict[str, Any]:
    """The node if it is a mapping, else an empty one: policies run on objects that the schema may have refused."""
    return node if isinstance(node, dict) else {}


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    """The mappings of a list; nothing where it is no list."""
    return (item for item in node if isinstance(item, dict)) if isinstance(node, list) else iter(())


@dataclass(frozen=True)
class Stream:
    """All objects that are validated together, and what is known of their environment."""

    objects: list[Object]
    environment: str | None = None
    secrets_expected: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def names(self) -> dict[str, set[tuple[str, str]]]:
        """(namespace, name) of all objects, by kind."""
        found: dict[str, set[tuple[str, str]]] = {}
        for item in self.objects:
            found.setdefault(item.kind, set()).add((item.namespace, item.name))
        return found

    def provides(self, kind: str, namespace: str, name: str) -> bool:
        """Whether an object is in the stream, in that namespace or where one of the two says none."""
        if kind == "Secret" and name in self.secrets_expected:
            return True
        found = self.names.get(kind, set())
        if namespace:
            return (namespace, name) in found or ("", name) in found
        return any(name == other for _, other in found)


def objects(documents: Iterable[yamlio.Document], source: str) -> Iterator[Object]:
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
    stamps = {str(stamp) for item in found if (stamp := mapping(item.metadata.get("annotations")).get(ENVIRONMENT))}
    return stamps.pop() if len(stamps) == 1 else None
