"""Finds values that the API server refuses although the schema allows them, by looking at one object at a time.

The server validates such values in code and not by a schema. This module repeats the part of that code which finds
common mistakes. The table _KINDS at its end names the function that checks each kind; pod_checks.py has those of pods.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from floe.kubernetes.names import is_label, is_subdomain, label_problems
from floe.kubernetes.objects import Object, mapping, mappings, text
from floe.validate.field_checks import (
    Problems,
    distinct,
    in_range,
    is_cron,
    is_port_name,
    not_negative,
    required,
    set_fields,
    texts,
)
from floe.validate.pod_checks import pod

_TEMPLATE = "spec.template"
_PERCENT = re.compile("[0-9]+%")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_MAX_CONFIG = 1 << 20


def problems(item: Object) -> Problems:
    """Yield a message for each value for which the API server would refuse the object."""
    if check := _KINDS.get((item.api_version, item.kind)):
        yield from check(mapping(item.value.get("spec")) if check not in _WHOLE else item.value)


def _workload(spec: dict[str, Any]) -> Problems:
    """Checks the spec of a workload that keeps pods of one template running."""
    claims = texts([mapping(claim.get("metadata")) for claim in mappings(spec.get("volumeClaimTemplates"))], "name")
    yield from _template(spec, ("Always",), claims=claims)
    for number, claim in enumerate(mappings(spec.get("volumeClaimTemplates"))):
        yield from _claim(mapping(claim.get("spec")), f"spec.volumeClaimTemplates[{number}].spec")
    yield from not_negative(spec, "spec", "replicas", "minReadySeconds", "revisionHistoryLimit")
    selector = mapping(spec.get("selector"))
    wanted = mapping(selector.get("matchLabels"))
    if not wanted and not selector.get("matchExpressions"):
        yield "spec.selector must have matchLabels or matchExpressions"
    yield from label_problems(wanted, "spec.selector.matchLabels")
    labels = mapping(mapping(mapping(spec.get("template")).get("metadata")).get("labels"))
    if any(labels.get(key) != value for key, value in wanted.items()):
        yield "spec.selector must match the labels of spec.template"


def _template(
    spec: dict[str, Any], restart: tuple[str, ...], where: str = _TEMPLATE, claims: Iterable[str] = ()
) -> Problems:
    template = mapping(spec.get("template"))
    yield from pod(mapping(template.get("spec")), f"{where}.spec", restart, claims)
    yield from label_problems(mapping(template.get("metadata")).get("labels"), f"{where}.metadata.labels")


def _job(spec: dict[str, Any], where: str = "spec") -> Problems:
    yield from _template(spec, ("Never", "OnFailure"), f"{where}.template")
    yield from not_negative(
        spec, where, "backoffLimit", "completions", "parallelism", "activeDeadlineSeconds", "ttlSecondsAfterFinished"
    )
    if spec.get("completionMode") == "Indexed":
        yield from required(spec, where, "completions")


def _cron_job(spec: dict[str, Any]) -> Problems:
    schedule = spec.get("schedule")
    if schedule in (None, "") or (schedule.__class__ is str and not is_cron(text(schedule))):
        yield "spec.schedule must be a cron expression of five fields, or a word such as @daily"
    yield from not_negative(
        spec, "spec", "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"
    )
    yield from _job(mapping(mapping(spec.get("jobTemplate")).get("spec")), "spec.jobTemplate.spec")


def _service(spec: dict[str, Any]) -> Problems:
    ports = list(mappings(spec.get("ports")))
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield "spec.ports must be set"
    for number, port in enumerate(ports):
        where = f"spec.ports[{number}]"
        yield from in_range(port, "port", where, 1)
        yield from in_range(port, "targetPort", where, 1)
        yield from in_range(port, "nodePort", where, 0)
        if not is_port_name(port.get("targetPort")):
            yield (
                f"{where}.targetPort must consist of a-z, 0-9 and -, with at most 15 characters and at least one letter"
            )
        if len(ports) > 1 and not port.get("name"):
            yield f"{where}.name must be set, because the Service has several ports"
        elif (name := text(port.get("name"))) and not is_label(name):
            yield f"{where}.name must be a DNS label: a-z, 0-9 and -, at most 63 characters"
    if len(ports) > 1:
        yield from distinct(texts(ports, "name"), "spec.ports", "names")
        pairs = ((str(port.get("port")), str(port.get("protocol") or "TCP")) for port in ports)
        yield from distinct(pairs, "spec.ports", "port numbers of one protocol")
    yield from label_problems(spec.get("selector"), "spec.selector")
    if spec.get("type") == "ExternalName":
        yield from required(spec, "spec", "externalName")


def _config(value: dict[str, Any]) -> Problems:
    size, keys = 0, []
    for group in ("data", "binaryData", "stringData"):
        for key, content in mapping(value.get(group)).items():
            if not _is_config_key(key):
                yield f"{group}: the key {key!r} must consist of letters, digits, -, _ and ., at most 253 characters"
            size += len(content) if content.__class__ is str else 0
            keys.append(key if group != "stringData" else "")
    if value.get("kind") == "ConfigMap":
        yield from distinct(iter(keys), "data and binaryData", "keys")
    if size > _MAX_CONFIG * (4 / 3 if value.get("kind") == "Secret" else 1):
        yield f"the data has {size} bytes, more than the {_MAX_CONFIG} bytes that one object may hold"
    for key in _SECRET_KEYS.get(text(value.get("type")), ()):
        if not any(key in mapping(value.get(group)) for group in ("data", "stringData")):
            yield f"data.{key} must be set in a Secret of type {value['type']}"


@lru_cache(maxsize=1 << 12)
def _is_config_key(key: str) -> bool:
    return bool(_CONFIG_KEY.fullmatch(key)) and key not in (".", "..") and not key.startswith("..")


_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def _rules(value: dict[str, Any]) -> Problems:
    for number, rule in enumerate(mappings(value.get("rules"))):
        where = f"rules[{number}]"
        yield from required(rule, where, "verbs")
        if rule.get("nonResourceURLs"):
            if value.get("kind") == "Role":
                yield f"{where}.nonResourceURLs must not be set in a Role, only in a ClusterRole"
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                yield f"{where} must not have both resources and nonResourceURLs"
        else:
            yield from required(rule, where, "apiGroups", "resources")


def _binding(value: dict[str, Any]) -> Problems:
    role = mapping(value.get("roleRef"))
    yield from required(role, "roleRef", "kind", "name")
    kinds = ("ClusterRole",) if value.get("kind") == "ClusterRoleBinding" else ("Role", "ClusterRole")
    if text(role.get("kind")) and role["kind"] not in kinds:
        yield f"roleRef.kind must be {' or '.join(kinds)}"
    if text(role.get("apiGroup")) not in ("", "rbac.authorization.k8s.io"):
        yield "roleRef.apiGroup must be rbac.authorization.k8s.io"
    for number, subject in enumerate(mappings(value.get("subjects"))):
        where = f"subjects[{number}]"
        yield from required(subject, where, "name")
        kind, group = text(subject.get("kind")), text(subject.get("apiGroup"))
        if kind not in ("ServiceAccount", "User", "Group"):
            yield f"{where}.kind must be ServiceAccount, User or Group"
        elif kind == "ServiceAccount" and group:
            yield f"{where}.apiGroup must not be set for a ServiceAccount"
        elif kind != "ServiceAccount" and group not in ("", "rbac.authorization.k8s.io"):
            yield f"{where}.apiGroup must be rbac.authorization.k8s.io"


def _claim(spec: dict[str, Any], where: str = "spec") -> Problems:
    yield from required(spec, where, "accessModes")
    if mapping(mapping(spec.get("resources")).get("requests")).get("storage") is None:
        yield f"{where}.resources.requests.storage must be set"


def _budget(spec: dict[str, Any]) -> Problems:
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield "spec must not have both minAvailable and maxUnavailable"
    for field in ("minAvailable", "maxUnavailable"):
        if spec.get(field).__class__ is str and not _PERCENT.fullmatch(text(spec[field])):
            yield f"spec.{field} must be a number or a percentage such as 50%"
    yield from label_problems(mapping(spec.get("selector")).get("matchLabels"), "spec.selector.matchLabels")


def _network_policy(spec: dict[str, Any]) -> Problems:
    yield from label_problems(mapping(spec.get("podSelector")).get("matchLabels"), "spec.podSelector.matchLabels")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(mappings(spec.get(direction))):
            for count, peer in enumerate(mappings(rule.get(peers))):
                where = f"spec.{direction}[{number}].{peers}[{count}]"
                if not set_fields(peer):
                    yield f"{where} must have podSelector, namespaceSelector or ipBlock"
                for selector in ("podSelector", "namespaceSelector"):
                    labels = mapping(peer.get(selector)).get("matchLabels")
                    yield from label_problems(labels, f"{where}.{selector}.matchLabels")
            for count, port in enumerate(mappings(rule.get("ports"))):
                if not is_port_name(port.get("port")):
                    yield f"spec.{direction}[{number}].ports[{count}].port must be a number or the name of a port"
    if len(spec.get("policyTypes") or ()) > len(("Ingress", "Egress")):
        yield "spec.policyTypes must contain Ingress, Egress or both, each once"


def _scaler(spec: dict[str, Any]) -> Problems:
    yield from required(spec, "spec", "maxReplicas")
    least: Any = spec.get("minReplicas")
    most: Any = spec.get("maxReplicas")
    if most.__class__ is int and (most < 1 or (least.__class__ is int and least > most)):
        yield "spec.maxReplicas must be at least 1 and at least minReplicas"
    yield from required(mapping(spec.get("scaleTargetRef")), "spec.scaleTargetRef", "kind", "name")


def _ingress(spec: dict[str, Any]) -> Problems:
    if not spec.get("defaultBackend") and not spec.get("rules"):
        yield "spec must have defaultBackend or rules"
    for number, rule in enumerate(mappings(spec.get("rules"))):
        if (host := text(rule.get("host"))) and not is_subdomain(host.removeprefix("*.")):
            yield f"spec.rules[{number}].host must be a DNS name, which consists of a-z, 0-9, - and ."
        if rule.get("http") is not None:
            yield from required(rule["http"], f"spec.rules[{number}].http", "paths")
        for count, path in enumerate(mappings(mapping(rule.get("http")).get("paths"))):
            where = f"spec.rules[{number}].http.paths[{count}]"
            backend = mapping(path.get("backend"))
            if bool(backend.get("service")) == bool(backend.get("resource")):
                yield f"{where}.backend must have either a service or a resource"
            service = mapping(backend.get("service"))
            port = mapping(service.get("port"))
            if service and bool(port.get("name")) == bool(port.get("number")):
                yield f"{where}.backend.service.port must have either a name or a number"
            if path.get("pathType") != "ImplementationSpecific" and text(path.get("path"))[:1] != "/":
                yield f"{where}.path must begin with /"


_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
_KINDS: dict[tuple[str, str], Callable[[dict[str, Any]], Problems]] = {
    **{("apps/v1", kind): _workload for kind in _WORKLOADS},
    ("v1", "Pod"): lambda spec: pod(spec, "spec"),
    ("v1", "Service"): _service,
    ("v1", "ConfigMap"): _config,
    ("v1", "Secret"): _config,
    ("v1", "PersistentVolumeClaim"): _claim,
    ("batch/v1", "Job"): _job,
    ("batch/v1", "CronJob"): _cron_job,
    ("policy/v1", "PodDisruptionBudget"): _budget,
    ("networking.k8s.io/v1", "NetworkPolicy"): _network_policy,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): _scaler,
    ("networking.k8s.io/v1", "Ingress"): _ingress,
    **{("rbac.authorization.k8s.io/v1", kind): _rules for kind in ("Role", "ClusterRole")},
    **{("rbac.authorization.k8s.io/v1", kind): _binding for kind in ("RoleBinding", "ClusterRoleBinding")},
}
_WHOLE = (_config, _rules, _binding)
"""Functions that get the whole object and not only its spec."""
