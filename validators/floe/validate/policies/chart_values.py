"""The policy on values that a chart does not know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from floe.errors import FloeError
from floe.kubernetes.objects import mapping
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import LeftOut, Stream
from floe.yaml import load_file


@Policy(
    code="FLOE027",
    stage=Stage.REPOSITORY,
    severity="error",
    title="A chart does not know a value",
    why="Helm accepts a value with a misspelled name or at the wrong depth without a warning, and it has no effect. A "
    "value is known if the chart's values.yaml has it, even in a comment, or if a template reads it. Keys of labels, "
    "annotations, environment variables, resources and similar mappings are not compared, and neither are the values "
    "of a stand-in.",
    remedy="Compare the value with the values.yaml of the chart, and correct its name or its place, or remove it.",
    fails="""
        # overlays/dev/charts/web-1.4.0/web/Chart.yaml
        name: web
        ---
        # overlays/dev/charts/web-1.4.0/web/values.yaml
        image: {repository: web}
        replicaCount: 1
        ---
        # base/charts/web.yaml
        {kind: HelmChartInflationGenerator, name: web, repo: https://charts.example.com}
        ---
        # overlays/dev/values/web.yaml
        {kind: HelmChartInflationGenerator, version: 1.4.0, valuesInline: {image: {replicaCount: 2}}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev}}
    """,
    passes="""
        # overlays/dev/charts/web-1.4.0/web/Chart.yaml
        name: web
        ---
        # overlays/dev/charts/web-1.4.0/web/values.yaml
        image: {repository: web}
        replicaCount: 1
        ---
        # base/charts/web.yaml
        {kind: HelmChartInflationGenerator, name: web, repo: https://charts.example.com}
        ---
        # overlays/dev/values/web.yaml
        {kind: HelmChartInflationGenerator, version: 1.4.0, valuesInline: {replicaCount: 2}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev}}
    """,
)
def unknown_value(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Compare the values in overlays/<env>/values with the charts in overlays/<env>/charts.

    Charts that are not there are not compared. Raises LeftOut if there is no platform.yaml for the environment, or if
    the overlay does not say which charts it has.
    """
    overlay = stream.overlay()
    from floe.charts.chart import pinned
    from floe.charts.unknown_values import unknown_in

    values = overlay.checkout.overlay(overlay.environment) / "values"
    try:
        unknown = [
            (chart, value)
            for chart in pinned(overlay.checkout, overlay.environment)
            if chart.is_pulled() and not chart.is_stand_in()
            for value in unknown_in(chart.path, _given(values / f"{chart.name}.yaml"))
        ]
    except (FloeError, OSError, UnicodeDecodeError) as error:
        raise LeftOut(f"the values of a chart cannot be compared: {error}") from None
    for chart, value in unknown:
        file = f"overlays/{overlay.environment}/values/{chart.name}.yaml"
        path = ("valuesInline", *value.path)
        line = next((place.line for place in stream.written.places(file) if place.path == path), 0)
        yield Hit(stream.of_chart(chart.name), f"{chart}: {value}", file=file, file_line=line)


def _given(file: Path) -> dict[str, Any]:
    return mapping(load_file(file).get("valuesInline")) if file.is_file() else {}
