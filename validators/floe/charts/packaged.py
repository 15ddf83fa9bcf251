"""Floe's own charts in charts/: which upstream charts each is made of, and how they get into it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from floe import repo
from floe.charts.chart import digest, pinned
from floe.yaml import load_file

UPSTREAM = {"floe-dagster": ("dagster",), "floe-cube": ("cube", "cubestore")}
"""Upstream charts, by the chart of floe's that they are a dependency of."""

UMBRELLA = "floe-runtime"


def folder(name: str, root: Path | None = None) -> Path:
    """Where one of floe's charts lies."""
    return (root or repo.root()) / "charts" / name


def dependencies(name: str, root: Path | None = None) -> dict[str, dict[str, Any]]:
    """What a chart's Chart.yaml depends on, by name."""
    listed = load_file(folder(name, root) / "Chart.yaml").get("dependencies") or []
    return {str(one["name"]): one for one in listed}


def fill(root: Path | None = None) -> Iterator[str]:
    """Put into charts/*/charts what each chart depends on, from where overlays have it; yields what was done, in words.

    A chart whose version no overlay has pulled is left out, and named: Helm says of it that it is missing.
    """
    root = root or repo.root()
    if not (root / "charts").is_dir():
        return
    places = [place for environment in repo.environments(root) for place in pinned(environment, root=root)]
    for name, needed in UPSTREAM.items():
        for upstream in needed:
            version = str(dependencies(name, root)[upstream]["version"])
            pulled = [one for one in places if (one.name, one.version) == (upstream, version) and one.is_pulled()]
            if not pulled:
                yield f"{upstream} {version} is not there for charts/{name}: floe charts sync, then floe charts pull"
            elif _put(pulled[0].path, folder(name, root) / "charts" / upstream):
                yield f"{upstream} {version} into charts/{name}"
    for name in UPSTREAM:
        if _put(folder(name, root), folder(UMBRELLA, root) / "charts" / name):
            yield f"{name} into charts/{UMBRELLA}"


def _put(source: Path, target: Path) -> bool:
    """Copy a chart unless it is there already; an interrupted copy leaves nothing half-written."""
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
