"""Floe's own charts in charts/: the upstream charts that each depends on, and how they are copied into it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from floe.charts.chart import digest, pinned
from floe.repo import Checkout
from floe.yaml import load_file

UPSTREAM = {"floe-dagster": ("dagster",), "floe-cube": ("cube", "cubestore")}
"""The upstream charts that each of floe's charts depends on."""

UMBRELLA = "floe-runtime"
"""The chart that contains all of UPSTREAM's charts."""


def folder(checkout: Checkout, name: str) -> Path:
    """The folder of one of floe's charts."""
    return checkout.root / "charts" / name


def dependencies(checkout: Checkout, name: str) -> dict[str, dict[str, Any]]:
    """The dependencies in a chart's Chart.yaml, by name."""
    listed = load_file(folder(checkout, name) / "Chart.yaml").get("dependencies") or []
    return {str(dependency["name"]): dependency for dependency in listed}


def fill(checkout: Checkout) -> Iterator[str]:
    """Copy the dependencies of floe's charts from the overlays into charts/*/charts; yields a message for each change.

    A version that no overlay has pulled is skipped with a message. Helm then reports it as missing.
    """
    if not (checkout.root / "charts").is_dir():
        return
    places = [place for environment in checkout.environments() for place in pinned(checkout, environment)]
    for name, needed in UPSTREAM.items():
        for upstream in needed:
            version = str(dependencies(checkout, name)[upstream]["version"])
            pulled = [
                place for place in places if (place.name, place.version) == (upstream, version) and place.is_pulled()
            ]
            if not pulled:
                yield (
                    f"charts/{name} needs {upstream} {version}, which no overlay has pulled. Run `floe charts sync`, "
                    "then `floe charts pull`."
                )
            elif _copy_chart(pulled[0].path, folder(checkout, name) / "charts" / upstream):
                yield f"copied {upstream} {version} into charts/{name}"
    for name in UPSTREAM:
        if _copy_chart(folder(checkout, name), folder(checkout, UMBRELLA) / "charts" / name):
            yield f"copied {name} into charts/{UMBRELLA}"


def _copy_chart(source: Path, target: Path) -> bool:
    """Copy a chart unless the same is there already; returns whether it did. The target is replaced atomically."""
    if target.is_dir() and digest(target) == digest(source):
        return False
    target.parent.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        shutil.copytree(source, part / target.name)
        shutil.rmtree(target, ignore_errors=True)
        (part / target.name).rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True
