"""Cube's answers on DuckDB and on Trino, with each scenario of defects: those that Python computes from the batches.

A tick on Trino takes about twenty times as long as one on DuckDB, so there are few of them, and one scenario.
`FLOE_ORACLE=6` makes as many ticks on Trino, and each scenario.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
import trino_server
from code_location import Location, edit
from cube_questions import EVERYTHING, Area, compare
from cube_server import Served, serving
from floe import repo
from floe.demo import cube
from floe_runtime.contract.artifacts import VARIABLE
from rendering import copy_repository
from shop_pipeline import Pipeline, show

TICKS = 6
TRINO_TICKS = int(os.environ.get("FLOE_ORACLE", "2"))


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the repository whose shop loads nothing itself: the tests do."""
    folder = tmp_path_factory.mktemp("oracle") / "fork"
    copy_repository(folder)
    edit(folder / "apps/ecommerce/floe.yaml", ("synthetic",), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOE_ROOT", str(folder))
        patch.setenv(VARIABLE, str(repo.current().artifacts_file(repo.EMBEDDED)))
        patch.setenv("FLOE_DBT_TARGET", str(repo.current().state / "dbt"))
        yield folder


@pytest.fixture(scope="module")
def embedded(fork: Path) -> Iterator[Served]:
    """Cube on DuckDB, which all scenarios share."""
    with serving(cube.install(repo.current()), fork / "cube", "livez") as running:
        yield running


@pytest.mark.parametrize("scenario", ["clean", "messy"])
def test_embedded(fork: Path, embedded: Served, scenario: str) -> None:
    pipeline = Pipeline(Location(fork), fork, scenario)
    for _ in range(TICKS):
        assert pipeline.tick()
    show(embedded, pipeline)
    assert compare(embedded, pipeline.shop(), *EVERYTHING) == []
    if scenario == "messy":
        assert not pipeline.tick("broken")
        assert compare(embedded, pipeline.shop(), Area.together) == []


@pytest.mark.parametrize("scenario", ["messy", "clean"] if TRINO_TICKS > 2 else ["messy"])
def test_trino(
    fork: Path,
    object_store: servers.ObjectStore,
    trino: trino_server.Server,
    scenario: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in object_store.env.items():
        monkeypatch.setenv(name, value)
    trino.use(fork, object_store)
    pipeline = Pipeline(Location(fork), fork, scenario)
    for _ in range(TRINO_TICKS):
        assert pipeline.tick()
    env = trino.cube | {"FLOE_MART": f"iceberg.{{namespace}}_{scenario}.{{mart}}"}
    with serving(cube.install(repo.current()), fork / "unused", "readyz", **env) as running:
        assert compare(running, pipeline.shop(), Area.together_by_few) == []
