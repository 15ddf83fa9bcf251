"""Finds values of pods that the API server refuses although the schema allows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from floe.kubernetes.names import is_label, key_problem, label_problems
from floe.kubernetes.objects import mapping, mappings, text
from floe.validate.field_checks import (
    Problems,
    distinct,
    in_range,
    is_port_name,
    not_negative,
    quantity,
    required,
    set_fields,
    texts,
)

_STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage", "storage")


def pod(spec: dict[str, Any], where: str, restart: tuple[str, ...] = (), claims: Iterable[str] = ()) -> Problems:
    """Yield a message for each invalid value of a PodSpec; `where` is the path of the PodSpec in its object.

    `restart`: the restart policies that the owner of the pod allows. `claims`: names of the volumes that the owner adds
    to the pod.
    """
    yield from required(spec, where, "containers")
    policy = spec.get("restartPolicy") or "Always"
    if restart and policy.__class__ is str and policy not in restart:
        yield f"{where}.restartPolicy must be {' or '.join(restart)}"
    volumes = set()
    for number, volume in enumerate(spec["volumes"] if isinstance(spec.get("volumes"), list) else ()):
        name = text(mapping(volume).get("name"))
        if not is_label(name):
            yield f"{where}.volumes[{number}].name must be a DNS label: a-z, 0-9 and -, at most 63 characters"
        if name in volumes:
            yield f"{where}.volumes: two volumes have the name {name}"
        volumes.add(name)
        sources = [key for key in set_fields(mapping(volume)) if key != "name"]
        if len(sources) > 1:
            yield f"{where}.volumes[{number}] must have exactly one source, but it has {', '.join(sources)}"
    volumes.update(claims)
    names: set[str] = set()
    for group in ("initContainers", "containers"):
        for number, container in enumerate(spec[group] if isinstance(spec.get(group), list) else ()):
            yield from _container(mapping(container), f"{where}.{group}[{number}]", volumes, names)
    yield from label_problems(spec.get("nodeSelector"), f"{where}.nodeSelector")
    yield from not_negative(spec, where, "terminationGracePeriodSeconds")


def _container(container: dict[str, Any], where: str, volumes: set[str], names: set[str]) -> Problems:
    name = text(container.get("name"))
    if not is_label(name):
        yield f"{where}.name must be a DNS label: a-z, 0-9 and -, at most 63 characters"
    if name in names:
        yield f"{where}: another container has the name {name}"
    names.add(name)
    yield from required(container, where, "image")
    if isinstance(container.get("ports"), list):
        for number, port in enumerate(map(mapping, container["ports"])):
            at = f"{where}.ports[{number}]"
            yield from in_range(port, "containerPort", at, 1)
            yield from in_range(port, "hostPort", at, 0)
            if not is_port_name(port.get("name")):
                yield f"{at}.name must consist of a-z, 0-9 and -, with at most 15 characters and at least one letter"
        yield from distinct(texts(container["ports"], "name"), f"{where}.ports", "names")
    for number, variable in enumerate(mappings(container.get("env"))):
        if variable.get("value") and variable.get("valueFrom"):
            yield f"{where}.env[{number}] must not have both value and valueFrom"
        if "=" in text(variable.get("name")) or not variable.get("name"):
            yield f"{where}.env[{number}].name must be set and must not contain ="
        source = variable.get("valueFrom")
        if source is not None and len(set_fields(source)) != 1:
            yield f"{where}.env[{number}].valueFrom must have exactly one source"
    for number, source in enumerate(mappings(container.get("envFrom"))):
        if bool(source.get("configMapRef")) == bool(source.get("secretRef")):
            yield f"{where}.envFrom[{number}] must have either configMapRef or secretRef"
    for moment, handler in mapping(container.get("lifecycle")).items():
        if moment != "stopSignal" and handler is not None and len(set_fields(handler)) != 1:
            yield f"{where}.lifecycle.{moment} must have exactly one of exec, httpGet, sleep, tcpSocket"
    if isinstance(container.get("volumeMounts"), list):
        for number, mount in enumerate(map(mapping, container["volumeMounts"])):
            if text(mount.get("name")) not in volumes:
                yield f"{where}.volumeMounts[{number}].name must be the name of a volume of the pod"
            yield from required(mount, f"{where}.volumeMounts[{number}]", "mountPath")
        yield from distinct(texts(container["volumeMounts"], "mountPath"), f"{where}.volumeMounts", "mountPaths")
    if resources := container.get("resources"):
        yield from _resources(mapping(resources), f"{where}.resources")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if node := container.get(probe):
            yield from _probe(mapping(node), f"{where}.{probe}", single=probe != "readinessProbe")


def _probe(probe: dict[str, Any], where: str, *, single: bool) -> Problems:
    handlers = [key for key in ("exec", "grpc", "httpGet", "tcpSocket") if probe.get(key) is not None]
    if len(handlers) != 1:
        yield f"{where} must have exactly one of exec, grpc, httpGet, tcpSocket"
    for handler in ("httpGet", "tcpSocket"):
        yield from in_range(mapping(probe.get(handler)), "port", f"{where}.{handler}", 1)
        if not is_port_name(mapping(probe.get(handler)).get("port")):
            yield f"{where}.{handler}.port must be a number or the name of a port"
    yield from not_negative(
        probe, where, "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold", "successThreshold"
    )
    if single and probe.get("successThreshold") not in (None, 0, 1):
        yield f"{where}.successThreshold must be 1"


def _resources(resources: dict[str, Any], where: str) -> Problems:
    limits, requests = mapping(resources.get("limits")), mapping(resources.get("requests"))
    for group, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if (
                name not in _STANDARD_RESOURCES
                and not name.startswith("hugepages-")
                and ("/" not in name or key_problem(name))
            ):
                yield f"{where}.{group}: {name!r} must be cpu, memory, ephemeral-storage or a name such as domain/name"
            if str(amount).startswith("-"):
                yield f"{where}.{group}.{name} must not be negative"
    for name, amount in requests.items():
        least, most = quantity(amount), quantity(limits.get(name))
        if least is not None and most is not None and least > most:
            yield f"{where}.requests.{name} must not be greater than limits.{name}"
