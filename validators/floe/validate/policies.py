"""The rules of the house, one entry each in POLICIES; the runner knows nothing of any of them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from floe.validate.findings import Finding, Severity
from floe.validate.objects import Object, Stream, mapping, mappings
from floe.validate.schema import Schemas

Hit = tuple[Object, str]
"""What a policy found: the object, and what is wrong with it."""


@dataclass(frozen=True)
class Policy:
    """One rule. `check` yields what breaks it; a code is never reused, so that a search finds it for good."""

    code: str
    title: str
    severity: Severity
    why: str
    remedy: str
    check: Callable[[Stream, Schemas], Iterable[Hit]]


def _schema(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        if not item.api_version or not item.kind:
            yield item, "apiVersion and kind must both be set"
        elif schemas.knows(item):
            for error in schemas.errors(item):
                yield item, error


def _unknown_kind(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        if item.api_version and item.kind and not schemas.knows(item):
            yield item, f"no schema of {item.api_version} {item.kind} in Kubernetes {schemas.kubernetes}: not checked"


def _colliding(stream: Stream, _: Schemas) -> Iterator[Hit]:
    seen: dict[tuple[str, str, str, str], Object] = {}
    for item in stream.objects:
        group = item.api_version.rpartition("/")[0]  # two versions of one group are the same object
        first = seen.setdefault((group, item.kind, item.namespace, item.name), item)
        if first is not item:
            yield item, f"the same object stands in document {first.document}"


_MOVING_TAGS = frozenset({"latest", "main", "master", "edge", "nightly", "stable", "dev", "develop", "head", "canary"})


def _mutable_image(stream: Stream, _: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        for container in item.containers():
            image = container.get("image")
            if not isinstance(image, str) or "@sha256:" in image:
                continue
            tag = image.rpartition("/")[2].partition(":")[2]
            if not tag or tag.lower() in _MOVING_TAGS or not re.search(r"\d", tag):
                yield (
                    item,
                    f"container {container.get('name')}: the image {image} has {'a moving' if tag else 'no'} tag",
                )


_CREDENTIAL_KEY = re.compile(
    r"(?i)(^|[-_.])(password|passwd|passphrase|secret|secret[-_]?key|api[-_]?key|access[-_]?key|private[-_]?key|token|credentials?)$"
)
_CREDENTIAL_VALUES = (
    (re.compile(r"\bAKIA[0-9A-Z]{16}\b"), "an AWS access key id"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b"), "a GitHub token"),
    (re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"), "a Slack token"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"), "a JSON web token"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s:/@$\"']+:(?!\$)[^\s:/@\"']+@"), "a URL with a password"),
)
_REFERENCE = re.compile(r"^\$[({].*[)}]$|^<.*>$|^$")  # $(VAR), ${VAR}, <placeholder>, nothing
_ENTROPY_BITS = 3.2  # per character; words and host names lie below, random keys of 16 characters and more above


def _credential(key: str, value: Any) -> str | None:
    """Why a value looks like a credential, if it does; never the value itself."""
    if not isinstance(value, str):
        return None
    for pattern, what in _CREDENTIAL_VALUES:
        if pattern.search(value):
            return f"{key} holds {what}"
    if _CREDENTIAL_KEY.search(key) and not _REFERENCE.match(value):
        return f"{key} is set to a plain value"
    random = re.fullmatch(r"[A-Za-z0-9+/=_-]{32,}", value) and re.search(r"\d", value) and re.search(r"[A-Z]", value)
    if random and _entropy(value) > _ENTROPY_BITS + 0.8:
        return f"{key} holds what looks like a random key"
    return None


def _entropy(text: str) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _plain_values(item: Object) -> Iterator[tuple[str, Any]]:
    """Every place of an object where people put credentials: its path, and the value."""
    for container in item.containers():
        place = f"container {container.get('name')}"
        for variable in mappings(container.get("env")):
            yield f"{place}: env {variable.get('name')}", variable.get("value")
        for group in ("args", "command"):
            words = container.get(group)
            for word in words if isinstance(words, list) else ():
                yield f"{place}: {group}", word
    if item.kind == "ConfigMap":
        for key, value in mapping(item.value.get("data")).items():
            yield f"data {key}", value
    for key, value in mapping(item.metadata.get("annotations")).items():
        yield f"annotation {key}", value


def _plain_credential(stream: Stream, _: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        if item.kind == "Secret" and item.api_version == "v1":
            for group in ("data", "stringData"):
                for key in mapping(item.value.get(group)):
                    yield item, f"{group}.{key} is readable by everyone who reads this stream"
        else:
            for place, value in _plain_values(item):
                if reason := _credential(place, value):
                    yield item, reason


def _no_resources(stream: Stream, _: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        for container in item.containers():
            resources = mapping(container.get("resources"))
            missing = [
                f"{group}.{unit}"
                for group, unit in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))
                if unit not in mapping(resources.get(group))
            ]
            if missing:
                yield item, f"container {container.get('name')}: no {', '.join(missing)}"


_BROUGHT_BY_CLUSTER = {"ConfigMap": {"kube-root-ca.crt"}, "ServiceAccount": {"default"}, "Secret": set[str]()}


def _references(item: Object) -> Iterator[tuple[str, str]]:
    """(kind, name) of everything that a workload's pods need and cannot start without."""
    pod = item.pod
    account = pod.get("serviceAccountName")
    if isinstance(account, str):
        yield "ServiceAccount", account
    for pull in mappings(pod.get("imagePullSecrets")):
        yield "Secret", str(pull.get("name"))
    nodes = [*item.containers(), *mappings(pod.get("volumes"))]
    for node in nodes:
        yield from _needed(node)


_REFERENCE_KEYS = {
    "secretKeyRef": ("Secret", "name"),
    "secretRef": ("Secret", "name"),
    "configMapKeyRef": ("ConfigMap", "name"),
    "configMapRef": ("ConfigMap", "name"),
    "configMap": ("ConfigMap", "name"),
}


def _needed(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for value in node:
            yield from _needed(value, key)
    if not isinstance(node, dict) or node.get("optional") is True:
        return
    kind, field = _REFERENCE_KEYS.get(key, ("", ""))
    if key == "secret":  # a volume names it secretName, a projected source name
        kind, field = "Secret", "secretName" if "secretName" in node else "name"
    if kind and isinstance(node.get(field), str):
        yield kind, node[field]
    for name, value in node.items():
        yield from _needed(value, name)


def _dangling(stream: Stream, _: Schemas) -> Iterator[Hit]:
    provided = {
        kind: names | stream.names.get(kind, set()) | (stream.secrets_expected if kind == "Secret" else set())
        for kind, names in _BROUGHT_BY_CLUSTER.items()
    }
    for item in stream.objects:
        for kind, name in dict.fromkeys(_references(item)):
            if name not in provided[kind]:
                yield item, f"refers to the {kind} {name}, which nothing provides"


def _stand_in(stream: Stream, _: Schemas) -> Iterator[Hit]:
    found: dict[str, Object] = {}
    for item in stream.objects:
        chart = mapping(item.metadata.get("annotations")).get(STAND_IN)
        if isinstance(chart, str):
            found.setdefault(chart, item)
    for chart, item in found.items():
        yield item, f"rendered from the stand-in for the chart {chart}: it shows the values, it does not deploy"


STAND_IN = "floe-runtime.io/stand-in-chart"

POLICIES: tuple[Policy, ...] = (
    Policy(
        "FLOE002",
        "schema",
        "error",
        "The API server refuses it under strict field validation, or drops the field in silence without.",
        "Compare the field with `kubectl explain`; mind spelling, nesting and type.",
        _schema,
    ),
    Policy(
        "FLOE003",
        "kind without a schema",
        "warning",
        "What has no schema is not checked, and a misspelt kind looks just like a custom one.",
        "Check apiVersion and kind; a kind of a CustomResourceDefinition is the cluster's to check.",
        _unknown_kind,
    ),
    Policy(
        "FLOE004",
        "colliding objects",
        "error",
        "Of two objects with one identity the last that is applied wins, until the next reconciliation turns it round.",
        "Rename one of them, or drop the copy.",
        _colliding,
    ),
    Policy(
        "FLOE010",
        "image without digest or immutable tag",
        "error",
        "A moving tag lets what runs change without a commit, and a rollback bring back something else.",
        "Pin a version tag or a digest in overlays/<env>/values.",
        _mutable_image,
    ),
    Policy(
        "FLOE011",
        "plaintext credential",
        "error",
        "Whoever reads the repository, a CI log or the cluster's objects reads it too; rotating it means a commit.",
        "Keep it in a Secret that an operator or SOPS fills, refer to it by secretKeyRef, rotate what was committed.",
        _plain_credential,
    ),
    Policy(
        "FLOE012",
        "no resources",
        "error",
        "Without requests the pod is packed blindly and evicted first; without a memory limit it takes others along.",
        "Set requests.cpu, requests.memory and limits.memory in the chart's values.",
        _no_resources,
    ),
    Policy(
        "FLOE013",
        "reference that nothing provides",
        "error",
        "The pod stays in CreateContainerConfigError or is never created.",
        "Add the object, mend the name, or declare a Secret that the cluster brings in overlays/<env>/platform.yaml.",
        _dangling,
    ),
    Policy(
        "FLOE020",
        "stand-in chart",
        "warning",
        "On a machine that reaches no chart repository the overlay is rendered from a small chart of our own.",
        "Run `floe charts pull` where the repository or a mirror (FLOE_CHART_MIRROR) can be reached.",
        _stand_in,
    ),
)


def check(stream: Stream, schemas: Schemas) -> list[Finding]:
    """Every finding of every policy, in the stream's order."""
    findings = [
        Finding(policy.code, policy.severity, item.source, item.document, item.line, item.label, message, policy.remedy)
        for policy in POLICIES
        for item, message in policy.check(stream, schemas)
    ]
    return sorted(findings, key=lambda finding: (finding.source, finding.document, finding.code))
