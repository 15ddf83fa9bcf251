"""What overlays render, by kustomize and as Flux would, and how two renderings differ: for the tests that compare."""

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
"""What an object is to a cluster: API group, kind, namespace, name."""

ROOT = Path(__file__).parents[1]
PARTS = (
    "base",
    "overlays",
    "apps",
    "charts",
    "images",
    "tests/charts",
    "tests/cube-native",
    "platform.yaml",
    "requirements.lock",
)
"""What rendering and validating read of the repository."""


def copy_repository(folder: Path) -> None:
    """What rendering and validating read, without pulled charts."""
    made = ["target", "logs", "__pycache__"]
    for part in PARTS:
        ignored = shutil.ignore_patterns(*made, *(["charts"] if part in ("overlays", "charts") else []))
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        else:
            shutil.copy(ROOT / part, folder / part)


class Tree:
    """A copy of the repository with the charts of one origin in their places: the mirror's, or else the stand-ins."""

    def __init__(self, folder: Path, mirror: str | None = None) -> None:
        self.folder = folder
        self._rendered: dict[str, list[Object]] = {}
        copy_repository(folder)
        with self.as_repository():
            if mirror:
                list(charts.pull(repo.environments(), mirror))
            else:
                for chart in (chart for environment in repo.environments() for chart in charts.pinned(environment)):
                    shutil.copytree(ROOT / "tests" / "charts" / chart.name, chart.path)
            list(packaged.fill())

    @contextmanager
    def as_repository(self) -> Iterator[None]:
        """Let floe take this tree for the repository."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FLOE_ROOT", str(self.folder))
            repo.root.cache_clear()
            yield
        repo.root.cache_clear()

    def render(self, environment: str) -> list[Object]:
        """The overlay's objects, charts inflated by kustomize."""
        if environment not in self._rendered:
            with self.as_repository():
                self._rendered[environment] = parse(render.render(environment))
        return self._rendered[environment]

    def flux(self, environment: str) -> Flux:
        """What `overlays/ENV/flux` gives to Flux."""
        with self.as_repository():
            return Flux(kustomize(repo.overlay(environment) / "flux"))

    def chart(self, environment: str, release: Release) -> Path:
        """The folder of a release's chart."""
        with self.as_repository():
            return repo.overlay(environment) / "charts" / f"{release.chart}-{release.version}" / release.chart


def parse(stream: bytes | str) -> list[Object]:
    return list(objects(documents(stream, "rendered"), "rendered"))


def identity(one: Object) -> Identity:
    group, slash, _ = one.api_version.rpartition("/")
    return (group if slash else "", one.kind, one.namespace, one.name)


def by_identity(found: Iterable[Object]) -> dict[Identity, Values]:
    """Objects by what they are to a cluster; that two are the same is a failure."""
    result: dict[Identity, Values] = {}
    for one in found:
        assert identity(one) not in result, f"rendered twice: {one.label}"
        result[identity(one)] = one.value
    return result


def differences(ours: dict[Any, Any], theirs: dict[Any, Any], names: tuple[str, str]) -> str:
    """Which objects stand on one side only, and a diff of the YAML of those that differ; empty where all are equal."""
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
    """`kustomize build` of a folder that inflates no chart."""
    return parse(_run(tools.resolve("kustomize"), "build", folder))


def helm(chart: Path, release: Release, values: Path) -> list[str]:
    """The call that renders a release."""
    place = ["--namespace", release.namespace, "--values", str(values)]
    return [str(tools.resolve("helm")), "template", release.name, str(chart), *place]


@dataclass(frozen=True)
class Release:
    """One HelmRelease, as far as it decides what is rendered."""

    name: str
    namespace: str
    chart: str
    version: str
    values: Values
    post_renderers: list[Values]
    annotations: dict[str, str]
    """On every object, by `commonMetadata`."""

    @classmethod
    def of(cls, one: Object) -> Release:
        """Of a HelmRelease object."""
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
        """What Flux's helm-controller makes of the chart: Helm's templates, post-renderers, then common metadata."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "values.yaml").write_text(yaml.safe_dump(self.values))
            rendered = _run(*helm(chart, self, folder / "values.yaml"))
            for renderer in self.post_renderers:
                (folder / "rendered.yaml").write_text(rendered)
                kustomization = {"resources": ["rendered.yaml"], **renderer["kustomize"]}
                (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
                rendered = _run(tools.resolve("kustomize"), "build", folder)
        found = parse(rendered)
        for one in found:
            metadata = one.value["metadata"]
            # A chart leaves the namespace to the client, which is Helm.
            metadata.setdefault("namespace", self.namespace)
            metadata.setdefault("annotations", {}).update(self.annotations)
        return parse(yaml.safe_dump_all(one.value for one in found))


class Flux:
    """What `overlays/ENV/flux` gives to Flux: releases, where their charts come from, objects applied as they stand."""

    def __init__(self, found: list[Object]) -> None:
        self.releases = [Release.of(one) for one in found if one.kind == "HelmRelease"]
        self.sources = [one for one in found if one.kind == "HelmRepository"]
        self.objects = [one for one in found if one.kind not in {"HelmRelease", "HelmRepository"}]
