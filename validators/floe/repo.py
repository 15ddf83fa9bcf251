"""Where things lie in the repository: the only module that knows its folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from floe.errors import FloeError
from floe_runtime.checkout import root as root

EMBEDDED = "embedded"
"""The name of the environment that `make demo` runs without any service outside: `platform.yaml` at the root."""


PROMOTION = ("dev", "staging", "prod")
"""Environments in the order in which a version reaches them; others, such as a demo, stand beside it."""


@contextmanager
def working_in(folder: Path, **env: str) -> Iterator[None]:
    """Let another checkout be `root()` while the block runs, with more variables of the process set."""
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
    """Names of the overlays, sorted; of another checkout than `root()` where one is given."""
    return sorted(path.parent.name for path in ((checkout or root()) / "overlays").glob("*/kustomization.yaml"))


def overlay(environment: str, checkout: Path | None = None) -> Path:
    """Folder of an overlay. Raises FloeError that lists those that exist."""
    if environment not in (there := environments(checkout)):
        raise FloeError(f"there is no overlay {environment!r}", f"overlays that exist: {', '.join(there) or 'none'}")
    return (checkout or root()) / "overlays" / environment


def predecessor(environment: str) -> str | None:
    """The environment that a version runs in before it comes to this one."""
    place = PROMOTION.index(environment) if environment in PROMOTION else 0
    return PROMOTION[place - 1] if place else None


def platform_file(environment: str = EMBEDDED) -> Path:
    """`platform.yaml` of an environment; the one at the root is the embedded default's."""
    return (root() if environment == EMBEDDED else overlay(environment)) / "platform.yaml"


def artifacts_file(environment: str) -> Path:
    """The committed CompiledArtifacts of an overlay; the embedded default's is made afresh in the state folder."""
    if environment == EMBEDDED:
        return state() / "CompiledArtifacts.json"
    return overlay(environment) / "compiled" / "CompiledArtifacts.json"


def apps() -> list[str]:
    """Names of the data applications, sorted."""
    return sorted(path.parent.name for path in (root() / "apps").glob("*/floe.yaml"))


def app(name: str) -> Path:
    """Folder of a data application. Raises FloeError that lists those that exist."""
    if name not in apps():
        raise FloeError(f"there is no app {name!r}", f"apps that exist: {', '.join(apps()) or 'none'}")
    return root() / "apps" / name


def state() -> Path:
    """Folder of the embedded default's state (git-ignored): catalog, tables, exports, Dagster's home, logs."""
    return root() / ".floe"


def cache_dir() -> Path:
    """Folder for tools, outside of any checkout, so that a fresh clone finds them again."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "floe"
