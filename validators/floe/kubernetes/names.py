"""The form that the API server requires of names, labels and annotations."""

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
_VALUE_FORM = (
    "consist of letters, digits, -, _ and ., begin and end with a letter or digit, and have at most 63 characters"
)
_MAX_LABEL, _MAX_NAME, _MAX_ANNOTATIONS = 63, 253, 256 * 1024
_SUFFIX = 5  # number of characters that the server appends to generateName

_LABELS = frozenset({("v1", "Namespace"), ("apps/v1", "StatefulSet")})
"""Kinds whose names must be DNS labels, because they become parts of host names."""
_PATHS = frozenset(
    {*(("rbac.authorization.k8s.io/v1", kind) for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"))}
    | {("policy/v1", "PodDisruptionBudget")}
)
"""Kinds whose names may be any segment of a URL path."""
_CRON_JOB = 52  # longest name of a CronJob: its controller appends 11 characters to name a Job


@lru_cache(maxsize=1 << 14)
def is_label(name: str) -> bool:
    """Whether the name is a DNS label, as the names of containers and volumes must be."""
    return len(name) <= _MAX_LABEL and bool(_LABEL.fullmatch(name))


@lru_cache(maxsize=1 << 14)
def is_subdomain(name: str) -> bool:
    """Whether the name is a DNS subdomain, as the names of most objects must be."""
    return len(name) <= _MAX_NAME and bool(_SUBDOMAIN.fullmatch(name))


@lru_cache(maxsize=1 << 14)
def key_problem(key: str) -> str:
    """What is wrong with the key of a label or an annotation; empty if nothing is."""
    prefix, slash, name = key.rpartition("/")
    if slash and not is_subdomain(prefix):
        return "the part before / must be a DNS subdomain"
    if not name or len(name) > _MAX_LABEL or not _VALUE.fullmatch(name):
        return f"the name must {_VALUE_FORM}"
    return ""


@lru_cache(maxsize=1 << 14)
def is_label_value(value: str) -> bool:
    """Whether the text is valid as the value of a label; it may be empty."""
    return len(value) <= _MAX_LABEL and bool(_VALUE.fullmatch(value))


def label_problems(labels: Any, where: str) -> Iterator[str]:
    """Yield a message for each invalid key or value in a mapping of labels; `where` is its path in the object.

    Values that are not text are skipped, because the schema reports them.
    """
    for key, value in mapping(labels).items():
        if problem := key_problem(key):
            yield f"{where}: {key!r} is not a valid key of a label: {problem}"
        if value.__class__ is str and not is_label_value(value):
            yield f"{where}.{key}: the value of a label must {_VALUE_FORM}"


def problems(item: Object) -> Iterator[str]:
    """Yield a message for each problem in the metadata of an object: name, namespace, labels and annotations."""
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
        if problem := key_problem(key.lower()):  # the server checks keys of annotations in lower case
            yield f"metadata.annotations: {key!r} is not a valid key of an annotation: {problem}"
        size += len(key) + (len(value) if value.__class__ is str else 0)
    if size > _MAX_ANNOTATIONS:
        yield f"metadata.annotations have {size} bytes, more than the {_MAX_ANNOTATIONS} bytes that are allowed"


def _name_problem(item: Object, field: str, name: str) -> Iterator[str]:
    """Check `name`, which is the value of `field`.

    A generateName may end in a hyphen, because the server appends a suffix. So it is checked with a letter instead.
    """
    tried = f"{name.removesuffix('-')}{'a' if name[-1:] == '-' else ''}" if field == "generateName" else name
    kind = (item.api_version, item.kind)
    if kind in _PATHS:
        if tried in (".", "..") or "/" in tried or "%" in tried:
            yield f"metadata.{field} must not be . or .. and must not contain / or %"
    elif kind == ("v1", "Service"):
        if len(tried) > _MAX_LABEL or not _LABEL_1035.fullmatch(tried):
            yield f"metadata.{field} must begin with a letter and consist of a-z, 0-9 and -, at most 63 characters"
    elif kind in _LABELS:
        if not is_label(tried):
            yield f"metadata.{field} must be a DNS label: a-z, 0-9 and -, at most 63 characters"
    elif not is_subdomain(tried):
        yield f"metadata.{field} must be a DNS subdomain: a-z, 0-9, - and ., at most 253 characters"
    elif kind == ("batch/v1", "CronJob") and len(name) > _CRON_JOB:
        yield f"metadata.{field} must have at most {_CRON_JOB} characters, because the names of its Jobs are longer"
