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
from floe.diff.changes import ObjectChange
from floe.diff.compare import compare
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


def comparable(items: Iterable[Object], namespace: str) -> list[Object]:
    """Copies of objects without what depends on the form in which they are installed.

    Only kustomize renders the Namespace, which Helm leaves to --create-namespace, and only Helm the hooks of
    `helm test`. The environment's annotation and the release's name in labels may differ.
    """
    kept = [copy.deepcopy(item.value) for item in items if item.kind != "Namespace" and HOOK not in item.annotations]
    for value in kept:
        data = value.get("data")
        if value.get("kind") == "ConfigMap" and isinstance(data, dict):
            # Helm 3 strips trailing white space before it calls a post-renderer
            value["data"] = {key: text.rstrip() if isinstance(text, str) else text for key, text in data.items()}
        metadata = value["metadata"]
        metadata.setdefault("namespace", namespace)  # a chart leaves the namespace to Helm
        annotations = mapping(metadata.pop("annotations", None))
        if left := {key: text for key, text in annotations.items() if key != ENVIRONMENT}:
            metadata["annotations"] = left
        for node in every_mapping(value):
            for label in LABELS:
                node.pop(label, None)
    return [Object("", number, 1, value) for number, value in enumerate(kept, 1)]


def own_objects(checkout: Checkout, overlay: Environment, files: Mapping[Path, str], header: str) -> dict[Path, str]:
    """The files for charts/ with the objects that an overlay has and no template renders.

    `files`: the content of the charts' other generated files, by path in the repository. `header`: a comment for the
    top of each file. Raises FloeError if Helm cannot render the charts, or not the objects that kustomize renders.
    """
    if hooks := [item.label for item in overlay.objects if HOOK in item.annotations]:
        raise FloeError(
            f"overlays/{overlay.name}: {', '.join(hooks)} has the annotation {HOOK}, which only Helm obeys",
            f"Remove the annotation. {OR_WITHOUT_HELM}",
        )
    with _temporary_charts(checkout, files) as folder:
        rendered = _helm_objects(folder, overlay.name)
        templated = {(item.api_version, item.kind, item.name) for item in rendered}
        carried = {}
        for item in overlay.objects:
            if item.kind != "Namespace" and (item.api_version, item.kind, item.name) not in templated:
                chart = "floe-cube" if item.name.startswith("cube") else "floe-dagster"
                path = Path("charts", chart, "objects", overlay.name, f"{item.kind.lower()}-{item.name}.yaml")
                carried[path] = dump(stamped(item, overlay.name), {}, header)
        for path, text in carried.items():
            console.write(folder / path, text)
        _refuse_differences(overlay, _helm_objects(folder, overlay.name) if carried else rendered)
    return carried


@contextmanager
def _temporary_charts(checkout: Checkout, files: Mapping[Path, str]) -> Iterator[Path]:
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


def _helm_objects(folder: Path, environment: str) -> list[Object]:
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


def _refuse_differences(overlay: Environment, rendered: list[Object]) -> None:
    kustomize = [Object("", 1, 1, stamped(item, overlay.name)) for item in overlay.objects]
    changes = compare(comparable(rendered, ""), comparable(kustomize, ""))
    if changes:
        more = f"\n  and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        raise FloeError(
            f"Helm would not install what kustomize renders for overlays/{overlay.name}:"
            + "".join(f"\n  {change.label}: {_difference_words(change)}" for change in changes[:_SHOWN])
            + more,
            f"Set it in overlays/{overlay.name}/objects/environment.yaml, or leave floe's object as it is and put one "
            f"of your own with another name beside it. {OR_WITHOUT_HELM}",
        )


def _difference_words(change: ObjectChange) -> str:
    if change.change != "changed":
        return f"only {'kustomize' if change.change == 'added' else 'Helm'} has it"
    return ", ".join(field.path for field in change.fields) + " differs" if change.fields else "its name differs"
