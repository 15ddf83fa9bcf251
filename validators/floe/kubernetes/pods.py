"""Every pod that the objects of a stream create, including the pods of Dagster's run launcher."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from floe.kubernetes.objects import Object, mapping, mappings, text
from floe.yaml import YamlError, documents


@dataclass(frozen=True)
class Container:
    """One container or init container; `label` is its name in findings."""

    label: str
    value: dict[str, Any]
    init: bool = False


@dataclass(frozen=True)
class Pod:
    """The template of the pods that one object creates."""

    item: Object
    spec: dict[str, Any]
    annotations: dict[str, Any]
    labels: dict[str, str | None]
    """The value None stands for a value that is not known before the pod is created."""
    containers: list[Container]
    implied_image: bool = False
    """Whether the creator of the pod chooses the image, so that the template has none."""

    @property
    def run(self) -> bool:
        """Whether this is the pod of a Dagster run; the object is then the configuration of the run launcher."""
        return self.item.kind == "ConfigMap"

    @property
    def ends(self) -> bool:
        """Whether the pod ends by itself when its work is done."""
        return self.run or self.item.kind in ("Job", "CronJob")


_TEMPLATE = ("spec", "template")
_PODS = {
    "Pod": (),
    "Deployment": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
    "DaemonSet": _TEMPLATE,
    "ReplicaSet": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "PodTemplate": ("template",),
    "Job": _TEMPLATE,
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
}
"""The path of the pod template (its metadata and spec) in an object, by kind."""


def made_by(objects: Iterable[Object]) -> Iterator[Pod]:
    """Yield the pods of the objects, in the order of the stream."""
    for item in objects:
        if (steps := _PODS.get(item.kind)) is not None:
            node: Any = item.value
            for step in steps:
                node = mapping(node).get(step)
            if isinstance(node, dict):
                spec, metadata = mapping(node.get("spec")), mapping(node.get("metadata"))
                yield Pod(item, spec, mapping(metadata.get("annotations")), _labels(metadata), _containers(spec))
        elif item.kind == "ConfigMap" and (config := instance(item)):
            yield from _pods_of_runs(item, mapping(mapping(config.get("run_launcher")).get("config")))


def _labels(metadata: dict[str, Any]) -> dict[str, str | None]:
    return {key: value for key, value in mapping(metadata.get("labels")).items() if isinstance(value, str)}


def _containers(spec: dict[str, Any], prefix: str = "") -> list[Container]:
    return [
        Container(f"{prefix}container {text(value.get('name')) or '(no name)'}", value, group == "initContainers")
        for group in ("initContainers", "containers")
        for value in mappings(spec.get(group))
    ]


def instance(item: Object) -> dict[str, Any]:
    """The configuration of a Dagster instance in a ConfigMap; empty if there is none or if it cannot be parsed."""
    content = mapping(item.value.get("data")).get("dagster.yaml")
    if not isinstance(content, str):
        return {}
    try:
        contents = [document.value for document in documents(content, "dagster.yaml")]
    except YamlError:
        return {}
    return mapping(contents[0]) if len(contents) == 1 else {}


_RUN_LABELS: dict[str, str | None] = {
    "app.kubernetes.io/name": "dagster",
    "app.kubernetes.io/instance": "dagster",
    "app.kubernetes.io/part-of": "dagster",
    "app.kubernetes.io/component": "run_worker",
    "app.kubernetes.io/version": None,
    "dagster/job": None,
    "dagster/run-id": None,
    "dagster/code-location": None,
}
"""The labels that the K8sRunLauncher of dagster-k8s sets on the pod of a run."""


def _pods_of_runs(item: Object, launcher: dict[str, Any]) -> Iterator[Pod]:
    """The pod of a run, as a K8sRunLauncher creates it from its configuration."""
    if "run_k8s_config" not in launcher and "job_namespace" not in launcher:
        return
    custom = _camel_case(mapping(launcher.get("run_k8s_config")))
    own = mapping(custom.get("containerConfig"))
    image = launcher.get("job_image") or own.get("image")
    container = {
        "name": "dagster",
        "resources": launcher.get("resources"),
        "securityContext": _camel_case(launcher.get("security_context")),
        **own,
        **({"image": image} if image else {}),
        "env": [*_run_variables(launcher), *mappings(own.get("env"))],
        "envFrom": [
            *({"secretRef": {"name": name}} for name in _texts(launcher.get("env_secrets"))),
            *({"configMapRef": {"name": name}} for name in _texts(launcher.get("env_config_maps"))),
            *mappings(own.get("envFrom")),
        ],
        "volumeMounts": [
            *mappings(_camel_case(launcher.get("volume_mounts"))),
            *mappings(own.get("volumeMounts")),
        ],
    }
    pod = mapping(custom.get("podSpecConfig"))
    spec = {
        "serviceAccountName": launcher.get("service_account_name"),
        "imagePullSecrets": launcher.get("image_pull_secrets"),
        **pod,
        "volumes": [
            *mappings(_camel_case(launcher.get("volumes"))),
            *mappings(pod.get("volumes")),
            *({"configMap": {"name": name}} for name in [text(launcher.get("instance_config_map"))] if name),
        ],
        "containers": [container, *mappings(pod.get("containers"))],
    }
    metadata = mapping(custom.get("podTemplateSpecMetadata"))
    labels = _RUN_LABELS | _labels(launcher) | _labels(metadata)
    containers = _containers(spec, "a run's ")
    yield Pod(item, spec, mapping(metadata.get("annotations")), labels, containers, implied_image=not image)


def _run_variables(launcher: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for variable in _texts(launcher.get("env_vars")):
        name, _, value = variable.partition("=")
        yield {"name": name, "value": value}
    if secret := text(launcher.get("postgres_password_secret")):
        reference = {"name": secret, "key": "postgresql-password"}
        yield {"name": "DAGSTER_PG_PASSWORD", "valueFrom": {"secretKeyRef": reference}}


def _texts(node: Any) -> Iterator[str]:
    return (word for word in node if isinstance(word, str)) if isinstance(node, list) else iter(())


_SNAKE = re.compile("_([a-z])")


def _camel_case(node: Any) -> Any:
    """The node with its keys in camelCase, as Kubernetes writes them, because Dagster also accepts snake_case."""
    if isinstance(node, dict):
        return {_SNAKE.sub(lambda m: m[1].upper(), str(key)): _camel_case(value) for key, value in node.items()}
    return [_camel_case(value) for value in node] if isinstance(node, list) else node
