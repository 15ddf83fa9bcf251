"""Compilation: an environment's platform.yaml and the floe.yaml of its apps, to what a code location reads."""

from __future__ import annotations

from pathlib import Path

from floe.contract.files import load
from floe.errors import FloeError
from floe.repo import EMBEDDED, Checkout
from floe.yaml import load_file
from floe_runtime.contract.app import App
from floe_runtime.contract.artifacts import CompiledArtifacts, Specification, read
from floe_runtime.contract.platform import Platform


def compile_environment(checkout: Checkout, environment: str) -> CompiledArtifacts:
    """Put an environment's platform and its apps together.

    An environment whose platform says `specification: promoted` keeps the specifications that its committed file holds,
    so that an edit in apps/ reaches it only by promotion. Raises FloeError that names the file and field at fault.
    """
    platform = load(Platform, checkout.platform_file(environment))
    kept: dict[str, Specification] = {}
    file = checkout.artifacts_file(environment)
    if platform.specification == "promoted" and file.is_file():
        kept = read(file).apps
    apps = {
        name: Specification.of(kept[name].app if name in kept else _app(checkout, name))
        for name in _apps(checkout, environment)
    }
    return CompiledArtifacts(environment=environment, platform=platform, apps=apps)


def _app(checkout: Checkout, name: str) -> App:
    file = checkout.app(name) / "floe.yaml"
    app = load(App, file)
    if app.name != name:
        raise FloeError(
            f"{checkout.relative(file)} has the name {app.name!r}, but its folder is apps/{name}",
            f"Set `name: {name}` there, or rename the folder.",
        )
    return app


def _apps(checkout: Checkout, environment: str) -> list[str]:
    """The apps that an overlay lists as components (`../../../apps/<app>/deploy`); all in the embedded default."""
    if environment == EMBEDDED:
        return checkout.apps()
    listed = load_file(checkout.overlay(environment) / "values" / "kustomization.yaml").get("components") or []
    return sorted(Path(path).parent.name for path in map(str, listed) if Path(path).parent.parent.name == "apps")
