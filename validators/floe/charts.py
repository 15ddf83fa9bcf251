"""Upstream charts: put where kustomize looks for them, so that rendering needs no network."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from floe import repo, tools, yamlio
from floe.errors import FloeError

MIRROR = "FLOE_CHART_MIRROR"
STAND_IN = ".stand-in"
"""Marks a pulled chart as one of our stand-ins under tests/charts, so that a real one replaces it when it can."""

Source = Literal["present", "mirror", "repository", "stand-in"]


@dataclass(frozen=True)
class Chart:
    """An upstream chart as an overlay pins it."""

    environment: str
    name: str
    version: str
    repository: str
    root: Path

    @property
    def path(self) -> Path:
        """Where kustomize looks before it pulls: <root>/charts/<name>-<version>/<name>."""
        return repo.overlay(self.environment, self.root) / "charts" / f"{self.name}-{self.version}" / self.name

    def is_pulled(self) -> bool:
        return (self.path / "Chart.yaml").is_file()

    def is_stand_in(self) -> bool:
        return (self.path / STAND_IN).is_file()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def pinned(environment: str, *, root: Path | None = None) -> list[Chart]:
    """The charts of an overlay: name and repository from base/charts, version from the overlay's values.

    `root`: another checkout than `repo.root()`. Raises FloeError for a chart without a version.
    """
    root, charts = root or repo.root(), []
    for file in sorted((root / "base" / "charts").glob("*.yaml")):
        base = yamlio.load_file(file)
        if base.get("kind") != "HelmChartInflationGenerator":
            continue
        pin = repo.overlay(environment, root) / "values" / file.name
        patch = yamlio.load_file(pin) if pin.is_file() else {}
        version = patch.get("version")
        if not isinstance(version, str):
            raise FloeError(
                f"no version of the chart {base['name']} in {pin.relative_to(root)}", "add `version:` there"
            )
        charts.append(Chart(environment, base["name"], version, base["repo"], root))
    return charts


@dataclass(frozen=True)
class Pulled:
    """One chart in the place of every overlay that pins this version: from where, or that it was there already."""

    chart: str
    environments: tuple[str, ...]
    source: Source


def pull(
    environments: Sequence[str], mirror: str | None = None, *, stand_ins: bool = False, root: Path | None = None
) -> Iterator[Pulled]:
    """Fill the charts' places in these overlays, each chart fetched once; what is there already stays.

    `mirror`: a folder (of unpacked charts or .tgz files) or the URL of a chart repository, instead of the public one.
    `stand_ins`: where a chart cannot be had, put the small one of tests/charts there; without, a real chart takes its
    place again. `root`: another checkout than `repo.root()`. Raises FloeError where a chart cannot be had, or not from
    the mirror; its places are then as they were.
    """
    pins: dict[tuple[str, str, str], list[Chart]] = {}
    for environment in environments:
        for chart in pinned(environment, root=root):
            pins.setdefault((chart.name, chart.version, chart.repository), []).append(chart)
    for places in pins.values():
        open_places = [place for place in places if not _is_filled(place, stand_ins=stand_ins and not mirror)]
        source = _fill(open_places, mirror, stand_ins=stand_ins) if open_places else "present"
        yield Pulled(str(places[0]), tuple(place.environment for place in places), source)


def _is_filled(place: Chart, *, stand_ins: bool) -> bool:
    if place.is_stand_in():
        return stand_ins and (place.path / STAND_IN).read_text() == _digest(_stand_in(place))
    return place.is_pulled()


def _fill(places: Sequence[Chart], mirror: str | None, *, stand_ins: bool) -> Source:
    chart = places[0]
    with tempfile.TemporaryDirectory() as folder:
        try:
            found, source = _obtain(chart, mirror, Path(folder))
            bundle_schemas(found)
        except FloeError:
            if mirror or not (stand_ins and _stand_in(chart).is_dir()):
                raise
            found, source = Path(folder) / "stand-in", "stand-in"
            shutil.copytree(_stand_in(chart), found)
            (found / STAND_IN).write_text(_digest(_stand_in(chart)))
        for place in places:
            _put(place, found)
    return source


def _stand_in(chart: Chart) -> Path:
    return chart.root / "tests" / "charts" / chart.name


def _digest(folder: Path) -> str:
    """Of a folder's files, so that a stand-in which has changed is put in place anew."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _obtain(chart: Chart, mirror: str | None, folder: Path) -> tuple[Path, Source]:
    """The chart, unpacked in a folder of our own that may be changed."""
    if mirror and "://" not in mirror:
        return _from_folder(chart, Path(mirror).expanduser(), folder), "mirror"
    url = mirror or chart.repository
    helm = str(tools.resolve("helm"))
    place = ["--repo", url] if not url.startswith("oci://") else []
    name = chart.name if place else f"{url}/{chart.name}"
    # Helm's state goes to the same temporary folder: what a person configured for Helm has no say in what is pulled.
    env = os.environ | {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    command = [helm, "pull", name, *place, "--version", chart.version, "--untar", "--untardir", str(folder / "chart")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
        reason = "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["helm gave no reason"])[-1]
    except subprocess.TimeoutExpired:
        reason = "no answer within two minutes"
    if reason:
        raise FloeError(
            f"cannot pull the chart {chart} from {url}: {reason}",
            f"on a machine that reaches no chart repository, name a folder or URL that mirrors it: {MIRROR}=…",
        )
    return folder / "chart" / chart.name, "mirror" if mirror else "repository"


def _from_folder(chart: Chart, mirror: Path, folder: Path) -> Path:
    if not mirror.is_dir():
        raise FloeError(f"the chart mirror {mirror} is not a folder", f"mend {MIRROR} or --mirror")
    target = folder / chart.name
    archive = mirror / f"{chart.name}-{chart.version}.tgz"
    if archive.is_file():
        try:
            with tarfile.open(archive) as tar:
                # Python 3.11.4 brought the filter; before it, take plain files alone, so that nothing points elsewhere.
                if hasattr(tarfile, "data_filter"):
                    tar.extractall(folder, filter="data")
                else:
                    plain = (m for m in tar if m.isfile() and not {"..", "/"} & set(Path(m.name).parts))
                    tar.extractall(folder, members=plain)  # noqa: S202 # checked in the line above
        except (tarfile.TarError, OSError, EOFError) as error:
            raise FloeError(f"{archive} is not a chart archive: {error}", "fetch it anew") from error
    else:
        for candidate in (mirror / f"{chart.name}-{chart.version}" / chart.name, mirror / chart.name):
            if _version(candidate) == chart.version:
                shutil.copytree(candidate, target)
                break
    if _version(target) != chart.version:
        raise FloeError(
            f"the mirror {mirror} does not hold the chart {chart}",
            f"put {archive.name} there, or the unpacked chart as {chart.name}/",
        )
    return target


def _version(folder: Path) -> str | None:
    file = folder / "Chart.yaml"
    return str(yamlio.load_file(file).get("version")) if file.is_file() else None


def _put(chart: Chart, found: Path) -> None:
    """Copy beside the target, then rename, so that an interrupted pull leaves nothing half-written."""
    place = chart.path.parent
    part = place.with_name(f".{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(found, part / chart.name)
        shutil.rmtree(place, ignore_errors=True)
        part.rename(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def bundle_schemas(chart: Path) -> None:
    """Make the values schemas of a chart and its subcharts free of remote references.

    Dagster's chart refers to Kubernetes' definitions on the internet (dagster-io/dagster#29629), so Helm would need the
    network to render. The same definitions come with the package kubernetes-validate.
    """
    for file in chart.rglob("values.schema.json"):
        try:
            schema = json.loads(file.read_text())
        except ValueError as error:
            raise FloeError(f"{file.relative_to(chart.parent)} is not JSON: {error}", "fetch the chart anew") from error
        needed: set[str] = set()
        for node in _references(schema):
            remote, _, pointer = node["$ref"].partition("#")
            if "://" in remote:
                if not remote.endswith("/_definitions.json"):
                    raise FloeError(
                        f"{file.relative_to(chart.parent)} refers to {remote}",
                        "only Kubernetes' definitions are bundled",
                    )
                needed.add(_definition(node, pointer))
        if needed:
            schema.setdefault("definitions", {}).update(_closure(needed))
            file.write_text(json.dumps(schema))


def _references(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON document that holds a `$ref`."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _definition(node: dict[str, Any], pointer: str) -> str:
    """Turn a reference into one inside the document; returns the name of the definition it needs."""
    _, _, name, *rest = pointer.split("/")
    node["$ref"] = "/".join(["#/definitions", name, *rest])
    return name


def _closure(names: set[str]) -> dict[str, Any]:
    from floe.kubernetes import definitions

    known, closure, todo = definitions(strict=False), {}, sorted(names)
    while todo:
        name = todo.pop()
        if name in closure:
            continue
        if name not in known:
            raise FloeError(
                f"a chart's schema refers to {name}, which Kubernetes does not define", "fetch the chart anew"
            )
        closure[name] = json.loads(json.dumps(known[name]))
        todo += [_definition(node, node["$ref"].partition("#")[2]) for node in _references(closure[name])]
    return closure
