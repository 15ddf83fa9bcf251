"""Where a process of the embedded default finds the repository; in a cluster every path is absolute."""

from __future__ import annotations

import os
from pathlib import Path

from floe_runtime.errors import FloeError


def root() -> Path:
    """The repository: the closest folder above the working directory that has `overlays/` and `base/`.

    `FLOE_ROOT` names it outright. Without either, the checkout this package is installed from.
    Raises FloeError where none of them is a floe repository.
    """
    named = os.environ.get("FLOE_ROOT")
    candidates = [Path(named).resolve()] if named else [Path.cwd(), *Path.cwd().parents, Path(__file__).parents[2]]
    for folder in candidates:
        if (folder / "overlays").is_dir() and (folder / "base").is_dir():
            return folder
    raise FloeError(
        f"{candidates[0]} is not inside a floe repository (no overlays/ and base/ there or above)",
        "change into your fork, or name it with FLOE_ROOT=/path/to/it",
    )
