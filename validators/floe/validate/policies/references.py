"""The policy on references: each object that another one refers to must exist in the stream or in the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from floe.kubernetes.objects import Object, mapping, mappings, text
from floe.kubernetes.pods import Pod
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream

_Reference = tuple[str, str]
"""(kind, name) of an object that another object needs."""


_IN_CHARTS = frozenset({"ConfigMap", "Service", "ServiceAccount", "PersistentVolumeClaim", "Role"})
"""Kinds that charts usually contain, so that one of them may come from a chart that a controller renders."""


@Policy(
    code="FLOE013",
    stage=Stage.STREAM,
    severity="error",
    title="An object refers to something that does not exist",
    why="A pod with such a reference is not created, or it waits in CreateContainerConfigError. A request to a Service "
    "that does not exist ends at an error page.",
    remedy="Add the missing object or correct its name. If it is already in the cluster, declare it in "
    "`overlays/<env>/platform.yaml`: a Secret under `secrets`, everything else under `cluster`.",
    fails="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: shop}
        spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
    """,
    passes="""
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata: {name: shop}
        spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec: {type: ExternalName, externalName: web.example.com}
    """,
)
def dangling(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Check the references of pods and of the kinds in _OF_KIND, of role bindings, and the keys of ConfigMaps.

    Optional references are skipped. Raises LeftOut if an object that is missing may be in a chart that a controller
    renders.
    """
    untold = False
    for item, references in _references(stream):
        for kind, name in dict.fromkeys(references):
            if not name or stream.providers.provides(kind, item.namespace, name):
                continue
            if stream.unrendered and kind in _IN_CHARTS:
                untold = True
            else:
                words = f"refers to the {kind} {name}, which does not exist"
                file, line = _declared_in(stream, kind, name)
                cause = f"{kind} {item.namespace}/{name}"
                yield Hit(item, words, file=file, file_line=line, cause=cause, value=name)
    yield from _missing_subjects(stream)
    for pod in stream.pods:
        yield from _missing_keys(stream, pod)
    if untold:
        stream.refuse_unrendered()


def _declared_in(stream: Stream, kind: str, name: str) -> tuple[str, int]:
    """The list of Secrets in platform.yaml, if the Secret is named by no file of the environment; else nothing."""
    if kind != "Secret" or stream.platform is None or any(name in text for text in stream.written.texts.values()):
        return "", 0
    file = f"overlays/{stream.environment}/platform.yaml"
    return file, next((one.line for one in stream.written.places(file) if one.path == ("secrets",)), 0)


def _missing_subjects(stream: Stream) -> Iterator[Hit]:
    for item in stream.of("RoleBinding", "ClusterRoleBinding"):
        for subject in mappings(item.value.get("subjects")):
            name, namespace = text(subject.get("name")), text(subject.get("namespace")) or item.namespace
            # If the stream has no objects in that namespace, its ServiceAccounts come from somewhere else.
            if (
                subject.get("kind") == "ServiceAccount"
                and (namespace == item.namespace or namespace in stream.namespaces)
                and not stream.unrendered
                and not stream.providers.provides("ServiceAccount", namespace, name)
            ):
                yield Hit(item, f"refers to the ServiceAccount {name}, which does not exist")


def _references(stream: Stream) -> Iterator[tuple[Object, Iterator[_Reference]]]:
    for pod in stream.pods:
        yield pod.item, _pod_references(pod)
    for kind, references in _OF_KIND.items():
        for item in stream.of(kind):
            yield item, references(mapping(item.value.get("spec")))
    for item in stream.of("RoleBinding", "ClusterRoleBinding"):
        role = mapping(item.value.get("roleRef"))
        yield item, iter([(text(role.get("kind")), text(role.get("name")))])


def _pod_references(pod: Pod) -> Iterator[_Reference]:
    """Yield the objects without which the pod cannot start."""
    spec = pod.spec
    for field, kind in (
        ("serviceAccountName", "ServiceAccount"),
        ("serviceAccount", "ServiceAccount"),
        ("priorityClassName", "PriorityClass"),
    ):
        if isinstance(spec.get(field), str):
            yield kind, spec[field]
    for pull in mappings(spec.get("imagePullSecrets")):
        yield "Secret", text(pull.get("name"))
    for container in pod.containers:
        for group in ("env", "envFrom"):
            yield from _named_in(container.value.get(group))
    yield from _named_in(spec.get("volumes"))


_REFERENCE_KEYS = {
    "secretKeyRef": ("Secret", "name"),
    "secretRef": ("Secret", "name"),
    "configMapKeyRef": ("ConfigMap", "name"),
    "configMapRef": ("ConfigMap", "name"),
    "configMap": ("ConfigMap", "name"),
    "nodePublishSecretRef": ("Secret", "name"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
    "volumeClaimTemplate": ("", ""),
}


def _named_in(node: Any, key: str = "") -> Iterator[_Reference]:
    if isinstance(node, list):
        for value in node:
            yield from _named_in(value, key)
    if not isinstance(node, dict) or node.get("optional") is True:
        return
    kind, field = _REFERENCE_KEYS.get(key, ("", ""))
    if key == "secret":  # the field is secretName in a volume, and name in a source of a projected volume
        kind, field = "Secret", "secretName" if "secretName" in node else "name"
    if kind and isinstance(node.get(field), str):
        yield kind, node[field]
    if key == "volumeClaimTemplate":
        yield from _claim_references(mapping(node.get("spec")))
        return
    for name, value in node.items():
        if value.__class__ is not str:
            yield from _named_in(value, name)


def _claim_references(spec: dict[str, Any]) -> Iterator[_Reference]:
    yield "StorageClass", text(spec.get("storageClassName"))


def _stateful_set_references(spec: dict[str, Any]) -> Iterator[_Reference]:
    yield "Service", text(spec.get("serviceName"))
    for template in mappings(spec.get("volumeClaimTemplates")):
        yield from _claim_references(mapping(template.get("spec")))


def _ingress_references(spec: dict[str, Any]) -> Iterator[_Reference]:
    yield "IngressClass", text(spec.get("ingressClassName"))
    backends = [spec.get("defaultBackend")]
    for rule in mappings(spec.get("rules")):
        backends += [path.get("backend") for path in mappings(mapping(rule.get("http")).get("paths"))]
    for backend in map(mapping, backends):
        yield "Service", text(mapping(backend.get("service")).get("name"))
    for tls in mappings(spec.get("tls")):
        yield "Secret", text(tls.get("secretName"))


def _route_references(spec: dict[str, Any]) -> Iterator[_Reference]:
    for rule in mappings(spec.get("rules")):
        for backend in mappings(rule.get("backendRefs")):
            if backend.get("kind", "Service") == "Service" and not backend.get("namespace"):
                yield "Service", text(backend.get("name"))


def _release_references(spec: dict[str, Any]) -> Iterator[_Reference]:
    for source in mappings(spec.get("valuesFrom")):
        if source.get("optional") is not True:
            yield text(source.get("kind")), text(source.get("name"))


_OF_KIND = {
    "StatefulSet": _stateful_set_references,
    "PersistentVolumeClaim": _claim_references,
    "Ingress": _ingress_references,
    "HTTPRoute": _route_references,
    "HelmRelease": _release_references,
}


def _missing_keys(stream: Stream, pod: Pod) -> Iterator[Hit]:
    """Report environment variables that refer to a key which a ConfigMap of the stream does not have."""
    for container in pod.containers:
        for variable in mappings(container.value.get("env")):
            reference = mapping(mapping(variable.get("valueFrom")).get("configMapKeyRef"))
            name, key = text(reference.get("name")), text(reference.get("key"))
            if not name or reference.get("optional") is True:
                continue
            keys = stream.config_maps.get((pod.item.namespace, name))
            if keys is not None and key not in keys:
                words = f"{container.label}: the ConfigMap {name} has no key {key}"
                yield Hit(pod.item, words, cause=f"{pod.item.namespace}/{name} {key}")
