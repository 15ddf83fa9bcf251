"""Compares what Helm makes of floe's charts with what kustomize renders for an overlay."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from floe import console, process, tools
from floe.charts.overlay_values import OR_WITHOUT_HELM, Environment, every_mapping, stamped
from floe.charts.packaged import UMBRELLA, UPSTREAM
from floe.diff.compare import compare
from floe.diff.changes import ObjectChange
from floe.errors import FloeError
from floe.kubernetes.objects import ENVIRONMENT, Object, mapping, objects
from floe.repo import Checkout
from floe.yaml import documents
from floe.yaml.commented import dump

HOOK = "helm.sh/hook"
LABELS = ("app.kubernetes.io/instance",)
"""Labels with the name of the release, which is the same for all objects with Helm."""
_SECONDS = 60
_SHOWN = 5  # differences in a message


def comparable(found: Iterable[Object], namespace: str) -> list[Object]:
    """Copies of objects without what depends on the form in which they are installed.

    Only kustomize renders the Namespace, which Helm leaves to --create-namespace, and only Helm the hooks of
    `helm test`. The environment's annotation and the release's name in labels may differ.
    """
    kept = [copy.deepcopy(one.value) for one in found if one.kind != "Namespace" and HOOK not in one.annotations]
    for value in kept:
        data = value.get("data")
        if value.get("kind") == "ConfigMap" and isinstance(data, dict):
            # Helm 3 strips trailing white space before it calls a post-renderer
            value["data"] = {key: one.rstrip() if isinstance(one, str) else one for key, one in data.items()}
        metadata = value["metadata"]
        metadata.setdefault("namespace", namespace)  # a chart leaves the namespace to Helm
        annotations = mapping(metadata.pop("annotations", None))
        if left := {key: text for key, text in annotations.items() if key != ENVIRONMENT}:
            metadata["annotations"] = left
        for node in every_mapping(value):
            for label in LABELS:
                node.pop(label, None)
    return [Object("", number, 1, value) for number, value in enumerate(kept, 1)]


def own_objects(checkout: Checkout, one: Environment, files: Mapping[Path, str], header: str) -> dict[Path, str]:
    """The files for charts/ with the objects that an overlay has and no template renders.

    `files`: the content of the charts' other generated files, by path in the repository. `header`: a comment for the
    top of each file. Raises FloeError if Helm cannot render the charts, or not the objects that kustomize renders.
    """
    if hooks := [item.label for item in one.objects if HOOK in item.annotations]:
        raise FloeError(
            f"overlays/{one.name}: {', '.join(hooks)} has the annotation {HOOK}, which only Helm obeys",
            f"Remove the annotation. {OR_WITHOUT_HELM}",
        )
    with _charts(checkout, files) as folder:
        rendered = _rendered(folder, one.name)
        there = {(item.api_version, item.kind, item.name) for item in rendered}
        carried = {}
        for item in one.objects:
            if item.kind != "Namespace" and (item.api_version, item.kind, item.name) not in there:
                chart = "floe-cube" if item.name.startswith("cube") else "floe-dagster"
                path = Path("charts", chart, "objects", one.name, f"{item.kind.lower()}-{item.name}.yaml")
                carried[path] = dump(stamped(item, one.name), {}, header)
        for path, text in carried.items():
            console.write(folder / path, text)
        _check(one, _rendered(folder, one.name) if carried else rendered)
    return carried


@contextmanager
def _charts(checkout: Checkout, files: Mapping[Path, str]) -> Iterator[Path]:
    """A folder with charts/ as `files` would make it, but without the upstream charts, whose values decide the rest."""
    with tempfile.TemporaryDirectory() as name:
        for chart in (UMBRELLA, *UPSTREAM):
            ignored = shutil.ignore_patterns("charts", "objects", "values*.yaml")
            shutil.copytree(checkout.root / "charts" / chart, Path(name, "charts", chart), ignore=ignored)
        for path, text in files.items():
            console.write(Path(name, path), text)
        for chart in UPSTREAM:
            Path(name, "charts", UMBRELLA, "charts").mkdir(exist_ok=True)
            Path(name, "charts", UMBRELLA, "charts", chart).symlink_to(Path(name, "charts", chart))
        yield Path(name)


def _rendered(folder: Path, environment: str) -> list[Object]:
    """What Helm renders of the umbrella for an environment. The release has the name of Dagster's in the overlays."""
    chart = folder / "charts" / UMBRELLA
    values = chart / f"values-{environment}.yaml"
    done = process.run(
        [tools.resolve("helm"), "template", "dagster", chart, "--values", values],
        seconds=_SECONDS,
        what=f"Helm cannot render charts/{UMBRELLA} for overlays/{environment}",
        hint=f"Change what the message names in overlays/{environment} or in charts/. {OR_WITHOUT_HELM}",
    )
    return list(objects(documents(done.stdout, "helm"), "helm"))


def _check(one: Environment, rendered: list[Object]) -> None:
    kustomize = [Object("", 1, 1, stamped(item, one.name)) for item in one.objects]
    found = compare(comparable(rendered, ""), comparable(kustomize, ""))
    if found:
        more = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise FloeError(
            f"Helm would not install what kustomize renders for overlays/{one.name}:"
            + "".join(f"\n  {change.label}: {_words(change)}" for change in found[:_SHOWN])
            + more,
            f"Set it in overlays/{one.name}/objects/environment.yaml, or leave floe's object as it is and put one of "
            f"your own with another name beside it. {OR_WITHOUT_HELM}",
        )


def _words(change: ObjectChange) -> str:
    if change.change != "changed":
        return f"only {'kustomize' if change.change == 'added' else 'Helm'} has it"
    return ", ".join(field.path for field in change.fields) + " differs" if change.fields else "its name differs"
