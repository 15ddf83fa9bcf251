"""Cube's answers about what the pipeline publishes, compared with those that Python computes from the batches.

The suite test-engines compares more: more ticks, each scenario of defects, and Trino.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from code_location import Location, edit
from cube_questions import Area, compare
from cube_server import serving
from floe import repo
from floe.demo import cube
from floe_runtime.contract.artifacts import VARIABLE
from shop_pipeline import Pipeline, show


def test_every_measure_is_what_the_generator_says(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a run that builds everything and one that adds to it; then a broken load changes nothing."""
    monkeypatch.setenv(VARIABLE, str(repo.current().artifacts_file(repo.EMBEDDED)))
    monkeypatch.setenv("FLOE_DBT_TARGET", str(repo.current().state / "dbt"))
    edit(checkout / "apps/ecommerce/floe.yaml", ("synthetic",), None)
    pipeline = Pipeline(Location(checkout), checkout, "messy")
    assert pipeline.tick()
    assert pipeline.tick()
    assert not pipeline.tick("broken")
    with serving(cube.install(repo.current()), checkout / "cube", "livez") as running:
        show(running, pipeline)
        assert compare(running, pipeline.shop(), Area.alone, Area.pairs) == []
