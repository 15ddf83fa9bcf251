"""Finds values that the API server refuses although the schema allows them, by looking at one object at a time.

The server validates such values in code and not by a schema. This module repeats the part of that code which finds
common mistakes. The table _KINDS at its end names the function that checks each kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from floe.kubernetes.names import is_label, is_subdomain, key_problem, label_problems
from floe.kubernetes.objects import Object, mapping, mappings, text

_TEMPLATE = "spec.template"
_PORT_NAME = re.compile(r"(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*")
_PERCENT = re.compile("[0-9]+%")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage", "storage")
_MAX_CONFIG = 1 << 20

Problems = Iterator[str]


def problems(item: Object) -> Problems:
    """Yield a message for each value for which the API server would refuse the object."""
    if look := _KINDS.get((item.api_version, item.kind)):
        yield from look(mapping(item.value.get("spec")) if look not in _WHOLE else item.value)


def _range(node: dict[str, Any], field: str, where: str, low: int, high: int = 65535) -> Problems:
    value: Any = node.get(field)
    if value.__class__ is int and not low <= value <= high:
        yield f"{where}.{field} must be between {low} and {high}"


def _not_negative(node: dict[str, Any], where: str, *fields: str) -> Problems:
    for field in fields:
        if node.get(field).__class__ is int and node[field] < 0:
            yield f"{where}.{field} must not be negative"


def _required(node: dict[str, Any], where: str, *fields: str) -> Problems:
    for field in fields:
        if node.get(field) in (None, "", [], {}):
            yield f"{where}.{field} must be set"


def _twice(values: Iterator[Any], where: str, what: str) -> Problems:
    seen = set()
    for value in values:
        if value in seen:
            yield f"{where}: {what} must differ, but two are the same"
        seen.add(value)


def _set(node: dict[str, Any]) -> list[str]:
    """The names of the fields that are set; the server takes a field that is null as not set."""
    return [key for key, value in node.items() if value is not None]


def _texts(nodes: Any, field: str) -> Iterator[str]:
    return (node[field] for node in mappings(nodes) if node.get(field).__class__ is str and node[field])


def pod(spec: dict[str, Any], where: str, restart: tuple[str, ...] = (), claims: Iterable[str] = ()) -> Problems:
    """Yield a message for each invalid value of a PodSpec; `where` is the path of the PodSpec in its object.

    `restart`: the restart policies that the owner of the pod allows. `claims`: names of the volumes that the owner adds
    to the pod.
    """
    yield from _required(spec, where, "containers")
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
        sources = [key for key in _set(mapping(volume)) if key != "name"]
        if len(sources) > 1:
            yield f"{where}.volumes[{number}] must have exactly one source, but it has {', '.join(sources)}"
    volumes.update(claims)
    names: set[str] = set()
    for group in ("initContainers", "containers"):
        for number, container in enumerate(spec[group] if isinstance(spec.get(group), list) else ()):
            yield from _container(mapping(container), f"{where}.{group}[{number}]", volumes, names)
    yield from label_problems(spec.get("nodeSelector"), f"{where}.nodeSelector")
    yield from _not_negative(spec, where, "terminationGracePeriodSeconds")


def _container(container: dict[str, Any], where: str, volumes: set[str], names: set[str]) -> Problems:
    name = text(container.get("name"))
    if not is_label(name):
        yield f"{where}.name must be a DNS label: a-z, 0-9 and -, at most 63 characters"
    if name in names:
        yield f"{where}: another container has the name {name}"
    names.add(name)
    yield from _required(container, where, "image")
    if isinstance(container.get("ports"), list):
        for number, port in enumerate(map(mapping, container["ports"])):
            at = f"{where}.ports[{number}]"
            yield from _range(port, "containerPort", at, 1)
            yield from _range(port, "hostPort", at, 0)
            if not _is_port_name(port.get("name")):
                yield f"{at}.name must consist of a-z, 0-9 and -, with at most 15 characters and at least one letter"
        yield from _twice(_texts(container["ports"], "name"), f"{where}.ports", "names")
    for number, variable in enumerate(mappings(container.get("env"))):
        if variable.get("value") and variable.get("valueFrom"):
            yield f"{where}.env[{number}] must not have both value and valueFrom"
        if "=" in text(variable.get("name")) or not variable.get("name"):
            yield f"{where}.env[{number}].name must be set and must not contain ="
        source = variable.get("valueFrom")
        if source is not None and len(_set(source)) != 1:
            yield f"{where}.env[{number}].valueFrom must have exactly one source"
    for number, source in enumerate(mappings(container.get("envFrom"))):
        if bool(source.get("configMapRef")) == bool(source.get("secretRef")):
            yield f"{where}.envFrom[{number}] must have either configMapRef or secretRef"
    for moment, handler in mapping(container.get("lifecycle")).items():
        if moment != "stopSignal" and handler is not None and len(_set(handler)) != 1:
            yield f"{where}.lifecycle.{moment} must have exactly one of exec, httpGet, sleep, tcpSocket"
    if isinstance(container.get("volumeMounts"), list):
        for number, mount in enumerate(map(mapping, container["volumeMounts"])):
            if text(mount.get("name")) not in volumes:
                yield f"{where}.volumeMounts[{number}].name must be the name of a volume of the pod"
            yield from _required(mount, f"{where}.volumeMounts[{number}]", "mountPath")
        yield from _twice(_texts(container["volumeMounts"], "mountPath"), f"{where}.volumeMounts", "mountPaths")
    if resources := container.get("resources"):
        yield from _resources(mapping(resources), f"{where}.resources")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if node := container.get(probe):
            yield from _probe(mapping(node), f"{where}.{probe}", single=probe != "readinessProbe")


@lru_cache(maxsize=1 << 10)
def _port_name(name: str) -> bool:
    return bool(_PORT_NAME.fullmatch(name))


def _is_port_name(name: Any) -> bool:
    return name.__class__ is not str or not name or _port_name(name)


def _probe(probe: dict[str, Any], where: str, *, single: bool) -> Problems:
    handlers = [key for key in ("exec", "grpc", "httpGet", "tcpSocket") if probe.get(key) is not None]
    if len(handlers) != 1:
        yield f"{where} must have exactly one of exec, grpc, httpGet, tcpSocket"
    for handler in ("httpGet", "tcpSocket"):
        yield from _range(mapping(probe.get(handler)), "port", f"{where}.{handler}", 1)
        if not _is_port_name(mapping(probe.get(handler)).get("port")):
            yield f"{where}.{handler}.port must be a number or the name of a port"
    yield from _not_negative(
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


_QUANTITY = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([numkMGTPE]|[KMGTPE]i))?")
_POWERS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3} | {
    f"{letter}{binary}": base ** (number + 2)
    for number, letter in enumerate("MGTPE")
    for binary, base in (("", 1000), ("i", 1024))
}
_POWERS["Ki"] = 1024


@lru_cache(maxsize=1 << 12)
def _quantity(amount: str) -> float | None:
    match = _QUANTITY.fullmatch(amount)
    try:
        return float(f"{match[1]}{match[2] or ''}") * _POWERS.get(match[3], 1) if match else None
    except ValueError:
        return None


def quantity(amount: Any) -> float | None:
    """A quantity of Kubernetes, such as 100m or 2Gi, as a number; None if `amount` is not a quantity."""
    return _quantity(str(amount)) if amount.__class__ in (str, int, float) else None


def _workload(spec: dict[str, Any]) -> Problems:
    """Checks the spec of a workload that keeps pods of one template running."""
    claims = _texts([mapping(claim.get("metadata")) for claim in mappings(spec.get("volumeClaimTemplates"))], "name")
    yield from _template(spec, ("Always",), claims=claims)
    for number, claim in enumerate(mappings(spec.get("volumeClaimTemplates"))):
        yield from _claim(mapping(claim.get("spec")), f"spec.volumeClaimTemplates[{number}].spec")
    yield from _not_negative(spec, "spec", "replicas", "minReadySeconds", "revisionHistoryLimit")
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
    yield from _not_negative(
        spec, where, "backoffLimit", "completions", "parallelism", "activeDeadlineSeconds", "ttlSecondsAfterFinished"
    )
    if spec.get("completionMode") == "Indexed":
        yield from _required(spec, where, "completions")


def _cron_job(spec: dict[str, Any]) -> Problems:
    schedule = spec.get("schedule")
    if schedule in (None, "") or (schedule.__class__ is str and not is_cron(text(schedule))):
        yield "spec.schedule must be a cron expression of five fields, or a word such as @daily"
    yield from _not_negative(
        spec, "spec", "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"
    )
    yield from _job(mapping(mapping(spec.get("jobTemplate")).get("spec")), "spec.jobTemplate.spec")


_CRON_FIELDS = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    (0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_CRON_WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_CRON_PART = re.compile(r"(?:(?P<any>[*?])|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")


def is_cron(schedule: str) -> bool:
    """Whether the text is a valid `schedule` of a CronJob."""
    if schedule.startswith("@"):
        return schedule in _CRON_WORDS or bool(re.fullmatch(r"@every (?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+", schedule))
    fields = schedule.split()
    return len(fields) == len(_CRON_FIELDS) and all(
        _is_cron_part(part, *form)
        for field, form in zip(fields, _CRON_FIELDS, strict=True)
        for part in field.split(",")
        if part or field != ","
    )


def _is_cron_part(part: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    match = _CRON_PART.fullmatch(part)
    if match is None or match["step"] == "0":
        return False
    words = [word.lower() for word in (match["low"], match["high"]) if word is not None]
    numbers = [least + names.index(word) if word in names else int(word) if word.isdigit() else -1 for word in words]
    return all(least <= number <= most for number in numbers) and numbers == sorted(numbers)


def _service(spec: dict[str, Any]) -> Problems:
    ports = list(mappings(spec.get("ports")))
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield "spec.ports must be set"
    for number, port in enumerate(ports):
        where = f"spec.ports[{number}]"
        yield from _range(port, "port", where, 1)
        yield from _range(port, "targetPort", where, 1)
        yield from _range(port, "nodePort", where, 0)
        if not _is_port_name(port.get("targetPort")):
            yield (
                f"{where}.targetPort must consist of a-z, 0-9 and -, with at most 15 characters and at least one letter"
            )
        if len(ports) > 1 and not port.get("name"):
            yield f"{where}.name must be set, because the Service has several ports"
        elif (name := text(port.get("name"))) and not is_label(name):
            yield f"{where}.name must be a DNS label: a-z, 0-9 and -, at most 63 characters"
    if len(ports) > 1:
        yield from _twice(_texts(ports, "name"), "spec.ports", "names")
        pairs = ((str(port.get("port")), str(port.get("protocol") or "TCP")) for port in ports)
        yield from _twice(pairs, "spec.ports", "port numbers of one protocol")
    yield from label_problems(spec.get("selector"), "spec.selector")
    if spec.get("type") == "ExternalName":
        yield from _required(spec, "spec", "externalName")


def _config(value: dict[str, Any]) -> Problems:
    size, keys = 0, []
    for group in ("data", "binaryData", "stringData"):
        for key, content in mapping(value.get(group)).items():
            if not _is_config_key(key):
                yield f"{group}: the key {key!r} must consist of letters, digits, -, _ and ., at most 253 characters"
            size += len(content) if content.__class__ is str else 0
            keys.append(key if group != "stringData" else "")
    if value.get("kind") == "ConfigMap":
        yield from _twice(iter(keys), "data and binaryData", "keys")
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
        yield from _required(rule, where, "verbs")
        if rule.get("nonResourceURLs"):
            if value.get("kind") == "Role":
                yield f"{where}.nonResourceURLs must not be set in a Role, only in a ClusterRole"
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                yield f"{where} must not have both resources and nonResourceURLs"
        else:
            yield from _required(rule, where, "apiGroups", "resources")


def _binding(value: dict[str, Any]) -> Problems:
    role = mapping(value.get("roleRef"))
    yield from _required(role, "roleRef", "kind", "name")
    kinds = ("ClusterRole",) if value.get("kind") == "ClusterRoleBinding" else ("Role", "ClusterRole")
    if text(role.get("kind")) and role["kind"] not in kinds:
        yield f"roleRef.kind must be {' or '.join(kinds)}"
    if text(role.get("apiGroup")) not in ("", "rbac.authorization.k8s.io"):
        yield "roleRef.apiGroup must be rbac.authorization.k8s.io"
    for number, subject in enumerate(mappings(value.get("subjects"))):
        where = f"subjects[{number}]"
        yield from _required(subject, where, "name")
        kind, group = text(subject.get("kind")), text(subject.get("apiGroup"))
        if kind not in ("ServiceAccount", "User", "Group"):
            yield f"{where}.kind must be ServiceAccount, User or Group"
        elif kind == "ServiceAccount" and group:
            yield f"{where}.apiGroup must not be set for a ServiceAccount"
        elif kind != "ServiceAccount" and group not in ("", "rbac.authorization.k8s.io"):
            yield f"{where}.apiGroup must be rbac.authorization.k8s.io"


def _claim(spec: dict[str, Any], where: str = "spec") -> Problems:
    yield from _required(spec, where, "accessModes")
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
                if not _set(peer):
                    yield f"{where} must have podSelector, namespaceSelector or ipBlock"
                for selector in ("podSelector", "namespaceSelector"):
                    labels = mapping(peer.get(selector)).get("matchLabels")
                    yield from label_problems(labels, f"{where}.{selector}.matchLabels")
            for count, port in enumerate(mappings(rule.get("ports"))):
                if not _is_port_name(port.get("port")):
                    yield f"spec.{direction}[{number}].ports[{count}].port must be a number or the name of a port"
    if len(spec.get("policyTypes") or ()) > len(("Ingress", "Egress")):
        yield "spec.policyTypes must contain Ingress, Egress or both, each once"


def _scaler(spec: dict[str, Any]) -> Problems:
    yield from _required(spec, "spec", "maxReplicas")
    least: Any = spec.get("minReplicas")
    most: Any = spec.get("maxReplicas")
    if most.__class__ is int and (most < 1 or (least.__class__ is int and least > most)):
        yield "spec.maxReplicas must be at least 1 and at least minReplicas"
    yield from _required(mapping(spec.get("scaleTargetRef")), "spec.scaleTargetRef", "kind", "name")


def _ingress(spec: dict[str, Any]) -> Problems:
    if not spec.get("defaultBackend") and not spec.get("rules"):
        yield "spec must have defaultBackend or rules"
    for number, rule in enumerate(mappings(spec.get("rules"))):
        if (host := text(rule.get("host"))) and not is_subdomain(host.removeprefix("*.")):
            yield f"spec.rules[{number}].host must be a DNS name, which consists of a-z, 0-9, - and ."
        if rule.get("http") is not None:
            yield from _required(rule["http"], f"spec.rules[{number}].http", "paths")
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
