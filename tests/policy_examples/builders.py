"""Functions that build manifests and examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
RESOURCES = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}}
CONFINED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
Json = dict[str, Any]


def container(**fields: Any) -> Json:
    """A container without findings."""
    image = "registry.internal/app:1.2.3"
    return {"name": "main", "image": image, "resources": RESOURCES, "securityContext": CONFINED} | fields


def pod(*containers: Json, **fields: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": list(containers) or [container()], **fields},
    }


def template(spec: Json) -> Json:
    return {"metadata": {"labels": {"app": "x"}}, "spec": spec}


def workload(kind: str, spec: Json) -> Json:
    """A workload of a kind, with the spec of its pods."""
    group = "v1" if kind in ("PodTemplate", "ReplicationController") else "batch/v1" if "Job" in kind else "apps/v1"
    head = {"apiVersion": group, "kind": kind, "metadata": {"name": "w"}}
    selector = {"matchLabels": {"app": "x"}}
    if kind == "PodTemplate":
        return {**head, "template": template(spec)}
    if kind == "CronJob":
        return {**head, "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": template(spec)}}}}
    extra: Json = {"Job": {}, "ReplicationController": {"selector": {"app": "x"}}}.get(kind, {"selector": selector})
    return {**head, "spec": {**extra, "template": template(spec)}}


def named(kind: str, name: str, namespace: str = "", **fields: Any) -> Json:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


def environment(name: str, value: str) -> Json:
    return pod(container(env=[{"name": name, "value": value}]))


def config(key: str, value: str) -> Json:
    return named("ConfigMap", "c", data={key: value})


def words(*args: str) -> Json:
    return pod(container(args=list(args)))


def annotated(key: str, value: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "annotations": {key: value}}}


def of(api_version: str, kind: str, name: str = "x", **fields: Any) -> Json:
    return named(kind, name, **fields) | {"apiVersion": api_version}


def labelled(**labels: str) -> Json:
    return pod() | {"metadata": {"name": "p", "labels": labels}}


def service(**selector: str) -> Json:
    return named("Service", "s", spec={"selector": selector, "ports": [{"port": 80}]})


def instance(launcher: str, storage: str = "") -> Json:
    """The ConfigMap with dagster.yaml, as the chart renders it. `launcher`: settings of the run launcher as YAML."""
    head = "run_launcher:\n  class: K8sRunLauncher\n  config:\n    job_namespace: shop\n"
    return named(
        "ConfigMap", "dagster-instance", data={"dagster.yaml": f"{head}{indent(launcher, ' ' * 4)}\n{storage}"}
    )


RUN = """\
resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 1Gi}}
security_context: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
run_k8s_config:
  pod_spec_config:
    security_context: {run_as_non_root: true, seccomp_profile: {type: RuntimeDefault}}
"""
"""A run launcher whose pods have no findings."""


@dataclass(frozen=True)
class Edit:
    """A change of a file in the repository."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Example:
    """A stream, and a part of the message of each expected finding. Without findings, the stream follows the rule."""

    documents: tuple[Json, ...]
    says: tuple[str, ...] = ()
    brought: dict[str, tuple[str, ...]] = field(default_factory=dict)
    environment: str | None = None
    """The environment to validate, in a separate checkout. File names in the documents are replaced by the content."""
    history: tuple[tuple[Edit, ...], ...] = ()
    """Changes of the repository, one commit for each entry, in order."""
    edits: tuple[Edit, ...] = ()
    """Changes that are not committed."""


def bad(*documents: Json, says: str | tuple[str, ...], **more: Any) -> Example:
    return Example(documents, (says,) if isinstance(says, str) else says, **more)


def good(*documents: Json, secrets: tuple[str, ...] = (), **more: Any) -> Example:
    return Example(documents, **({"brought": {"Secret": secrets}} if secrets else {}) | more)
