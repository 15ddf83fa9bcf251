"""The forms that the API server demands of names, labels and annotations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from floe.kubernetes.objects import Object, mapping, text

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(?:\.{_LABEL.pattern})*")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_MAX_LABEL, _MAX_NAME, _MAX_ANNOTATIONS = 63, 253, 256 * 1024
_SUFFIX = 5  # characters that the server puts behind generateName

_LABELS = frozenset({("v1", "Namespace"), ("apps/v1", "StatefulSet")})
"""Kinds whose names are labels: they become parts of host names."""
_PATHS = frozenset(
    {*(("rbac.authorization.k8s.io/v1", kind) for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"))}
    | {("policy/v1", "PodDisruptionBudget")}
)
"""Kinds whose names may be whatever a path segment may be."""
_CRON_JOB = 52  # the controller appends 11 characters for a Job's name


@lru_cache(maxsize=1 << 14)
def is_label(name: str) -> bool:
    """Whether it is a DNS label, as the names of containers and volumes are."""
    return len(name) <= _MAX_LABEL and bool(_LABEL.fullmatch(name))


@lru_cache(maxsize=1 << 14)
def is_subdomain(name: str) -> bool:
    """Whether it is a DNS subdomain, as the names of most objects are."""
    return len(name) <= _MAX_NAME and bool(_SUBDOMAIN.fullmatch(name))


@lru_cache(maxsize=1 << 14)
def key_problem(key: str) -> str:
    """What is wrong with the key of a label or an annotation, or nothing."""
    prefix, slash, name = key.rpartition("/")
    if slash and not is_subdomain(prefix):
        return "what stands before / must be a DNS subdomain"
    if not name or len(name) > _MAX_LABEL or not _VALUE.fullmatch(name):
        return "the name must be letters, digits, - _ . between letters or digits, at most 63 characters"
    return ""


@lru_cache(maxsize=1 << 14)
def is_label_value(value: str) -> bool:
    return len(value) <= _MAX_LABEL and bool(_VALUE.fullmatch(value))


def label_problems(labels: Any, where: str) -> Iterator[str]:
    """What is wrong with a mapping of labels; values that are no text are the schema's to find."""
    for key, value in mapping(labels).items():
        if problem := key_problem(key):
            yield f"{where}: {key!r} is no key of a label: {problem}"
        if value.__class__ is str and not is_label_value(value):
            yield (
                f"{where}.{key}: a label's value must be letters, digits, - _ . between letters or digits, "
                "at most 63 characters"
            )


def problems(item: Object) -> Iterator[str]:
    """What is wrong with an object's metadata."""
    metadata = item.metadata
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if name.__class__ is str and name:
        yield from _name_problem(item, "name", text(name))
    elif name in (None, "") and prefix in (None, ""):
        if "metadata" in item.value:
            yield "metadata.name must be set"
    elif prefix.__class__ is str and prefix:
        yield from _name_problem(item, "generateName", text(prefix))
    namespace = metadata.get("namespace")
    if namespace.__class__ is str and namespace and not is_label(text(namespace)):
        yield "metadata.namespace must be a DNS label: a-z, 0-9 and -, at most 63 characters"
    yield from label_problems(metadata.get("labels"), "metadata.labels")
    annotations = mapping(metadata.get("annotations"))
    size = 0
    for key, value in annotations.items():
        if problem := key_problem(key.lower()):  # of annotations the server compares the key in lower case
            yield f"metadata.annotations: {key!r} is no key of an annotation: {problem}"
        size += len(key) + (len(value) if value.__class__ is str else 0)
    if size > _MAX_ANNOTATIONS:
        yield f"metadata.annotations: {size} bytes, more than {_MAX_ANNOTATIONS}"


def _name_problem(item: Object, field: str, name: str) -> Iterator[str]:
    """With generateName the server tries the name with a letter for what it will append."""
    tried = f"{name.removesuffix('-')}{'a' if name[-1:] == '-' else ''}" if field == "generateName" else name
    kind = (item.api_version, item.kind)
    if kind in _PATHS:
        if tried in (".", "..") or "/" in tried or "%" in tried:
            yield f"metadata.{field} must not be . or .. nor hold / or %"
    elif kind == ("v1", "Service"):
        if len(tried) > _MAX_LABEL or not _LABEL_1035.fullmatch(tried):
            yield f"metadata.{field} must begin with a letter and hold a-z, 0-9 and -, at most 63 characters"
    elif kind in _LABELS:
        if not is_label(tried):
            yield f"metadata.{field} must be a DNS label: a-z, 0-9 and -, at most 63 characters"
    elif not is_subdomain(tried):
        yield f"metadata.{field} must be a DNS subdomain: a-z, 0-9, - and ., at most 253 characters"
    elif kind == ("batch/v1", "CronJob") and len(name) > _CRON_JOB:
        yield f"metadata.{field} must have at most {_CRON_JOB} characters, since its Jobs' names are longer"
