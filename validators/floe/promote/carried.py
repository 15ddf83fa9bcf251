"""The values of an overlay that a promotion changes, and how to edit one overlay so that it runs what another does."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from floe import console
from floe.contract.changes import as_run
from floe.contract.files import load
from floe.errors import FloeError
from floe.kubernetes.objects import mapping, mappings, text
from floe.repo import Checkout
from floe.validate import pins
from floe.validate.waivers import PREFIX
from floe.yaml import documents, edit, load_file
from floe_runtime.contract import artifacts
from floe_runtime.contract.platform import Platform

Held = dict[str, dict[str, str]]
"""Values by file in the overlay and path in the file, such as `values/cube.yaml` and `valuesInline.image.tag`."""

ARTIFACTS = "compiled/CompiledArtifacts.json"
_OBJECTS = "objects/kustomization.yaml"
_IMAGE_FIELDS = ("newName", "newTag", "digest")
UNPROVEN = ("FLOE023", "FLOE024")
"""The findings of floe-validate about versions that the environment before has never run."""
_UNPROVEN_LINES = tuple(f"{PREFIX}{code}:" for code in UNPROVEN)


@dataclass(frozen=True)
class Change:
    """One value that a promotion changes; for an app's specification its sha256."""

    file: str  # in the overlay
    place: str
    old: str
    new: str

    def __str__(self) -> str:
        """The change as a line of output, with shortened digests."""
        return f"{self.place}: {shortened(self.old)} → {shortened(self.new)}"


def shortened(value: str) -> str:
    """A value as shown on a terminal: a digest or sha256 is cut to its first 12 digits."""
    tag, at, digest = value.partition("@sha256:")
    return f"{tag}{at}{digest[:12]}" if at else value[:12] if len(value) == 64 else value


def held(checkout: Checkout, environment: str, target: str | None = None) -> Held:
    """The chart versions, images and app specifications of an overlay. Raises FloeError if it is missing or invalid.

    `target`: another environment, as which the specifications are given: with a synthetic part only if it has one.
    """
    overlay = checkout.overlay(environment)
    values_by_file: Held = {f"values/{name}": places for name, places in pins.current(checkout, environment).items()}
    objects = overlay / _OBJECTS
    if objects.is_file():
        images = mappings(load_file(objects).get("images"))
        values_by_file[_OBJECTS] = {
            f"images[{text(image.get('name'))}].{field}": str(image[field])
            for image in images
            for field in _IMAGE_FIELDS
            if field in image
        }
    apps = artifacts.read(checkout.artifacts_file(environment)).apps
    if target:
        apps |= _carried(checkout, environment, target)
    values_by_file[ARTIFACTS] = {f"apps.{name}": app.sha256 for name, app in apps.items()}
    return values_by_file


def _carried(checkout: Checkout, source: str, target: str) -> dict[str, artifacts.Specification]:
    """The source's specifications of the apps that both run, as the target runs them.

    What a platform.yaml sets for an app is never carried: that of the target applies. The target keeps its synthetic
    part if it has one and the source has none.
    """
    theirs, ours = (artifacts.read(checkout.artifacts_file(name)) for name in (source, target))
    platform = load(Platform, checkout.platform_file(target))
    carried = {}
    for name in (name for name in theirs.apps if name in ours.apps):
        app = theirs.apps[name].unchanged()
        if not theirs.platform.synthetic:
            app = app.model_copy(update={"synthetic": ours.apps[name].unchanged().synthetic})
        carried[name] = as_run(checkout, target, platform, app)
    return carried


@dataclass(frozen=True)
class Plan:
    """The changes of a promotion. `absent`: apps that the target does not run, so that they are not promoted."""

    changes: tuple[Change, ...]
    absent: tuple[str, ...] = ()


def plan(checkout: Checkout, source: str, target: str, apps: Collection[str] = ()) -> Plan:
    """The changes to the target overlay that make it run what the source does.

    `apps`: promote only the specifications of these apps, by default everything. Raises FloeError for an app that one
    of the two does not run, and for a value that the target's files do not have.
    """
    theirs, ours = held(checkout, source, target), held(checkout, target)
    running, here = theirs[ARTIFACTS], ours[ARTIFACTS]
    for app in sorted(set(apps)):
        if f"apps.{app}" not in running:
            known = ", ".join(name.removeprefix("apps.") for name in running) or "none"
            raise FloeError(
                f"overlays/{source} does not run the app {app!r}", f"Use one of the apps that it runs: {known}."
            )
        if f"apps.{app}" not in here:
            raise FloeError(f"overlays/{target} does not run the app {app!r}", _how_to_add(target, app))
    changes = []
    for file, places in theirs.items():
        for place, new in places.items():
            if apps and (file != ARTIFACTS or place.removeprefix("apps.") not in apps):
                continue
            old = ours.get(file, {}).get(place)
            if old is None and file.startswith("values/"):
                raise FloeError(
                    f"overlays/{source}/{file} sets {place}, but overlays/{target}/{file} does not",
                    f"Add it to overlays/{target}/{file} by hand once: {place}: {shortened(new)}",
                )
            if old is not None and old != new:
                changes.append(Change(file, place, old, new))
    absent = [place.removeprefix("apps.") for place in running if place not in here]
    return Plan(tuple(changes), () if apps else tuple(absent))


def _how_to_add(target: str, app: str) -> str:
    return (
        f"Add ../../../apps/{app}/deploy to overlays/{target}/values/kustomization.yaml, then run "
        f"`floe compile {target}`."
    )


def edited(checkout: Checkout, source: str, target: str, changes: Sequence[Change]) -> dict[Path, str]:
    """The new content of each changed file; nothing is written. Raises FloeError if a path is not in its file."""
    overlay = checkout.overlay(target)
    result = {}
    for file in dict.fromkeys(change.file for change in changes):
        here = {change.place: change.new for change in changes if change.file == file}
        path = overlay / file
        if file == ARTIFACTS:
            ours = artifacts.read(path)
            carried = {name: app for name, app in _carried(checkout, source, target).items() if f"apps.{name}" in here}
            result[path] = ours.model_copy(update={"apps": ours.apps | carried}).text()
        else:
            result[path] = edit.replace(console.read(path), here, f"overlays/{target}/{file}")
    return result


def namespace_file(checkout: Checkout, environment: str) -> Path:
    """The file of an overlay's Namespace. Waivers for a whole environment are annotations there."""
    return checkout.overlay(environment) / "objects" / "namespace.yaml"


def waived(content: str, waivers: dict[str, str], source: str) -> str:
    """A Namespace's manifest with these waivers as annotations; earlier waivers of UNPROVEN findings are removed.

    `waivers`: reason by code of the finding. `source`: name of the file, for messages. Raises FloeError if the manifest
    has no annotations.
    """
    annotations = mapping(mapping(next(documents(content, source)).value).get("metadata")).get("annotations")
    lines = [line for line in content.splitlines(keepends=True) if not line.strip().startswith(_UNPROVEN_LINES)]
    at = next((number for number, line in enumerate(lines) if line.strip() == "annotations:"), None)
    if not waivers:
        return "".join(lines)
    if at is None or not annotations:
        raise FloeError(
            f"{source} has no annotations, so no waiver can be added", "Add the annotation floe-runtime.io/environment."
        )
    indent = lines[at][: -len(lines[at].lstrip())] + "  "
    end = "\r\n" if lines[at].endswith("\r\n") else "\n"
    written = [
        f"{indent}{PREFIX}{code}: {json.dumps(words, ensure_ascii=False)}{end}"
        for code, words in sorted(waivers.items())
    ]
    return "".join([*lines[: at + 1], *written, *lines[at + 1 :]])
