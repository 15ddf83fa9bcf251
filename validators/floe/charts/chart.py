"""The charts that overlays pin, their places, and what is known about what lies there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from floe import repo
from floe.errors import FloeError
from floe.yaml import load_file

Key = tuple[str, str, str]
"""Name, version and repository of a chart."""

Origin = Literal["repository", "mirror", "stand-in"]

MIRROR = "FLOE_CHART_MIRROR"
"""The variable that names what stands in for the public repositories."""

GENERATOR = "HelmChartInflationGenerator"
"""Kind of the resources in base/charts."""

_RECORD = ".pulled.json"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_VERSION = re.compile(r"v?\d+(\.\d+)*([+-][\w.+-]+)?")


@dataclass(frozen=True)
class Record:
    """What a pull left beside a chart."""

    repository: str
    origin: Origin
    location: str  # repository, mirror or folder that it came from
    archive: str | None  # sha256 of the archive; None where it came unpacked
    content: str  # digest of the folder as it was put there

    def write(self, folder: Path) -> None:
        (folder / _RECORD).write_text(json.dumps(asdict(self), indent=2) + "\n")


@dataclass(frozen=True)
class Chart:
    """An upstream chart as an overlay pins it."""

    environment: str
    name: str
    version: str
    repository: str
    root: Path  # of the checkout

    @property
    def key(self) -> Key:
        return self.name, self.version, self.repository

    @property
    def path(self) -> Path:
        """Where kustomize looks before it pulls: <root>/charts/<name>-<version>/<name>."""
        overlay = repo.overlay(self.environment, self.root)
        return overlay / "charts" / f"{self.name}-{self.version}" / self.name

    def is_pulled(self) -> bool:
        return (self.path / "Chart.yaml").is_file()

    def is_stand_in(self) -> bool:
        record = self.record()
        return record is not None and record.origin == "stand-in"

    def record(self) -> Record | None:
        """What the pull that put the chart there wrote down; None where something else put it there."""
        try:
            return Record(**json.loads((self.path.parent / _RECORD).read_bytes())) if self.is_pulled() else None
        except (OSError, ValueError, TypeError):
            return None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def pinned(environment: str, *, root: Path | None = None) -> list[Chart]:
    """The charts of an overlay: name and repository from base/charts, version from the overlay's values.

    `root`: another checkout than this one. Raises FloeError for a chart without name, repository or exact version.
    """
    root = root or repo.root()
    charts = []
    for file in sorted((root / "base" / "charts").glob("*.yaml")):
        base = load_file(file)
        if base.get("kind") != GENERATOR:
            continue
        name, repository = base.get("name"), base.get("repo")
        if not (isinstance(name, str) and _NAME.fullmatch(name) and isinstance(repository, str) and repository):
            raise FloeError(f"{file.relative_to(root)} must name a chart and its repository", "set `name:` and `repo:`")
        pin = repo.overlay(environment, root) / "values" / file.name
        patch = load_file(pin) if pin.is_file() else {}
        version = patch.get("version")
        if not (isinstance(version, str) and _VERSION.fullmatch(version)):
            raise FloeError(
                f"no exact version of the chart {name} in {pin.relative_to(root)}", "set `version:` there, as in 1.2.3"
            )
        charts.append(Chart(environment, name, version, repository, root))
    return charts


def places(environments: Sequence[str], root: Path | None = None) -> dict[Key, list[Chart]]:
    """The places of each chart that these overlays pin."""
    found: dict[Key, list[Chart]] = {}
    for environment in environments:
        for chart in pinned(environment, root=root):
            found.setdefault(chart.key, []).append(chart)
    return found


def digest(folder: Path) -> str:
    """sha256 over the names and contents of a folder's files."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        total.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return total.hexdigest()
