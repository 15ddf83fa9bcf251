"""Renders overlays with kustomize and as Flux does, and compares two renderings."""

from __future__ import annotations

import difflib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from floe import charts, render, repo, tools
from floe.charts import packaged
from floe.kubernetes.objects import Object, objects
from floe.yaml import documents

Values = dict[str, Any]
Identity = tuple[str, str, str, str]
"""What identifies an object in a cluster: API group, kind, namespace, name."""

ROOT = Path(__file__).parents[1]
PARTS = (
    "base",
    "overlays",
    "apps",
    "charts",
    "clusters",
    "images",
    "tests/charts",
    "tests/cube-native",
    "platform.yaml",
    "requirements.lock",
    "floe.toml",
)
"""The parts of the repository that rendering and validation read."""


def pytest_report_header() -> str:
    """A line for the output of pytest: which charts are pulled, because tests with stand-ins prove less."""
    origins = {
        f"{chart} ({'stand-in' if chart.is_stand_in() else 'upstream'})"
        for environment in repo.current().environments()
        for chart in charts.pinned(repo.current(), environment)
        if chart.is_pulled()
    }
    return f"charts: {', '.join(sorted(origins))}"


def copy_repository(folder: Path) -> None:
    """Copy the parts that rendering and validation read to a folder, without pulled charts."""
    made = ["target", "logs", "__pycache__"]
    for part in PARTS:
        ignored = shutil.ignore_patterns(*made, *(["charts"] if part in ("overlays", "charts") else []))
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        else:
            shutil.copy(ROOT / part, folder / part)


class Tree:
    """A copy of the repository with its charts pulled: those of a mirror or, without one, the stand-ins."""

    def __init__(self, folder: Path, mirror: str | None = None) -> None:
        self.folder = folder
        self._rendered: dict[str, list[Object]] = {}
        copy_repository(folder)
        with self.as_repository():
            if mirror:
                list(charts.pull(repo.current(), repo.current().environments(), mirror))
            else:
                for environment in repo.current().environments():
                    for chart in charts.pinned(repo.current(), environment):
                        shutil.copytree(ROOT / "tests" / "charts" / chart.name, chart.path)
            list(packaged.fill(repo.current()))

    @contextmanager
    def as_repository(self) -> Iterator[None]:
        """Let floe use this tree as the repository during the block."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FLOE_ROOT", str(self.folder))
            yield

    def render(self, environment: str) -> list[Object]:
        """The overlay's objects, charts inflated by kustomize."""
        if environment not in self._rendered:
            with self.as_repository():
                self._rendered[environment] = parse(render.render(repo.current(), environment))
        return self._rendered[environment]

    def flux(self, environment: str) -> Flux:
        """What `overlays/ENV/flux` gives to Flux."""
        with self.as_repository():
            return Flux(kustomize(repo.current().overlay(environment) / "flux"))

    def chart(self, environment: str, release: Release) -> Path:
        """The folder of a release's chart."""
        with self.as_repository():
            return repo.current().overlay(environment) / "charts" / f"{release.chart}-{release.version}" / release.chart


def parse(stream: bytes | str) -> list[Object]:
    return list(objects(documents(stream, "rendered"), "rendered"))


def identity(one: Object) -> Identity:
    group, slash, _ = one.api_version.rpartition("/")
    return (group if slash else "", one.kind, one.namespace, one.name)


def by_identity(objects: Iterable[Object]) -> dict[Identity, Values]:
    """Objects by their identity. Raises AssertionError if two objects have the same identity."""
    result: dict[Identity, Values] = {}
    for one in objects:
        assert identity(one) not in result, f"rendered twice: {one.label}"
        result[identity(one)] = one.value
    return result


def differences(ours: dict[Any, Any], theirs: dict[Any, Any], names: tuple[str, str]) -> str:
    """The objects that exist on one side only, and a diff of those that differ; empty if both sides are equal."""
    lines = [f"only in {names[0]}: {key}" for key in ours if key not in theirs]
    lines += [f"only in {names[1]}: {key}" for key in theirs if key not in ours]
    for key, value in ours.items():
        if key in theirs and theirs[key] != value:
            a, b = (yaml.safe_dump(side, width=120).splitlines() for side in (value, theirs[key]))
            lines += [str(key), *list(difflib.unified_diff(a, b, *names, lineterm="", n=2))[:60]]
    return "\n".join(lines)


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stderr}"
    return done.stdout


def kustomize(folder: Path) -> list[Object]:
    """The objects that `kustomize build` prints for a folder without charts."""
    return parse(_run(tools.resolve("kustomize"), "build", folder))


def helm(chart: Path, release: Release, values: Path) -> list[str]:
    """The command that renders a release with Helm."""
    place = ["--namespace", release.namespace, "--values", str(values)]
    return [str(tools.resolve("helm")), "template", release.name, str(chart), *place]


@dataclass(frozen=True)
class Release:
    """The fields of a HelmRelease that affect what is rendered."""

    name: str
    namespace: str
    chart: str
    version: str
    values: Values
    post_renderers: list[Values]
    annotations: dict[str, str]
    """Annotations that `commonMetadata` adds to every object."""

    @classmethod
    def of(cls, one: Object) -> Release:
        """Read the fields from a HelmRelease object."""
        spec = one.value["spec"]
        chart = spec["chart"]["spec"]
        assert set(spec.get("commonMetadata", {})) <= {"annotations"}
        return cls(
            spec["releaseName"],
            spec.get("targetNamespace", one.namespace),
            chart["chart"],
            chart["version"],
            spec["values"],
            spec.get("postRenderers", []),
            spec.get("commonMetadata", {}).get("annotations", {}),
        )

    def render(self, chart: Path) -> list[Object]:
        """Render the chart as Flux's helm-controller does: Helm's templates, post-renderers, then common metadata."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "values.yaml").write_text(yaml.safe_dump(self.values))
            rendered = _run(*helm(chart, self, folder / "values.yaml"))
            for renderer in self.post_renderers:
                (folder / "rendered.yaml").write_text(rendered)
                kustomization = {"resources": ["rendered.yaml"], **renderer["kustomize"]}
                (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
                rendered = _run(tools.resolve("kustomize"), "build", folder)
        objects = parse(rendered)
        for one in objects:
            metadata = one.value["metadata"]
            # A chart leaves the namespace to Helm.
            metadata.setdefault("namespace", self.namespace)
            metadata.setdefault("annotations", {}).update(self.annotations)
        return parse(yaml.safe_dump_all(one.value for one in objects))


class Flux:
    """The objects in `overlays/ENV/flux`: releases, the sources of their charts, and objects that are applied as is."""

    def __init__(self, objects: list[Object]) -> None:
        self.releases = [Release.of(one) for one in objects if one.kind == "HelmRelease"]
        self.sources = [one for one in objects if one.kind == "HelmRepository"]
        self.objects = [one for one in objects if one.kind not in {"HelmRelease", "HelmRepository"}]
