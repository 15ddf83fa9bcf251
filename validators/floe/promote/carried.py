"""What an overlay runs, as far as a promotion carries it, and how one overlay is told to run what another does."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from floe import repo
from floe.errors import FloeError
from floe.kubernetes.objects import mapping, mappings, text
from floe.validate import pins
from floe.validate.waivers import PREFIX
from floe.yaml import documents, edit, load_file
from floe_runtime.contract import artifacts

Held = dict[str, dict[str, str]]
"""By file in the overlay and place in the file: `values/cube.yaml`, `valuesInline.image.tag`."""

ARTIFACTS = "compiled/CompiledArtifacts.json"
_OBJECTS = "objects/kustomization.yaml"
_IMAGE_FIELDS = ("newName", "newTag", "digest")
UNPROVEN = ("FLOE023", "FLOE024")
"""What floe-validate says of what the environment before never ran."""
_UNPROVEN_LINES = tuple(f"{PREFIX}{code}:" for code in UNPROVEN)


@dataclass(frozen=True)
class Change:
    """One value that a promotion sets: of an app's specification the digest."""

    file: str  # in the overlay
    place: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.place}: {shortened(self.old)} → {shortened(self.new)}"


def shortened(value: str) -> str:
    """A value for a line of a terminal: of a digest its first digits."""
    tag, at, digest = value.partition("@sha256:")
    return f"{tag}{at}{digest[:12]}" if at else value[:12] if len(value) == 64 else value


def held(environment: str) -> Held:
    """Chart versions, images and specifications of an overlay. Raises FloeError where there is none or it is broken."""
    overlay = repo.overlay(environment)
    found: Held = {f"values/{name}": places for name, places in pins.current(environment).items()}
    objects = overlay / _OBJECTS
    if objects.is_file():
        images = mappings(load_file(objects).get("images"))
        found[_OBJECTS] = {
            f"images[{text(image.get('name'))}].{field}": str(image[field])
            for image in images
            for field in _IMAGE_FIELDS
            if field in image
        }
    compiled = artifacts.read(repo.artifacts_file(environment))
    found[ARTIFACTS] = {f"apps.{name}": one.sha256 for name, one in compiled.apps.items()}
    return found


@dataclass(frozen=True)
class Plan:
    """What a promotion does. `absent`: apps that the target does not run, so that nothing of them is carried."""

    changes: tuple[Change, ...]
    absent: tuple[str, ...] = ()


def plan(source: str, target: str, apps: Collection[str] = ()) -> Plan:
    """What to set in one overlay so that it runs what another does; of the specifications of some apps alone, if named.

    Raises FloeError for an app that either does not run, and for a value that the target has no place for.
    """
    theirs, ours = held(source), held(target)
    running, here = theirs[ARTIFACTS], ours[ARTIFACTS]
    for app in sorted(set(apps)):
        if f"apps.{app}" not in running:
            there = ", ".join(name.removeprefix("apps.") for name in running) or "none"
            raise FloeError(f"overlays/{source} does not run the app {app!r}", f"apps that it runs: {there}")
        if f"apps.{app}" not in here:
            raise FloeError(f"overlays/{target} does not run the app {app!r}", _add(target, app))
    changes = []
    for file, places in theirs.items():
        for place, new in places.items():
            if apps and (file != ARTIFACTS or place.removeprefix("apps.") not in apps):
                continue
            old = ours.get(file, {}).get(place)
            if old is None and file.startswith("values/"):
                raise FloeError(
                    f"overlays/{source}/{file} sets {place}, for which overlays/{target}/{file} has no place",
                    f"write it there by hand once: {place}: {shortened(new)}",
                )
            if old is not None and old != new:
                changes.append(Change(file, place, old, new))
    absent = [place.removeprefix("apps.") for place in running if place not in here]
    return Plan(tuple(changes), () if apps else tuple(absent))


def _add(target: str, app: str) -> str:
    return f"list ../../../apps/{app}/deploy in overlays/{target}/values/kustomization.yaml, then floe compile {target}"


def edited(source: str, target: str, changes: Sequence[Change]) -> dict[Path, str]:
    """The new content of each file that changes; nothing is written. Raises FloeError where a place is not there."""
    overlay = repo.overlay(target)
    result = {}
    for file in dict.fromkeys(change.file for change in changes):
        here = {change.place: change.new for change in changes if change.file == file}
        path = overlay / file
        if file == ARTIFACTS:
            theirs, ours = (artifacts.read(repo.artifacts_file(one)) for one in (source, target))
            carried = {name: theirs.apps[name] for name in ours.apps if f"apps.{name}" in here}
            result[path] = ours.model_copy(update={"apps": ours.apps | carried}).text()
        else:
            result[path] = edit.replace(path.read_text(), here, f"overlays/{target}/{file}")
    return result


def namespace_file(environment: str) -> Path:
    """Where an overlay's Namespace is written, whose annotations waive what the whole environment has."""
    return repo.overlay(environment) / "objects" / "namespace.yaml"


def waived(content: str, waivers: dict[str, str], source: str) -> str:
    """A Namespace's manifest with these annotations and no others of their prefix, each on a line of its own."""
    annotations = mapping(mapping(next(documents(content, source)).value).get("metadata")).get("annotations")
    lines = [line for line in content.splitlines(keepends=True) if not line.strip().startswith(_UNPROVEN_LINES)]
    at = next((number for number, line in enumerate(lines) if line.strip() == "annotations:"), None)
    if not waivers:
        return "".join(lines)
    if at is None or not annotations:
        raise FloeError(f"{source} has no annotations to write a waiver beside", "give it floe-runtime.io/environment")
    indent = lines[at][: -len(lines[at].lstrip())] + "  "
    written = [
        f"{indent}{PREFIX}{code}: {json.dumps(words, ensure_ascii=False)}\n" for code, words in sorted(waivers.items())
    ]
    return "".join([*lines[: at + 1], *written, *lines[at + 1 :]])
