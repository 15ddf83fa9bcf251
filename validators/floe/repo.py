"""The layout of the repository: the only module that knows its folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from floe.errors import FloeError
from floe_runtime.checkout import root

if TYPE_CHECKING:
    from floe.settings import Settings

EMBEDDED = "embedded"
"""The name of the environment that `make demo` runs without external services: `platform.yaml` at the root."""


@dataclass(frozen=True)
class Checkout:
    """A folder with the files of this repository: the working tree, or a commit written to another folder."""

    root: Path
    git: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Variables with which Git uses the folder as a working tree; empty if it is one."""

    @cached_property
    def settings(self) -> Settings:
        """The settings in floe.toml. Raises FloeError if the file is not valid."""
        from floe.settings import load

        return load(self.root / "floe.toml")

    def environments(self) -> list[str]:
        """The names of the overlays, sorted."""
        return sorted(path.parent.name for path in (self.root / "overlays").glob("*/kustomization.yaml"))

    def in_promotion_order(self) -> list[str]:
        """The names of the overlays in the promotion order, followed by those that are not part of it."""
        order = self.settings.promotion
        return sorted(self.environments(), key=lambda name: (*order, name).index(name))

    def overlay(self, environment: str) -> Path:
        """The folder of an overlay. Raises FloeError if there is no such overlay."""
        if environment not in (overlays := self.environments()):
            raise FloeError(
                f"there is no overlay {environment!r}",
                f"Use one of the overlays that exist: {', '.join(overlays) or 'none'}.",
            )
        return self.root / "overlays" / environment

    def predecessor(self, environment: str) -> str | None:
        """The environment before this one in the promotion order; None for the first one and for those not in it."""
        order = self.settings.promotion
        place = order.index(environment) if environment in order else 0
        return order[place - 1] if place else None

    def platform_file(self, environment: str = EMBEDDED) -> Path:
        """The `platform.yaml` of an environment; the embedded default has the one at the root."""
        return (self.root if environment == EMBEDDED else self.overlay(environment)) / "platform.yaml"

    def artifacts_file(self, environment: str) -> Path:
        """The CompiledArtifacts.json of an environment: committed for an overlay, generated for the embedded one."""
        if environment == EMBEDDED:
            return self.state / "CompiledArtifacts.json"
        return self.overlay(environment) / "compiled" / "CompiledArtifacts.json"

    def apps(self) -> list[str]:
        """The names of the data applications, sorted."""
        return sorted(path.parent.name for path in (self.root / "apps").glob("*/floe.yaml"))

    def app(self, name: str) -> Path:
        """The folder of a data application. Raises FloeError if there is no such application."""
        if name not in (apps := self.apps()):
            raise FloeError(
                f"there is no app {name!r}", f"Use one of the apps that exist: {', '.join(apps) or 'none'}."
            )
        return self.root / "apps" / name

    @property
    def state(self) -> Path:
        """The state of the embedded default, ignored by Git: catalog, tables, exports, Dagster's home and logs."""
        return self.root / ".floe"

    def relative(self, path: Path) -> str:
        """A path inside the checkout as messages name it: relative to the root, with slashes."""
        return path.relative_to(self.root).as_posix()


def current() -> Checkout:
    """The checkout that contains the working directory, or that FLOE_ROOT names. Raises FloeError if there is none."""
    return Checkout(root())


def cache_dir() -> Path:
    """The cache folder for tools and charts, outside any checkout, so that a fresh clone finds them again."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "floe"
