"""Finds the repository, for the embedded environment. In a cluster, every path is absolute and needs no repository."""

from __future__ import annotations

import os
from pathlib import Path

from floe_runtime.errors import FloeError


def root() -> Path:
    """The root folder of the floe repository, which has the folders `overlays/` and `base/`.

    It is the folder that the variable FLOE_ROOT names. If that is not set, it is the working directory or the closest
    such folder above it. Raises FloeError if there is none: the checkout that this package is installed from may be
    another one than the user means.
    """
    configured = os.environ.get("FLOE_ROOT")
    candidates = [Path(configured).resolve()] if configured else [Path.cwd(), *Path.cwd().parents]
    for folder in candidates:
        if (folder / "overlays").is_dir() and (folder / "base").is_dir():
            return folder
    raise FloeError(
        f"{candidates[0]} is not the root of a floe repository: it has no overlays/ and base/"
        if configured
        else f"{candidates[0]} is not inside a floe repository: neither it nor a folder above has overlays/ and base/",
        "Change into your fork, or set FLOE_ROOT=/path/to/it.",
    )
