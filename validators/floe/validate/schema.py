"""What the API server's strict field validation would say of an object of a built-in kind."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from floe.kubernetes import RELEASE, definitions
from floe.validate.objects import Object

_SCHEMA_URI = "urn:kubernetes"
_TEXT_OR_NUMBER = ("io.k8s.apimachinery.pkg.api.resource.Quantity", "io.k8s.apimachinery.pkg.util.intstr.IntOrString")
_TOO_MANY = 20  # errors of one object that are worth reading


class Schemas:
    """Validators of one Kubernetes release, each built when its kind is first seen."""

    def __init__(self, kubernetes: str = RELEASE) -> None:
        import jsonschema_rs

        # These two say oneOf, of which null is both: the API server reads null as not set.
        types = definitions(kubernetes) | {
            name: {"anyOf": definitions(kubernetes)[name]["oneOf"]} for name in _TEXT_OR_NUMBER
        }
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

    def owns(self, item: Object) -> bool:
        """Whether the object's group is one of Kubernetes' own, where no CustomResourceDefinition adds kinds."""
        group = item.api_version.rpartition("/")[0]
        return "." not in group or any(version.rpartition("/")[0] == group for version, _ in self._names)

    def similar(self, item: Object) -> str | None:
        """What an object of an unknown kind was perhaps meant to be: the same kind elsewhere, else a like name."""
        for version, kind in self._names:
            if kind == item.kind:
                return f"{version} {kind}"
        near = get_close_matches(item.kind, [kind for version, kind in self._names if version == item.api_version], 1)
        return f"{item.api_version} {near[0]}" if near else None

    def errors(self, item: Object) -> Iterator[str]:
        """What the schema has against an object of a known kind, values left out, since one may be a secret."""
        for count, error in enumerate(self._validator(item).iter_errors(item.value)):
            if count == _TOO_MANY:
                yield "and more in the same object"
                return
            path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
            yield _words(path.lstrip("."), error)

    def _validator(self, item: Object) -> Any:
        import jsonschema_rs

        key = (item.api_version, item.kind)
        if key not in self._validators:
            schema = {"$ref": f"{_SCHEMA_URI}#/$defs/{self._names[key]}", "required": ["metadata"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(
                schema, registry=self._registry, mask="the value"
            )
        return self._validators[key]


_TYPES = {"object": "a mapping", "array": "a list", "boolean": "true or false", "integer": "a whole number"}


def _words(path: str, error: Any) -> str:
    """A validator's error in the words that the API server's users know."""
    kind, where = error.kind, path or "the object"
    if kind.name == "additionalProperties":
        return f"{where}: unknown field {', '.join(kind.unexpected)}"
    if kind.name == "required":
        return f"{path and path + '.'}{kind.property} must be set"
    if kind.name == "type":
        types = [_TYPES.get(name, f"a {name}") for name in kind.types if name != "null"]
        quote = ": quote it" if types == ["a string"] and isinstance(error.instance, (bool, int, float)) else ""
        return f"{where} must be {' or '.join(types)}{quote}"
    if kind.name == "anyOf":
        return f"{where} must be a string or a number"
    return f"{where}: {error.message}"
