"""What each container says of itself: resources, probes, mounts."""

from __future__ import annotations

from collections.abc import Iterator

from floe.kubernetes.objects import mapping, mappings, text
from floe.validate.policies.policy import Hit
from floe.validate.schema import Schemas
from floe.validate.stream import Stream


def no_resources(stream: Stream, _: Schemas) -> Iterator[Hit]:
    for pod in stream.pods:
        for container in pod.containers:
            resources = mapping(container.value.get("resources"))
            limits = {unit for unit, value in mapping(resources.get("limits")).items() if value is not None}
            # What is limited and not requested is requested in the size of the limit.
            requests = limits | {
                unit for unit, value in mapping(resources.get("requests")).items() if value is not None
            }
            missing = [f"requests.{unit}" for unit in ("cpu", "memory") if unit not in requests]
            if "memory" not in limits:
                missing.append("limits.memory")
            if missing:
                yield Hit(pod.item, f"{container.label}: no {', '.join(missing)}")


_SERVERS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


def no_probe(stream: Stream, _: Schemas) -> Iterator[Hit]:
    for pod in stream.pods:
        if pod.item.kind not in _SERVERS:
            continue
        main = [container for container in pod.containers if not container.init]
        # A container without a port beside one with a port is a helper that no request reaches.
        asked = [container for container in main if container.value.get("ports")] or main
        served = id(pod.item) in stream.served
        for container in asked:
            if served and not container.value.get("readinessProbe"):
                yield Hit(pod.item, f"{container.label}: no readinessProbe, though a Service sends requests to it")
            elif not any(container.value.get(probe) for probe in ("readinessProbe", "livenessProbe", "startupProbe")):
                yield Hit(pod.item, f"{container.label}: no probe at all")


def undeclared_volume(stream: Stream, _: Schemas) -> Iterator[Hit]:
    for pod in stream.pods:
        declared = {text(volume.get("name")) for volume in mappings(pod.spec.get("volumes"))}
        if pod.item.kind == "StatefulSet":
            templates = mappings(mapping(pod.item.value.get("spec")).get("volumeClaimTemplates"))
            declared |= {text(mapping(template.get("metadata")).get("name")) for template in templates}
        for container in pod.containers:
            for group in ("volumeMounts", "volumeDevices"):
                for mount in mappings(container.value.get(group)):
                    name = text(mount.get("name"))
                    if name and name not in declared:
                        yield Hit(pod.item, f"{container.label}: mounts the volume {name}, which the pod does not have")
