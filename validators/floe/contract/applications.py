"""What the files of an application must be, beside its floe.yaml, and that those of two applications differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from floe.contract.files import load
from floe.errors import FloeError
from floe.repo import Checkout
from floe.yaml import load_file
from floe_runtime.contract.app import App, package

_MART = re.compile(r"env_var\('FLOE_MART'\)(?P<filters>.*?)(?=\}\}|%\}|\n|$)")
_NAMESPACE = re.compile(r"replace\('\{namespace\}', '(?P<name>[^']*)'\)")
_JS_NAME = re.compile(r"\b(?:cube|view)\(\s*[`'\"](?P<name>\w+)[`'\"]")


def application(checkout: Checkout, name: str) -> App:
    """The floe.yaml of an application, whose folder was checked. Raises FloeError with the file and field at fault."""
    folder = checkout.app(name)
    file = folder / "floe.yaml"
    where, app = checkout.relative(file), load(App, file)
    if app.name != name:
        raise FloeError(
            f"{where} has the name {app.name!r}, but its folder is apps/{name}",
            f"Set `name: {name}` there, or rename the folder.",
        )
    module = package(name)
    needed = {
        f"{module}/definitions.py": f"Write the Python package {module} there, which Dagster loads.",
        f"{app.pipeline.dbt}/dbt_project.yml": f"Set pipeline.dbt in {where} to the folder of the dbt project.",
        app.semantic_layer.model: f"Set semantic_layer.model in {where} to the folder of the Cube model.",
    }
    for path, hint in needed.items():
        if not (folder / path).exists():
            raise FloeError(f"apps/{name}/{path} does not exist", hint)
    for model in _model_files(folder / app.semantic_layer.model):
        _reads_own_marts(checkout, model, app.pipeline.marts_namespace)
    return app


def refuse_shared_names(checkout: Checkout, apps: Mapping[str, App]) -> None:
    """Raise FloeError if two applications have a dbt project, a cube or a view of the same name.

    One Cube serves the models of all applications, and refuses every query if it knows a name twice. In model files
    written in JavaScript, only names that are plain text are found.
    """
    seen: dict[tuple[str, str], Path] = {}
    for name, app in apps.items():
        folder = checkout.app(name)
        project = folder / app.pipeline.dbt / "dbt_project.yml"
        named = [("dbt project", str(load_file(project).get("name")), project)]
        for file in _model_files(folder / app.semantic_layer.model):
            named += [("cube or view", found, file) for found in _names(file)]
        for kind, found, file in named:
            if other := seen.get((kind, found)):
                module, suffix = package(name), "" if file == project else f"_{found}"
                raise FloeError(
                    f"{checkout.relative(other)} and {checkout.relative(file)} both have a {kind} "
                    f"with the name {found!r}",
                    f"Rename the one in {checkout.relative(file)}, for example to {module}{suffix}.",
                )
            seen[kind, found] = file


def _model_files(folder: Path) -> list[Path]:
    """The files that Cube reads. It leaves out names with a leading dot (images/cube/cube.js)."""
    return sorted(
        file
        for file in folder.rglob("*")
        if re.fullmatch(r"\.(ya?ml|jsx?|tsx?)", file.suffix)
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def _names(file: Path) -> Iterator[str]:
    """The names of the cubes and views in a file."""
    if file.suffix in (".yml", ".yaml"):
        content: dict[str, Any] = load_file(file)
        for entry in [*(content.get("cubes") or ()), *(content.get("views") or ())]:
            yield str(entry.get("name"))
    else:
        yield from (match["name"] for match in _JS_NAME.finditer(file.read_text()))


def _reads_own_marts(checkout: Checkout, file: Path, namespace: str) -> None:
    """Raise FloeError if a model file reads FLOE_MART with another namespace than that of the application."""
    text = file.read_text()
    for match in _MART.finditer(text):
        read = _NAMESPACE.search(match["filters"])
        if read is None or read["name"] != namespace:
            line = text.count("\n", 0, match.start()) + 1
            found = repr(read["name"]) if read else "no namespace"
            raise FloeError(
                f"{checkout.relative(file)}, line {line}, reads marts of {found}, "
                f"but the app's marts_namespace is {namespace!r}",
                f"Write env_var('FLOE_MART') | replace('{{namespace}}', '{namespace}') there.",
            )
