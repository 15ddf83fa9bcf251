"""The policy on images: only a commit may change which image runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from floe.kubernetes.objects import Object, mapping, mappings, text
from floe.validate import helm
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream

_IMAGE = re.compile(r"[\w.-]+(?::\d+(?=/))?(?:/[\w.-]+)*(?::(?P<tag>[\w.-]+))?(?P<digest>@sha256:[0-9a-f]{64})?")
_FIXED_TAG = re.compile(r"\d+\.\d|[0-9a-f]{7}|\d{3}")
"""Part of a tag that does not move: a version of two or more numbers, a commit, a date, a number such as Trino's."""
_RUN_IMAGES = ("DAGSTER_K8S_PIPELINE_RUN_IMAGE", "DAGSTER_CURRENT_IMAGE")
"""Environment variables that name the image of Dagster's runs."""


@Policy(
    code="FLOE010",
    stage=Stage.STREAM,
    severity="error",
    title="An image has neither a digest nor an immutable tag",
    why="A tag that moves changes what runs without a commit, and a rollback may then start a different image than "
    "before.",
    remedy="Set a version tag or a digest for the image in `overlays/<env>/values`.",
    fails="""
        apiVersion: v1
        kind: Pod
        metadata: {name: web}
        spec:
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: web
              image: registry.example.com/web:latest
              resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    """,
    passes="""
        apiVersion: v1
        kind: Pod
        metadata: {name: web}
        spec:
          securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: web
              image: registry.example.com/web:1.4.0
              resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
              securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    """,
)
def mutable(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Check the images of containers, those that Dagster's variables name, and those in Helm values for a controller.

    A run's container may leave out its image, because Dagster then chooses it.
    """
    for pod in stream.pods:
        for container in pod.containers:
            if not (pod.implied_image and container.value.get("image") is None) and (
                problem := _image_problem(text(container.value.get("image")))
            ):
                yield _hit(stream, pod.item, f"{container.label}: {problem}", text(container.value.get("image")))
            for variable in mappings(container.value.get("env")):
                name, value = variable.get("name"), text(variable.get("value"))
                if name in _RUN_IMAGES and value and (problem := _image_problem(value)):
                    yield _hit(stream, pod.item, f"{container.label}: env {name}: {problem}", value)
    for item in stream.of("ConfigMap"):
        data = mapping(item.value.get("data"))
        for name in _RUN_IMAGES:
            if (value := text(data.get(name))) and (problem := _image_problem(value)):
                yield _hit(stream, item, f"data.{name}: {problem}", value)
    for item in stream.of(*helm.KINDS):
        for where, values in helm.values(item):
            for path, image in _images_in_values(values, where):
                if problem := _image_problem(image):
                    yield _hit(stream, item, f"{path}: {problem}", image)


def _hit(stream: Stream, item: Object, message: str, image: str) -> Hit:
    """A hit of an image. All uses of the image have the same cause if the same file sets them."""
    match = _IMAGE.fullmatch(image)
    cause = f"{image} in {stream.edited(item)[0]}" if match else ""
    return Hit(item, message, cause=cause, value=(match["tag"] or "") if match else "")


def _image_problem(image: str) -> str | None:
    match = _IMAGE.fullmatch(image)
    if match is None:
        # The message does not contain the text, because it may be anything, such as a URL with a password.
        return "image is not a valid image reference" if image else "image is not set"
    if match["digest"] or _FIXED_TAG.search(match["tag"] or ""):
        return None
    if match["tag"]:
        return f"the image {image} has the tag {match['tag']}, which can move to another image"
    return f"the image {image} has no tag"


def _images_in_values(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the reference of each image in Helm values that has a tag or a digest.

    An image without either is left out, because the chart then sets its own tag.
    """
    if isinstance(node, list):
        for number, value in enumerate(node):
            yield from _images_in_values(value, f"{path}[{number}]")
    if not isinstance(node, dict):
        return
    repository, tag, digest = (node.get(key) for key in ("repository", "tag", "digest"))
    if isinstance(repository, str) and repository and not repository.startswith(("http", "oci://", "git")):
        if isinstance(digest, str) and digest:
            yield path, f"{repository}@{digest}"
        elif isinstance(tag, (str, int, float)) and tag != "":
            yield path, f"{repository}:{tag}"
    for key, value in node.items():
        if key == "image" and isinstance(value, str) and ":" in value.rpartition("/")[2]:
            yield f"{path}.{key}", value
        else:
            yield from _images_in_values(value, f"{path}.{key}")
