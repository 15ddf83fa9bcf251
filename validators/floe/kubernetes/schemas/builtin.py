"""Derives JSON schemas of Kubernetes' own types that are exactly as strict as the API server's decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
OBJECT_META = f"{_META}ObjectMeta"
_TEXT = ["string", "null"]
_ANYTHING = ["array", "boolean", "number", "object", "string"]

FORMATS: dict[str, dict[str, Any]] = {
    "int32": {"maximum": 2**31 - 1, "minimum": -(2**31), "type": ["integer", "null"]},
    "int64": {"maximum": 2**63 - 1, "minimum": -(2**63), "type": ["integer", "null"]},
    "byte": {"format": "go-base64", "type": _TEXT},
    "date-time": {"format": "go-time", "type": _TEXT},
}
"""Schemas of the formats that Go decodes. Each allows null, because the decoder reads null as not set."""

BY_HAND: dict[str, dict[str, Any]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"format": "go-quantity", "type": ["string", "number", "null"]},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": FORMATS["int32"] | {"type": ["string", "integer", "null"]},
    f"{_META}Time": FORMATS["date-time"],
    f"{_META}MicroTime": FORMATS["date-time"],
    f"{_META}FieldsV1": {"type": ["object", "null"]},
}
"""Schemas of types that Go code decodes in a way that no published schema describes."""

_CORE, _CUSTOM = "io.k8s.api.core.v1.", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
NOT_REQUIRED = {
    (f"{_CORE}LimitRangeSpec", "limits"),
    (f"{_CORE}SleepAction", "seconds"),
    ("io.k8s.api.rbac.v1.RoleRef", "apiGroup"),
    ("io.k8s.api.scheduling.v1.PriorityClass", "value"),
    (f"{_CUSTOM}CustomResourceDefinitionVersion", "served"),
    (f"{_CUSTOM}CustomResourceDefinitionVersion", "storage"),
}
"""(type, field) of fields that the published schema requires and the server does not."""
REQUIRED = {
    f"{_CORE}ConfigMapEnvSource": ["name"],
    f"{_CORE}ConfigMapKeySelector": ["name"],
    f"{_CORE}ConfigMapProjection": ["name"],
    f"{_CORE}ConfigMapVolumeSource": ["name"],
    f"{_CORE}PersistentVolumeSpec": ["accessModes", "capacity"],
    f"{_CORE}SecretEnvSource": ["name"],
    f"{_CORE}SecretKeySelector": ["name"],
    f"{_CORE}SecretProjection": ["name"],
    f"{_CORE}SecretVolumeSource": ["secretName"],
}
"""Fields that the server requires and the published schema does not, by type."""
MAY_BE_EMPTY = {(f"{_CORE}HTTPHeader", "value")}
"""(type, field) of texts that must be set but may be empty."""

_KEPT = ("$ref", "type", "enum", "minimum", "maximum")


def types(published: Mapping[str, Any], enumerations: Mapping[tuple[str, str], list[str]]) -> dict[str, Any]:
    """The schema of every type that a kind may refer to, by name.

    `published`: the published schemas of a release, by type. `enumerations`: the values of fields, by (type, field).
    """
    return {
        name: BY_HAND.get(name) or _type_schema(name, definition, enumerations)
        for name, definition in published.items()
    }


def kinds(published: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """The name of the type of each kind that has metadata, by (apiVersion, kind)."""
    type_names = {}
    for name, definition in published.items():
        if definition.get("properties", {}).get("metadata", {}).get("$ref") == f"#/$defs/{OBJECT_META}":
            for gvk in definition.get("x-kubernetes-group-version-kind", ()):
                type_names[f"{gvk['group']}/{gvk['version']}".lstrip("/"), gvk["kind"]] = name
    return type_names


def _type_schema(name: str, definition: Mapping[str, Any], enumerations: Mapping[tuple[str, str], list[str]]) -> Any:
    schema = _translated(definition)
    for field, values in ((field, enumerations.get((name, field))) for field in schema.get("properties", ())):
        if values:
            node = schema["properties"][field]
            node = node.get("items", node)  # in a list, the values are those of each item
            if "string" in node.get("type", ()):
                node["enum"] = [*values, "", None]
    required = {*schema.pop("required", ()), *REQUIRED.get(name, ())}
    required = {field for field in required if (name, field) not in NOT_REQUIRED}
    if required:
        schema["required"] = sorted(required)
    for field in required:
        if (name, field) not in MAY_BE_EMPTY:
            _forbid_null(schema["properties"][field])
    return schema


def _forbid_null(node: dict[str, Any]) -> None:
    """Forbid null and, for a text, the empty text: in a required field, both count as not set."""
    node["type"] = [kind for kind in node.get("type", _ANYTHING) if kind != "null"]
    if "enum" in node:
        node["enum"] = [value for value in node["enum"] if value not in ("", None)]
    elif node["type"] == ["string"] and "format" not in node:
        node["minLength"] = 1


def _translated(node: Mapping[str, Any]) -> dict[str, Any]:
    if node.get("format") in FORMATS:
        return dict(FORMATS[node["format"]])
    translated = {key: node[key] for key in _KEPT if key in node and not (key == "enum" and len(node[key]) == 1)}
    if isinstance(translated.get("type"), str):
        translated["type"] = [translated["type"], "null"]
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            translated[key] = _translated(node[key])
        elif key in node:
            translated[key] = node[key]
    if "properties" in node:
        translated["properties"] = {name: _translated(child) for name, child in node["properties"].items()}
    if "required" in node:
        translated["required"] = sorted(node["required"])
    return translated
