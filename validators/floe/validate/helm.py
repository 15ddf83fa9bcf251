"""Helm values in objects that make a controller render a chart: Flux's HelmRelease and Argo CD's Application."""

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
    """Yield the path and the content of each set of Helm values in the object.

    Values that are given as text are parsed; text that is not valid YAML is yielded unchanged.
    """
    spec = mapping(item.value.get("spec"))
    if item.kind == "HelmRelease":
        yield "spec.values", spec.get("values")
        return
    sources = [("spec.source", mapping(spec.get("source")))]
    sources += [(f"spec.sources[{number}]", source) for number, source in enumerate(mappings(spec.get("sources")))]
    for where, source in sources:
        chart = mapping(source.get("helm"))
        yield f"{where}.helm.valuesObject", chart.get("valuesObject")
        yield f"{where}.helm.values", _parsed_values(text(chart.get("values")))
        parameters = {text(one.get("name")): one.get("value") for one in mappings(chart.get("parameters"))}
        yield f"{where}.helm.parameters", parameters


def _parsed_values(content: str) -> Any:
    try:
        return [document.value for document in documents(content, "values")]
    except YamlError:
        return content
