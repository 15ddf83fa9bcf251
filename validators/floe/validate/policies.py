"""The rules of the house, one entry each in POLICIES; the runner knows nothing of any of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from floe.validate import credentials
from floe.validate.findings import Finding, Severity
from floe.validate.objects import Object, Stream, mapping, mappings, text
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
        if "" in item.value:
            yield item, "not an object but a list or a bare value"
        elif not item.api_version or not item.kind:
            yield item, "apiVersion and kind must both be set, to a string"
        elif schemas.knows(item):
            for error in schemas.errors(item):
                yield item, error
            if item.metadata and item.metadata.get("name") in (None, "") and not item.metadata.get("generateName"):
                yield item, "metadata.name must be set"
        elif schemas.owns(item):
            similar = schemas.similar(item)
            yield (
                item,
                f"Kubernetes {schemas.kubernetes} has no {item.api_version} {item.kind}"
                + (f"; did you mean {similar}?" if similar else ""),
            )


def _unknown_kind(stream: Stream, schemas: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        if item.api_version and item.kind and not schemas.knows(item) and not schemas.owns(item):
            yield item, f"no schema of {item.api_version} {item.kind} in Kubernetes {schemas.kubernetes}: not checked"


def _colliding(stream: Stream, _: Schemas) -> Iterator[Hit]:
    seen: dict[tuple[str, str, str, str], Object] = {}
    for item in stream.objects:
        if not item.kind or not item.name:
            continue
        group = item.api_version.rpartition("/")[0]  # two versions of one group are the same object
        first = seen.setdefault((group, item.kind, item.namespace, item.name), item)
        if first is not item:
            yield item, f"the same object stands in document {first.document}, line {first.line}"


_IMAGE = re.compile(r"[\w.-]+(?::\d+(?=/))?(?:/[\w.-]+)*(?::(?P<tag>[\w.-]+))?(?P<digest>@sha256:[0-9a-f]{64})?")
_FIXED_TAG = re.compile(r"\d+\.\d|[0-9a-f]{7}|\d{6}")
"""In a tag that stays what it is: a version of two numbers or more, a commit, a date."""


def _mutable_image(stream: Stream, _: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        for container in item.containers():
            image = text(container.get("image"))
            match = _IMAGE.fullmatch(image)
            if match is None:
                # Not shown: it may be anything, a URL with a password too.
                yield item, f"{_name(container)}: {'image is no reference of an image' if image else 'no image'}"
            elif not match["digest"] and not _FIXED_TAG.search(match["tag"] or ""):
                what = f"moves with its tag {match['tag']}" if match["tag"] else "has no tag"
                yield item, f"{_name(container)}: the image {image} {what}"


def _name(container: dict[str, Any]) -> str:
    return f"container {text(container.get('name')) or '(no name)'}"


_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")


def _plain_values(item: Object) -> Iterator[tuple[str, str, Any]]:
    """Every place of an object where people put credentials: where, the name they stand under, and the value."""
    for container in item.containers():
        for variable in mappings(container.get("env")):
            name = text(variable.get("name"))
            yield f"{_name(container)}: env {name}", name, variable.get("value")
        for group in ("command", "args"):
            words = container.get(group)
            option = ""
            for word in map(text, words if isinstance(words, list) else ()):
                # `--token abc`: the option names the next word.
                named = option if not word.startswith("-") else ""
                yield f"{_name(container)}: {group}{named and ' ' + named}", named, word
                option = word if _OPTION.fullmatch(word) else ""
    if item.kind == "ConfigMap":
        for key, value in mapping(item.value.get("data")).items():
            yield f"data.{key}", key, value
    for key, value in mapping(item.metadata.get("annotations")).items():
        yield f"annotation {key}", key, value


def _plain_credential(stream: Stream, _: Schemas) -> Iterator[Hit]:
    secret_names = stream.secrets_expected | {name for _, name in stream.names.get("Secret", ())}
    for item in stream.objects:
        if item.kind == "Secret" and item.api_version == "v1":
            for group in ("data", "stringData"):
                for key in mapping(item.value.get(group)):
                    yield item, f"{group}.{key} is readable by everyone who reads this stream"
        else:
            for place, name, value in _plain_values(item):
                if isinstance(value, str):
                    for reason in credentials.reasons(name, value, secret_names):
                        yield item, f"{place} {reason}"


def _no_resources(stream: Stream, _: Schemas) -> Iterator[Hit]:
    for item in stream.objects:
        for container in item.containers():
            resources = mapping(container.get("resources"))
            limits = {unit for unit, value in mapping(resources.get("limits")).items() if value is not None}
            # What is limited and not requested is requested in the size of the limit.
            requests = limits | {
                unit for unit, value in mapping(resources.get("requests")).items() if value is not None
            }
            missing = [f"requests.{unit}" for unit in ("cpu", "memory") if unit not in requests]
            if "memory" not in limits:
                missing.append("limits.memory")
            if missing:
                yield item, f"{_name(container)}: no {', '.join(missing)}"


_BROUGHT_BY_CLUSTER = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}


def _references(item: Object) -> Iterator[tuple[str, str]]:
    """(kind, name) of everything that a workload's pods need and cannot start without."""
    pod = item.pod
    for field in ("serviceAccountName", "serviceAccount"):
        if isinstance(pod.get(field), str):
            yield "ServiceAccount", pod[field]
    for pull in mappings(pod.get("imagePullSecrets")):
        if isinstance(pull.get("name"), str):
            yield "Secret", pull["name"]
    for node in (*item.containers(), *mappings(pod.get("volumes"))):
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
    for item in stream.objects:
        for kind, name in dict.fromkeys(_references(item)):
            if name and (kind, name) not in _BROUGHT_BY_CLUSTER and not stream.provides(kind, item.namespace, name):
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
        "What has no schema is not checked, and a misspelt group looks just like a custom one.",
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
        Finding(
            policy.code,
            policy.severity,
            item.source,
            item.document,
            item.line,
            _printable(item.label),
            _printable(message),
            policy.remedy,
        )
        for policy in POLICIES
        for item, message in policy.check(stream, schemas)
    ]
    return sorted(findings, key=lambda finding: (finding.document, finding.code))


def _printable(words: str) -> str:
    """On one line and without the control characters that a name may bring to a terminal."""
    return words if words.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in words)
