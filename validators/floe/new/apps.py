"""New apps, made from another one or from the templates, and their removal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from floe.charts import packaging
from floe.console import read, write
from floe.contract.compiling import compile_environment
from floe.contract.files import load
from floe.errors import FloeError
from floe.git import open_repository
from floe.new import app_files, names, staging
from floe.new.environments import refuse_changes
from floe.new.staging import Report
from floe.repo import EMBEDDED, Checkout
from floe.yaml import edit, load_file
from floe_runtime.contract.app import App
from floe_runtime.contract.platform import Platform

TEMPLATES = Path(__file__).with_name("templates")
"""The files of an app that loads nothing itself. They are those of an app named `sample`."""

_TEMPLATE = "sample"
_REGISTRY = b"registry.invalid"
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
        registry = checkout.settings.registry.encode()
        texts = {
            file.relative_to(TEMPLATES).as_posix(): file.read_bytes().replace(_REGISTRY, registry)
            for file in sorted(TEMPLATES.rglob("*"))
            if file.is_file() and "__pycache__" not in file.parts
        }
    else:
        folder = checkout.relative(checkout.app(source))
        refuse_changes(checkout, [folder])
        listed = open_repository(checkout.root).listed(folder)
        texts = {path.removeprefix(f"{folder}/"): (checkout.root / path).read_bytes() for path in listed}
    if name in {Path(path).stem for path in texts}:
        raise FloeError(f"{source or 'the template'} has a file that is named {name!r} too", "Choose another name.")
    overlays = [checkout.overlay(one).name for one in environments] or _following(checkout, source)
    copy = staging.copied(checkout)
    files = app_files.renamed(texts, source or _TEMPLATE, name)
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
            *([f"floe check {' '.join(overlays)}"] if overlays else []),
            "git add apps overlays charts && git commit",
        ),
    )
    return staging.move(checkout, report, made=f"apps/{name}")


def remove(checkout: Checkout, name: str, command: str, *, force: bool) -> Report:
    """Remove an app, its line in every overlay, and what a platform.yaml sets for it.

    Raises FloeError if work would be lost, unless `force`.
    """
    folder = checkout.relative(checkout.app(name))
    if not force:
        staging.refuse_loss(checkout, (folder,), folder)
    _refuse_last_app(checkout, name)
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
    changed = [copy.relative(file) for file in _platforms(copy) if _without_changes(copy, file, name)]
    _compile(copy, running)
    report = Report(
        command=command,
        done=(
            f"{folder}: removed",
            *(f"overlays/{overlay}: no longer runs {name}" for overlay in running),
            *(f"{file}: sets nothing for {name} any more" for file in changed),
        ),
        notes=("its tables, its marts and the history of its runs stay where they are",),
    )
    return staging.move(checkout, report, removed=(folder,))


def _platforms(checkout: Checkout) -> list[Path]:
    files = [checkout.platform_file(name) for name in (EMBEDDED, *checkout.environments())]
    return [file for file in files if file.is_file()]


def _without_changes(checkout: Checkout, file: Path, name: str) -> bool:
    """Remove what a platform.yaml sets for an app; returns whether the file changed."""
    before = read(file)
    if (text := edit.without_key(before, f"apps.{name}", checkout.relative(file))) == before:
        return False
    write(file, text)
    return True


def _refuse_last_app(checkout: Checkout, name: str) -> None:
    """Raise FloeError if an overlay runs no other app, since kustomize cannot render one without a code location."""
    other = {component(app) for app in checkout.apps() if app != name}
    running = {
        overlay: set(_listed(checkout.overlay(overlay) / "values" / "kustomization.yaml"))
        for overlay in checkout.environments()
    }
    if alone := [overlay for overlay, listed in running.items() if component(name) in listed and not listed & other]:
        raise FloeError(
            f"{name} is the only app of {', '.join(alone)}, and an environment runs at least one",
            f"Give them another app first: `floe new app NAME --empty {' '.join(f'--env {one}' for one in alone)}`.",
        )


def _listed(kustomization: Path) -> list[str]:
    return [str(one) for one in load_file(kustomization).get(_COMPONENTS) or ()]


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
