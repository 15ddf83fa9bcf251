"""Helm values that a stream hands to a controller: Flux's HelmRelease and Argo CD's Application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from floe.kubernetes.objects import Object, mapping, mappings, text
from floe.yaml import YamlError, documents

KINDS = ("HelmRelease", "Application")


def is_chart(item: Object) -> bool:
    """Whether the object makes a controller render a chart."""
    spec = mapping(item.value.get("spec"))
    if item.kind == "HelmRelease":
        return item.api_version.startswith("helm.toolkit.fluxcd.io/")
    sources = [mapping(spec.get("source")), *mappings(spec.get("sources"))]
    return item.api_version.startswith("argoproj.io/") and any("chart" in source for source in sources)


def values(item: Object) -> Iterator[tuple[str, Any]]:
    """Where values stand in the object, and what they are; text that is no YAML as it is."""
    spec = mapping(item.value.get("spec"))
    if item.kind == "HelmRelease":
        yield "spec.values", spec.get("values")
        return
    sources = [("spec.source", mapping(spec.get("source")))]
    sources += [(f"spec.sources[{number}]", source) for number, source in enumerate(mappings(spec.get("sources")))]
    for where, source in sources:
        chart = mapping(source.get("helm"))
        yield f"{where}.helm.valuesObject", chart.get("valuesObject")
        yield f"{where}.helm.values", _parsed(text(chart.get("values")))
        parameters = {text(one.get("name")): one.get("value") for one in mappings(chart.get("parameters"))}
        yield f"{where}.helm.parameters", parameters


def _parsed(content: str) -> Any:
    try:
        return [document.value for document in documents(content, "values")]
    except YamlError:
        return content
