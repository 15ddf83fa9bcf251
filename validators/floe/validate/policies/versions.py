"""Policies on versions of charts and images: which ones belong together, and whether they were promoted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from floe import git
from floe.errors import FloeError
from floe.kubernetes.objects import Object, mapping, text
from floe.repo import Checkout
from floe.validate import pins
from floe.validate.policies.policy import Hit, Policy, Stage
from floe.validate.schema import Schemas
from floe.validate.stream import LeftOut, Stream

_LOCKED = re.compile(r"^dagster==([\w.]+)", re.MULTILINE)
_DAGSTER = "dagster.yaml"


@Policy(
    code="FLOE023",
    stage=Stage.REPOSITORY,
    severity="error",
    title="The versions of Dagster's chart and image do not belong together",
    why="The chart writes dagster.yaml and the command lines for its own version of Dagster. Another version may "
    "refuse them, or migrate the database to a schema that the other parts do not know.",
    remedy="If platform.yaml says `specification: follow`, set the chart to the version that requirements.lock "
    "names for dagster. Otherwise promote the chart and the image together with `floe promote`.",
    fails="""
        # requirements.lock
        dagster==1.12.17
        ---
        # overlays/dev/values/dagster.yaml
        kind: HelmChartInflationGenerator
        version: 1.12.18
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev}}
    """,
    passes="""
        # requirements.lock
        dagster==1.12.17
        ---
        # overlays/dev/values/dagster.yaml
        kind: HelmChartInflationGenerator
        version: 1.12.17
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-dev, annotations: {floe-runtime.io/environment: dev}}
    """,
)
def dagster_versions(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Compare the chart's version with requirements.lock, or else with the history of the previous environment.

    The lock is used if platform.yaml says `specification: follow`. Raises LeftOut if there is no platform.yaml for the
    environment, if the lock names no version of dagster, and if the history is not complete.
    """
    overlay = stream.overlay()
    environment, checkout = overlay.environment, overlay.checkout
    pinned = pins.current(checkout, environment).get(_DAGSTER, {})
    chart, path = pinned.get("version"), f"overlays/{environment}/values/{_DAGSTER}"
    if chart is None:
        return
    if overlay.platform.specification == "follow":
        lock = checkout.root / "requirements.lock"
        locked = _LOCKED.search(lock.read_text()) if lock.is_file() else None
        if locked is None:
            raise LeftOut("requirements.lock does not pin a version of dagster")
        if chart != locked[1]:
            words = (
                f"Dagster's chart has version {chart}, but images are built with dagster {locked[1]}, "
                "which requirements.lock pins"
            )
            yield Hit(_holder_of_chart(stream, _DAGSTER), words, file=path)
        return
    before = checkout.predecessor(environment)
    if before is None:
        return
    history = pins.before_promotion(checkout, before, environment)
    if not any(name == _DAGSTER and pinned.items() <= old.items() for name, old in history):
        _refuse_shallow(checkout)
        images = ", ".join(sorted({value for place, value in pinned.items() if place != "version"}))
        words = f"Dagster's chart {chart} and images {images} were never together in overlays/{before}"
        yield Hit(_holder_of_environment(stream), words, file=path)


@Policy(
    code="FLOE024",
    stage=Stage.REPOSITORY,
    severity="error",
    title="A chart or image skipped the previous environment",
    why="Nobody has tried a version that comes to prod without having been in staging.",
    remedy="Commit the version to the previous environment and see it run there. Then promote it with `floe promote`.",
    fails="""
        # overlays/prod/values/cube.yaml
        kind: HelmChartInflationGenerator
        valuesInline: {image: {tag: 1.7.0}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-prod, annotations: {floe-runtime.io/environment: prod}}
    """,
    passes="""
        # overlays/staging/values/cube.yaml, in an earlier commit
        kind: HelmChartInflationGenerator
        valuesInline: {image: {tag: 1.7.0}}
        ---
        # overlays/prod/values/cube.yaml
        kind: HelmChartInflationGenerator
        valuesInline: {image: {tag: 1.7.0}}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: floe-prod, annotations: {floe-runtime.io/environment: prod}}
    """,
)
def not_promoted(stream: Stream, _: Schemas) -> Iterator[Hit]:
    """Check that each version was in some commit of the previous environment's values files.

    Raises LeftOut if there is no platform.yaml for the environment, and if the history is not complete.
    """
    overlay = stream.overlay()
    environment, checkout = overlay.environment, overlay.checkout
    before = checkout.predecessor(environment)
    if before is None:
        return
    missing = {
        (name, place, value)
        for name, pinned in pins.current(checkout, environment).items()
        for place, value in pinned.items()
    }
    for name, old in pins.before_promotion(checkout, before, environment):
        missing -= {(name, place, value) for place, value in old.items()}
        if not missing:
            return
    _refuse_shallow(checkout)
    for name, place, value in sorted(missing):
        path = f"overlays/{environment}/values/{name}"
        words = f"{path}: {place} {value} was never in overlays/{before}"
        yield Hit(_holder_of_environment(stream), words, file=path)


def _refuse_shallow(checkout: Checkout) -> None:
    try:
        shallow = git.is_shallow(checkout.root, checkout.git)
    except FloeError as error:
        raise LeftOut(error.message) from None
    if shallow:
        raise LeftOut("this clone lacks older commits: run git fetch --unshallow")


def _holder_of_environment(stream: Stream) -> Object:
    """The Namespace, which carries the waivers for the whole environment; without one, the first object."""
    return next(iter(stream.of("Namespace")), stream.objects[0])


def _holder_of_chart(stream: Stream, values_file: str) -> Object:
    """The first object of a chart, for a finding to point at; if there is none, the first object of the stream."""
    name = values_file.removesuffix(".yaml")
    for item in stream.objects:
        if text(mapping(item.metadata.get("labels")).get("helm.sh/chart")).rpartition("-")[0] == name:
            return item
    return stream.objects[0]
