"""The layout of the repository: the only module that knows its folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from floe.errors import FloeError
from floe_runtime.checkout import root as root

EMBEDDED = "embedded"
"""The name of the environment that `make demo` runs without external services: `platform.yaml` at the root."""


PROMOTION = ("dev", "staging", "prod")
"""The promotion order: environments in the order in which a version reaches them. Others, such as demo, have none."""


@contextmanager
def working_in(folder: Path, **env: str) -> Iterator[None]:
    """Make `root()` return another checkout while the block runs; `env` sets further variables of this process."""
    wanted = {"FLOE_ROOT": str(folder), **env}
    kept = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    root.cache_clear()
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        root.cache_clear()


def environments(checkout: Path | None = None) -> list[str]:
    """The names of the overlays, sorted. `checkout`: a checkout other than `root()`."""
    return sorted(path.parent.name for path in ((checkout or root()) / "overlays").glob("*/kustomization.yaml"))


def overlay(environment: str, checkout: Path | None = None) -> Path:
    """The folder of an overlay. Raises FloeError if there is no such overlay."""
    if environment not in (there := environments(checkout)):
        raise FloeError(
            f"there is no overlay {environment!r}", f"Use one of the overlays that exist: {', '.join(there) or 'none'}."
        )
    return (checkout or root()) / "overlays" / environment


def predecessor(environment: str) -> str | None:
    """The environment before this one in the promotion order; None for the first one and for those not in it."""
    place = PROMOTION.index(environment) if environment in PROMOTION else 0
    return PROMOTION[place - 1] if place else None


def platform_file(environment: str = EMBEDDED) -> Path:
    """The `platform.yaml` of an environment; the embedded default has the one at the root."""
    return (root() if environment == EMBEDDED else overlay(environment)) / "platform.yaml"


def artifacts_file(environment: str) -> Path:
    """The CompiledArtifacts file of an environment: committed for an overlay, generated for the embedded default."""
    if environment == EMBEDDED:
        return state() / "CompiledArtifacts.json"
    return overlay(environment) / "compiled" / "CompiledArtifacts.json"


def apps() -> list[str]:
    """The names of the data applications, sorted."""
    return sorted(path.parent.name for path in (root() / "apps").glob("*/floe.yaml"))


def app(name: str) -> Path:
    """The folder of a data application. Raises FloeError if there is no such application."""
    if name not in apps():
        raise FloeError(f"there is no app {name!r}", f"Use one of the apps that exist: {', '.join(apps()) or 'none'}.")
    return root() / "apps" / name


def state() -> Path:
    """The folder of the embedded default's state, ignored by Git: catalog, tables, exports, Dagster's home, logs."""
    return root() / ".floe"


def cache_dir() -> Path:
    """The cache folder for tools and charts, outside any checkout, so that a fresh clone finds them again."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "floe"
