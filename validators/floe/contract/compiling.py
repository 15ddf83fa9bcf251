"""Compilation: an environment's platform.yaml and the floe.yaml of its apps, to what a code location reads."""

from __future__ import annotations

from pathlib import Path

from floe.contract.applications import application, refuse_shared_names
from floe.contract.changes import as_run, refuse_unknown
from floe.contract.files import load
from floe.contract.places import refuse_shared_namespace, refuse_shared_place
from floe.errors import FloeError
from floe.repo import EMBEDDED, Checkout
from floe.yaml import load_file
from floe_runtime.contract.artifacts import CompiledArtifacts, Specification, has_synthetic, specifications
from floe_runtime.contract.platform import Platform


def compile_environment(checkout: Checkout, environment: str) -> CompiledArtifacts:
    """Put an environment's platform and its apps together.

    An environment whose platform says `specification: promoted` keeps the specifications that its committed file holds,
    so that an edit in apps/ reaches it only by promotion. Raises FloeError that names the file and field at fault, also
    if two applications, or this and another environment, write the same place.
    """
    platform = load(Platform, checkout.platform_file(environment))
    refuse_shared_place(checkout, environment, platform)
    compiled = compile_platform(checkout, environment, platform)
    apps = {name: one.app for name, one in compiled.apps.items()}
    refuse_shared_namespace(apps)
    if platform.specification == "follow":  # also apps that it does not list: the images hold all of them
        refuse_shared_names(checkout, {name: apps.get(name) or application(checkout, name) for name in checkout.apps()})
    return compiled


def compile_platform(checkout: Checkout, environment: str, platform: Platform) -> CompiledArtifacts:
    """The artifacts of an environment with a platform, which is not compared with the other environments.

    Raises FloeError that names the file and field at fault.
    """
    kept: dict[str, Specification] = {}
    file = checkout.artifacts_file(environment)
    if platform.specification == "promoted" and file.is_file():
        kept = specifications(file)
    names = _apps(checkout, environment)
    refuse_unknown(checkout, environment, platform, names)
    left_out = bool(kept) and platform.synthetic and not has_synthetic(file)
    apps = {}
    for name in names:
        app = kept[name].unchanged() if name in kept else application(checkout, name)
        if left_out and name in kept and app.synthetic is None:
            app = app.model_copy(update={"synthetic": application(checkout, name).synthetic})
        apps[name] = as_run(checkout, environment, platform, app)
    return CompiledArtifacts(environment=environment, platform=platform, apps=apps)


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
