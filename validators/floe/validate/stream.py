"""A stream of objects, with everything about it that several policies need, computed once."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from floe.kubernetes.labels import Pods
from floe.kubernetes.objects import Object, mapping, text
from floe.kubernetes.pods import Pod, made_by
from floe.validate import helm
from floe.validate.providers import Providers
from floe.validate.written import Written

if TYPE_CHECKING:
    from floe.repo import Checkout
    from floe_runtime.contract.platform import Platform


class LeftOut(Exception):
    """Raised by a policy that cannot run on a stream; the message is the reason."""


class Overlay(NamedTuple):
    """The overlay of a stream: the name of the environment, the checkout and the content of platform.yaml."""

    environment: str
    checkout: Checkout
    platform: Platform


@dataclass(frozen=True)
class Stream:
    """All objects that are validated together, and what is known about their environment."""

    objects: list[Object]
    environment: str | None = None
    checkout: Checkout | None = None
    """The checkout that has the environment; None if there is none."""
    platform: Platform | None = None
    """The environment's platform.yaml, if there is a checkout."""
    brought: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Names of the objects that platform.yaml declares as part of the cluster, by kind."""
    no_repository: str = (
        "the stream names no environment: set the annotation floe-runtime.io/environment on its objects, or give --env"
    )
    """Why there is no platform."""
    unsound: Sequence[tuple[Object, str]] = ()
    """(object, problem) of each invalid waiver; filled in after all other policies have run."""

    def file(self, item: Object) -> str:
        """The path of the file that an object was rendered from, relative to the repository; empty if unknown."""
        if not item.origin or self.platform is None:
            return ""
        return os.path.normpath(f"overlays/{self.environment}/{item.origin}")

    def edited(self, item: Object, value: str = "", key: str = "") -> tuple[str, int]:
        """The file that a person edits to change an object, and the line in it; empty and 0 if unknown.

        For an object of a chart this is the file with the environment's values. `value`: a text that somebody wrote, by
        which the line is found, in any file of the environment if the object's own file is not one; `key`: a pattern
        for the name of its key.
        """
        file = self.file(item)
        if self.platform is None:
            return file, 0
        chart = file.removeprefix("base/charts/") if file.startswith("base/charts/") else f"{_chart(item)}.yaml"
        values = f"overlays/{self.environment}/values/{chart}"
        if values in self.written.texts and (not file or file.startswith("base/charts/")):
            file = values
        files = (file,) if file in self.written.texts else self.written.texts
        for candidate, place in self.written.by_text.get(value, ()) if value else ():
            if candidate in files and re.search(key, place.path[-1], re.IGNORECASE):
                return candidate, place.line
        return file, 0

    @property
    def holder(self) -> Object:
        """The Namespace, which has the waivers for the whole environment; without one, the first object."""
        return next(iter(self.of("Namespace")), self.objects[0])

    def of_chart(self, name: str) -> Object:
        """The first object that a chart rendered; if there is none, the first object of the stream."""
        for item in self.objects:
            if _chart(item) == name:
                return item
        return self.objects[0]

    @cached_property
    def written(self) -> Written:
        """The files of the environment that a person edits. Raises LeftOut if it is in no checkout."""
        overlay = self.overlay()
        return Written(overlay.checkout, overlay.environment)

    @cached_property
    def by_kind(self) -> dict[str, list[Object]]:
        """The objects by their kind, in the order of the stream; API groups are not told apart."""
        by_kind: dict[str, list[Object]] = defaultdict(list)
        for item in self.objects:
            by_kind[item.kind].append(item)
        return by_kind

    def of(self, *kinds: str) -> list[Object]:
        """The objects of the given kinds, kind by kind."""
        return [item for kind in kinds if kind in self.by_kind for item in self.by_kind[kind]]

    @cached_property
    def pods(self) -> list[Pod]:
        """Every pod that the objects create, including the pods of Dagster's runs."""
        return list(made_by(self.objects))

    @cached_property
    def _index(self) -> Pods:
        return Pods(self.pods)

    def selected(self, namespace: str, selector: dict[str, Any]) -> list[Pod]:
        """The pods of a namespace that a LabelSelector matches."""
        return self._index.selected(namespace, selector)

    @cached_property
    def served(self) -> set[int]:
        """The `id()` of each object to whose pods a Service sends requests."""
        return {
            id(pod.item)
            for service in self.of("Service")
            if (labels := mapping(mapping(service.value.get("spec")).get("selector")))
            for pod in self.selected(service.namespace, {"matchLabels": labels})
        }

    @cached_property
    def scaled(self) -> dict[tuple[str, str, str], Any]:
        """The minReplicas of each workload that a HorizontalPodAutoscaler scales, by kind, namespace and name."""
        fewest = {}
        for item in self.of("HorizontalPodAutoscaler"):
            spec = mapping(item.value.get("spec"))
            target = mapping(spec.get("scaleTargetRef"))
            key = (text(target.get("kind")), item.namespace, text(target.get("name")))
            fewest[key] = spec.get("minReplicas", 1)
        return fewest

    @cached_property
    def providers(self) -> Providers:
        """The names of all objects that the objects of the stream may refer to."""
        return Providers(self.objects, self.brought)

    @cached_property
    def namespaces(self) -> set[str]:
        """The namespaces of the stream's objects; the empty one for objects that name none."""
        return {item.namespace for item in self.objects}

    @cached_property
    def config_maps(self) -> dict[tuple[str, str], set[str]]:
        """The keys of each ConfigMap, by namespace and name."""
        return {
            (item.namespace, item.name): {*mapping(item.value.get("data")), *mapping(item.value.get("binaryData"))}
            for item in self.of("ConfigMap")
        }

    @cached_property
    def unrendered(self) -> Object | None:
        """The first object that makes a controller render a chart; None if there is none.

        The objects and pods of such a chart are not in the stream.
        """
        return next((item for item in self.of(*helm.KINDS) if helm.is_chart(item)), None)

    def refuse_unrendered(self) -> None:
        """Raise LeftOut if a controller renders a chart, since a missing object may be part of that chart."""
        if self.unrendered is not None:
            raise LeftOut(f"the objects of the chart of {self.unrendered.label} are not in the stream")

    def overlay(self) -> Overlay:
        """The overlay that the objects were rendered from. Raises LeftOut if the environment is in no checkout."""
        if self.environment is None or self.checkout is None or self.platform is None:
            raise LeftOut(self.no_repository)
        return Overlay(self.environment, self.checkout, self.platform)


def _chart(item: Object) -> str:
    """The name of the chart that an object's label names; empty if it has no such label."""
    return text(mapping(item.metadata.get("labels")).get("helm.sh/chart")).rpartition("-")[0]
