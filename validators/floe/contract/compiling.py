"""Compilation: an environment's platform.yaml and the floe.yaml of its apps, to what a code location reads."""

from __future__ import annotations

from pathlib import Path

from floe.contract.applications import application, refuse_shared_names
from floe.contract.files import load
from floe.contract.places import refuse_shared_namespace, refuse_shared_place
from floe.errors import FloeError
from floe.repo import EMBEDDED, Checkout
from floe.yaml import load_file
from floe_runtime.contract.artifacts import CompiledArtifacts, Specification, specifications
from floe_runtime.contract.platform import Platform


def compile_environment(checkout: Checkout, environment: str) -> CompiledArtifacts:
    """Put an environment's platform and its apps together.

    An environment whose platform says `specification: promoted` keeps the specifications that its committed file holds,
    so that an edit in apps/ reaches it only by promotion. Raises FloeError that names the file and field at fault, also
    if two applications, or this and another environment, write the same place.
    """
    platform = load(Platform, checkout.platform_file(environment))
    refuse_shared_place(checkout, environment, platform)
    kept: dict[str, Specification] = {}
    file = checkout.artifacts_file(environment)
    if platform.specification == "promoted" and file.is_file():
        kept = specifications(file)
    names = _apps(checkout, environment)
    apps = {name: kept[name].app if name in kept else application(checkout, name) for name in names}
    refuse_shared_namespace(apps)
    if platform.specification == "follow":  # also apps that it does not list: the images hold all of them
        refuse_shared_names(checkout, {name: apps.get(name) or application(checkout, name) for name in checkout.apps()})
    return CompiledArtifacts(
        environment=environment,
        platform=platform,
        apps={name: Specification.of(app) for name, app in apps.items()},
    )


def committed(checkout: Checkout, environment: str) -> str:
    """The text of an environment's CompiledArtifacts.json with its line ends; empty if there is no such file.

    Compare it with the text of `compile_environment`. Other line ends count as a difference, because pods get the file
    byte for byte, and its hash restarts them.
    """
    try:
        return checkout.artifacts_file(environment).read_bytes().decode(errors="replace")
    except OSError:
        return ""


def out_of_date(checkout: Checkout, without: str) -> list[str]:
    """The other environments whose committed file is not what their sources give, or does not fit the contract."""

    def is_right(environment: str) -> bool:
        try:
            return committed(checkout, environment) == compile_environment(checkout, environment).text()
        except FloeError:
            return False

    return [name for name in checkout.environments() if name != without and not is_right(name)]


def _apps(checkout: Checkout, environment: str) -> list[str]:
    """The apps that an overlay lists as components (`../../../apps/<app>/deploy`); all in the embedded default."""
    if environment == EMBEDDED:
        return checkout.apps()
    listed = load_file(checkout.overlay(environment) / "values" / "kustomization.yaml").get("components") or []
    return sorted(Path(path).parent.name for path in map(str, listed) if Path(path).parent.parent.name == "apps")
