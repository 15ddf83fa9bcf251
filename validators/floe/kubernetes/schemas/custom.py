"""Derives JSON schemas of custom kinds from a CustomResourceDefinition, exactly as strict as the API server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from floe.kubernetes.schemas.builtin import FORMATS, OBJECT_META

RULES = "x-kubernetes-validations"
UNIQUE = "x-kubernetes-list-map-keys"

_BOUNDS = ("pattern", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "multipleOf")
_FORMATS = {"duration": {"format": "go-duration"}} | {
    name: {key: value for key, value in schema.items() if key != "type"} for name, schema in FORMATS.items()
}


@dataclass(frozen=True)
class Kind:
    """One version of a custom kind."""

    version: str
    """The apiVersion, as group/version."""
    kind: str
    namespaced: bool
    schema: dict[str, Any]

    @property
    def type(self) -> str:
        """The name of the kind's type, in the form of the names of built-in types."""
        return f"{self.version.replace('/', '.')}.{self.kind}"


def kinds(definition: Mapping[str, Any]) -> Iterator[Kind]:
    """Yield the served versions of a CustomResourceDefinition (apiextensions.k8s.io/v1).

    Raises AttributeError, KeyError or TypeError if the definition does not have the form of that version.
    """
    spec = definition["spec"]
    for version in spec["versions"]:
        if version["served"]:
            schema = version.get("schema", {}).get("openAPIV3Schema", {})
            yield Kind(
                f"{spec['group']}/{version['name']}",
                spec["names"]["kind"],
                spec["scope"] == "Namespaced",
                _object_schema(schema, has_status="status" in version.get("subresources", {})),
            )


def _object_schema(schema: Mapping[str, Any], *, has_status: bool) -> dict[str, Any]:
    """The schema of a whole object."""
    translated = _translated(schema)
    if "properties" not in translated:  # x-kubernetes-preserve-unknown-fields at the root
        translated["properties"] = {}
    translated["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"$ref": f"#/$defs/{OBJECT_META}"}}
    if has_status and "status" in translated["properties"]:
        # A client that creates an object cannot set its status: the server checks only the names of the fields there,
        # then drops the status.
        translated["properties"]["status"] = _field_names_only(schema["properties"]["status"])
        translated["required"] = [name for name in translated.get("required", ()) if name != "status"]
    return translated


def _field_names_only(schema: Mapping[str, Any]) -> dict[str, Any]:
    structure: dict[str, Any] = {}
    if "properties" in schema:
        structure["properties"] = {name: _field_names_only(child) for name, child in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            structure["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            structure[key] = _field_names_only(schema[key])
    return structure


def _translated(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a structural schema, which also defines which fields exist."""
    translated = _bounds(schema)
    for key in ("default", RULES, UNIQUE):
        if key in schema:
            translated[key] = _rules_for_creation(schema[key]) if key == RULES else schema[key]
    if schema.get("x-kubernetes-int-or-string"):
        translated["type"] = ["integer", "string"]
    elif "type" in schema:
        translated["type"] = [schema["type"]]
    if schema.get("nullable") and "type" in translated:
        translated |= _or_null(translated)
    if schema.get("x-kubernetes-list-type") == "set":
        translated["uniqueItems"] = True
    if "items" in schema:
        translated["items"] = _translated(schema["items"])
    properties = {name: _translated(child) for name, child in schema.get("properties", {}).items()}
    required = [
        name for name in schema.get("required", ()) if "default" not in schema.get("properties", {}).get(name, {})
    ]
    if schema.get("x-kubernetes-embedded-resource"):
        properties |= {"apiVersion": {"type": ["string"]}, "kind": {"type": ["string"]}, "metadata": {}} | properties
        properties["metadata"] = {"$ref": f"#/$defs/{OBJECT_META}"}
        required = sorted({*required, "apiVersion", "kind"})
    # The server drops null, or replaces it with the default, before it validates the object.
    nullable_properties = {name: child if name in required else _or_null(child) for name, child in properties.items()}
    if nullable_properties:
        translated["properties"] = nullable_properties
    if required:
        translated["required"] = required
    if isinstance(schema.get("additionalProperties"), dict):
        translated["additionalProperties"] = _translated(schema["additionalProperties"])
    elif schema.get("type") == "object" and not (
        schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("additionalProperties")
    ):
        translated["additionalProperties"] = False
    return translated


def _bounds(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The constraints of a schema on a value, without its structure; anyOf, oneOf and so on contain no others."""
    bounds = {key: schema[key] for key in _BOUNDS if key in schema}
    if "enum" in schema:
        bounds["enum"] = list(schema["enum"])
    for key in ("minimum", "maximum"):
        if key in schema:
            strict = f"exclusive{key.capitalize()}"
            bounds[strict if schema.get(strict) else key] = schema[key]
    for key, value in _FORMATS.get(schema.get("format", ""), {}).items():
        bounds.setdefault(key, value)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema and not schema.get("x-kubernetes-int-or-string"):
            bounds[key] = [_constraints(branch) for branch in schema[key]]
    if "not" in schema:
        bounds["not"] = _constraints(schema["not"])
    return bounds


def _constraints(schema: Mapping[str, Any]) -> dict[str, Any]:
    constraints = _bounds(schema)
    if "properties" in schema:
        constraints["properties"] = {name: _constraints(child) for name, child in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            constraints[key] = _constraints(schema[key])
    if "required" in schema:
        constraints["required"] = schema["required"]
    return constraints


def _or_null(node: dict[str, Any]) -> dict[str, Any]:
    if "type" not in node or "null" in node["type"]:
        return node
    nullable = node | {"type": [*node["type"], "null"]}
    if "enum" in node:
        nullable["enum"] = [*node["enum"], None]
    return nullable


def _rules_for_creation(rules: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The rules that apply to a new object, that is, without those that compare it with its old state.

    The messages of the rules are left out.
    """
    return [{"rule": rule["rule"]} for rule in rules if "oldSelf" not in rule["rule"]]
