"""New apps, made from another one or from the templates, and their removal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from floe.charts import packaging
from floe.contract.compiling import compile_environment
from floe.contract.files import load
from floe.errors import FloeError
from floe.git import open_repository
from floe.kubernetes.objects import mapping, mappings
from floe.new import names, renaming, staging
from floe.new.environments import read, refuse_changes, write
from floe.new.staging import Report
from floe.repo import Checkout
from floe.yaml import documents, edit
from floe_runtime.contract.app import App, Pipeline
from floe_runtime.contract.platform import Platform

TEMPLATES = Path(__file__).with_name("templates")
"""The files of an app that loads nothing itself. They are those of an app named `example`."""

_EXAMPLE = "example"
_REGISTRY = "registry.invalid"
"""Stands in the templates for the registry that floe.toml names."""

_COMPONENTS = "components"


def component(app: str) -> str:
    """The component by which an overlay runs an app, as values/kustomization.yaml lists it."""
    return f"../../../apps/{app}/deploy"


def new(checkout: Checkout, name: str, source: str | None, environments: Sequence[str], command: str) -> Report:
    """Make a new app, and add it to overlays; `source`: the app that is copied; None: the templates.

    `environments`: by default those that run the source and follow apps/ instead of promoted specifications. Raises
    FloeError, and then changes nothing, if the app cannot be made.
    """
    names.check_app(checkout, name)
    if source is None:
        texts = {
            file.relative_to(TEMPLATES).as_posix(): file.read_bytes()
            for file in sorted(TEMPLATES.rglob("*"))
            if file.is_file() and "__pycache__" not in file.parts
        }
    else:
        folder = checkout.relative(checkout.app(source))
        refuse_changes(checkout, [folder])
        listed = open_repository(checkout.root).listed(folder)
        texts = {path.removeprefix(f"{folder}/"): (checkout.root / path).read_bytes() for path in listed}
    if name in {Path(path).stem for path in texts}:
        raise FloeError(f"the app {source or 'that is copied'} has a file of the name {name!r}", "Choose another name.")
    overlays = [checkout.overlay(one).name for one in environments] or _following(checkout, source)
    copy = staging.copied(checkout)
    files = _renamed(texts, source or _EXAMPLE, name, checkout.settings.registry)
    for path, content in files.items():
        target = copy.root / "apps" / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    load(App, copy.app(name) / "floe.yaml")
    for overlay in overlays:
        file = copy.overlay(overlay) / "values" / "kustomization.yaml"
        after = component(source) if source and component(source) in _listed(file) else None
        write(file, edit.with_item(read(file), _COMPONENTS, component(name), after, copy.relative(file)))
    _compile(copy, overlays)
    others = [one for one in checkout.environments() if one not in overlays]
    notes = [f"not in {', '.join(others)}: add the line {component(name)} there later, or use --env"] if others else []
    report = Report(
        command=command,
        done=(
            f"apps/{name}: {f'as {source}, with names of its own' if source else 'an app with one model'}",
            *(f"overlays/{overlay}: runs {name}" for overlay in overlays),
        ),
        set={} if source else {"the table that it reads": (f"apps/{name}/dbt/models/sources.yml:9",)},
        notes=tuple(notes),
        next=(
            *([f"floe-validate {' '.join(overlays)}"] if overlays else []),
            "git add apps overlays charts && git commit",
        ),
    )
    return staging.move(checkout, report, made=f"apps/{name}")


def remove(checkout: Checkout, name: str, command: str, *, force: bool) -> Report:
    """Remove an app, and its line in every overlay. Raises FloeError if work would be lost, unless `force`."""
    folder = checkout.relative(checkout.app(name))
    if not force:
        staging.refuse_loss(checkout, (folder,), folder)
    copy = staging.copied(checkout)
    for file in (copy.root / folder).rglob("*"):
        if file.is_file():
            file.unlink()
    running = []
    for overlay in copy.environments():
        file = copy.overlay(overlay) / "values" / "kustomization.yaml"
        if component(name) in _listed(file):
            write(file, edit.without_item(read(file), _COMPONENTS, component(name), copy.relative(file)))
            running.append(overlay)
    _compile(copy, running)
    report = Report(
        command=command,
        done=(f"{folder}: removed", *(f"overlays/{overlay}: no longer runs {name}" for overlay in running)),
        notes=("its tables, its marts and the history of its runs stay where they are",),
    )
    return staging.move(checkout, report, removed=(folder,))


def _listed(kustomization: Path) -> list[str]:
    return [str(one) for one in _mapping(read(kustomization), str(kustomization)).get(_COMPONENTS) or ()]


def _following(checkout: Checkout, source: str | None) -> list[str]:
    return [
        overlay
        for overlay in checkout.environments()
        if load(Platform, checkout.platform_file(overlay)).specification == "follow"
        and (not source or component(source) in _listed(checkout.overlay(overlay) / "values" / "kustomization.yaml"))
    ]


def _compile(copy: Checkout, overlays: Sequence[str]) -> None:
    for overlay in overlays:
        write(copy.artifacts_file(overlay), compile_environment(copy, overlay).text())
    packaging.write(copy, list(packaging.changes(copy)))


def _renamed(contents: dict[str, bytes], old: str, new: str, registry: str) -> dict[str, bytes]:
    """The files of an app under another name: package, dbt project, code location, namespaces, names in Cube."""
    binary: dict[str, bytes] = {}
    before: dict[str, str] = {}
    for path, content in contents.items():
        try:
            before[path] = content.decode()
        except UnicodeDecodeError:
            binary[renaming.renamed(path, old, new)] = content
    texts = {
        _path(path, old, new): _with_name(path, text, old, new).replace(_REGISTRY, registry)
        for path, text in before.items()
    }
    theirs, ours = _namespaces(before), _namespaces(texts)
    project = f"{_pipeline(before).get('dbt', 'dbt')}/dbt_project.yml"
    for key in [key for key in theirs if theirs[key] == ours[key]]:
        ours[key] = f"{names.package(new)}_{ours[key]}"
        texts["floe.yaml"] = _with_setting(texts["floe.yaml"], key, ours[key])
        if project in texts and key in mapping(_mapping(texts[project], project).get("vars")):
            texts[project] = edit.replace(texts[project], {f"vars.{key}": ours[key]}, project)
    model = mapping(_mapping(before["floe.yaml"], "floe.yaml").get("semantic_layer")).get("model", "cube/model")
    taken = {cube: f"{names.package(new)}_{cube}" for cube in _cubes(before, model) & _cubes(texts, model)}
    for path in [path for path in texts if _is_model(path, model)]:
        texts[path] = _with_cubes(
            path, _with_marts(texts[path], theirs["marts_namespace"], ours["marts_namespace"]), taken
        )
    return binary | {path: text.encode() for path, text in texts.items()}


def _pipeline(files: dict[str, str]) -> dict[str, Any]:
    return mapping(_mapping(files["floe.yaml"], "floe.yaml").get("pipeline"))


def _namespaces(files: dict[str, str]) -> dict[str, str]:
    fields = Pipeline.model_fields
    return {key: str(_pipeline(files).get(key, fields[key].default)) for key in ("raw_namespace", "marts_namespace")}


def _with_setting(text: str, key: str, value: str) -> str:
    """floe.yaml with another setting of the pipeline, which is added if the file leaves it to its default."""
    if key in _pipeline({"floe.yaml": text}):
        return edit.replace(text, {f"pipeline.{key}": value}, "floe.yaml")
    return re.sub(r"(?m)^(pipeline:[^\n]*?)(\r?\n)( +)", rf"\1\2\3{key}: {value}\2\3", text, count=1)


def _with_marts(text: str, old: str, new: str) -> str:
    """The text of a model of Cube that reads the marts of another namespace."""
    return re.sub(rf"(\{{namespace\}}', *'){re.escape(old)}'", rf"\g<1>{new}'", text)


def _path(path: str, old: str, new: str) -> str:
    return renaming.renamed(path, names.package(old), names.package(new))


def _with_name(path: str, text: str, old: str, new: str) -> str:
    """A file's text with the new name: as a Python name in dbt, Cube and Python, otherwise as that of the folder."""
    if path.startswith(("dbt/", "cube/")) or path.endswith(".py"):
        return renaming.renamed(renaming.renamed(text, old, names.package(new)), names.package(old), names.package(new))
    module = rf"(?<![\w.-]){names.package(old)}(?=\.\w)"
    return renaming.renamed(re.sub(module, names.package(new), text), old, new)


_CUBES = ("cubes", "views")
_IN_SQL = r"(?<=\{{)(?P<name>{})(?=[.}}])"
_IN_PATH = r"(?<![\w-])(?P<name>{})(?![\w-])"
_FIRST = r"(?:\A|(?<=\A[\"']))(?P<name>{})(?=[\"']?\Z|\.)"
_PLACES = {
    r".*\.(?:sql\w*|\w+_sql)": _IN_SQL,
    r"(?:cubes|views)\[[^]]*\]\.(?:name|extends)": _FIRST,
    r".*\.joins\[[^]]*\]\.name": _FIRST,
    r".*\.join_path": _IN_PATH,
    r".*\.pre_aggregations\[.*\]\.(?!name)\w+(?:\[\d+\])?": _FIRST,
}
"""The places in a model of Cube that name a cube or a view, and how they do."""


def _cubes(files: dict[str, str], model: str) -> set[str]:
    """The names of the cubes and views in a folder of files."""
    return {
        str(cube["name"])
        for path, text in files.items()
        if _is_model(path, model)
        for kind in _CUBES
        for cube in mappings(_mapping(text, path).get(kind))
    }


def _is_model(path: str, model: str) -> bool:
    return path.startswith(f"{model}/") and path.endswith((".yml", ".yaml"))


def _with_cubes(path: str, text: str, new: dict[str, str]) -> str:
    """The text of a model of Cube with other names of cubes and views, wherever the model names one."""
    any_name = "|".join(sorted(map(re.escape, new), key=len, reverse=True))
    patterns = {place: re.compile(pattern.format(any_name)) for place, pattern in _PLACES.items()}
    return edit.substitute(text, patterns, lambda match: new[match["name"]], path) if new else text


def _mapping(text: str, name: str) -> dict[str, Any]:
    """The mapping in a YAML text. Raises FloeError that names file and line if it cannot be read."""
    return next((mapping(document.value) for document in documents(text, name)), {})
