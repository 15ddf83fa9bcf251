"""The objects that others may refer to, which come from the stream, from an operator or from the cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from floe.kubernetes.objects import Object, mapping, mappings, text

IN_EVERY_CLUSTER: dict[str, frozenset[str]] = {
    "ConfigMap": frozenset({"kube-root-ca.crt"}),
    "ServiceAccount": frozenset({"default"}),
    "ClusterRole": frozenset({"admin", "cluster-admin", "edit", "view"}),
    "PriorityClass": frozenset({"system-cluster-critical", "system-node-critical"}),
}
"""Names of objects that every cluster has, by kind. ClusterRoles that begin with `system:` are there as well."""

_OPERATORS: dict[str, tuple[str, tuple[str, ...]]] = {
    "SealedSecret": ("bitnami.com", ("spec", "template", "metadata", "name")),
    "ExternalSecret": ("external-secrets.io", ("spec", "target", "name")),
    "ClusterExternalSecret": ("external-secrets.io", ("spec", "externalSecretSpec", "target", "name")),
    "VaultStaticSecret": ("secrets.hashicorp.com", ("spec", "destination", "name")),
    "VaultDynamicSecret": ("secrets.hashicorp.com", ("spec", "destination", "name")),
    "Certificate": ("cert-manager.io", ("spec", "secretName")),
    "OnePasswordItem": ("onepassword.com", ()),
}
"""Kinds whose operator creates a Secret: their API group, and the path of the Secret's name.

If the object has no value at that path, the Secret has the name of the object.
"""

_ISSUED = frozenset({"cert-manager.io/issuer", "cert-manager.io/cluster-issuer"})
"""Annotations of an Ingress by which cert-manager creates the Secrets of its `tls` entries."""


class Providers:
    """The names of all objects that others may refer to, by kind.

    `brought`: names of the objects that are in the cluster although they are not in the stream, by kind.
    """

    def __init__(self, objects: Iterable[Object], brought: Mapping[str, Collection[str]]) -> None:
        self._brought = brought
        self._in_namespace: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._anywhere: dict[str, set[str]] = defaultdict(set)
        for item in objects:
            self._add(item.kind, item.namespace, item.name)
            for secret in _created_secrets(item):
                self._add("Secret", item.namespace, secret)
            for claim in _created_claims(item):
                self._add("PersistentVolumeClaim", item.namespace, claim)

    def _add(self, kind: str, namespace: str, name: str) -> None:
        self._in_namespace[kind].add((namespace, name))
        self._anywhere[kind].add(name)

    def provides(self, kind: str, namespace: str, name: str) -> bool:
        """Whether an object of that kind and name exists in the namespace.

        An object without a namespace counts for every namespace. If `namespace` is empty, any namespace will do.
        """
        if name in self._brought.get(kind, ()) or name in IN_EVERY_CLUSTER.get(kind, ()):
            return True
        if kind == "ClusterRole" and name.startswith("system:"):
            return True
        if namespace:
            names = self._in_namespace.get(kind, ())
            return (namespace, name) in names or ("", name) in names
        return name in self._anywhere.get(kind, ())

    def names(self, kind: str) -> set[str]:
        """The names of all objects of a kind, in any namespace."""
        return self._anywhere.get(kind, set()) | set(self._brought.get(kind, ()))


def _created_secrets(item: Object) -> Iterator[str]:
    """The names of the Secrets that an operator creates for an object."""
    if item.kind in _OPERATORS:
        group, path = _OPERATORS[item.kind]
        if item.api_version.startswith(f"{group}/"):
            node: Any = item.value
            for step in path:
                node = mapping(node).get(step)
            yield text(node) or item.name
    elif item.kind == "SecretProviderClass":
        for secret in mappings(mapping(item.value.get("spec")).get("secretObjects")):
            yield text(secret.get("secretName"))
    elif item.kind == "Ingress" and not _ISSUED.isdisjoint(item.annotations):
        for tls in mappings(mapping(item.value.get("spec")).get("tls")):
            yield text(tls.get("secretName"))


def _created_claims(item: Object) -> Iterator[str]:
    """The names of the PersistentVolumeClaims that a StatefulSet creates for its pods."""
    if item.kind != "StatefulSet":
        return
    spec = mapping(item.value.get("spec"))
    replicas = spec.get("replicas", 1)
    for template in mappings(spec.get("volumeClaimTemplates")):
        name = text(mapping(template.get("metadata")).get("name"))
        # The limit keeps an absurd number of replicas from filling the memory.
        for number in range(min(replicas, 100) if isinstance(replicas, int) else 1):
            yield f"{name}-{item.name}-{number}"
