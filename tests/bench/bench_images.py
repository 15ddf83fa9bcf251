"""The sizes of the production images, and the time to rebuild one after a change of one line of code.

Sizes need no peer. The time is compared with a build in which nothing has changed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from floe import image_builds, repo
from images.build import RECIPES, archives, builder

PRODUCTION = ("dagster", "dagster-small", "cube")
MB = 1_000_000


def run() -> dict[str, object]:
    """Megabytes of every image, of its layers and of its largest packages; seconds of a rebuild."""
    archives(PRODUCTION)
    engine = builder()
    figures: dict[str, object] = {}
    for name in PRODUCTION:
        size, layers = engine.weigh(RECIPES[name].names[0])
        figures[f"{name}, MB"] = round(size / MB)
        figures[f"{name}, MB of its layers"] = ", ".join(f"{layer / MB:.0f}" for layer, _ in layers if layer > MB)
    for size, package in engine.packages(RECIPES["dagster"].names[0])[:5]:
        figures[f"dagster, MB of {package}"] = f"{size / MB:.0f} ({image_builds.WHY[package]})"
    return figures | _rebuilt(engine)


def _rebuilt(engine: image_builds.Builder) -> dict[str, object]:
    """Seconds to build dagster from a copy of the repository, without changes and after a change of the code."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("base", "overlays", "runtime", "synthetic", "apps", "images"):
            shutil.copytree(
                repo.current().root / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "charts")
            )
        for file in ("pyproject.toml", "requirements.lock", ".dockerignore"):
            shutil.copy2(repo.current().root / file, copy / file)
        os.environ["FLOE_ROOT"] = str(copy)
        try:
            unchanged = _build(engine)
            with (copy / "apps/ecommerce/definitions.py").open("a") as code:
                code.write(f"# {time.time()}\n")
            changed = _build(engine)
        finally:
            del os.environ["FLOE_ROOT"]
    return {"build again, nothing changed, s": round(unchanged, 1), "build again, code changed, s": round(changed, 1)}


def _build(engine: image_builds.Builder) -> float:
    reference = "localhost/floe-bench/dagster:1"
    try:
        return engine.build(repo.current(), image_builds.IMAGES["dagster"], "1", {}, reference).seconds
    finally:
        engine.call("rmi", "--force", reference)
