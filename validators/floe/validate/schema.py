"""Strict schemas of Kubernetes' built-in kinds, offline: those that the package kubernetes-validate carries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from floe.errors import FloeError
from floe.validate.objects import Object

KUBERNETES = "1.34"
"""The release checked against where none is named."""

_SCHEMA_URI = "urn:kubernetes"
_TOO_MANY = 20  # errors of one object that are worth reading


@cache
def _folder() -> Path:
    # find_spec, since importing the package costs more than a whole validation.
    spec = find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise FloeError("the package kubernetes-validate is not installed", "make setup")
    return Path(spec.origin).parent / "kubernetes-json-schema"


def releases() -> list[str]:
    """Kubernetes releases with schemas, oldest first."""
    names = (re.fullmatch(r"v(\d+)\.(\d+)\.0-local-strict", path.name) for path in _folder().iterdir())
    return [f"{major}.{minor}" for major, minor in sorted((int(name[1]), int(name[2])) for name in names if name)]


@cache
def definitions(kubernetes: str = KUBERNETES, *, strict: bool = True) -> dict[str, Any]:
    """Every type of a Kubernetes release by its full name, as JSON schema; strict ones know no further properties.

    Raises FloeError for a release without schemas.
    """
    file = _folder() / f"v{kubernetes}.0-local{'-strict' if strict else ''}" / "_definitions.json"
    if not file.is_file():
        raise FloeError(f"no schemas of Kubernetes {kubernetes}", f"releases: {', '.join(releases())}")
    found: dict[str, Any] = json.loads(file.read_bytes())["$defs"]
    return found


class Schemas:
    """Validators of one Kubernetes release, each built when its kind is first seen."""

    def __init__(self, kubernetes: str = KUBERNETES) -> None:
        import jsonschema_rs

        types = definitions(kubernetes)
        self.kubernetes = kubernetes
        self._registry = jsonschema_rs.Registry([(_SCHEMA_URI, {"$defs": types})])
        self._validators: dict[tuple[str, str], Any] = {}
        self._names = {
            (f"{gvk['group']}/{gvk['version']}".lstrip("/"), gvk["kind"]): name
            for name, definition in types.items()
            for gvk in definition.get("x-kubernetes-group-version-kind", ())
        }

    def knows(self, item: Object) -> bool:
        return (item.api_version, item.kind) in self._names

    def errors(self, item: Object) -> Iterator[str]:
        """What the schema has against an object of a known kind, values masked, since one may be a secret."""
        for count, error in enumerate(self._validator(item).iter_errors(item.value)):
            if count == _TOO_MANY:
                yield "and more in the same object"
                return
            path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
            yield f"{path.lstrip('.') or 'the object'}: {_words(error.message)}"

    def _validator(self, item: Object) -> Any:
        import jsonschema_rs

        key = (item.api_version, item.kind)
        if key not in self._validators:
            schema = {"$ref": f"{_SCHEMA_URI}#/$defs/{self._names[key]}", "required": ["metadata"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(
                schema, registry=self._registry, mask="the value"
            )
        return self._validators[key]


def _words(message: str) -> str:
    """The validator's message in the words that the API server's users know."""
    unknown = re.match(r"Additional properties are not allowed \((.*) (?:was|were) unexpected\)", message)
    return f"unknown field {unknown[1]}" if unknown else message.replace(', "null"', "")
