"""Charts packaged by `helm package`, and a repository and a registry that serve them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import built
import servers
from chart_repository import (
    NAMES,
    Upstream,
    helm,
    point_at,
    serving,
)
from floe import charts, render, repo, tools
from rendering import ROOT


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of archives that `helm package` created."""
    folder = tmp_path_factory.mktemp("packages")
    generators = [
        one
        for environment in repo.current().environments()
        for one in render.chart_generators(repo.current(), environment)
    ]
    for name in NAMES:
        chart = tmp_path_factory.mktemp("unpacked") / name
        shutil.copytree(ROOT / "tests" / "charts" / name, chart)
        # The schemas of the stand-ins allow only the values that they need. Real charts allow all values of overlays.
        keys = {key for one in generators if one["name"] == name for key in one["valuesInline"]}
        reads = "".join(f'{{{{ toYaml (index .Values "{key}") }}}}' for key in sorted(keys))
        (chart / "templates" / "_any.tpl").write_text(f'{{{{ define "any" }}}}{reads}{{{{ end }}}}')
        helm("package", chart, cwd=folder)
    return folder


@pytest.fixture
def upstream(checkout: Path, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """A chart repository for the checkout, and an empty cache."""
    for tool in ("helm", "kustomize"):
        monkeypatch.setenv("PATH", f"{tools.resolve(tool).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(charts.MIRROR, raising=False)
    folder = tmp_path / "upstream"
    shutil.copytree(packages, folder)
    with serving(folder) as url:
        point_at(checkout, url)
        yield Upstream(folder, url)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[str]:
    """An OCI registry on loopback that contains the charts."""
    built.need("registry", "no registry")
    with servers.registry(tmp_path_factory.mktemp("registry")) as host:
        for archive in sorted(packages.glob("*.tgz")):
            helm("push", archive, f"oci://{host}/mirrored/charts", "--plain-http", cwd=packages)
        yield f"oci://{host}/mirrored/charts"
