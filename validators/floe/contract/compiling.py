"""Compilation: an environment's platform.yaml and the floe.yaml of its apps, to what a code location reads."""

from __future__ import annotations

from pathlib import Path

from floe import repo
from floe.contract.files import load
from floe.yaml import load_file
from floe_runtime.contract.app import App
from floe_runtime.contract.artifacts import CompiledArtifacts, Specification, read
from floe_runtime.contract.platform import Platform


def compile_environment(environment: str) -> CompiledArtifacts:
    """Put an environment's platform and its apps together.

    An environment whose platform says `specification: promoted` keeps the specifications that its committed file holds,
    so that an edit in apps/ reaches it only by promotion. Raises FloeError that names the file and field at fault.
    """
    platform = load(Platform, repo.platform_file(environment))
    kept: dict[str, Specification] = {}
    file = repo.artifacts_file(environment)
    if platform.specification == "promoted" and file.is_file():
        kept = read(file).apps
    apps = {
        name: Specification.of(kept[name].app if name in kept else load(App, repo.app(name) / "floe.yaml"))
        for name in _apps(environment)
    }
    return CompiledArtifacts(environment=environment, platform=platform, apps=apps)


def _apps(environment: str) -> list[str]:
    """The apps that an overlay lists as components (`../../../apps/<app>/deploy`); all in the embedded default."""
    if environment == repo.EMBEDDED:
        return repo.apps()
    listed = load_file(repo.overlay(environment) / "values" / "kustomization.yaml").get("components") or []
    return sorted(Path(path).parent.name for path in map(str, listed) if Path(path).parent.parent.name == "apps")
