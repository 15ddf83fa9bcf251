"""The scratch database of a run is deleted after it, and that of a killed run by a later one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from embedded import platform
from floe_runtime.scratch import SCRATCH, scratch

DAY = 24 * 3600


def left_over(age: float) -> Path:
    """The folder of a run that was killed `age` seconds ago."""
    with scratch(platform()) as database:
        folder = Path(database).parent
    folder.mkdir()
    Path(database).touch()
    for path in (Path(database), folder):
        os.utime(path, (time.time() - age, time.time() - age))
    return folder


def test_a_run_deletes_its_scratch_and_that_of_runs_killed_a_day_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SCRATCH, str(tmp_path))
    another = tmp_path / "another"
    another.mkdir()
    os.utime(another, (0, 0))
    recent, old = left_over(DAY / 2), left_over(2 * DAY)
    with scratch(platform()) as database:
        own = Path(database).parent
        assert set(tmp_path.iterdir()) == {another, recent, own}
    assert set(tmp_path.iterdir()) == {another, recent}
    assert not old.exists()
