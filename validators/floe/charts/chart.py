"""The charts that overlays pin, the folders that they are pulled to, and the record of each pull."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from floe.errors import FloeError
from floe.repo import Checkout
from floe.yaml import load_file

Key = tuple[str, str, str]
"""Name, version and repository of a chart."""

Origin = Literal["repository", "mirror", "stand-in"]
"""Where a pulled chart comes from."""

MIRROR = "FLOE_CHART_MIRROR"
"""The environment variable that names a mirror to use instead of the public chart repositories."""

GENERATOR = "HelmChartInflationGenerator"
"""Kind of the resources in base/charts."""

_RECORD = ".pulled.json"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_VERSION = re.compile(r"v?\d+(\.\d+)*([+-][\w.+-]+)?")


@dataclass(frozen=True)
class Record:
    """The file that a pull writes beside a chart: where the chart came from, and its digests."""

    repository: str
    origin: Origin
    location: str  # repository, mirror or folder that it came from
    archive: str | None  # sha256 of the archive; None if it was served unpacked
    content: str  # digest of the folder right after the pull

    def write(self, folder: Path) -> None:
        """Write the record to the folder that contains the chart's folder."""
        (folder / _RECORD).write_text(json.dumps(asdict(self), indent=2) + "\n")


@dataclass(frozen=True)
class Chart:
    """An upstream chart as an overlay pins it."""

    environment: str
    name: str
    version: str
    repository: str
    checkout: Checkout

    @property
    def key(self) -> Key:
        """What identifies the chart in charts.lock, independent of the overlay."""
        return self.name, self.version, self.repository

    @property
    def path(self) -> Path:
        """The folder where kustomize looks before it pulls: charts/<name>-<version>/<name> in the overlay."""
        overlay = self.checkout.overlay(self.environment)
        return overlay / "charts" / f"{self.name}-{self.version}" / self.name

    def is_pulled(self) -> bool:
        """Whether a chart is at `path`, whoever put it there."""
        return (self.path / "Chart.yaml").is_file()

    def is_stand_in(self) -> bool:
        """Whether the pulled chart is a stand-in from tests/charts."""
        record = self.record()
        return record is not None and record.origin == "stand-in"

    def record(self) -> Record | None:
        """The record of the pull that put the chart there; None if it was not pulled by floe, or not at all."""
        try:
            return Record(**json.loads((self.path.parent / _RECORD).read_bytes())) if self.is_pulled() else None
        except (OSError, ValueError, TypeError):
            return None

    def __str__(self) -> str:
        """Name and version, as messages show them: `dagster 1.13.14`."""
        return f"{self.name} {self.version}"


def pinned(checkout: Checkout, environment: str) -> list[Chart]:
    """The charts of an overlay: name and repository from base/charts, version from the overlay's values.

    Raises FloeError for a chart without name, repository or exact version.
    """
    charts = []
    for file in sorted((checkout.root / "base" / "charts").glob("*.yaml")):
        base = load_file(file)
        if base.get("kind") != GENERATOR:
            continue
        name, repository = base.get("name"), base.get("repo")
        if not (isinstance(name, str) and _NAME.fullmatch(name) and isinstance(repository, str) and repository):
            raise FloeError(
                f"{checkout.relative(file)} must name a chart and its repository", "Set `name:` and `repo:` there."
            )
        pin = checkout.overlay(environment) / "values" / file.name
        patch = load_file(pin) if pin.is_file() else {}
        version = patch.get("version")
        if not (isinstance(version, str) and _VERSION.fullmatch(version)):
            raise FloeError(
                f"no exact version of the chart {name} in {checkout.relative(pin)}",
                "Set `version:` there, for example to 1.2.3.",
            )
        charts.append(Chart(environment, name, version, repository, checkout))
    return charts


def places(checkout: Checkout, environments: Sequence[str]) -> dict[Key, list[Chart]]:
    """The chart versions that these overlays pin, each with its copies in the overlays."""
    copies: dict[Key, list[Chart]] = {}
    for environment in environments:
        for chart in pinned(checkout, environment):
            copies.setdefault(chart.key, []).append(chart)
    return copies


def digest(folder: Path) -> str:
    """The sha256 of the names and contents of all files in a folder, in hexadecimal digits."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        total.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return total.hexdigest()
