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
                _root(schema, has_status="status" in version.get("subresources", {})),
            )


def _root(schema: Mapping[str, Any], *, has_status: bool) -> dict[str, Any]:
    """The schema of a whole object."""
    found = _node(schema)
    if "properties" not in found:  # x-kubernetes-preserve-unknown-fields at the root
        found["properties"] = {}
    found["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"$ref": f"#/$defs/{OBJECT_META}"}}
    if has_status and "status" in found["properties"]:
        # A client that creates an object cannot set its status: the server checks only the names of the fields there,
        # then drops the status.
        found["properties"]["status"] = _names_only(schema["properties"]["status"])
        found["required"] = [name for name in found.get("required", ()) if name != "status"]
    return found


def _names_only(schema: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "properties" in schema:
        found["properties"] = {name: _names_only(child) for name, child in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            found["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found[key] = _names_only(schema[key])
    return found


def _node(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a structural schema, which also defines which fields exist."""
    found = _bounds(schema)
    for key in ("default", RULES, UNIQUE):
        if key in schema:
            found[key] = _rules(schema[key]) if key == RULES else schema[key]
    if schema.get("x-kubernetes-int-or-string"):
        found["type"] = ["integer", "string"]
    elif "type" in schema:
        found["type"] = [schema["type"]]
    if schema.get("nullable") and "type" in found:
        found |= _or_null(found)
    if schema.get("x-kubernetes-list-type") == "set":
        found["uniqueItems"] = True
    if "items" in schema:
        found["items"] = _node(schema["items"])
    properties = {name: _node(child) for name, child in schema.get("properties", {}).items()}
    required = [
        name for name in schema.get("required", ()) if "default" not in schema.get("properties", {}).get(name, {})
    ]
    if schema.get("x-kubernetes-embedded-resource"):
        properties |= {"apiVersion": {"type": ["string"]}, "kind": {"type": ["string"]}, "metadata": {}} | properties
        properties["metadata"] = {"$ref": f"#/$defs/{OBJECT_META}"}
        required = sorted({*required, "apiVersion", "kind"})
    # The server drops null, or replaces it with the default, before it validates the object.
    found_properties = {name: child if name in required else _or_null(child) for name, child in properties.items()}
    if found_properties:
        found["properties"] = found_properties
    if required:
        found["required"] = required
    if isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = _node(schema["additionalProperties"])
    elif schema.get("type") == "object" and not (
        schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("additionalProperties")
    ):
        found["additionalProperties"] = False
    return found


def _bounds(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The constraints of a schema on a value, without its structure; anyOf, oneOf and so on contain no others."""
    found = {key: schema[key] for key in _BOUNDS if key in schema}
    if "enum" in schema:
        found["enum"] = list(schema["enum"])
    for key in ("minimum", "maximum"):
        if key in schema:
            strict = f"exclusive{key.capitalize()}"
            found[strict if schema.get(strict) else key] = schema[key]
    for key, value in _FORMATS.get(schema.get("format", ""), {}).items():
        found.setdefault(key, value)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema and not schema.get("x-kubernetes-int-or-string"):
            found[key] = [_demand(branch) for branch in schema[key]]
    if "not" in schema:
        found["not"] = _demand(schema["not"])
    return found


def _demand(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = _bounds(schema)
    if "properties" in schema:
        found["properties"] = {name: _demand(child) for name, child in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found[key] = _demand(schema[key])
    if "required" in schema:
        found["required"] = schema["required"]
    return found


def _or_null(node: dict[str, Any]) -> dict[str, Any]:
    if "type" not in node or "null" in node["type"]:
        return node
    nullable = node | {"type": [*node["type"], "null"]}
    if "enum" in node:
        nullable["enum"] = [*node["enum"], None]
    return nullable


def _rules(rules: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The rules that apply to a new object, that is, without those that compare it with its old state.

    The messages of the rules are left out.
    """
    return [{"rule": rule["rule"]} for rule in rules if "oldSelf" not in rule["rule"]]
