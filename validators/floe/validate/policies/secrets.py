"""The policy on credentials in plain text."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Any

from floe import credentials
from floe.errors import FloeError
from floe.kubernetes.objects import SOPS, Object, mapping, mappings, objects, text
from floe.kubernetes.pods import Pod
from floe.validate import helm
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import Stream
from floe.yaml import documents

_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")

_Place = tuple[str, str, Any]
"""The path of a value for the message, the name of the value, and the value itself."""


@Policy(
    code="FLOE011",
    stage=Stage.STREAM,
    severity="error",
    title="A credential is in plain text",
    why="Everyone who can read the repository, a CI log or the objects of the cluster can read the credential, and "
    "replacing it takes a commit.",
    remedy="Move the credential to a Secret that SOPS or an operator fills, and refer to it with secretKeyRef. If the "
    "credential was committed, replace it with a new one.",
    waiver="A waiver may let a finding stand for a while if it is a guess by the name of a value or by its randomness. "
    "A Secret with data, a token of a known form and a URL with a password cannot be waived.",
    fails="""
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: database}
        data: {user: shop, password: hunter2}
    """,
    passes="""
        apiVersion: external-secrets.io/v1
        kind: ExternalSecret
        metadata: {name: database}
        spec:
          secretStoreRef: {kind: ClusterSecretStore, name: vault}
          data: [{secretKey: password, remoteRef: {key: shop/database}}]
    """,
)
def plaintext(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Check Secrets, the overlay's folder `secrets`, containers, ConfigMaps, Helm values and annotations.

    Of a container its environment variables, command and args are checked. The messages never contain a value.
    """
    secret_names = stream.providers.names("Secret")
    for item in stream.of("Secret"):
        for key in _unencrypted_keys(item):
            yield Hit(item, f"{key} is not encrypted, so everyone who can read this stream can read it", waivable=False)
    yield from _files_beside(stream)
    for pod in stream.pods:
        yield from _credential_hits(pod.item, _values_of_pod(pod), secret_names)
    for item in stream.of("ConfigMap"):
        data = mapping(item.value.get("data"))
        yield from _credential_hits(item, ((f"data.{key}", key, value) for key, value in data.items()), secret_names)
    for item in stream.of(*helm.KINDS):
        for where, values in helm.values(item):
            yield from _credential_hits(item, _values_of_chart(values, where, ""), secret_names)
    for item in stream.objects:
        if item.annotations:
            places = ((f"annotation {key}", key, value) for key, value in item.annotations.items())
            yield from _credential_hits(item, places, secret_names)


def _unencrypted_keys(secret: Object) -> Iterator[str]:
    if secret.api_version == "v1":
        for group in ("data", "stringData"):
            for key, value in mapping(secret.value.get(group)).items():
                if not text(value).startswith(SOPS):
                    yield f"{group}.{key}"


def _files_beside(stream: Stream) -> Iterator[Hit]:
    """Report unencrypted Secrets in the folder `secrets` of the overlay.

    The stream does not contain the files of this folder, whether the overlay lists them or not.
    """
    if stream.environment is None or stream.checkout is None:
        return
    folder = stream.checkout.overlay(stream.environment) / "secrets"
    holder = stream.holder
    for file in sorted(folder.glob("*.y*ml")):
        path = stream.checkout.relative(file)
        try:
            items = list(objects(documents(file.read_bytes(), path), path))
        except FloeError as error:
            yield Hit(holder, f"{path} cannot be read: {error.message}", file=path)
            continue
        for item in items:
            for key in _unencrypted_keys(item) if item.kind == "Secret" else ():
                words = f"{path}: {key} of the Secret {item.name} is not encrypted"
                yield Hit(holder, words, waivable=False, file=path)


def _credential_hits(item: Object, places: Iterator[_Place], secret_names: Container[str]) -> Iterator[Hit]:
    for place, name, value in places:
        if isinstance(value, str):
            for reason in credentials.reasons(name, value, secret_names):
                words = f"{place} {reason.words}"
                yield Hit(item, words, waivable=not reason.certain, cause=f"{name} {value} {reason.words}", value=value)


def _values_of_pod(pod: Pod) -> Iterator[_Place]:
    for container in pod.containers:
        for variable in mappings(container.value.get("env")):
            name = text(variable.get("name"))
            yield f"{container.label}: env {name}", name, variable.get("value")
        for group in ("command", "args"):
            words = container.value.get(group)
            option = ""
            for word in map(text, words if isinstance(words, list) else ()):
                # In `--token abc` the option is the name of the next word.
                named = option if not word.startswith("-") else ""
                yield f"{container.label}: {group}{named and ' ' + named}", named, word
                option = word if _OPTION.fullmatch(word) else ""


def _values_of_chart(node: Any, path: str, name: str) -> Iterator[_Place]:
    if isinstance(node, dict):
        # An entry of a list of variables, such as `{name: PASSWORD, value: …}`, has its name in a field of its own.
        name = text(node.get("name")) if "value" in node else name
        for key, value in node.items():
            yield from _values_of_chart(value, f"{path}.{key}", name if key == "value" else key)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _values_of_chart(value, f"{path}[{number}]", name)
    else:
        yield path, name, node
