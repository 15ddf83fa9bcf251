"""A stream of objects with what several policies want to know of it, each worked out once."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from floe.kubernetes.labels import Pods
from floe.kubernetes.objects import Object, mapping, text
from floe.kubernetes.pods import Pod, made_by
from floe.validate import helm
from floe.validate.providers import Providers

if TYPE_CHECKING:
    from floe_runtime.contract.platform import Platform


class LeftOut(Exception):
    """A policy that cannot run on a stream, and why."""


@dataclass(frozen=True)
class Stream:
    """All objects that are validated together, and what is known of their environment."""

    objects: list[Object]
    environment: str | None = None
    platform: Platform | None = None
    """The environment's platform.yaml, where the repository is at hand."""
    brought: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Names of what the cluster brings, by kind."""
    no_repository: str = "the stream names no environment: annotate it floe-runtime.io/environment, or give --env"
    """Why there is no platform."""
    unsound: Sequence[tuple[Object, str]] = ()
    """What is wrong with waivers, each with its object; not known before all other policies have run."""

    def file(self, item: Object) -> str:
        """What an object was made from, relative to the repository, where that is known; else nothing."""
        if not item.origin or self.platform is None:
            return ""
        return os.path.normpath(f"overlays/{self.environment}/{item.origin}")

    @cached_property
    def by_kind(self) -> dict[str, list[Object]]:
        found: dict[str, list[Object]] = defaultdict(list)
        for item in self.objects:
            found[item.kind].append(item)
        return found

    def of(self, *kinds: str) -> list[Object]:
        """The objects of some kinds."""
        return [item for kind in kinds if kind in self.by_kind for item in self.by_kind[kind]]

    @cached_property
    def pods(self) -> list[Pod]:
        return list(made_by(self.objects))

    @cached_property
    def _labelled(self) -> Pods:
        return Pods(self.pods)

    def selected(self, namespace: str, selector: dict[str, Any]) -> list[Pod]:
        """The pods of a namespace that a LabelSelector matches."""
        return self._labelled.selected(namespace, selector)

    @cached_property
    def served(self) -> set[int]:
        """`id` of each object to whose pods a Service sends requests."""
        return {
            id(pod.item)
            for service in self.of("Service")
            if (labels := mapping(mapping(service.value.get("spec")).get("selector")))
            for pod in self.selected(service.namespace, {"matchLabels": labels})
        }

    @cached_property
    def scaled(self) -> dict[tuple[str, str, str], Any]:
        """The minReplicas of what a HorizontalPodAutoscaler scales, by kind, namespace and name."""
        found = {}
        for item in self.of("HorizontalPodAutoscaler"):
            spec = mapping(item.value.get("spec"))
            target = mapping(spec.get("scaleTargetRef"))
            key = (text(target.get("kind")), item.namespace, text(target.get("name")))
            found[key] = spec.get("minReplicas", 1)
        return found

    @cached_property
    def providers(self) -> Providers:
        return Providers(self.objects, self.brought)

    @cached_property
    def namespaces(self) -> set[str]:
        """Those that the stream's objects are in."""
        return {item.namespace for item in self.objects}

    @cached_property
    def config_maps(self) -> dict[tuple[str, str], set[str]]:
        """Keys of each ConfigMap, by namespace and name."""
        return {
            (item.namespace, item.name): {*mapping(item.value.get("data")), *mapping(item.value.get("binaryData"))}
            for item in self.of("ConfigMap")
        }

    @cached_property
    def unrendered(self) -> Object | None:
        """What a controller will render with Helm, so that some objects and pods are not in the stream."""
        return next((item for item in self.of(*helm.KINDS) if helm.is_chart(item)), None)

    def refuse_unrendered(self) -> None:
        """Raise LeftOut where what is missing may be in a chart that a controller renders."""
        if self.unrendered is not None:
            raise LeftOut(f"what the chart of {self.unrendered.label} makes is not in the stream")

    def overlay(self) -> tuple[str, Platform]:
        """Name and platform.yaml of the environment. Raises LeftOut where the repository is not at hand."""
        if self.environment is None or self.platform is None:
            raise LeftOut(self.no_repository)
        return self.environment, self.platform
